// A peer that lies in every way the protocol allows, and in some that it does not, among two that do not.

import { expect, test } from 'vitest';
import { Cluster, OWNER, until, untilTold, untilUp } from './cluster.ts';
import type { LiarCommands } from './liar.ts';
import { Pages } from './load.ts';
import { needNetwork } from './network.ts';

/** On a loaded machine; a quiet one takes a tenth of it. */
const PATIENCE_MS = 180_000;
/** Commands of a load. */
const SOME = 80;
/** Gets that each lie was an answer to. */
const LIES_LEAST = 3;

test.for([
  ['sealed', true],
  ['not sealed', false],
] as const)(
  'among holders of pages that are %s one lies: no byte is wrong, and no page is lost',
  {
    timeout: PATIENCE_MS,
  },
  async ([, seal], context) => {
    needNetwork(context);
    const cluster = await Cluster.make('a', 'b', 'c', 'l');
    const liar = await cluster.run<LiarCommands>('liar.ts', 'l');
    await liar.call('open', 'l', cluster.addressOf('l'), await cluster.authority.node('l'));
    await Promise.all(['b', 'c'].map((name) => cluster.start(name)));
    const a = await cluster.start('a', { store: OWNER, ramster: { seal } });
    await untilUp(a, 'b', 'c', 'l');
    const pages = new Pages(51);
    await pages.fill(a);
    const load = pages.load(a);
    // These do not end the connection.
    await liar.call('tell', ['garbage', 'flipped', 'others', 'older', 'shorter', 'longer', 'misses']);
    await load.goOn(SOME);
    await liar.call('tell', 'all');
    await until(
      'each lie was told',
      async () => {
        await load.goOn(1);
        return await liar.call('told');
      },
      (told) => told.every(([, times]) => times >= LIES_LEAST),
    );
    await load.end();
    await pages.verify(a);
    const { pages_lost: lost } = await a.call('statistics');
    expect(lost).toBe(0);
    expect((await a.call('told')).filter(({ event }) => event === 'lost')).toEqual([]);
  },
);

test(
  'a peer whose list of pages has no end keeps nobody from making lost copies anew',
  async (context) => {
    needNetwork(context);
    const cluster = await Cluster.make('a', 'b', 'c', 'l');
    const liar = await cluster.run<LiarCommands>('liar.ts', 'l');
    await liar.call('open', 'l', cluster.addressOf('l'), await cluster.authority.node('l'));
    await liar.call('tell', []);
    const [b] = await Promise.all(['b', 'c'].map((name) => cluster.start(name)));
    const a = await cluster.start('a', { store: OWNER });
    await untilUp(a, 'b', 'c', 'l');
    const pages = new Pages(52);
    await pages.fill(a);
    await b!.kill();
    await untilTold(a, 'peer', /"b","state":"down"/);
    await until(
      'each page has its copies again',
      () => a.call('statistics'),
      (statistics) => statistics.replicas_repaired > 0 && statistics.replicas_short === 0,
    );
    await pages.verify(a);
  },
  PATIENCE_MS,
);
