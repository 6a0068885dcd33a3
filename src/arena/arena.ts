/**
 * One arena as one thread sees it: a shared WebAssembly memory, the wasm code instantiated on it, and this thread's
 * slot. The memory is the store; everything else here can be made again from it.
 *
 * Pages are copied by Buffer's `copy` of a part: it ends in a plain memmove, where TypedArray's `set` (and a `copy` of
 * a whole buffer) goes through V8's word-by-word copy for shared memory, three times slower.
 */

import { getRandomValues } from 'node:crypto';
import { threadId } from 'node:worker_threads';
import { TmemError } from '../errors.ts';
import { asAbort } from './abort.ts';
import type { ArenaFunctions, ArenaLayout } from './exports.ts';
import { FRAME_BYTES, PrivateHost } from './host.ts';
import { type ArenaInstance, instantiate, newMemory } from './instance.ts';
import type { ArenaMemory, ArenaModule } from './module.ts';

const PAGE_BYTES = 4096;
/** How long a recovery waits for a thread that seems to be stopped; operations take microseconds. */
export const BUSY_RECOVERY_WAIT_MS = 20;
const { copy } = Buffer.prototype;

/** Random bytes that name a store. */
export const STORE_ID_BYTES = 16;

/** Sizes that are fixed when an arena is formatted. */
export interface ArenaSizes {
  /** Whole size in bytes, everything included. */
  readonly bytes: number;
  readonly threads: number;
  readonly pools: number;
  readonly clients: number;
  readonly stagingPages: number;
}

export class Arena {
  readonly memory: ArenaMemory;
  readonly buffer: SharedArrayBuffer;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly wasm: ArenaFunctions;
  readonly layout: ArenaLayout;
  /** This thread's staging pages: whole pages inside the arena that calls may read from and write to directly. */
  readonly staging: Uint8Array;
  /** Addresses in this thread's slot. */
  readonly in: number;
  readonly arguments: number;
  readonly walk: number;
  /** Set while this thread's slot waits for a recovery that did not succeed yet. */
  needsRecovery = false;

  readonly #out: number;
  readonly #copySource: Buffer;

  /** This thread must have a slot in the arena. */
  constructor({ memory, wasm, layout }: ArenaInstance) {
    this.memory = memory;
    this.buffer = memory.buffer;
    this.bytes = new Uint8Array(memory.buffer);
    this.words = new Uint32Array(memory.buffer);
    this.wasm = wasm;
    this.layout = layout;
    this.in = wasm.inAddress() >>> 0;
    this.arguments = wasm.argumentsAddress() >>> 0;
    this.walk = wasm.walkAddress() >>> 0;
    this.#out = wasm.outAddress() >>> 0;
    this.#copySource = Buffer.from(memory.buffer);
    const stagingBytes = this.word(layout.H_STAGING_PAGES) * PAGE_BYTES;
    this.staging = new Uint8Array(memory.buffer, wasm.stagingAddress() >>> 0, stagingBytes);
  }

  /** Makes and formats a new arena in memory of this process. Undefined when no room would be left for pages. */
  static create(module: ArenaModule, sizes: ArenaSizes, storeId: Uint8Array): Arena | undefined {
    const memory = newMemory(sizes.bytes);
    const instance = instantiate(module, memory, new PrivateHost(memory));
    if (!formatArena(instance, sizes)) return undefined;
    new Uint8Array(memory.buffer).set(storeId, instance.layout.H_STORE_ID);
    instance.wasm.slotClaim(threadId, process.pid);
    return new Arena(instance);
  }

  /** Another thread's view of such an arena; why not, when it has another layout or every thread slot is taken. */
  static attach(module: ArenaModule, memory: ArenaMemory): Arena | 'other-layout' | 'full' {
    const instance = instantiate(module, memory, new PrivateHost(memory));
    const { wasm, layout } = instance;
    const words = new Uint32Array(memory.buffer);
    const isOurs =
      words[layout.H_MAGIC >>> 2] === layout.LAYOUT_MAGIC &&
      words[layout.H_VERSION >>> 2] === layout.LAYOUT_VERSION;
    if (!isOurs) return 'other-layout';
    return wasm.slotClaim(threadId, process.pid) < 0 ? 'full' : new Arena(instance);
  }

  /**
   * @throws TmemError TMEM_ERR_DAMAGED when there is no such address: what named it was overwritten
   */
  word(address: number): number {
    if (address >= this.bytes.length) {
      throw new TmemError('TMEM_ERR_DAMAGED', `the arena names address ${address}, which is outside of it`);
    }
    return Atomics.load(this.words, address >>> 2);
  }

  setWord(address: number, value: number): void {
    Atomics.store(this.words, address >>> 2, value);
  }

  /** Address from which the arena can read `bytes` (1 to 4096): where they are if that is in the arena, else a copy. */
  bringIn(bytes: Uint8Array): number {
    if (bytes.buffer === this.buffer) return bytes.byteOffset;
    const last = bytes.length - 1;
    copy.call(bytes, this.bytes, this.in, 0, last);
    this.bytes[this.in + last] = bytes[last];
    return this.in;
  }

  /** Address to which the arena shall write what `out` is to receive. */
  outFor(out: Uint8Array): number {
    return out.buffer === this.buffer ? out.byteOffset : this.#out;
  }

  /** Copies what the arena wrote to outFor(out). */
  takeOut(out: Uint8Array, length: number): void {
    if (out.buffer !== this.buffer) this.takeExchanged(out, length);
  }

  /** Copies what lies in the out area, such as the old page of an exchange. */
  takeExchanged(out: Uint8Array, length: number): void {
    copy.call(this.#copySource, out, 0, this.#out, this.#out + length);
  }

  /** A copy of bytes of the arena. */
  copyOf(address: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    copy.call(this.#copySource, bytes, 0, address, address + length);
    return bytes;
  }

  /**
   * A call into the arena was unwound by `error`: abandons the operation and recovers. Returns the operation's result
   * if it had taken effect before, undefined if it can be repeated.
   *
   * @throws ArenaAbort when neither can be said
   */
  recoverFrom(error: unknown): number | undefined {
    const aborted = asAbort(error);
    if (!aborted.begun && aborted.reason !== 'owner-dead') throw aborted;
    if (aborted.begun) {
      this.wasm.abandonOperation();
      this.needsRecovery = true;
    }
    if (aborted.reason === 'damaged') throw aborted;
    const result = !aborted.begun || this.wasm.isCommitted() === 0 ? undefined : this.wasm.committedResult();
    // Who holds a lock for that long is likely to go on doing so, and the gate is closed for all meanwhile.
    const timeoutMs = this.word(this.layout.H_LOCK_TIMEOUT_MS);
    this.recover(aborted.reason === 'busy' ? Math.min(timeoutMs, BUSY_RECOVERY_WAIT_MS) : timeoutMs);
    if (result === undefined && aborted.reason === 'busy') throw aborted;
    return result;
  }

  /**
   * Cleans up after operations that ended in the middle, waiting for running ones for at most `waitMs`.
   *
   * @throws ArenaAbort 'busy' when they did not end in time: ask again
   */
  recover(waitMs: number): void {
    try {
      this.wasm.recoverNow(0, waitMs);
      this.needsRecovery = false;
    } catch (error) {
      throw asAbort(error);
    }
  }

  /** Text of `length` bytes at an address. Decoders refuse shared memory, so it is copied. */
  text(address: number, length: number): string {
    return Buffer.from(this.bytes.slice(address, address + length)).toString('utf8');
  }

  /** Copies of u64 cells. */
  cells(address: number, count: number): BigUint64Array {
    return new BigUint64Array(this.bytes.slice(address, address + count * 8).buffer);
  }

  /** Writes a name to the argument area; its length in bytes. */
  name(name: string): number {
    const bytes = Buffer.from(name, 'utf8');
    this.bytes.set(bytes, this.arguments);
    return bytes.length;
  }
}

/** Lays a new arena out; false when no room would be left for pages. */
export function formatArena({ wasm }: ArenaInstance, sizes: ArenaSizes): boolean {
  const { threads, pools, clients, stagingPages } = sizes;
  const [k0, k1, k2, k3] = getRandomValues(new Uint32Array(4)) as unknown as [number, number, number, number];
  return wasm.format(sizes.bytes / FRAME_BYTES, threads, pools, clients, stagingPages, k0, k1, k2, k3) !== 0;
}
