// The pages that were not used lately, found from the frames they lie in.
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { Oid, type Pool, type Store } from '../../src/index.ts';
import { type ColdPage, ColdPages } from '../../src/zcache/cold-pages.ts';
import { numbered } from '../tmem/page-content.ts';
import { expectAccounted, MIB, withStore } from '../tmem/small-store.ts';

const PAMS = ['zv', 'zbud', 'raw'] as const;
const KINDS = ['ephemeral', 'persistent'] as const;
const oid = Oid.fromNumbers(11, 12, 13);
const out = Buffer.alloc(4096);
const everyone = () => true;

const keyOf = ({ pool, oid, index }: ColdPage) => `${pool}/${oid}/${index}`;

/** All pages of one round, a few at a time. */
function round(cold: ColdPages, kind: Pool['kind'], total: number, most = 7): string[] {
  const keys: string[] = [];
  while (keys.length < total) {
    const pages = cold.coldest(kind, Math.min(most, total - keys.length));
    if (pages.length === 0) break;
    keys.push(...pages.map(keyOf));
  }
  return keys;
}

function fill(pool: Pool, count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, i) => {
    expect(pool.put(oid, from + i, numbered(from + i, 600 + (i % 5) * 400))).toBe('stored');
    return keyOf({ pool: pool.id, oid, index: from + i });
  });
}

function sendAway(pool: Pool, index: number): void {
  const found = pool.remotePages.look(oid, index);
  if (found?.kind !== 'stored') throw new Error('no page');
  expect(pool.remotePages.sendAway(oid, index, found, Buffer.from(`record ${index}`))).toBe('stored');
}

describe.each(PAMS)('of %s', (pam) => {
  test.each(KINDS)('every %s page is named once a round, whatever else is in the store', (kind) => {
    withStore({}, (small) => {
      const client = small.store.client('c');
      const other = client.pool('other', { kind: kind === 'ephemeral' ? 'persistent' : 'ephemeral', pam });
      const pools = ['a', 'b'].map((name) => client.pool(name, { kind, pam }));
      const expected = pools.flatMap((pool) => fill(pool, 90));
      fill(other, 50);
      const cold = new ColdPages(small.store, everyone);
      for (let n = 0; n < 3; n++) expect(round(cold, kind, 180).sort()).toEqual([...expected].sort());
      expectAccounted(small);
    });
  });

  test('those that are used come last', () => {
    withStore({}, ({ store }) => {
      const client = store.client('c');
      const pool = client.pool('p', { kind: 'persistent', pam });
      fill(pool, 300);
      // The clock goes on with every frame that is taken.
      fill(client.pool('later', { kind: 'ephemeral', pam: 'raw' }), 20);
      for (let index = 100; index < 130; index++) expect(pool.get(oid, index, out)).toBe(4096);
      const indexes = new ColdPages(store, everyone).coldest('persistent', 300).map(({ index }) => index);
      expect(indexes.length).toBe(300);
      const used = indexes.flatMap((index, at) => (index >= 100 && index < 130 ? [at] : []));
      // Their frames have neighbours in them.
      expect(Math.min(...used)).toBeGreaterThan(300 - 30 - 20);
    });
  });
});

test('without use they come in the order in which they were put', () => {
  withStore({}, ({ store }) => {
    const pool = store.client('c').pool('p', { kind: 'persistent', pam: 'raw' });
    fill(pool, 500);
    const indexes = new ColdPages(store, everyone).coldest('persistent', 500).map(({ index }) => index);
    expect(indexes).toEqual(Array.from({ length: 500 }, (_, i) => i));
  });
});

test('more frames than are chosen at a time come in the same order', () => {
  withStore({ memory: 48 * MIB, debug: false }, ({ store }) => {
    const client = store.client('c');
    const pool = client.pool('p', { kind: 'persistent', pam: 'raw' });
    fill(pool, 9000);
    for (let index = 0; index < 9000; index += 3) pool.get(oid, index, out);
    const indexes = round(new ColdPages(store, everyone), 'persistent', 9000, 500).map((key) =>
      Number(key.split('/')[2]),
    );
    const unused = indexes.slice(0, 6000);
    expect(unused).toEqual(Array.from({ length: 6000 }, (_, i) => i + 1 + Math.floor(i / 2)));
    expect(indexes.slice(6000).sort((a, b) => a - b)).toEqual(Array.from({ length: 3000 }, (_, i) => 3 * i));
  });
});

test('only pages of clients that may be named', () => {
  withStore({}, ({ store }) => {
    const yes = store.client('yes').pool('p', { kind: 'persistent' });
    fill(store.client('no').pool('p', { kind: 'persistent' }), 40);
    const expected = fill(yes, 40);
    const cold = new ColdPages(store, (name) => name === 'yes');
    expect(round(cold, 'persistent', 80).slice(0, 40).sort()).toEqual(expected.sort());
    const later = store.client('yes too').pool('p', { kind: 'persistent' });
    fill(later, 10);
    expect(new ColdPages(store, () => false).coldest('persistent', 10)).toEqual([]);
  });
});

test('records of pages that are away, and pages that take no memory, are not among them', () => {
  withStore({}, ({ store }) => {
    const pool = store.client('c').pool('p', { kind: 'persistent' });
    const keys = fill(pool, 600);
    for (let index = 1000; index < 1100; index++) pool.put(oid, index, Buffer.alloc(4096, index));
    for (let index = 0; index < 599; index++) sendAway(pool, index);
    const cold = new ColdPages(store, everyone);
    for (let n = 0; n < 3; n++) expect(cold.coldest('persistent', 5).map(keyOf)).toEqual(keys.slice(599));
    sendAway(pool, 599);
    expect(cold.coldest('persistent', 5)).toEqual([]);
  });
});

test('in a store of several arenas pools go by their number in the first', () => {
  withStore({ memory: 64 * MIB, arenas: 4 }, (small) => {
    const client = small.store.client('c');
    // Ids differ from arena to arena.
    fill(client.pool('gone', { kind: 'ephemeral' }), 1);
    for (const [at, arena] of small.arenas.entries()) {
      if (at > 0) arena.wasm.openPool(client.ids[at]!, arena.name('x'), 0, 1, 0, 0, 0, 0, 9);
    }
    const pool = client.pool('p', { kind: 'persistent' });
    const expected = Array.from({ length: 400 }, (_, i) => {
      expect(pool.put(oid, i * 256, numbered(i, 900))).toBe('stored');
      return keyOf({ pool: pool.id, oid, index: i * 256 });
    });
    const cold = new ColdPages(small.store, everyone);
    for (let n = 0; n < 2; n++)
      expect(round(cold, 'persistent', 400, 50).sort()).toEqual([...expected].sort());
  });
});

test('pages that were flushed, freed or evicted meanwhile are not named', () => {
  withStore({}, (small) => {
    const pool = small.store.client('c').pool('p', { kind: 'ephemeral', pam: 'raw' });
    const cold = new ColdPages(small.store, everyone);
    const keys = fill(pool, 100);
    expect(cold.coldest('ephemeral', 10).map(keyOf)).toEqual(keys.slice(0, 10));
    for (let index = 10; index < 50; index++) pool.flushPage(oid, index);
    pool.put(oid, 50, randomBytes(4096));
    const left = round(cold, 'ephemeral', 49);
    expect(left.sort()).toEqual(keys.slice(51).sort());
    pool.flushObject(oid);
    expect(cold.coldest('ephemeral', 10)).toEqual([]);
    expectAccounted(small);
  });
});

test('a recovery loses none of them', () => {
  withStore(
    {},
    ({ store, arenas }: { store: Store; arenas: readonly import('../../src/arena/index.ts').Arena[] }) => {
      const pools = PAMS.map((pam) => store.client('c').pool(pam, { kind: 'persistent', pam }));
      const keys = pools.flatMap((pool) => fill(pool, 40));
      for (const arena of arenas) arena.wasm.recoverNow(1, 1000);
      expect(round(new ColdPages(store, everyone), 'persistent', 120).sort()).toEqual(keys.sort());
    },
  );
});
