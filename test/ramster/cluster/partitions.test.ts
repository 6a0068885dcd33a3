// Networks that are cut and healed again, under load.

import { expect, test } from 'vitest';
import {
  Cluster,
  countAway,
  type Node,
  OWNER,
  until,
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

type Cut = (cluster: Cluster) => void;

test.for<[string, Cut, Cut]>([
  [
    'nothing arrives, both ways',
    ({ network }) => {
      network.drop('a', ['b']);
      network.drop('b', ['a']);
    },
    ({ network }) => {
      network.heal('a');
      network.heal('b');
    },
  ],
  [
    'nothing arrives at the holder',
    ({ network }) => network.drop('a', ['b']),
    ({ network }) => network.heal('a'),
  ],
  [
    'nothing arrives at the owner',
    ({ network }) => network.drop('b', ['a']),
    ({ network }) => network.heal('b'),
  ],
  [
    "the holder's link is down",
    ({ network }) => network.plug('b', 'down'),
    ({ network }) => network.plug('b', 'up'),
  ],
])(
  'between the owner and one of its holders %s: no byte is wrong, also when it is healed',
  {
    timeout: PATIENCE_MS,
  },
  async ([, cut, heal], context) => {
    needNetwork(context);
    const cluster = await Cluster.make('a', 'b', 'c');
    const [b, c] = await Promise.all(['b', 'c'].map((name) => cluster.start(name)));
    const a = await cluster.start('a', { store: OWNER });
    await untilUp(a, 'b', 'c');
    const pages = new Pages(11);
    await pages.fill(a);
    await untilAway(a);
    const load = pages.load(a);
    await load.goOn(SOME);
    cut(cluster);
    await load.goOn(SOME);
    await untilTold(a, 'peer', /"b","state":"down"/);
    await load.goOn(SOME);
    heal(cluster);
    await untilUp(a, 'b', 'c');
    await load.goOn(SOME);
    await load.end();
    await untilWhole(a, [b!, c!]);
    await pages.verify(a);
  },
);

test(
  'an owner that reaches nobody: gets of persistent pages fail, ephemeral ones miss, in time; later all is there',
  async (context) => {
    needNetwork(context);
    const cluster = await Cluster.make('a', 'b', 'c');
    const [b, c] = await Promise.all(['b', 'c'].map((name) => cluster.start(name)));
    const a = await cluster.start('a', { store: OWNER, ramster: { patienceMs: 300 } });
    await untilUp(a, 'b', 'c');
    const pages = new Pages(12);
    await pages.fill(a);
    await untilAway(a);
    await untilWhole(a, [b!, c!]);

    cluster.network.drop('a', ['b', 'c']);
    await untilTold(a, 'peer', /"b","state":"down"/);
    await untilTold(a, 'peer', /"c","state":"down"/);
    const away = await countAway(a);
    // Each call has an end of its own (commands.ts): the test fails if one has none.
    const { persistent, ephemeral } = pages;
    const found = await a.call('read', 'persistent', persistent.indexes);
    for (const [i, index] of persistent.indexes.entries()) {
      if (found[i] !== 'away') persistent.found(index, found[i]!);
    }
    expect(found.filter((each) => each === 'away').length).toBe(away);
    const values = await a.call('read', 'ephemeral', ephemeral.indexes);
    for (const [i, index] of ephemeral.indexes.entries()) ephemeral.found(index, values[i]!);
    expect(values).toContain('miss');
    expect(await countAway(a)).toBe(away);

    cluster.network.heal('a');
    await untilUp(a, 'b', 'c');
    await pages.verify(a);
    await untilWhole(a, [b!, c!]);
    await pages.verify(a);
  },
  PATIENCE_MS,
);

/** Copies of others' pages here, as of now. */
async function copiesAt(node: Node): Promise<number> {
  const { foreign_pers_pages: pages } = await node.call('statistics');
  return pages;
}

test(
  'what nodes hold of an owner that is gone is freed when its lease is over',
  async (context) => {
    needNetwork(context);
    const cluster = await Cluster.make('a', 'b', 'c');
    const lease = { leaseMs: 5000 };
    const [b, c] = await Promise.all(['b', 'c'].map((name) => cluster.start(name, { ramster: lease })));
    const a = await cluster.start('a', { store: OWNER });
    await untilUp(a, 'b', 'c');
    const pages = new Pages(13);
    await pages.fill(a);
    await untilAway(a);
    expect(await copiesAt(b!)).toBeGreaterThan(0);
    expect(await copiesAt(c!)).toBeGreaterThan(0);
    await a.kill();
    for (const holder of [b!, c!]) {
      await untilTold(holder, 'lease-ended', /"owner":"a"/);
      await until(
        'what it held is freed',
        () => copiesAt(holder),
        (copies) => copies === 0,
      );
    }
  },
  PATIENCE_MS,
);
