// Pages held for peers in a store: each owner has its own, within its limits, and finds them again.
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ArenaForeignPages } from '../../../src/ramster/local/arena-foreign.ts';
import {
  type ForeignPage,
  type ForeignPages,
  LIST_OVER,
  type Owner,
} from '../../../src/ramster/local/foreign-pages.ts';
import { PageIds } from '../../../src/ramster/page-id.ts';
import { memoryNumber } from '../../../src/ramster/place.ts';
import { Oid } from '../../../src/zcache/index.ts';
import { namedStore, press, privateStore } from './local-stores.ts';

const MIB = 2 ** 20;
const LIMITS = { capBytes: 8 * MIB, lendBytes: 12 * MIB };
const ann: Owner = { name: 'ann', memory: 1 };
const bob: Owner = { name: 'bob.example_1-x', memory: 0xfedcba98 };
const noise = randomBytes(4096);
const bytesOf = (n: number) => Buffer.from(noise.subarray(0, 1 + ((n * 977) % 4096)));

/** Walks the list as a holder does: the cursor goes over the wire. */
function listAll(foreign: ForeignPages, owner: Owner, most = 50): ForeignPage[] {
  const all: ForeignPage[] = [];
  let cursor: Uint8Array | undefined;
  do {
    const { pages, next } = foreign.list(owner, cursor, most);
    expect(pages.length).toBeLessThanOrEqual(most + LIST_OVER);
    all.push(...pages);
    cursor = next === undefined ? undefined : Uint8Array.from(next);
    if (cursor !== undefined) expect(cursor.length).toBeLessThanOrEqual(32);
  } while (cursor !== undefined);
  return all;
}

const byId = (pages: readonly ForeignPage[]) => pages.map(({ pool, id }) => `${pool}/${id}`).sort();

test.each([1, 3])('any mix of calls does what a map for each owner would do (%i arenas)', (arenas) => {
  const ids = new PageIds(2 ** 21 - 1);
  const known = [
    1,
    2,
    2 ** 20 - 1,
    2 ** 20,
    2 ** 32,
    2 ** 53 - 1,
    ...Array.from({ length: 6 }, () => ids.take()!),
  ];
  const operation = fc.record({
    what: fc.constantFrom('put', 'put', 'put', 'get', 'take', 'free', 'destroyPool', 'destroyOwner', 'list'),
    owner: fc.constantFrom(ann, bob, { ...ann, memory: 2 }),
    pool: fc.constantFrom(0, 7, 0xffff_ffff),
    kind: fc.constantFrom('ephemeral' as const, 'persistent' as const),
    id: fc.constantFrom(...known),
    n: fc.nat(5000),
  });
  fc.assert(
    fc.property(fc.array(operation, { minLength: 20, maxLength: 120, size: 'max' }), (operations) => {
      const store = privateStore({ memory: '32 MiB', arenas });
      const foreign = new ArenaForeignPages(store, { capBytes: 16 * MIB, lendBytes: 24 * MIB });
      const pages = new Map<string, Buffer>();
      const kinds = new Map<string, string>();
      const forget = (prefix: string, from: Map<string, unknown>) => {
        for (const key of [...from.keys()]) if (key.startsWith(prefix)) from.delete(key);
      };
      for (const { what, owner, pool, kind, id, n } of operations) {
        const ownerKey = `${owner.name}:${owner.memory}/`;
        const poolKey = `${ownerKey}${pool}/`;
        const key = `${poolKey}${id}`;
        const got = (bytes: Uint8Array | undefined) =>
          expect(bytes && Buffer.from(bytes)).toEqual(pages.get(key));
        if (what === 'put') {
          const isKind = (kinds.get(poolKey) ?? kind) === kind;
          expect(foreign.put(owner, pool, kind, id, bytesOf(n))).toBe(isKind ? 'stored' : 'kind');
          if (isKind) pages.set(key, bytesOf(n));
          if (isKind) kinds.set(poolKey, kind);
        } else if (what === 'get') {
          got(foreign.get(owner, pool, id, false));
        } else if (what === 'take') {
          got(foreign.get(owner, pool, id, true));
          pages.delete(key);
        } else if (what === 'free') {
          expect(foreign.free(owner, pool, id)).toBe(pages.delete(key));
        } else if (what === 'destroyPool') {
          foreign.destroyPool(owner, pool);
          forget(poolKey, pages);
          kinds.delete(poolKey);
        } else if (what === 'destroyOwner') {
          foreign.destroyOwner(owner);
          forget(ownerKey, pages);
          forget(ownerKey, kinds);
        } else {
          const expected = [...pages.keys()].filter((each) => each.startsWith(ownerKey));
          const listed = byId(listAll(foreign, owner, 1 + (n % 9)));
          expect(listed).toEqual(expected.map((each) => each.slice(ownerKey.length)).sort());
          const { ephemeralPages, persistentPages } = foreign.counts(owner);
          expect(ephemeralPages + persistentPages).toBe(expected.length);
        }
      }
      store.close();
    }),
    { numRuns: 25 },
  );
});

test('what is held is found again with a named store, in the same memory', () => {
  const { open } = namedStore();
  const first = open();
  const before = new ArenaForeignPages(first, LIMITS);
  for (let id = 1; id <= 100; id++) {
    expect(before.put(ann, 3, 'persistent', id, bytesOf(id))).toBe('stored');
    expect(before.put(bob, 4, 'ephemeral', id, bytesOf(id))).toBe('stored');
  }
  expect(before.memory).toBe(memoryNumber(first.id));
  first.close();
  const again = new ArenaForeignPages(open(), LIMITS);
  expect(again.memory).toBe(before.memory);
  expect(again.owners().sort((a, b) => (a.name < b.name ? -1 : 1))).toEqual([ann, bob]);
  for (let id = 1; id <= 100; id++) expect(Buffer.from(again.get(ann, 3, id, false)!)).toEqual(bytesOf(id));
  expect(again.put(bob, 4, 'persistent', 5, bytesOf(5))).toBe('kind');
  expect(again.counts(bob)).toMatchObject({ ephemeralPages: 100, persistentPages: 0 });
  again.destroyOwner(bob);
  expect(again.owners()).toEqual([ann]);
});

test('another store is another memory', () => {
  expect(new ArenaForeignPages(privateStore(), LIMITS).memory).not.toBe(
    new ArenaForeignPages(privateStore(), LIMITS).memory,
  );
});

describe('limits', () => {
  /** Puts whole pages until one is refused; how many went in. */
  function fill(foreign: ForeignPages, owner: Owner, kind: 'ephemeral' | 'persistent'): number {
    for (let id = 1; ; id++) {
      if (foreign.put(owner, 1, kind, id, noise) === 'full') return id - 1;
      expect(id).toBeLessThan(10_000);
    }
  }

  test('an owner gets no more than its cap, and what it had stays as it was', () => {
    const foreign = new ArenaForeignPages(privateStore(), { capBytes: MIB, lendBytes: 12 * MIB });
    const pages = fill(foreign, ann, 'persistent');
    expect(pages).toBeGreaterThan(200);
    expect(foreign.counts(ann).bytes).toBeLessThanOrEqual(MIB);
    expect(foreign.put(ann, 1, 'persistent', 1, noise.subarray(1))).not.toBe('kind');
    for (let id = 2; id <= pages; id++) expect(foreign.get(ann, 1, id, false)?.length).toBe(4096);
    expect(foreign.put(bob, 1, 'persistent', 1, noise)).toBe('stored');
    expect(foreign.free(ann, 1, 7)).toBe(true);
    expect(foreign.put(ann, 1, 'persistent', 7, noise)).toBe('stored');
  });

  test('all together get no more than is lent, and freeBytes says how much is left', () => {
    const foreign = new ArenaForeignPages(privateStore(), { capBytes: 8 * MIB, lendBytes: 2 * MIB });
    expect(foreign.freeBytes()).toBe(2 * MIB);
    expect(fill(foreign, ann, 'persistent')).toBeGreaterThan(400);
    expect(foreign.freeBytes()).toBeLessThan(4096);
    expect(foreign.counts(ann).bytes).toBeLessThan(2 * MIB + 64 * 2 * 4096);
    expect(foreign.put(bob, 1, 'ephemeral', 1, noise)).toBe('full');
    foreign.destroyOwner(ann);
    expect(foreign.freeBytes()).toBe(2 * MIB);
    expect(foreign.put(bob, 1, 'ephemeral', 1, noise)).toBe('stored');
  });

  test("nothing of the store's own gives way, and ephemeral pages of others go first", () => {
    const store = privateStore();
    const foreign = new ArenaForeignPages(store, { capBytes: 64 * MIB, lendBytes: 64 * MIB });
    const own = store.client('own', { weight: 1 }).pool('cache', { kind: 'ephemeral', pam: 'raw' });
    for (let i = 0; i < 1000; i++) expect(own.put(Oid.fromNumbers(1), i, noise)).toBe('stored');
    expect(fill(foreign, ann, 'ephemeral')).toBeGreaterThan(500);
    expect(fill(foreign, bob, 'persistent')).toBe(0);
    expect(own.pages).toBe(1000);
    const { ephemeralPages } = foreign.counts(ann);
    for (let i = 0; i < 300; i++) expect(own.put(Oid.fromNumbers(2), i, noise)).toBe('stored');
    expect(own.pages).toBe(1300);
    expect(foreign.counts(ann).ephemeralPages).toBeLessThan(ephemeralPages);
  });

  test('a store that is pressed takes nothing, and gives what it has', () => {
    const store = privateStore();
    const foreign = new ArenaForeignPages(store, LIMITS);
    expect(foreign.put(ann, 1, 'persistent', 1, noise)).toBe('stored');
    press(store, true);
    expect(foreign.freeBytes()).toBe(0);
    expect(foreign.put(ann, 1, 'persistent', 2, noise)).toBe('full');
    expect(foreign.get(ann, 1, 1, false)?.length).toBe(4096);
    press(store, false);
    expect(foreign.put(ann, 1, 'persistent', 2, noise)).toBe('stored');
  });

  test.each([{ clients: 2 }, { pools: 2 }])('a store with no more than $0 takes what fits', (tables) => {
    const foreign = new ArenaForeignPages(privateStore(tables), LIMITS);
    const taken = Array.from({ length: 5 }, (_, n) =>
      foreign.put({ name: `node${n}`, memory: n }, n, 'persistent', 1, noise),
    );
    expect(taken).toEqual(['stored', 'stored', 'full', 'full', 'full']);
  });
});

describe('a list', () => {
  test('meets every page that stays, whatever comes and goes meanwhile', () => {
    const foreign = new ArenaForeignPages(privateStore(), LIMITS);
    for (let id = 1; id <= 900; id++) {
      expect(foreign.put(ann, id % 3, 'persistent', id * 1_000_003, noise.subarray(0, 50))).toBe('stored');
    }
    const seen: ForeignPage[] = [];
    let cursor: Uint8Array | undefined;
    for (let round = 0; ; round++) {
      const { pages, next } = foreign.list(ann, cursor, 40);
      seen.push(...pages);
      if (next === undefined) break;
      cursor = next;
      for (let id = 2 + round * 10; id < 12 + round * 10; id += 2) foreign.free(ann, id % 3, id * 1_000_003);
      foreign.put(ann, round % 3, 'persistent', 10_000 + round, noise.subarray(0, 50));
      if (round === 2) foreign.destroyPool(ann, 0);
    }
    const keys = byId(seen);
    expect(new Set(keys).size).toBe(keys.length);
    for (let id = 1; id <= 900; id += 2) {
      if (id % 3 !== 0) expect(keys).toContain(`${id % 3}/${id * 1_000_003}`);
    }
  });

  test('takes any bytes for a cursor', () => {
    const foreign = new ArenaForeignPages(privateStore(), LIMITS);
    for (let id = 1; id <= 200; id++) foreign.put(ann, 9, 'persistent', id, noise.subarray(0, 9));
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ minLength: 0, maxLength: 40 }),
          fc.uint8Array({ minLength: 24, maxLength: 24 }).map((bytes) => {
            bytes.set([9, 0, 0, 0, bytes[4]! & 1, bytes[5]! & 63, bytes[6]! & 3, 0]);
            return bytes;
          }),
        ),
        (cursor) => {
          for (const { pool, id } of foreign.list(ann, cursor, 1000).pages) {
            expect(foreign.get(ann, pool, id, false)?.length).toBe(9);
          }
        },
      ),
    );
    expect(listAll(foreign, ann).length).toBe(200);
    expect(listAll(foreign, bob)).toEqual([]);
  });
});
