// A pool of a store with several arenas is one pool in each of them: opening it while others destroy it and create it
// anew never takes apart what is theirs.

import { expect, test } from 'vitest';
import { attach, Oid, open, type Store } from '../../src/index.ts';
import { arenasOf } from '../../src/zcache/store.ts';

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
