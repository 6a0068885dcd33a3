/**
 * Watching threads end. A worker that ends, or is terminated in the middle of an operation, leaves its slot behind and
 * perhaps a lock; the thread that made it sees its exit and cleans up, so that nobody waits for the dead.
 *
 * In a named store others would find out by the slot's file lock, which ends with the worker; here it is only sooner.
 * Unless the worker was made with `trackUnmanagedFds: false`: then its descriptor outlives it, and so does the lock;
 * the slot is buried all the same, and nobody can have it until the process ends.
 *
 * Node tells a thread about each worker it makes (process event 'worker'), so this needs nothing from the user. The
 * handler waits for nothing: recovery has to wait for running operations, and those may wait for another thread that is
 * dead but not marked yet, because its exit comes next. So it is tried at once, and then again in short tries.
 */

import type { Worker } from 'node:worker_threads';
import type { StoreThread } from '../arena/index.ts';
import { type Arenas, TmemError } from '../tmem/index.ts';
import { publish } from './events.ts';

/** How long one try waits for running operations, which take microseconds. */
const RECOVERY_WAIT_MS = 20;
/** Longer than anybody holds a slot's lock only to see whether it is free, which takes microseconds. */
const LEFT_OPEN_MS = 100;
/** Pause before the next try. */
const RECOVERY_PAUSE_MS = 20;
/** Tries before it is left to whoever runs into what the dead thread held: some 40 seconds. */
const RECOVERY_TRIES_MAX = 1000;

/** The stores of this thread that want to know; one listener serves all of them. */
const watching = new Set<Arenas>();

/** Starts watching the workers this thread makes from now on; returns how to stop. Those that run stay watched. */
export function watchThreads(arenas: Arenas): () => void {
  if (watching.size === 0) process.on('worker', onWorker);
  watching.add(arenas);
  return () => {
    watching.delete(arenas);
    if (watching.size === 0) process.off('worker', onWorker);
  };
}

function onWorker(worker: Worker): void {
  const thread = worker.threadId;
  const stores = [...watching];
  worker.once('exit', () => {
    for (const arenas of stores) threadEnded(arenas, thread);
  });
}

/** A thread of this id is gone: gives its slots back, and recovers soon when it ended inside an operation. */
export function threadEnded(arenas: Arenas, thread: number): void {
  // The descriptor with which to look at the locks is gone, its number perhaps another file's: others will find out.
  if (arenas.thread !== undefined && arenas.closed) return;
  const busy =
    arenas.thread === undefined ? buried(arenas, thread) : buriedInFile(arenas, arenas.thread, thread);
  if (!busy) return;
  publish('tmem:thread:dead', () => ({ thread, busy }));
  const startMs = performance.now();
  if (!arenas.closed && !recovered(arenas, thread, startMs, 0)) {
    recoverSoon(arenas, thread, startMs, RECOVERY_TRIES_MAX);
  }
}

/** Buries a thread's slots; whether what it left has to be recovered. */
function buried(arenas: Arenas, thread: number): boolean {
  let busy = false;
  for (const arena of arenas.all) if (arena.wasm.slotsThreadEnded(thread) > 0) busy = true;
  return busy;
}

function buriedInFile(arenas: Arenas, own: StoreThread, thread: number): boolean {
  const left = own.slotsOf(thread).filter((slot) => slot !== own.slot && !own.isDead(slot));
  if (left.length > 0) {
    setTimeout(() => {
      // By now whoever only looked at a lock has let go of it: what is locked still was left open.
      if (arenas.closed) return;
      for (const slot of own.slotsOf(thread)) if (slot !== own.slot && !own.isDead(slot)) own.bury(slot);
      if (own.needsRecovery()) recoverSoon(arenas, thread, performance.now(), RECOVERY_TRIES_MAX);
    }, LEFT_OPEN_MS).unref();
  }
  return own.needsRecovery();
}

/** Whether no further try is needed. */
function recovered(arenas: Arenas, thread: number, startMs: number, waitMs: number): boolean {
  try {
    if (!arenas.tryRecover(waitMs)) return false;
  } catch (error) {
    // Nobody could catch it here; damage shows itself to those who run into it.
    if (TmemError.is(error)) return true;
    throw error;
  }
  publish('tmem:thread:recovered', () => ({ thread, durationMs: performance.now() - startMs }));
  return true;
}

function recoverSoon(arenas: Arenas, thread: number, startMs: number, tries: number): void {
  const retry = (): void => {
    if (arenas.closed || tries === 0) return;
    if (!recovered(arenas, thread, startMs, RECOVERY_WAIT_MS))
      recoverSoon(arenas, thread, startMs, tries - 1);
  };
  setTimeout(retry, RECOVERY_PAUSE_MS).unref();
}
