// Nodes that are killed, come back, or stop for a while, under load.

import { expect, test } from 'vitest';
import {
  Cluster,
  HOLDER,
  newStoreName,
  OWNER,
  untilAway,
  untilTold,
  untilUp,
  untilWhole,
} from './cluster.ts';
import { Pages } from './load.ts';
import { needNetwork } from './network.ts';

/** On a loaded machine; a quiet one takes a tenth of it. */
const PATIENCE_MS = 180_000;
/** Commands of a load before, between and after what happens. */
const SOME = 60;

test(
  'one of three holders is killed: nothing is lost, and each page has its copies again',
  async (context) => {
    needNetwork(context);
    const cluster = await Cluster.make('a', 'b', 'c', 'd');
    const [b, c, d] = await Promise.all(['b', 'c', 'd'].map((name) => cluster.start(name)));
    const a = await cluster.start('a', { store: OWNER });
    await untilUp(a, 'b', 'c', 'd');
    const pages = new Pages(1);
    await pages.fill(a);
    const load = pages.load(a);
    await load.goOn(SOME);
    await untilAway(a);
    await b!.kill();
    await load.goOn(SOME);
    await untilUp(a, 'c', 'd');
    await load.goOn(SOME);
    await load.end();
    await untilAway(a);
    await untilWhole(a, [c!, d!]);
    const statistics = await a.call('statistics');
    expect(statistics.replicas_repaired).toBeGreaterThan(0);
    expect(statistics.remote_pers_pages_unsucc_get).toBe(0);
    await pages.verify(a);
    // With an empty memory it is a new one: what it is still to free is known to be gone.
    await cluster.start('b');
    await untilUp(a, 'b', 'c', 'd');
    await pages.verify(a);
  },
  PATIENCE_MS,
);

test(
  'an owner with a named store is killed: it comes back with all that was acknowledged, and what nobody names is swept',
  async (context) => {
    needNetwork(context);
    const cluster = await Cluster.make('a', 'b', 'c');
    const [b, c] = await Promise.all(['b', 'c'].map((name) => cluster.start(name)));
    const store = { ...OWNER, name: newStoreName() };
    const pages = new Pages(2);
    let a = await cluster.start('a', { store });
    await untilUp(a, 'b', 'c');
    await pages.fill(a);
    for (let round = 0; round < 2; round++) {
      const load = pages.load(a);
      await load.goOn(SOME);
      await untilAway(a);
      await a.kill();
      await load.died();
      a = await cluster.start('a', { store });
      await untilUp(a, 'b', 'c');
      await pages.verify(a);
      await untilWhole(a, [b!, c!]);
    }
    // What it can tell nobody is lost with it: that pages were written anew, and the older copies are wanted no more.
    await untilAway(a);
    cluster.network.drop('a', ['b', 'c']);
    await pages.fill(a);
    await a.kill();
    cluster.network.heal('a');
    a = await cluster.start('a', { store });
    await untilUp(a, 'b', 'c');
    await untilWhole(a, [b!, c!]);
    expect((await a.call('statistics')).orphans_swept).toBeGreaterThan(0);
    await pages.verify(a);
  },
  PATIENCE_MS,
);

test(
  'a holder with a named store is killed and comes back with its memory: nothing is lost, older copies are freed',
  async (context) => {
    needNetwork(context);
    const cluster = await Cluster.make('a', 'b', 'c');
    const store = { ...HOLDER, name: newStoreName() };
    const b = await cluster.start('b', { store });
    const c = await cluster.start('c');
    const a = await cluster.start('a', { store: OWNER });
    await untilUp(a, 'b', 'c');
    const pages = new Pages(3);
    await pages.fill(a);
    const load = pages.load(a);
    await load.goOn(SOME);
    await b.kill();
    await untilTold(a, 'peer', /"b","state":"down"/);
    // Of these, b holds what is of the past when it comes back.
    await load.goOn(SOME);
    const again = await cluster.start('b', { store });
    await untilUp(a, 'b', 'c');
    await load.goOn(SOME);
    await load.end();
    await untilWhole(a, [again, c]);
    await pages.verify(a);
    // And it is the only one that has them.
    await c.kill();
    await pages.verify(a);
  },
  PATIENCE_MS,
);

test(
  'a holder stands still and goes on: nobody waits for it for ever, and no page of the past comes from it',
  async (context) => {
    needNetwork(context);
    const cluster = await Cluster.make('a', 'b', 'c', 'd');
    const [b, c, d] = await Promise.all(['b', 'c', 'd'].map((name) => cluster.start(name)));
    const a = await cluster.start('a', { store: OWNER });
    await untilUp(a, 'b', 'c', 'd');
    const pages = new Pages(4);
    await pages.fill(a);
    const load = pages.load(a);
    await load.goOn(SOME);
    b!.signal('SIGSTOP');
    await load.goOn(SOME);
    await untilTold(a, 'peer', /"b","state":"down"/);
    await load.goOn(SOME);
    b!.signal('SIGCONT');
    await untilUp(a, 'b', 'c', 'd');
    await load.goOn(SOME);
    await load.end();
    await untilWhole(a, [b!, c!, d!]);
    await pages.verify(a);
  },
  PATIENCE_MS,
);
