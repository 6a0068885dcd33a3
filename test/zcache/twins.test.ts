// A client or pool of a store with several arenas is one in each of them: opening it while others end it and create it
// anew never takes apart what is theirs.

import { expect, test } from 'vitest';
import { attach, Oid, open, type Store } from '../../src/index.ts';
import { clientsOf } from '../../src/zcache/raw.ts';
import { arenasOf } from '../../src/zcache/store.ts';
import { settleTwins } from '../../src/zcache/twins.ts';

const INDEXES = 4;
const RANGE = 256;
const page = new Uint8Array(4096).fill(7);
const out = new Uint8Array(4096);
const oids = Array.from({ length: 8 }, (_, i) => Oid.fromNumbers(i));

/** `store` does something between opening a pool in the first arena and in the second. */
function betweenArenas(store: Store, something: () => void): void {
  const arena = arenasOf(store).all[1]!;
  const { wasm } = arena;
  const openPool: typeof wasm.openPool = (...args) => {
    Object.assign(arena, { wasm });
    something();
    return wasm.openPool(...args);
  };
  Object.assign(arena, { wasm: { ...wasm, openPool } });
}

function fill(store: Store): void {
  const pool = store.client('c').pool('p', { kind: 'persistent' });
  for (const oid of oids)
    for (let i = 0; i < INDEXES; i++) expect(pool.put(oid, i * RANGE, page)).toBe('stored');
}

function pagesFound(store: Store): number {
  const pool = store.client('c').pool('p', { kind: 'persistent' });
  return oids.reduce((sum, oid) => {
    for (let i = 0; i < INDEXES; i++) if (pool.getAndKeep(oid, i * RANGE, out) === page.length) sum++;
    return sum;
  }, 0);
}

test('a pool created anew while somebody opens the one before keeps its pages in every arena', () => {
  using store = open({ memory: '16 MiB', arenas: 2 });
  using other = attach(store.share());
  fill(store);
  betweenArenas(store, () => {
    other.client('c').pool('p', { kind: 'persistent' }).destroy();
    fill(other);
  });
  const opened = store.client('c').pool('p', { kind: 'persistent' });
  expect(pagesFound(other)).toBe(oids.length * INDEXES);
  expect(opened.id).toBe(other.client('c').pool('p', { kind: 'persistent' }).id);
  expect(opened.pages).toBe(oids.length * INDEXES);
});

test('a pool destroyed while somebody opens it is a new one, in every arena', () => {
  using store = open({ memory: '16 MiB', arenas: 2 });
  using other = attach(store.share());
  fill(store);
  betweenArenas(store, () => other.client('c').pool('p', { kind: 'persistent' }).destroy());
  const opened = store.client('c').pool('p', { kind: 'persistent' });
  for (const oid of oids) {
    for (let i = 0; i < INDEXES; i++) expect(opened.put(oid, i * RANGE, page)).toBe('stored');
  }
  expect(pagesFound(other)).toBe(oids.length * INDEXES);
});

/** `store` does something in the removal of a client, when it is gone from the first arena and not from the second. */
function betweenRemovals(store: Store, something: () => void): void {
  const arena = arenasOf(store).all[1]!;
  const { wasm } = arena;
  const drainSteps: typeof wasm.drainSteps = (steps) => {
    Object.assign(arena, { wasm });
    something();
    return wasm.drainSteps(steps);
  };
  Object.assign(arena, { wasm: { ...wasm, drainSteps } });
}

test('a client opened anew while somebody removes the one before keeps its pools in every arena', () => {
  using store = open({ memory: '16 MiB', arenas: 2 });
  using other = attach(store.share());
  fill(store);
  betweenRemovals(store, () => fill(other));
  store.client('c').remove();
  expect(pagesFound(other)).toBe(oids.length * INDEXES);
  expect(store.stats().clients.map(({ name }) => name)).toEqual(['c']);
});

test('a client whose removal was cut short is a new one when it is opened: no page, weight or cap of the old', () => {
  using store = open({ memory: '16 MiB', arenas: 2 });
  store.client('c', { weight: 7, cap: '4 MiB' });
  fill(store);
  betweenRemovals(store, () => {
    throw new Error('the process was killed');
  });
  expect(() => store.client('c').remove()).toThrow('killed');
  const client = store.client('c');
  expect(pagesFound(store)).toBe(0);
  const { C_WEIGHT, C_CAP_FRAMES } = arenasOf(store).all[1]!.layout;
  const [, second] = arenasOf(store).all;
  const address = second!.wasm.clientFrame(client.ids[1]!) >>> 0;
  expect(second!.word(address + C_WEIGHT)).toBe(100);
  expect(second!.word(address + C_CAP_FRAMES)).toBe(0);
});

test('what a removal that was cut short left in other arenas is ended by whoever looks after the store', () => {
  using store = open({ memory: '16 MiB', arenas: 2 });
  fill(store);
  betweenRemovals(store, () => {
    throw new Error('the process was killed');
  });
  expect(() => store.client('c').remove()).toThrow('killed');
  const arenas = arenasOf(store);
  expect(clientsOf(arenas.all[1]!)).toHaveLength(1);
  settleTwins(arenas);
  expect(clientsOf(arenas.all[1]!)).toEqual([]);
  expect(store.stats().frames.curr_frames).toBe(0);
});

test('a client made in the first arena only gets the same weight in the others', () => {
  using store = open({ memory: '16 MiB', arenas: 2 });
  const [first, second] = arenasOf(store).all;
  first!.wasm.openClient(first!.name('c'), 42, 0, 0);
  const client = store.client('c');
  const address = second!.wasm.clientFrame(client.ids[1]!) >>> 0;
  expect(second!.word(address + second!.layout.C_WEIGHT)).toBe(42);
});
