// A small store of the debug build for tests, with a second view of its arenas to look behind the API: the counts
// of free frames, a recovery at will, and the switch that makes the n-th allocation fail.

import { expect } from 'vitest';
import { Arena } from '../../src/arena/index.ts';
import { type Client, Oid, open, type Pool, type Store, type StoreOptions } from '../../src/index.ts';
import { figures, freeFrames } from './figures.ts';

export { freeFrames };

/** Steps of freeing that no test leaves more of. */
const DRAIN_STEPS = 1_000_000;
/** Nobody else is in the middle of anything. */
const RECOVERY_WAIT_MS = 1000;
const SIGN_BIT = 1n << 63n;
const OID_OF_BALLAST = Oid.fromString('ballast');

export const MIB = 2 ** 20;
export const FRAME_BYTES = 4096;

export interface SmallStore {
  readonly store: Store;
  /** The store's arenas as another thread would see them. */
  readonly arenas: readonly Arena[];
  /** Free frames of all arenas before anything was put in. */
  readonly freshFrames: number;
}

/** Opens a store for the time of `use`. */
export function withStore<T>(options: Partial<StoreOptions>, use: (small: SmallStore) => T): T {
  const store = open({ memory: 8 * MIB, threads: 3, pools: 64, clients: 31, debug: true, ...options });
  const token = store.share() as unknown as {
    module: WebAssembly.Module;
    memories: readonly WebAssembly.Memory[];
  };
  const arenas = token.memories.map((memory) => Arena.attach(token.module, memory) as Arena);
  try {
    return use({ store, arenas, freshFrames: freeFrames(arenas) });
  } finally {
    for (const arena of arenas) arena.wasm.slotRelease();
    store.close();
  }
}

/** Frees at once what flushes and destroys left for later. */
export function drain({ arenas }: SmallStore): void {
  for (const arena of arenas) arena.wasm.drainSteps(DRAIN_STEPS);
}

/** Lets the n-th allocation from now on fail (0 = none), and counts them from 0 again. */
export function failAllocation({ arenas }: SmallStore, n: number): void {
  for (const arena of arenas) {
    arena.setWord(arena.layout.H_ALLOCATIONS, 0);
    arena.setWord(arena.layout.H_FAIL_COUNTDOWN, n);
  }
}

/** Allocations tried since failAllocation. */
export function allocations({ arenas }: SmallStore): number {
  return arenas.reduce((sum, arena) => sum + arena.word(arena.layout.H_ALLOCATIONS), 0);
}

/** Makes everything derived anew from the index, in all arenas. */
export function recover({ arenas }: SmallStore): void {
  for (const arena of arenas) arena.wasm.recoverNow(1, RECOVERY_WAIT_MS);
}

/** All pools, opened again by name. */
export function poolsOf(store: Store): Pool[] {
  return store.stats().clients.flatMap(({ name, pools }) => {
    const client = store.client(name);
    return pools.map((pool) =>
      client.pool(pool.name, {
        kind: pool.kind,
        ...(pool.shared === null ? {} : { shared: pool.shared }),
      }),
    );
  });
}

/** Every page of every pool: 'client/pool/oid/index' and its bytes in hex. */
export function contents(store: Store): Map<string, string> {
  const out = new Uint8Array(FRAME_BYTES);
  const found = new Map<string, string>();
  for (const pool of poolsOf(store)) {
    for (const { oid, index } of pool.walk()) {
      const length = pool.getAndKeep(oid, index, out);
      const key = `${pool.client.name}/${pool.name}/${oid}/${index}`;
      expect(found.has(key), `the walk meets ${key} once`).toBe(false);
      found.set(key, `${length}:${Buffer.from(out.subarray(0, length)).toString('base64')}`);
    }
  }
  return found;
}

function expectSums({ store, arenas }: SmallStore): void {
  const stats = store.stats();
  const { frames_total, frames_fixed, frames_free } = stats.store;
  expect(frames_fixed + frames_free + stats.frames.curr_frames).toBe(frames_total);
  for (const client of stats.clients) {
    const { curr_frames, raw_curr_pages, meta_curr_pages } = client.frames;
    expect(client.zbud.curr_raw_pages + client.zv.curr_pages + raw_curr_pages + meta_curr_pages).toBe(
      curr_frames,
    );
    const sum = (of: (pool: (typeof client.pools)[number]) => number) =>
      client.pools.reduce((total, pool) => total + of(pool), 0);
    expect(client.content.curr_pages).toBe(sum((pool) => pool.content.curr_pages));
    expect(client.content.curr_zbytes).toBe(sum((pool) => pool.content.curr_zbytes));
    expect(client.content.same_filled_pages).toBe(sum((pool) => pool.content.same_filled_pages));
    expect(client.index.curr_obj_count).toBe(sum((pool) => pool.index.curr_obj_count));
    expect(client.index.curr_objnode_count).toBe(sum((pool) => pool.index.curr_objnode_count));
  }
  // Snapshots show a gauge below zero as 0: look at the cells themselves.
  for (const { arenaIds } of poolsOf(store)) {
    for (const [at, arena] of arenas.entries()) {
      const row = arena.wasm.poolStatistics(arenaIds[at]!) >>> 0;
      expect(row).not.toBe(0);
      const cells = [...arena.cells(row, arena.layout.POOL_COUNTER_WORDS)];
      expect(cells.filter((cell) => cell >= SIGN_BIT)).toEqual([]);
    }
  }
}

/**
 * Everything is accounted: what the index leads to is all there is. A recovery, which counts all of it anew, finds
 * the same figures, and every page with the same bytes.
 */
export function expectAccounted(small: SmallStore): void {
  drain(small);
  expectSums(small);
  const pages = contents(small.store);
  const { store, arenas } = small;
  const before = figures(store, arenas);
  recover(small);
  expect(figures(store, arenas)).toEqual(before);
  expectSums(small);
  expect(contents(small.store)).toEqual(pages);
}

/** Removes the clients; then nothing may be left. */
export function expectNothingLeft(small: SmallStore, clients: readonly Client[]): void {
  for (const client of clients) client.remove();
  expect(small.store.stats().clients).toEqual([]);
  expect(freeFrames(small.arenas)).toBe(small.freshFrames);
}

/** Takes frames for good, so that `frames` are left: a client of persistent raw pages. */
export function fillUp({ store, arenas }: SmallStore, frames: number): Client {
  const ballast = store.client('ballast');
  const pool = ballast.pool('stones', { kind: 'persistent', pam: 'raw' });
  const stone = new Uint8Array(1);
  for (let i = 0; freeFrames(arenas) > frames; i++) {
    expect(pool.put(OID_OF_BALLAST, i, stone)).toBe('stored');
  }
  return ballast;
}
