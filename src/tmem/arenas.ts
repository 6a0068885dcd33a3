/**
 * The arenas of a store in one thread, and which of them a page lives in.
 *
 * A store has one arena up to 4 GiB and several above. A page's arena follows from a hash of its oid and of the range
 * of 256 indexes it lies in, so one object may outgrow one arena. Pools and clients exist in every arena, under the
 * same name; ids may differ from arena to arena.
 */

import { type Arena, ArenaAbort, BUSY_RECOVERY_WAIT_MS, type StoreThread } from '../arena/index.ts';
import { TmemError } from '../errors.ts';
import type { Oid } from './oid.ts';

/** Pages that lie in one arena together, 1 MiB: neighbours stay together, large objects spread. */
export const PLACE_PAGES = 256;

/** Between two tries to recover while a thread is stopped in an operation: each closes the gate for all others. */
const RECOVERY_PAUSE_MS = 100;

export class Arenas {
  readonly all: readonly Arena[];
  /** This thread's part in a named store; undefined in a store without a name. */
  readonly thread: StoreThread | undefined;
  #closed = false;
  /** Some arena waits for a recovery that did not succeed. */
  #broken = false;
  /** When to try that recovery again. */
  #retryMs = 0;

  constructor(all: readonly Arena[], thread?: StoreThread) {
    this.all = all;
    this.thread = thread;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Number of the arena that a page lives in. */
  place(oid: Oid, index: number): number {
    if (this.all.length === 1) return 0;
    let hash = Math.imul(oid.w0 ^ Math.imul(oid.w1, 0x85ebca6b), 0xc2b2ae35);
    hash = Math.imul(hash ^ (hash >>> 15) ^ oid.w2 ^ Math.imul(oid.w3, 0x27d4eb2f), 0x165667b1);
    hash = Math.imul(hash ^ (hash >>> 13) ^ oid.w4 ^ Math.imul(oid.w5, 0x9e3779b1), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 16) ^ Math.floor(index / PLACE_PAGES), 0xc2b2ae35);
    return ((hash ^ (hash >>> 15)) >>> 0) % this.all.length;
  }

  /** Arenas are usable: open, and nothing left to recover in this thread. */
  check(): void {
    if (this.#closed)
      throw new TmemError('TMEM_ERR_CLOSED', 'the store was closed in this thread; open or attach again');
    if (this.#broken) this.#mend();
  }

  /**
   * A call into an arena threw: recovers. Returns the operation's result if it had taken effect before it was cut
   * short, undefined if it is to be repeated.
   *
   * @throws TmemError TMEM_ERR_BUSY, TMEM_ERR_DAMAGED
   */
  recoverFrom(arena: Arena, error: unknown): number | undefined {
    try {
      return arena.recoverFrom(error);
    } catch (cause) {
      this.#broken ||= arena.needsRecovery;
      throw asTmemError(cause);
    }
  }

  /** Something of this thread's is still to be recovered: tries, for a moment and not too often. */
  #mend(): void {
    if (performance.now() < this.#retryMs) {
      throw new TmemError(
        'TMEM_ERR_BUSY',
        'a thread is stopped in the middle of an operation; find it, or try again later',
      );
    }
    this.#retryMs = performance.now() + RECOVERY_PAUSE_MS;
    this.recover(BUSY_RECOVERY_WAIT_MS);
  }

  /** Cleans up what this thread left in the middle of operations, waiting for others as long as for a lock. */
  recover(waitMs = this.all[0].word(this.all[0].layout.H_LOCK_TIMEOUT_MS)): void {
    try {
      for (const arena of this.all) {
        if (arena.needsRecovery) arena.recover(waitMs);
      }
      this.#broken = false;
    } catch (cause) {
      throw asTmemError(cause);
    }
  }

  /**
   * Cleans up after threads that ended, waiting for running operations for at most `waitMs`. False when they did not
   * end in time: to be tried again.
   */
  tryRecover(waitMs: number): boolean {
    try {
      for (const arena of this.all) if (arena.wasm.recoveryIsNeeded() !== 0) arena.recover(waitMs);
      return true;
    } catch (cause) {
      if (cause instanceof ArenaAbort && cause.reason === 'busy') return false;
      throw asTmemError(cause);
    }
  }

  /** Calls the arena; when the operation was cut short by a dead thread's lock, recovers and repeats it. */
  run(arena: Arena, call: () => number): number {
    for (;;) {
      try {
        return call();
      } catch (error) {
        const result = this.recoverFrom(arena, error);
        if (result !== undefined) return result;
      }
    }
  }

  /** Gives this thread's slots back. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const arena of this.all) arena.wasm.slotRelease();
    // Its file lock goes last: a free slot is free for whoever gets the lock.
    this.thread?.file.close();
  }
}

function asTmemError(error: unknown): unknown {
  if (!(error instanceof ArenaAbort)) return error;
  if (error.reason === 'busy') {
    return new TmemError(
      'TMEM_ERR_BUSY',
      `${error.message}; raise lockTimeoutMs or find the thread that is stopped`,
      { cause: error },
    );
  }
  return new TmemError('TMEM_ERR_DAMAGED', `${error.message}; stop using this store and open a new one`, {
    cause: error,
  });
}
