// Two threads, every order: one operation stops before each of its stores at which it holds no lock, and another thread
// does something to the same page, object or pool right there. What was returned and what is left must fit one order.

import { beforeAll, describe, expect, test } from 'vitest';
import { Oid, open, type Store } from '../../src/index.ts';
import type { PoolOptions } from '../../src/zcache/options.ts';
import type { ClientPool } from '../../src/zcache/pool.ts';
import { compileInstrumented, InstrumentedThread } from './instrumented.ts';
import { accounts } from './quiet-store.ts';

let module: WebAssembly.Module;

beforeAll(async () => {
  module = await compileInstrumented();
});

const PAGE_BYTES = 4096;
const OID = Oid.fromNumbers(1);
const INDEX = 3;
/** Every how many stores another thread gets in between. */
const STRIDE = 2;

interface Scene {
  readonly store: Store;
  readonly pool: ClientPool;
  readonly cold: ClientPool;
}

/** Page number n: 1 is there before, 2 is what the first thread puts, 3 what the second does. */
function page(n: number): Uint8Array {
  return new Uint8Array(PAGE_BYTES).map((_, i) => (i < 800 ? Math.imul(i + n, 0x9e37_79b1) >>> 24 : n));
}

/** What a page shows of the puts it comes from: its number, and '+' and the number of a write at. */
function nameOf(bytes: Uint8Array | undefined): string {
  if (bytes === undefined || bytes.length === 0) return 'nothing';
  const number = bytes[PAGE_BYTES - 1]!;
  const expected = page(number);
  const patch = bytes[PATCH_AT]! === expected[PATCH_AT]! ? 0 : bytes[PATCH_AT]!;
  if (patch !== 0) expected.fill(patch, PATCH_AT, PATCH_AT + PATCH_BYTES);
  if (Buffer.compare(bytes, expected) !== 0) return 'torn';
  return patch === 0 ? `${number}` : `${number}+${patch}`;
}

const PATCH_AT = 2000;
const PATCH_BYTES = 5;
/** Does not compress: zv and zbud refuse it (raw takes it). */
const noise = new Uint8Array(PAGE_BYTES).map((_, i) => Math.imul((i + 1) ** 2, 0x9e37_79b1) >>> 23);
const patchOf = (n: number) => new Uint8Array(PATCH_BYTES).fill(n);

/** An operation on the page; what it says it saw or did. */
type Step = (pool: ClientPool, how: Access) => string;

/** The operations of a pool as both kinds of thread have them. */
interface Access {
  put(page: Uint8Array): boolean;
  take(): string;
  see(): string;
  exchange(page: Uint8Array): string;
  writeAt(part: Uint8Array): boolean;
  flushPage(): boolean;
  flushObject(): boolean;
}

function publicAccess(pool: ClientPool): Access {
  const out = new Uint8Array(PAGE_BYTES);
  const saw = (length: number) => nameOf(length === 0 ? undefined : out.subarray(0, length));
  return {
    put: (bytes) => pool.put(OID, INDEX, bytes) === 'stored',
    take: () => saw(pool.getAndFree(OID, INDEX, out)),
    see: () => saw(pool.getAndKeep(OID, INDEX, out)),
    exchange: (bytes) => saw(pool.exchange(OID, INDEX, bytes, out).length),
    writeAt: (part) => pool.writeAt(OID, INDEX, PATCH_AT, part) === 'stored',
    flushPage: () => pool.flushPage(OID, INDEX),
    flushObject: () => pool.flushObject(OID) > 0,
  };
}

function instrumentedAccess(thread: InstrumentedThread, pool: ClientPool): Access {
  return {
    put: (bytes) => thread.put(pool, OID, INDEX, bytes) > 0,
    take: () => nameOf(thread.get(pool, OID, INDEX, 2)),
    see: () => nameOf(thread.get(pool, OID, INDEX, 1)),
    exchange: (bytes) => {
      const length = thread.exchange(pool, OID, INDEX, bytes);
      const out = thread.wasm.outAddress() >>> 0;
      return nameOf(length > 0 ? thread.bytes.slice(out, out + length) : undefined);
    },
    writeAt: (part) => thread.writeAt(pool, OID, INDEX, PATCH_AT, part) > 0,
    flushPage: () => thread.flushPage(pool, OID, INDEX),
    flushObject: () => thread.flushObject(pool, OID) > 0,
  };
}

/** The operations, in the version of each thread: n tells their pages apart. */
const steps: Record<string, (n: number) => Step> = {
  put: (n) => (_, how) => `put ${how.put(page(n))}`,
  'get and free': () => (_, how) => `took ${how.take()}`,
  get: () => (_, how) => `saw ${how.see()}`,
  exchange: (n) => (_, how) => `exchanged ${how.exchange(page(n))}`,
  'refused put': () => (_, how) => `put ${how.put(noise)}`,
  'refused exchange': () => (_, how) => `exchanged ${how.exchange(noise)}`,
  'write at': (n) => (_, how) => `wrote ${how.writeAt(patchOf(n))}`,
  'flush page': () => (_, how) => `flushed ${how.flushPage()}`,
  'flush object': () => (_, how) => `flushed ${how.flushObject()}`,
};

/** What the second thread may do in a row while the first one waits. */
const rows: Record<string, (n: number) => Step> = {
  ...steps,
  'flush object and put': (n) => (_, how) => `flushed ${how.flushObject()}, put ${how.put(page(n))}`,
  'take and put': (n) => (_, how) => `took ${how.take()}, put ${how.put(page(n))}`,
};

const pools: PoolOptions<ClientPool>[] = [
  { kind: 'persistent', pam: 'zv' },
  { kind: 'ephemeral', pam: 'zbud' },
  { kind: 'persistent', pam: 'raw' },
];

describe.each(pools)('in a pool of $pam', (options) => {
  describe.each(Object.keys(steps))('%s', (first) => {
    test.each(Object.keys(rows))('and meanwhile %s', (second) => {
      using store = open({ memory: '8 MiB', threads: 4, pools: 4, clients: 4, lockTimeoutMs: 100 });
      const pool = store.client('a').pool('p', options);
      const thread = new InstrumentedThread(module, store);
      const own = instrumentedAccess(thread, pool);
      const others = publicAccess(pool);
      const [a, b] = [steps[first]!(2), rows[second]!(3)];
      let places = 0;
      for (const isThere of [true, false]) {
        const setUp = () => {
          pool.flush();
          if (isThere) pool.put(OID, INDEX, page(1));
        };
        /** What both orders give, one after the other. */
        const allowed = [
          () => [a(pool, others), b(pool, others)],
          () => [b(pool, others), a(pool, others)].reverse(),
        ].map((order) => {
          setUp();
          return [...order(), others.see()].join('; ');
        });
        setUp();
        const stores = thread.storesOf(() => a(pool, own));
        for (let nth = 0; nth < stores; nth += STRIDE) {
          setUp();
          let said = '';
          let saidMeanwhile = '';
          const ran = thread.interleaved(
            nth,
            () => {
              said = a(pool, own);
            },
            () => {
              saidMeanwhile = b(pool, others);
            },
          );
          if (!ran) continue;
          places++;
          const found = [said, saidMeanwhile, others.see()].join('; ');
          expect(allowed, `before store ${nth} of ${stores}`).toContain(found);
        }
      }
      expect(places).toBeGreaterThan(2);
      const quiet = accounts(store);
      thread.wasm.recoverNow(1, 1000);
      expect(accounts(store)).toEqual(quiet);
    });
  });
});

describe('a page that falls from a raw pool into a compressed one', () => {
  const meanwhile: [name: string, step: (scene: Scene) => void][] = [
    ['it is flushed from both', ({ pool, cold }) => [pool, cold].map((one) => one.flushPage(OID, INDEX))],
    ['its object is flushed from both', ({ pool, cold }) => [pool, cold].map((one) => one.flushObject(OID))],
    ['both pools are flushed', ({ pool, cold }) => [pool.flush(), cold.flush()]],
    ['it is taken from both', ({ pool, cold }) => [pool, cold].map((one) => one.getAndFree(OID, INDEX, out))],
  ];
  const out = new Uint8Array(PAGE_BYTES);

  test.each(meanwhile)('is gone from both when meanwhile %s', (_name, step) => {
    using store = open({ memory: '8 MiB', threads: 4, pools: 4, clients: 4, lockTimeoutMs: 100 });
    const client = store.client('a');
    const cold = client.pool('cold', { kind: 'ephemeral', pam: 'zbud' });
    const pool = client.pool('hot', { kind: 'ephemeral', pam: 'raw', limit: 2, demoteTo: cold });
    const thread = new InstrumentedThread(module, store);
    const setUp = () => {
      pool.flush();
      cold.flush();
      pool.put(OID, INDEX, page(1)); // the oldest: it falls
      pool.put(OID, INDEX + 1, page(4));
    };
    const add = () => thread.put(pool, Oid.fromNumbers(9), 0, page(5));
    setUp();
    const stores = thread.storesOf(add);
    expect(cold.getAndKeep(OID, INDEX, out), 'without interruption it falls').toBe(PAGE_BYTES);
    let places = 0;
    for (let nth = 0; nth < stores; nth++) {
      setUp();
      if (!thread.interleaved(nth, add, () => void step({ store, pool, cold }))) continue;
      places++;
      const left = [pool, cold].map((one) => one.getAndKeep(OID, INDEX, out));
      expect(left, `before store ${nth} of ${stores}`).toEqual([0, 0]);
    }
    expect(places).toBeGreaterThan(10);
  });
});

describe('a pool that is destroyed', () => {
  test.each(pools)('while a page is put into it is gone afterwards ($pam)', (options) => {
    using store = open({ memory: '8 MiB', threads: 4, pools: 4, clients: 4, lockTimeoutMs: 100 });
    const thread = new InstrumentedThread(module, store);
    const helper = new InstrumentedThread(module, store);
    const make = () => {
      const pool = store.client('a').pool('p', options);
      pool.put(OID, INDEX, page(1));
      return pool;
    };
    const whole = make();
    const stores = thread.storesOf(() => thread.put(whole, OID, INDEX + 1, page(2)));
    for (let nth = 0; nth < stores; nth += STRIDE) {
      const pool = make();
      let outcome = 0;
      const ran = thread.interleaved(
        nth,
        () => {
          outcome = thread.put(pool, OID, INDEX + 1, page(2));
        },
        () => {
          helper.wasm.removePool(pool.arenaIds[0]!);
          helper.wasm.drainSteps(1000);
        },
      );
      if (!ran) continue;
      expect([1, -8], `before store ${nth}`).toContain(outcome);
      helper.wasm.drainSteps(1000);
      expect(store.client('a').stats().pools, `before store ${nth}`).toEqual([]);
      expect(accounts(store).clients[0]!.frames, `before store ${nth}`).toBeLessThanOrEqual(2);
    }
    store.client('a').remove();
    expect(accounts(store).used).toBe(0);
  });
});
