// Nodes whose connections are slow, stand still, and are cut in the middle of frames.

import { test } from 'vitest';
import { Cluster, OWNER, PORT, until, untilAway, untilUp, untilWhole } from './cluster.ts';
import { Pages } from './load.ts';
import { needNetwork, SWITCH_ADDRESS } from './network.ts';
import type { ProxyCommands } from './proxy.ts';

/** On a loaded machine; a quiet one takes a tenth of it. */
const PATIENCE_MS = 180_000;
/** The load goes on until connections were cut so often. */
const CUTS = 20;

test.for([41])(
  'over lines that are cut at any byte no byte is wrong and none is lost, seed %i',
  {
    timeout: PATIENCE_MS,
  },
  async (seed, context) => {
    needNetwork(context);
    const cluster = await Cluster.make('a', 'b', 'c', 'd');
    const names = ['b', 'c', 'd'];
    const holders = await Promise.all(names.map((name) => cluster.start(name)));
    const lines = await cluster.run<ProxyCommands>('proxy.ts');
    const routes = names.map((name, i) => ({
      port: PORT + 1 + i,
      to: { host: cluster.network.ipOf(name), port: PORT },
    }));
    await lines.call('open', SWITCH_ADDRESS, routes, seed);
    const peers = names.map((name, i) => ({ name, address: `${SWITCH_ADDRESS}:${PORT + 1 + i}` }));
    const a = await cluster.start('a', { store: OWNER, ramster: { peers } });
    const pages = new Pages(seed);
    await pages.fill(a);
    const load = pages.load(a);
    await until(
      'connections are cut',
      async () => {
        await load.goOn(1);
        return await lines.call('cuts');
      },
      (cuts) => cuts >= CUTS,
    );
    await load.end();
    await untilAway(a, 1);
    await pages.verify(a);
    await lines.call('calm');
    await untilUp(a, ...names);
    await untilAway(a, 1);
    await untilWhole(a, holders);
    await pages.verify(a);
  },
);
