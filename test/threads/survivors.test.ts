// A thread dies, perhaps with locks held, and nobody has cleaned up yet: what the others do then is done exactly
// once, and tells the truth. A cleaning up that dies itself is done by the next.

import { beforeAll, describe, expect, test } from 'vitest';
import { Oid, open, type Store } from '../../src/index.ts';
import type { ClientPool } from '../../src/zcache/pool.ts';
import { compileInstrumented, InstrumentedThread } from './instrumented.ts';
import { accounts } from './quiet-store.ts';

let module: WebAssembly.Module;

beforeAll(async () => {
  module = await compileInstrumented();
});

const PAGE_BYTES = 4096;
/** Every how many stores, of those under a lock, a thread dies. */
const STRIDE = 3;
const VICTIM = Oid.fromNumbers(1);
const SURVIVOR = Oid.fromNumbers(2);

function page(seed: number): Uint8Array {
  return new Uint8Array(PAGE_BYTES).map((_, i) =>
    i < 1000 ? Math.imul(i + seed, 0x9e3779b1) >>> 24 : seed + (i & 7),
  );
}

interface Scene {
  readonly store: Store;
  readonly pool: ClientPool;
}

type Pam = 'zv' | 'zbud' | 'raw';

function openScene(pam: Pam): Scene {
  const store = open({ memory: '8 MiB', threads: 6, pools: 4, clients: 4, lockTimeoutMs: 200 });
  return {
    store,
    pool: store.client('a').pool('p', { kind: 'persistent', pam, codec: pam === 'raw' ? undefined : 'lz4' }),
  };
}

/** What the thread that dies was doing. */
const victims: Record<string, (thread: InstrumentedThread, pool: ClientPool) => void> = {
  'replaces a page': (thread, pool) => thread.put(pool, VICTIM, 1, page(50)),
  'takes a page': (thread, pool) => thread.get(pool, VICTIM, 1, 2),
  'starts an object': (thread, pool) => thread.put(pool, Oid.fromNumbers(77), 9, page(51)),
};

/** What another does then, before anyone has cleaned up; pages 0 to 5 of its own object are page(0) to page(5). */
const survivors: Record<string, (pool: ClientPool, out: Uint8Array) => void> = {
  'get and free gives the page': (pool, out) => {
    expect(pool.getAndFree(SURVIVOR, 3, out)).toBe(PAGE_BYTES);
    expect(Buffer.compare(out, page(3))).toBe(0);
    expect(pool.getAndKeep(SURVIVOR, 3, out)).toBe(0);
  },
  'exchange gives the older page': (pool, out) => {
    expect(pool.exchange(SURVIVOR, 3, page(60), out)).toEqual({ length: PAGE_BYTES, outcome: 'stored' });
    expect(Buffer.compare(out, page(3))).toBe(0);
    expect(pool.getAndKeep(SURVIVOR, 3, out)).toBe(PAGE_BYTES);
    expect(Buffer.compare(out, page(60))).toBe(0);
  },
  'flush of a page finds it': (pool, out) => {
    expect(pool.flushPage(SURVIVOR, 3)).toBe(true);
    expect(pool.getAndKeep(SURVIVOR, 3, out)).toBe(0);
  },
  'flush of an object finds its pages': (pool, out) => {
    expect(pool.flushObject(SURVIVOR)).toBe(6);
    expect(pool.getAndKeep(SURVIVOR, 3, out)).toBe(0);
  },
  'put replaces': (pool, out) => {
    expect(pool.put(SURVIVOR, 3, page(61))).toBe('stored');
    expect(pool.getAndKeep(SURVIVOR, 3, out)).toBe(PAGE_BYTES);
    expect(Buffer.compare(out, page(61))).toBe(0);
    expect(pool.stats().content.curr_pages).toBeGreaterThanOrEqual(6);
  },
  'write at changes the page once': (pool, out) => {
    expect(pool.writeAt(SURVIVOR, 3, 10, Uint8Array.of(1, 2, 3))).toBe('stored');
    expect(pool.getAndKeep(SURVIVOR, 3, out)).toBe(PAGE_BYTES);
    const expected = page(3);
    expected.set([1, 2, 3], 10);
    expect(Buffer.compare(out, expected)).toBe(0);
  },
};

describe.each(['zv', 'zbud', 'raw'] as const)('after a death in a pool of %s', (pam) => {
  describe.each(Object.keys(victims))('of a thread that %s', (dying) => {
    test.each(Object.keys(survivors))('%s', (living) => {
      const { store, pool } = openScene(pam);
      using _ = store;
      const observer = new InstrumentedThread(module, store);
      const out = new Uint8Array(PAGE_BYTES);
      let recoveries = 0;
      const fill = () => {
        pool.flush();
        for (let i = 0; i < 6; i++) {
          pool.put(VICTIM, i, page(20 + i));
          pool.put(SURVIVOR, i, page(i));
        }
      };
      fill();
      const whole = new InstrumentedThread(module, store);
      const places = whole.lockedStoresOf(() => victims[dying]!(whole, pool));
      whole.wasm.slotRelease();
      for (const nth of places.filter((_, i) => i % STRIDE === 0)) {
        fill();
        const thread = new InstrumentedThread(module, store);
        if (!thread.dies(nth, () => victims[dying]!(thread, pool))) {
          thread.wasm.slotRelease(); // it had fewer stores to make this time
          continue;
        }
        const before = observer.recoveries;
        observer.wasm.slotsThreadEnded(thread.id);
        survivors[living]!(pool, out);
        recoveries += observer.recoveries - before;
        observer.wasm.recoverNow(0, 0);
        const quiet = accounts(store);
        observer.wasm.recoverNow(1, 0);
        expect(accounts(store), `dead before store ${nth}`).toEqual(quiet);
      }
      // In some places the survivor ran into a lock of the dead.
      expect(recoveries).toBeGreaterThan(0);
    });
  });
});

describe('cleaning up', () => {
  test('that dies anywhere is done by whoever comes next', () => {
    const { store, pool } = openScene('zv');
    using _ = store;
    const observer = new InstrumentedThread(module, store);
    const out = new Uint8Array(PAGE_BYTES);
    let stores = 0;
    for (let nth = 0; ; nth += 11) {
      pool.flush();
      for (let i = 0; i < 30; i++) pool.put(SURVIVOR, i * 3, page(i));
      const first = new InstrumentedThread(module, store);
      expect(first.dies(25, () => first.put(pool, VICTIM, 0, page(1)))).toBe(true);
      observer.wasm.slotsThreadEnded(first.id);
      const leader = new InstrumentedThread(module, store);
      if (!leader.dies(nth, () => leader.wasm.recoverNow(0, 0))) break;
      stores = nth;
      store.threadEnded(leader.id);
      for (let i = 0; i < 30; i++) {
        expect(pool.getAndKeep(SURVIVOR, i * 3, out), `leader dead before store ${nth}`).toBe(PAGE_BYTES);
        expect(Buffer.compare(out, page(i))).toBe(0);
      }
      expect(store.stats().store.threads_attached).toBe(2);
      const quiet = accounts(store);
      observer.wasm.recoverNow(1, 0);
      expect(accounts(store), `leader dead before store ${nth}`).toEqual(quiet);
    }
    expect(stores).toBeGreaterThan(100);
  });

  test('that dies as it opens the gate again leaves it to the next', () => {
    const { store, pool } = openScene('zbud');
    using _ = store;
    const stores = new InstrumentedThread(module, store);
    const all = stores.storesOf(() => stores.wasm.recoverNow(1, 0));
    stores.wasm.slotRelease();
    for (let nth = all - 12; nth < all; nth++) {
      const leader = new InstrumentedThread(module, store);
      expect(leader.dies(nth, () => leader.wasm.recoverNow(1, 0))).toBe(true);
      store.threadEnded(leader.id);
      expect(pool.put(SURVIVOR, 0, page(nth)), `leader dead before store ${nth} of ${all}`).toBe('stored');
      expect(store.stats().store.threads_attached).toBe(1);
    }
  });
});
