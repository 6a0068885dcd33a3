// The arena's code as a thread runs it, in a build that calls out before every store: so a test can end the thread
// there, or let another thread do something meanwhile. It works on the memory of an ordinary store, beside its threads.

import { type ArenaFunctions, type ArenaLayout, layoutOf } from '../../src/arena/exports.ts';
import { PrivateHost } from '../../src/arena/host.ts';
import { hostImports } from '../../src/arena/instance.ts';
import type { Oid, Store } from '../../src/index.ts';
import type { ClientPool } from '../../src/zcache/pool.ts';
import { instrumentedBinary } from './instrumented-module.ts';
import { memoryHooks } from './memory-hooks.ts';

const PAGE_BYTES = 4096;
const LOCK_BYTES = 64;

/** Compiles the arena with assertions and hooks. Takes some seconds. */
export async function compileInstrumented(): Promise<WebAssembly.Module> {
  return new WebAssembly.Module(await instrumentedBinary());
}

export class Killed extends Error {}

/** Ids of these threads, which no worker has. */
let lastThread = 1_000_000;

export class InstrumentedThread {
  readonly id: number;
  readonly wasm: ArenaFunctions;
  readonly layout: ArenaLayout;
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  readonly slot: number;
  /** Called before each store of the running operation that others may see, with how many there were before. */
  beforeStore: ((stores: number) => void) | undefined;
  readonly #locks: number;
  readonly #locksEnd: number;
  #privateFrom = 0;
  #privateEnd = 0;
  #stores = 0;

  constructor(module: WebAssembly.Module, store: Store) {
    const { memories } = store.share() as unknown as { memories: WebAssembly.Memory[] };
    const memory = memories[0]!;
    this.id = ++lastThread;
    this.words = new Int32Array(memory.buffer);
    this.bytes = new Uint8Array(memory.buffer);
    const env = {
      memory,
      ...hostImports(new PrivateHost(memory)),
      ...memoryHooks({
        store: (address) => {
          if (this.beforeStore !== undefined && this.#isShared(address)) this.beforeStore(this.#stores++);
        },
      }),
    };
    const { exports } = new WebAssembly.Instance(module, { env });
    this.wasm = exports as unknown as ArenaFunctions;
    this.layout = layoutOf(exports);
    this.#locks = (exports.LOCKS as { value: number }).value;
    this.#locksEnd = (exports.LOCKS_END as { value: number }).value;
    this.slot = this.wasm.slotClaim(this.id, process.pid);
    if (this.slot < 0) throw new Error('no thread slot is free');
    const slotBytes = this.words[this.layout.H_SLOT_BYTES >>> 2]!;
    const slots = this.words[this.layout.H_SLOTS >>> 2]!;
    this.#privateFrom = slots + slotBytes * this.slot + (exports.S_TABLE as { value: number }).value;
    this.#privateEnd = slots + slotBytes * (this.slot + 1);
  }

  /** Whether others look at an address: not at this thread's copies of pages and tables of the codecs. */
  #isShared(address: number): boolean {
    return address < this.#privateFrom || address >= this.#privateEnd;
  }

  /** How many stores `operation` makes. */
  storesOf(operation: () => void): number {
    this.#stores = 0;
    this.beforeStore = () => {};
    try {
      operation();
    } finally {
      this.beforeStore = undefined;
    }
    return this.#stores;
  }

  /** The stores of `operation` before which it holds a lock. */
  lockedStoresOf(operation: () => void): number[] {
    const found: number[] = [];
    this.#stores = 0;
    this.beforeStore = (stores) => {
      if (this.#holdsLock()) found.push(stores);
    };
    try {
      operation();
    } finally {
      this.beforeStore = undefined;
    }
    return found;
  }

  /** Runs `operation` and ends the thread before store number `nth` (from 0); false when it had fewer. */
  dies(nth: number, operation: () => void): boolean {
    this.#stores = 0;
    this.beforeStore = (stores) => {
      if (stores === nth) throw new Killed();
    };
    try {
      operation();
      return false;
    } catch (error) {
      if (error instanceof Killed) return true;
      throw error;
    } finally {
      this.beforeStore = undefined;
    }
  }

  /** Runs `operation`; before store number `nth`, if no lock is held then, `meanwhile`. Whether that ran. */
  interleaved(nth: number, operation: () => void, meanwhile: () => void): boolean {
    this.#stores = 0;
    let ran = false;
    this.beforeStore = (stores) => {
      if (stores !== nth || this.#holdsLock()) return;
      this.beforeStore = undefined;
      ran = true;
      meanwhile();
    };
    try {
      operation();
    } finally {
      this.beforeStore = undefined;
    }
    return ran;
  }

  /** Recoveries of this store so far. */
  get recoveries(): number {
    return this.words[this.layout.H_RECOVERIES >>> 2]!;
  }

  #holdsLock(): boolean {
    for (let at = this.#locks; at < this.#locksEnd; at += LOCK_BYTES) {
      if ((this.words[at >>> 2]! & 0xff) === this.slot + 1) return true;
    }
    return false;
  }

  // The operations, as src/tmem/pool.ts calls them.

  put(pool: ClientPool, oid: Oid, index: number, page: Uint8Array): number {
    const at = this.wasm.inAddress() >>> 0;
    this.bytes.set(page, at);
    return this.wasm.pagePut(...handle(pool, oid, index), at, page.length);
  }

  /** The page, or undefined; `mode` 0 by the pool, 1 keep, 2 free. */
  get(pool: ClientPool, oid: Oid, index: number, mode: 0 | 1 | 2): Uint8Array | undefined {
    const at = this.wasm.outAddress() >>> 0;
    const length = this.wasm.pageGet(...handle(pool, oid, index), at, PAGE_BYTES, mode);
    if (length < 0) throw new Error(`get gave ${length}`);
    return length === 0 ? undefined : this.bytes.slice(at, at + length);
  }

  exchange(pool: ClientPool, oid: Oid, index: number, page: Uint8Array): number {
    const at = this.wasm.inAddress() >>> 0;
    this.bytes.set(page, at);
    return this.wasm.pageExchange(...handle(pool, oid, index), at, page.length);
  }

  writeAt(pool: ClientPool, oid: Oid, index: number, offset: number, part: Uint8Array): number {
    const at = this.wasm.inAddress() >>> 0;
    this.bytes.set(part, at);
    return this.wasm.pageWriteAt(...handle(pool, oid, index), offset, at, part.length);
  }

  flushPage(pool: ClientPool, oid: Oid, index: number): boolean {
    return this.wasm.pageFlush(...handle(pool, oid, index)) !== 0;
  }

  flushObject(pool: ClientPool, oid: Oid): number {
    const [id, a, b, c, d, e, f] = handle(pool, oid, 0);
    return this.wasm.objectFlush(id, a, b, c, d, e, f);
  }
}

type Handle = [number, number, number, number, number, number, number, number];

function handle(pool: ClientPool, oid: Oid, index: number): Handle {
  return [pool.arenaIds[0]!, oid.w0, oid.w1, oid.w2, oid.w3, oid.w4, oid.w5, index];
}
