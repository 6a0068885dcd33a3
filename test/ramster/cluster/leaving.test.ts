// Nodes that leave in order, and nodes that have no room.

import { expect, test } from 'vitest';
import { AWAY_LEAST, Cluster, HOLDER, OWNER, untilAway, untilUp, untilWhole } from './cluster.ts';
import { Pages } from './load.ts';
import { needNetwork } from './network.ts';

/** On a loaded machine; a quiet one takes a tenth of it. */
const PATIENCE_MS = 180_000;
/** Within that of a single call. */
const DRAIN_MS = 50_000;
/** Commands of a load before, between and after what happens. */
const SOME = 60;

test(
  'a holder drains: its pages are moved to others while they are read and written, and nothing is left with it',
  async (context) => {
    needNetwork(context);
    const cluster = await Cluster.make('a', 'b', 'c', 'd');
    const [b, c, d] = await Promise.all(['b', 'c', 'd'].map((name) => cluster.start(name)));
    const a = await cluster.start('a', { store: OWNER });
    await untilUp(a, 'b', 'c', 'd');
    const pages = new Pages(21);
    await pages.fill(a);
    const load = pages.load(a);
    await load.goOn(SOME);
    expect((await b!.call('statistics')).foreign_pers_pages).toBeGreaterThan(0);
    expect(await b!.call('drain', DRAIN_MS)).toEqual({ away: 0, foreign: 0 });
    await b!.call('close');
    await load.goOn(SOME);
    await load.end();
    await untilAway(a);
    await untilWhole(a, [c!, d!]);
    await pages.verify(a);
  },
  PATIENCE_MS,
);

test(
  'an owner drains: all of its pages come home, and nothing is left with others',
  async (context) => {
    needNetwork(context);
    const cluster = await Cluster.make('a', 'b', 'c');
    const [b, c] = await Promise.all(['b', 'c'].map((name) => cluster.start(name)));
    const a = await cluster.start('a', { store: OWNER });
    await untilUp(a, 'b', 'c');
    const pages = new Pages(22);
    await pages.fill(a);
    const load = pages.load(a);
    await load.goOn(SOME);
    await untilAway(a);
    expect(await a.call('drain', DRAIN_MS)).toEqual({ away: 0, foreign: 0 });
    await load.end();
    expect(await untilWhole(a, [b!, c!])).toBe(0);
    // Nobody is there to be asked any more.
    await b!.kill();
    await c!.kill();
    await pages.verify(a);
  },
  PATIENCE_MS,
);

test(
  'peers that are full take nothing more, and nothing is lost; who comes later and has room takes the rest',
  async (context) => {
    needNetwork(context);
    const cluster = await Cluster.make('a', 'b', 'c', 'd', 'e');
    const small = { lendBytes: '512 KiB', capBytes: '512 KiB' };
    const [b, c] = await Promise.all(
      ['b', 'c'].map((name) => cluster.start(name, { store: OWNER, ramster: small })),
    );
    const a = await cluster.start('a', { store: OWNER });
    await untilUp(a, 'b', 'c');
    const pages = new Pages(23);
    await pages.fill(a);
    const before = pages.load(a);
    await before.goOn(SOME);
    await before.end();
    await untilAway(a, 1);
    const few = await untilWhole(a, [b!, c!]);
    expect(few).toBeLessThan(AWAY_LEAST);
    await pages.verify(a);

    const [d, e] = await Promise.all(['d', 'e'].map((name) => cluster.start(name, { store: HOLDER })));
    await untilUp(a, 'b', 'c', 'd', 'e');
    const after = pages.load(a);
    await after.goOn(SOME);
    await after.end();
    await untilAway(a);
    await untilWhole(a, [b!, c!, d!, e!]);
    await pages.verify(a);
  },
  PATIENCE_MS,
);
