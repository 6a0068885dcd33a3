/**
 * One arena as one thread sees it: a shared WebAssembly memory, the wasm code instantiated on it, and this thread's
 * slot. The memory is the store; everything else here can be made again from it.
 *
 * Copies between a caller's buffer and shared memory are seven times faster when both agree modulo 8, so a page is
 * brought in and taken out at an address that does.
 */

import { getRandomValues } from 'node:crypto';
import { threadId } from 'node:worker_threads';
import { ArenaAbort, abort, asAbort } from './abort.ts';
import { type ArenaFunctions, type ArenaLayout, layoutOf } from './exports.ts';

const FRAME_BYTES = 4096;
const WASM_PAGE_BYTES = 65_536;
const PAGE_BYTES = 4096;
/** Positions modulo 8 that a copy can have. */
const ALIGNMENTS = 8;

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
  readonly memory: WebAssembly.Memory;
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
  readonly #outPages: readonly Uint8Array[];

  private constructor(memory: WebAssembly.Memory, wasm: ArenaFunctions, layout: ArenaLayout) {
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
    this.#outPages = Array.from({ length: ALIGNMENTS }, (_, i) =>
      this.bytes.subarray(this.#out + i, this.#out + i + PAGE_BYTES),
    );
    const stagingBytes = this.word(layout.H_STAGING_PAGES) * PAGE_BYTES;
    this.staging = new Uint8Array(memory.buffer, wasm.stagingAddress() >>> 0, stagingBytes);
  }

  /** Makes and formats a new arena. Undefined when the fixed tables would not leave room for pages. */
  static create(module: WebAssembly.Module, sizes: ArenaSizes): Arena | undefined {
    const pages = Math.floor(sizes.bytes / WASM_PAGE_BYTES);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    const { wasm, layout } = instantiate(module, memory);
    const frames = (pages * WASM_PAGE_BYTES) / FRAME_BYTES;
    const key = getRandomValues(new Uint32Array(4));
    const { threads, pools, clients, stagingPages } = sizes;
    const [k0, k1, k2, k3] = key as unknown as [number, number, number, number];
    if (!wasm.format(frames, threads, pools, clients, stagingPages, k0, k1, k2, k3)) return undefined;
    return Arena.#claim(memory, wasm, layout);
  }

  /** Another thread's view of an arena; why not, when it has another layout or every thread slot is taken. */
  static attach(module: WebAssembly.Module, memory: WebAssembly.Memory): Arena | 'other-layout' | 'full' {
    const { wasm, layout } = instantiate(module, memory);
    const words = new Uint32Array(memory.buffer);
    const isOurs =
      words[layout.H_MAGIC >>> 2] === layout.LAYOUT_MAGIC &&
      words[layout.H_VERSION >>> 2] === layout.LAYOUT_VERSION;
    if (!isOurs) return 'other-layout';
    return Arena.#claim(memory, wasm, layout) ?? 'full';
  }

  static #claim(memory: WebAssembly.Memory, wasm: ArenaFunctions, layout: ArenaLayout): Arena | undefined {
    return wasm.slotClaim(threadId) < 0 ? undefined : new Arena(memory, wasm, layout);
  }

  word(address: number): number {
    return Atomics.load(this.words, address >>> 2);
  }

  setWord(address: number, value: number): void {
    Atomics.store(this.words, address >>> 2, value);
  }

  /** Address from which the arena can read `bytes`: where they are if that is in the arena, else a copy. */
  bringIn(bytes: Uint8Array): number {
    if (bytes.buffer === this.buffer) return bytes.byteOffset;
    const address = this.in + (bytes.byteOffset & 7);
    this.bytes.set(bytes, address);
    return address;
  }

  /** Address to which the arena shall write what `out` is to receive. */
  outFor(out: Uint8Array): number {
    return out.buffer === this.buffer ? out.byteOffset : this.#out + (out.byteOffset & 7);
  }

  /** Copies what the arena wrote to outFor(out). */
  takeOut(out: Uint8Array, length: number): void {
    if (out.buffer === this.buffer) return;
    const at = out.byteOffset & 7;
    if (length === PAGE_BYTES) out.set(this.#outPages[at]);
    else out.set(this.bytes.subarray(this.#out + at, this.#out + at + length));
  }

  /** The old page of an exchange lies at the start of the out area. */
  takeExchanged(out: Uint8Array, length: number): void {
    out.set(this.bytes.subarray(this.#out, this.#out + length));
  }

  /**
   * A call into the arena was unwound by `error`: abandons the operation and recovers. Returns the operation's result if
   * it had taken effect before, undefined if it can be repeated.
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
    this.recover(this.word(this.layout.H_LOCK_TIMEOUT_MS));
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

  /** Touches every frame, so that no put pays for the first touch. */
  prefault(): void {
    for (let at = 0; at < this.words.length; at += FRAME_BYTES / 4) Atomics.or(this.words, at, 0);
  }
}

function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory) {
  const boundAddress = { value: 0 };
  const env = {
    memory,
    tmemAbort: abort,
    // Debug build: accesses are compared with the word at this address, and those below 1024 trap.
    emscripten_get_sbrk_ptr: () => boundAddress.value,
    segfault: () => {
      throw new ArenaAbort('damaged', 'an access outside the arena, or to address 0');
    },
    // Unaligned accesses are meant: pages and compressed bytes lie anywhere.
    alignfault: () => {},
  };
  const { exports } = new WebAssembly.Instance(module, { env });
  const layout = layoutOf(exports);
  boundAddress.value = layout.H_ADDRESS_MAX;
  Atomics.store(new Uint32Array(memory.buffer), layout.H_ADDRESS_MAX >>> 2, 0xffffffff);
  return { wasm: exports as unknown as ArenaFunctions, layout };
}
