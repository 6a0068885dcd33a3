// A thread dies before any of its stores: what it was doing has happened or has not, no other page is touched, and
// recovery leaves no byte unaccounted for. Each operation is cut short before each store that others can see.

import { beforeAll, describe, expect, test } from 'vitest';
import { Oid, open, type Store } from '../../src/index.ts';
import type { PoolOptions } from '../../src/zcache/options.ts';
import type { ClientPool } from '../../src/zcache/pool.ts';
import { compileInstrumented, InstrumentedThread } from './instrumented.ts';
import { accounts, type Content, contentOf, sameContent } from './quiet-store.ts';

let module: WebAssembly.Module;

beforeAll(async () => {
  module = await compileInstrumented();
});

const PAGE_BYTES = 4096;
/** Every how many stores a thread dies; with 1 the test takes a minute. */
const STRIDE = 4;
/** More stores than the longest operation here makes. */
const STORES_MAX = 20_000;
/** More than enough to free all that was flushed. */
const DRAIN_STEPS = 100_000;

/** Pages of every size and kind of storage; which is which follows from the seed. */
function page(seed: number): Uint8Array {
  const bytes = new Uint8Array(PAGE_BYTES);
  if (seed % 5 === 3) return bytes.fill(seed).subarray(0, 1 + (seed % PAGE_BYTES));
  if (seed % 5 === 4) return bytes.map((_, i) => (seed >>> (8 * (i & 1))) & 0xff); // one repeated 64-bit value
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  for (let i = 0; i < PAGE_BYTES; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[i] = i < (seed * 397) % 3000 ? state >>> 24 : i & 7;
  }
  return bytes;
}

interface Scene {
  readonly store: Store;
  readonly pool: ClientPool;
  readonly cold: ClientPool;
}

interface Case {
  readonly name: string;
  readonly pool: PoolOptions<ClientPool>;
  /** What is there before; the same before every death. */
  readonly before: (scene: Scene) => void;
  readonly operation: (thread: InstrumentedThread, scene: Scene) => void;
  /** All of it has happened or nothing; else each page by itself is as before or after. */
  readonly inOneStep?: boolean;
  /** Pages may be evicted: missing is allowed for any of them. */
  readonly evicts?: boolean;
  /** Pages move, but none is in no pool at any time. */
  readonly keepsAll?: boolean;
  /** Every how many stores the thread dies. */
  readonly stride?: number;
  /** The operation ends the pool. */
  readonly endsPool?: boolean;
}

const OID = Oid.fromNumbers(1, 2, 3);
const OTHER = Oid.fromNumbers(99);

/** Pages of the object that the operation works on, and one of another object. */
function fill({ pool }: Scene, indexes: readonly number[]): void {
  for (const index of indexes) expect(pool.put(OID, index, page(index + 1))).toBe('stored');
  expect(pool.put(OTHER, 7, page(1000))).toBe('stored');
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

const zv: PoolOptions<ClientPool> = { kind: 'persistent', pam: 'zv' };
const zbud: PoolOptions<ClientPool> = { kind: 'ephemeral', pam: 'zbud', codec: 'lzo' };
const raw: PoolOptions<ClientPool> = { kind: 'ephemeral', pam: 'raw' };

const putsOf: [name: string, indexes: number[], index: number, seed: number][] = [
  ['the first page of an object', [], 5, 1],
  ['an only page that is replaced', [5], 5, 7],
  ['a second page', [5], 6, 2],
  ['a page for which a leaf grows', range(5), 5, 1],
  ['a page for which a leaf becomes a node', range(15), 15, 6],
  ['a page for which a leaf becomes nodes and leaves', range(15).map((i) => i * 70_000), 77, 6],
  ['a page for which the tree grows at its root', range(20), 0xffff_ffff, 2],
  ['a page of one repeated byte over a stored one', [0, 1], 1, 3],
  ['a page of one repeated value over a stored one', [0, 1], 1, 4],
];

const cases: Case[] = [
  ...[zv, zbud, raw].flatMap((pool) =>
    putsOf.map(([name, indexes, index, seed]) => ({
      name: `put: ${name} (${pool.pam})`,
      pool,
      before: (scene: Scene) => fill(scene, indexes),
      operation: (thread: InstrumentedThread, scene: Scene) => {
        thread.put(scene.pool, OID, index, page(seed + 500));
      },
      inOneStep: true,
    })),
  ),
  ...[zv, zbud, raw].flatMap((pool) => [
    {
      name: `get and free of an only page (${pool.pam})`,
      pool,
      before: (scene: Scene) => fill(scene, [5]),
      operation: (thread: InstrumentedThread, scene: Scene) => {
        thread.get(scene.pool, OID, 5, 2);
      },
      inOneStep: true,
    },
    {
      name: `get and free of the page that keeps a tree high (${pool.pam})`,
      pool,
      before: (scene: Scene) => fill(scene, [...range(20), 0xffff_ffff]),
      operation: (thread: InstrumentedThread, scene: Scene) => {
        thread.get(scene.pool, OID, 0xffff_ffff, 2);
      },
      inOneStep: true,
    },
    {
      name: `exchange (${pool.pam})`,
      pool,
      before: (scene: Scene) => fill(scene, [0, 1]),
      operation: (thread: InstrumentedThread, scene: Scene) => {
        thread.exchange(scene.pool, OID, 1, page(501));
      },
      inOneStep: true,
    },
    {
      name: `write at (${pool.pam})`,
      pool,
      before: (scene: Scene) => fill(scene, [0, 1]),
      operation: (thread: InstrumentedThread, scene: Scene) => {
        thread.writeAt(scene.pool, OID, 1, 100, page(502).subarray(0, 300));
      },
      inOneStep: true,
    },
    {
      name: `flush of an object of several nodes (${pool.pam})`,
      pool,
      before: (scene: Scene) => fill(scene, [...range(70), 5000]),
      operation: (thread: InstrumentedThread, scene: Scene) => {
        thread.flushObject(scene.pool, OID);
      },
      inOneStep: true,
      stride: 29,
    },
    {
      name: `flush of a pool (${pool.pam})`,
      pool,
      before: (scene: Scene) => {
        for (let object = 0; object < 30; object++) {
          scene.pool.put(Oid.fromNumbers(object), 3, page(object + 1));
        }
      },
      operation: (thread: InstrumentedThread, scene: Scene) => {
        thread.wasm.emptyPool(scene.pool.arenaIds[0]!);
      },
      stride: 41,
    },
    {
      name: `destroy of a pool, and freeing what was in it (${pool.pam})`,
      pool,
      before: (scene: Scene) => {
        for (let object = 0; object < 30; object++) {
          scene.pool.put(Oid.fromNumbers(object), 3, page(object + 1));
        }
      },
      operation: (thread: InstrumentedThread, scene: Scene) => {
        thread.wasm.removePool(scene.pool.arenaIds[0]!);
        thread.wasm.drainSteps(1000);
      },
      endsPool: true,
      stride: 41,
    },
  ]),
  ...[zbud, { ...zbud, pam: 'zv' as const }, raw].map((pool) => ({
    name: `reclaim of frames (${pool.pam})`,
    pool,
    before: (scene: Scene) => fill(scene, range(20)),
    operation: (thread: InstrumentedThread) => {
      thread.wasm.shrinkBy(3);
    },
    evicts: true,
  })),
  {
    name: 'reclaim of pages that have no frame',
    pool: zbud,
    before: (scene: Scene) => {
      for (let index = 0; index < 90; index++) scene.pool.put(OID, index, page(5 * index + 3));
      for (let object = 0; object < 10; object++)
        scene.pool.put(Oid.fromNumbers(object), 0, page(4 + 5 * object));
    },
    operation: (thread: InstrumentedThread) => {
      thread.wasm.shrinkBy(3);
    },
    evicts: true,
    stride: 17,
  },
  {
    name: 'a page that falls from a raw pool into a compressed one',
    pool: { ...raw, limit: 4 },
    before: (scene: Scene) => fill(scene, [1, 2, 5]),
    operation: (thread: InstrumentedThread, scene: Scene) => {
      thread.put(scene.pool, OID, 6, page(510));
    },
    keepsAll: true,
  },
];

describe.each(cases)('$name', (one) => {
  test('has happened or not, wherever its thread died', () => {
    using store = open({ memory: '8 MiB', threads: 4, pools: 8, clients: 4, lockTimeoutMs: 100 });
    const observer = new InstrumentedThread(module, store);
    const client = store.client('torn');
    const make = (): Scene => {
      const cold = client.pool('cold', { kind: 'ephemeral', pam: 'zbud' });
      const options = one.pool.limit === undefined ? one.pool : { ...one.pool, demoteTo: cold };
      const pool = client.pool('pool', options);
      pool.flush();
      cold.flush();
      one.before({ store, pool, cold });
      return { store, pool, cold };
    };
    const undone = contentOf(make());
    const whole = new InstrumentedThread(module, store);
    const stores = whole.storesOf(() => one.operation(whole, make()));
    const done = one.endsPool ? new Map() : contentOf(make());
    if (!one.endsPool) {
      // The same once more, to see what is there afterwards.
      const scene = make();
      one.operation(whole, scene);
      done.clear();
      for (const [handle, content] of contentOf(scene)) done.set(handle, content);
    }
    whole.wasm.slotRelease();
    expect(stores).toBeGreaterThan(3);
    expect(stores).toBeLessThan(STORES_MAX);

    const seen = { undone: 0, done: 0, evicted: 0 };
    // The last stores always: there the operation is done.
    for (const nth of placesToDie(stores, one.stride ?? STRIDE)) {
      const scene = make();
      const thread = new InstrumentedThread(module, store);
      if (!thread.dies(nth, () => one.operation(thread, scene))) {
        thread.wasm.slotRelease(); // it had fewer stores to make this time
        continue;
      }
      store.threadEnded(thread.id);
      const about = `dead before store ${nth} of ${stores}`;
      expect(observer.wasm.recoveryIsNeeded(), about).toBe(0);
      expect(store.stats().store.threads_attached, about).toBe(2);

      observer.wasm.drainSteps(DRAIN_STEPS); // a thread that died between two operations leaves work to others
      const quiet = accounts(store);
      observer.wasm.recoverNow(1, 0);
      expect(accounts(store), `${about}: a second recovery finds the same`).toEqual(quiet);

      const found = observer.wasm.poolFrame(scene.pool.arenaIds[0]!) === 0 ? new Map() : contentOf(scene);
      verdict(one, undone, done, found, about, seen);
      if (one.endsPool) continue;
      // Whoever comes next can do what the dead thread wanted.
      one.operation(observer, scene);
    }
    expect(seen.undone).toBeGreaterThan(0);
    expect(one.evicts ? seen.evicted : seen.done).toBeGreaterThan(0);
    for (const name of ['pool', 'cold'])
      client.pool(name, name === 'pool' ? { kind: one.pool.kind } : { kind: 'ephemeral' }).destroy();
    observer.wasm.drainSteps(DRAIN_STEPS);
    const { curr_frames } = client.stats().frames;
    client.remove();
    expect(curr_frames).toBeLessThanOrEqual(3); // its own, and the control areas of two zv heaps
    expect(accounts(store).used).toBe(0);
  });
});

function placesToDie(stores: number, stride: number): number[] {
  return range(stores).filter((nth) => nth % stride === 0 || nth >= stores - 3);
}

function verdict(
  one: Case,
  undone: Content,
  done: Content,
  found: Content,
  about: string,
  seen: { undone: number; done: number; evicted: number },
): void {
  const isUndone = sameContent(found, undone);
  const isDone = sameContent(found, done);
  if (isUndone) seen.undone++;
  if (isDone) seen.done++;
  if (found.size < undone.size) seen.evicted++;
  if (one.keepsAll) expect(found.size, about).toBeGreaterThanOrEqual(undone.size);
  if (isUndone || isDone) return;
  expect(one.inOneStep ?? false, `${about}: neither before nor after: ${[...found.keys()].join(' ')}`).toBe(
    false,
  );
  for (const handle of new Set([...undone.keys(), ...done.keys(), ...found.keys()])) {
    const allowed = [undone.get(handle), done.get(handle), ...(one.evicts ? [undefined] : [])];
    expect(allowed, `${about}: ${handle}`).toContain(found.get(handle));
  }
}
