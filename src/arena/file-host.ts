/**
 * The host of an arena in a file: threads of several processes sleep on a futex, a slot's owner lives as long as its
 * file lock, and frames get their memory before anybody touches them, because the kernel kills a process that touches
 * a hole of a full file system.
 */

import { statSync } from 'node:fs';
import { threadId } from 'node:worker_threads';
import { type ArenaHost, FRAME_BYTES } from './host.ts';
import type { ArenaInstance } from './instance.ts';
import { libc } from './libc.ts';
import type { ArenaMemory } from './module.ts';
import type { StoreFile } from './store-file.ts';

/** The state in a slot's first word; 0 = free. */
export const SLOT_STATE_MASK = 0xff;

/** This thread's part in a named store: its file, its slot, and the code of every arena. */
export class StoreThread {
  readonly file: StoreFile;
  /** The arenas, in order; filled in as they are instantiated. */
  readonly instances: ArenaInstance[] = [];
  /** Number of this thread's slot, in every arena. */
  slot = -1;

  constructor(file: StoreFile) {
    this.file = file;
  }

  /**
   * Whether the owner of a slot has ended; buries it in every arena. Its lock is held meanwhile, so that nobody takes
   * the slot at the same time. Not for the own slot: a descriptor does not meet its own locks.
   */
  isDead(slot: number): boolean {
    if (!this.file.lock(slot)) return false;
    try {
      this.bury(slot);
    } finally {
      this.file.unlock(slot);
    }
    return true;
  }

  /** Says that the thread of a slot has ended. Its lock must be held, or known to be nobody's. */
  bury(slot: number): void {
    for (const { wasm } of this.instances) wasm.slotBury(slot);
  }

  /** Slots of a thread of this process. */
  slotsOf(thread: number): number[] {
    const [first] = this.instances;
    return first === undefined ? [] : slotsInUse(first).filter((slot) => isSlotOf(first, slot, thread));
  }

  /** Slots that are not free in every arena. */
  slotsInUse(): number[] {
    return [...new Set(this.instances.flatMap(slotsInUse))];
  }

  /** Whether any arena waits for a recovery. */
  needsRecovery(): boolean {
    return this.instances.some(({ wasm }) => wasm.recoveryIsNeeded() !== 0);
  }

  /** Buries every slot in use whose owner has ended; how many there were. */
  buryTheDead(): number {
    let dead = 0;
    for (const slot of this.slotsInUse()) if (slot !== this.slot && this.isDead(slot)) dead++;
    return dead;
  }
}

export class FileHost implements ArenaHost {
  readonly #libc = libc();
  readonly #thread: StoreThread;
  readonly #base: bigint;
  /** Where the arena begins in the file. */
  readonly #offset: number;

  constructor(thread: StoreThread, memory: ArenaMemory, offset: number) {
    this.#thread = thread;
    this.#base = this.#libc.addressOf(memory.buffer);
    this.#offset = offset;
  }

  wait(address: number, expected: number, timeoutMs: number): boolean {
    return this.#libc.wait(this.#base + BigInt(address), expected, timeoutMs);
  }

  wake(address: number, threads: number): void {
    this.#libc.wake(this.#base + BigInt(address), threads);
  }

  isDead(slot: number): boolean {
    return this.#thread.isDead(slot);
  }

  back(first: number, frames: number): boolean {
    const from = first * FRAME_BYTES;
    const bytes = frames * FRAME_BYTES;
    if (!this.#thread.file.reserve(this.#offset + from, bytes)) return false;
    this.#libc.populate(this.#base + BigInt(from), bytes);
    return true;
  }

  unback(first: number, frames: number): boolean {
    return this.#libc.removePages(this.#base + BigInt(first * FRAME_BYTES), frames * FRAME_BYTES) === 0;
  }
}

/** What a slot notes of its thread: thread id, process id, and the namespace in which that id counts. */
export function threadIdentity(): [threadId: number, process: number, namespace: number] {
  return [threadId, process.pid, statSync('/proc/self/ns/pid').ino >>> 0];
}

/** Numbers of the slots that are not free. */
function slotsInUse(instance: ArenaInstance): number[] {
  const { H_THREADS, S_STATE } = instance.layout;
  const word = wordsOf(instance);
  const numbers = Array.from({ length: word(H_THREADS) }, (_, slot) => slot);
  return numbers.filter((slot) => (word(slotAddress(instance, slot) + S_STATE) & SLOT_STATE_MASK) !== 0);
}

/** Whether a slot belongs to the thread of this process with that id. */
function isSlotOf(instance: ArenaInstance, slot: number, thread: number): boolean {
  const { S_THREAD_ID, S_PROCESS, S_NAMESPACE } = instance.layout;
  const word = wordsOf(instance);
  const at = slotAddress(instance, slot);
  const [, process, namespace] = threadIdentity();
  return (
    word(at + S_THREAD_ID) === thread &&
    word(at + S_PROCESS) === process &&
    word(at + S_NAMESPACE) === namespace
  );
}

function slotAddress(instance: ArenaInstance, slot: number): number {
  const { H_SLOTS, H_SLOT_BYTES } = instance.layout;
  const word = wordsOf(instance);
  return word(H_SLOTS) + slot * word(H_SLOT_BYTES);
}

/** Reads words of an arena by their addresses. */
function wordsOf({ memory }: ArenaInstance): (address: number) => number {
  const words = new Uint32Array(memory.buffer);
  return (address) => Atomics.load(words, address >>> 2);
}
