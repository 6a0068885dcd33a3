/**
 * What the code inside an arena asks of the thread that runs it: sleep and wake, who is alive, memory behind frames.
 *
 * A store without a name has one process and memory of its own: threads sleep in Atomics.wait, the end of a thread is
 * told by its parent, and the kernel gives memory at the first touch. With koffi free frames can be given back.
 */

import { type Libc, libc } from './libc.ts';
import type { ArenaMemory } from './module.ts';

export const FRAME_BYTES = 4096;

/** Addresses and frame numbers are unsigned; expected words are bits. */
export interface ArenaHost {
  /** Sleeps while the word at an address is `expected`; whether the time passed without a wake. */
  wait(address: number, expected: number, timeoutMs: number): boolean;
  wake(address: number, threads: number): void;
  /** Whether the thread of a slot has ended; the slot was buried then. */
  isDead(slot: number): boolean;
  /** Gets memory behind frames; false when the system has none. */
  back(first: number, frames: number): boolean;
  /** Gives the memory behind frames back to the system; false when that cannot be done. */
  unback(first: number, frames: number): boolean;
}

export class PrivateHost implements ArenaHost {
  readonly #buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  /** The C library and the memory's address; null without koffi. */
  #library: { readonly calls: Libc; readonly base: bigint } | null | undefined;

  constructor(memory: ArenaMemory) {
    this.#buffer = memory.buffer;
    this.#words = new Int32Array(memory.buffer);
  }

  wait(address: number, expected: number, timeoutMs: number): boolean {
    return Atomics.wait(this.#words, address >>> 2, expected, timeoutMs) === 'timed-out';
  }

  wake(address: number, threads: number): void {
    Atomics.notify(this.#words, address >>> 2, threads);
  }

  isDead(): boolean {
    return false;
  }

  back(): boolean {
    return true;
  }

  unback(first: number, frames: number): boolean {
    this.#library ??= this.#load();
    if (this.#library === null) return false;
    const { calls, base } = this.#library;
    return calls.dropPages(base + BigInt(first * FRAME_BYTES), frames * FRAME_BYTES) === 0;
  }

  #load(): { readonly calls: Libc; readonly base: bigint } | null {
    try {
      const calls = libc();
      return { calls, base: calls.addressOf(this.#buffer) };
    } catch {
      // Not an error here: the memory stays the store's.
      return null;
    }
  }
}

/** The host of a private copy: nobody else is there, and it has the memory it has. */
export class CopyHost implements ArenaHost {
  wait(): boolean {
    return true;
  }

  wake(): void {}

  isDead(): boolean {
    return false;
  }

  back(): boolean {
    return false;
  }

  unback(): boolean {
    return false;
  }
}
