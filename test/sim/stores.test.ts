// The simulator's stores keep the promises that the arena keeps.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ForeignStore } from '../../sim/foreign-store.ts';
import { LocalStore } from '../../sim/local-store.ts';
import { PAGE_BYTES, RECORD_BYTES, SimMemory } from '../../sim/memory.ts';
import { isPageOf, pageOf } from '../../sim/page-content.ts';
import { streamsOf } from '../../sim/random.ts';
import type { PageRef, RemoteLook, StoredLook } from '../../src/ramster/local/local-pages.ts';
import { Oid } from '../../src/zcache/index.ts';

const OID = Oid.fromNumbers(1);
const RECORD = Buffer.from('where the page is');
const ANN = { name: 'ann', memory: 1 };
const NO_LIMITS = { lentMostBytes: 2 ** 40, ownerMostBytes: 2 ** 40 };

function newMemory(pages: number): SimMemory {
  return new SimMemory(streamsOf(1)('memory'), pages * PAGE_BYTES);
}

function newLocal(pages: number) {
  const memory = newMemory(pages);
  const local = new LocalStore(memory);
  const [persistent, ephemeral] = [local.createPool('persistent'), local.createPool('ephemeral')];
  const at = (pool: number, index: number): PageRef => ({ pool, oid: OID, index });
  /** Puts a page and sends it away; what a look found before. */
  const away = (page: PageRef, stamp: number): StoredLook => {
    expect(local.put(page, pageOf(stamp))).toBe('stored');
    const found = local.look(page) as StoredLook;
    expect(local.sendAway(page, found, RECORD)).toBe('stored');
    return found;
  };
  return { memory, local, persistent, ephemeral, at, away };
}

describe('own pages', () => {
  test('go away and come home as they were', () => {
    const { local, persistent, at, away, memory } = newLocal(10);
    const page = at(persistent, 1);
    for (const stamp of [1, 2]) {
      const sent = away(page, stamp);
      expect(memory.usedBytes).toBe(RECORD_BYTES);
      expect(local.get(page)).toBe('remote');
      const found = local.look(page) as RemoteLook;
      expect(isPageOf(stamp, local.decode(found, sent) as Uint8Array)).toBe(true);
      expect(local.bringHome(page, found, { codec: 'raw', bytes: Buffer.from('others') })).toBe('damaged');
      expect(local.bringHome(page, found, sent)).toBe('stored');
      expect(isPageOf(stamp, local.get(page) as Uint8Array)).toBe(true);
    }
    expect(local.takeOrphans(10)).toEqual([]);
  });

  test('whatever happens to a handle after a look wins', () => {
    const { local, persistent, at, away } = newLocal(10);
    const page = at(persistent, 1);
    local.put(page, pageOf(1));
    const before = local.look(page) as StoredLook;
    for (let stamp = 2; stamp < 12; stamp++) local.put(page, pageOf(stamp));
    expect(local.sendAway(page, before, RECORD)).toBe('gone');
    const sent = away(page, 20);
    const remote = local.look(page) as RemoteLook;
    local.flush(page);
    expect(local.bringHome(page, remote, sent)).toBe('gone');
    expect(local.forget(page, remote)).toBe(false);
    expect(local.get(page)).toBe(undefined);
  });

  test('records that are replaced, flushed or destroyed are orphans, as many as the ring takes', () => {
    const { local, persistent, at, away } = newLocal(60);
    away(at(persistent, 1), 1);
    local.put(at(persistent, 1), pageOf(2));
    away(at(persistent, 2), 3);
    local.flush(at(persistent, 2));
    away(at(persistent, 3), 5);
    local.forget(at(persistent, 3), local.look(at(persistent, 3)) as RemoteLook);
    expect(local.takeOrphans(10).map(String)).toEqual([RECORD, RECORD].map(String));
    for (let i = 0; i < 40; i++) away(at(persistent, i), 1 + 2 * i);
    local.destroyPool(persistent);
    const taken = local.takeOrphans(100).length;
    expect(taken).toBeGreaterThan(0);
    expect(taken).toBeLessThan(40);
    expect(local.takeDestroyedPools()).toEqual([persistent]);
  });

  test('persistent ones stay when memory is short, ephemeral ones go, and a refused put leaves nothing', () => {
    const { local, persistent, ephemeral, at } = newLocal(4);
    for (let i = 0; i < 8; i++) expect(local.put(at(ephemeral, i), pageOf(1 + i))).toBe('stored');
    for (let i = 0; i < 4; i++) expect(local.put(at(persistent, i), pageOf(21 + i))).toBe('stored');
    expect(local.put(at(persistent, 9), pageOf(40 + 1))).toBe('refused');
    expect(local.put(at(persistent, 9), pageOf(40 + 1))).toBe('refused');
    expect(local.get(at(persistent, 9))).toBe(undefined);
    for (let i = 0; i < 8; i++) expect(local.get(at(ephemeral, i))).toBe(undefined);
    for (let i = 0; i < 4; i++)
      expect(isPageOf(21 + i, local.get(at(persistent, i)) as Uint8Array)).toBe(true);
    expect(local.coldest('persistent', 2)).toEqual([at(persistent, 0), at(persistent, 1)]);
  });

  test('a walk finds every record that is there all the time', () => {
    const { local, persistent, at, away } = newLocal(60);
    for (let i = 0; i < 20; i++) away(at(persistent, i), 1 + i * 2);
    const found: number[] = [];
    let cursor: unknown;
    do {
      const { pages, next } = local.records(cursor, 3);
      found.push(...pages.map(({ page }) => page.index));
      local.flush(at(persistent, 2 * Math.floor(found.length / 2)));
      cursor = next;
    } while (cursor !== undefined);
    expect(found).toEqual(expect.arrayContaining([1, 3, 5, 7, 9, 11, 13, 15, 17, 19]));
  });

  test('a memory knows its starts', () => {
    const memory = newMemory(1);
    memory.begin();
    const first = memory.identity;
    memory.begin();
    expect(memory.identity).toEqual({ ...first, incarnation: first.incarnation + 1 });
    expect([first.memory.length, first.key.length]).toEqual([16, 32]);
  });
});

describe('pages held for others', () => {
  test('are what was put until they are freed, whatever else is put', () => {
    const operation = fc.record({
      what: fc.constantFrom('put', 'put', 'get', 'take', 'free', 'destroyPool', 'destroyOwner'),
      memory: fc.constantFrom(1, 2),
      pool: fc.constantFrom(1, 2),
      id: fc.integer({ min: 1, max: 5 }),
      stamp: fc.nat(1000),
    });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60, size: 'max' }), (operations) => {
        const foreign = new ForeignStore(newMemory(1000), NO_LIMITS);
        const model = new Map<string, Uint8Array>();
        const drop = (start: string): void => {
          for (const name of model.keys()) if (name.startsWith(start)) model.delete(name);
        };
        for (const { what, memory, pool, id, stamp } of operations) {
          const owner = { name: 'ann', memory };
          const name = `${memory}/${pool}/${id}`;
          const held = model.get(name);
          if (what === 'put') {
            expect(foreign.put(owner, pool, 'persistent', id, pageOf(stamp))).toBe('stored');
            model.set(name, pageOf(stamp));
          } else if (what === 'get' || what === 'take') {
            expect(foreign.get(owner, pool, id, what === 'take')).toEqual(held);
            if (what === 'take') model.delete(name);
          } else if (what === 'free') {
            expect(foreign.free(owner, pool, id)).toBe(held !== undefined);
            model.delete(name);
          } else if (what === 'destroyPool') {
            foreign.destroyPool(owner, pool);
            drop(`${memory}/${pool}/`);
          } else {
            foreign.destroyOwner(owner);
            drop(`${memory}/`);
          }
        }
        const names = foreign
          .owners()
          .flatMap((each) => foreign.pages(each).map((page) => `${each.memory}/${page.pool}/${page.id}`));
        expect(names.sort()).toEqual([...model.keys()].sort());
      }),
    );
  });

  test('have the kind of their pool; what is full says so and changes nothing', () => {
    const memory = newMemory(4);
    const foreign = new ForeignStore(memory, { ...NO_LIMITS, ownerMostBytes: 3 * PAGE_BYTES });
    expect(foreign.put(ANN, 1, 'ephemeral', 1, pageOf(1))).toBe('stored');
    expect(foreign.put(ANN, 1, 'persistent', 2, pageOf(2))).toBe('kind');
    expect(foreign.put(ANN, 2, 'persistent', 3, pageOf(3))).toBe('stored');
    expect(foreign.put(ANN, 2, 'persistent', 4, pageOf(4))).toBe('stored');
    expect(foreign.put(ANN, 2, 'persistent', 5, pageOf(5))).toBe('full');
    expect(foreign.counts(ANN)).toEqual({ ephemeralPages: 1, persistentPages: 2, bytes: 3 * PAGE_BYTES });
    expect(memory.usedBytes).toBe(3 * PAGE_BYTES);
  });

  test('ephemeral ones go when memory is short, persistent ones stay', () => {
    const memory = newMemory(4);
    const foreign = new ForeignStore(memory, NO_LIMITS);
    foreign.put(ANN, 1, 'persistent', 1, pageOf(1));
    for (let id = 2; id <= 4; id++) foreign.put(ANN, 2, 'ephemeral', id, pageOf(id));
    for (let i = 0; i < 3; i++) expect(memory.take(PAGE_BYTES)).toBe(true);
    expect(memory.take(PAGE_BYTES)).toBe(false);
    expect(foreign.pages(ANN)).toEqual([{ pool: 1, id: 1 }]);
  });

  test('a list goes on where it ended', () => {
    const foreign = new ForeignStore(newMemory(100), NO_LIMITS);
    for (let id = 1; id <= 20; id++) foreign.put(ANN, id % 3, 'persistent', id, pageOf(id));
    const found: number[] = [];
    let cursor: Uint8Array | undefined;
    do {
      const { pages, next } = foreign.list(ANN, cursor, 6);
      found.push(...pages.map(({ id }) => id));
      foreign.free(ANN, 0, 3);
      cursor = next;
    } while (cursor !== undefined);
    expect(found.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  });
});
