/**
 * Watching threads end. A worker that ends, or is terminated in the middle of an operation, leaves its slot behind and
 * perhaps a lock; the thread that made it sees its exit and cleans up, so that nobody waits for the dead.
 *
 * Node tells a thread about each worker it makes (process event 'worker'), so this needs nothing from the user. The
 * handler only marks; recovery follows when the other exits that are due have been seen, too, in short tries, because it
 * has to wait for running operations and those may wait for another thread that is dead and not marked yet.
 */

import type { Worker } from 'node:worker_threads';
import type { Arenas } from '../tmem/index.ts';
import { publish } from './events.ts';

/** How long one try waits for running operations, which take microseconds. */
const RECOVERY_WAIT_MS = 20;
/** Pause before the next try. */
const RECOVERY_PAUSE_MS = 20;
/** Tries before it is left to whoever runs into what the dead thread held: some 40 seconds. */
const RECOVERY_TRIES_MAX = 1000;

/** Starts watching the workers this thread makes from now on; returns how to stop. Those that run stay watched. */
export function watchThreads(arenas: Arenas): () => void {
  const onWorker = (worker: Worker): void => {
    const thread = worker.threadId;
    worker.once('exit', () => threadEnded(arenas, thread));
  };
  process.on('worker', onWorker);
  return () => process.off('worker', onWorker);
}

/** A thread of this id is gone: gives its slots back, and recovers soon when it ended inside an operation. */
export function threadEnded(arenas: Arenas, thread: number): void {
  let busy = false;
  for (const arena of arenas.all) if (arena.wasm.slotsThreadEnded(thread) > 0) busy = true;
  if (!busy) return;
  publish('tmem:thread:dead', () => ({ thread, busy }));
  recoverSoon(arenas, thread, performance.now(), RECOVERY_TRIES_MAX);
}

function recoverSoon(arenas: Arenas, thread: number, startMs: number, tries: number): void {
  const retry = (): void => {
    if (arenas.closed || tries === 0) return;
    if (arenas.tryRecover(RECOVERY_WAIT_MS)) {
      publish('tmem:thread:recovered', () => ({ thread, durationMs: performance.now() - startMs }));
    } else {
      recoverSoon(arenas, thread, startMs, tries - 1);
    }
  };
  setTimeout(retry, tries === RECOVERY_TRIES_MAX ? 0 : RECOVERY_PAUSE_MS).unref();
}
