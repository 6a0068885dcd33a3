/**
 * Watching threads end. A worker that ends, or is terminated in the middle of an operation, leaves its slot behind and
 * perhaps a lock; the thread that made it sees its exit and cleans up, so that nobody waits for the dead.
 *
 * Node tells a thread about each worker it makes (process event 'worker'), so this needs nothing from the user.
 */

import type { Worker } from 'node:worker_threads';
import type { Arenas } from '../tmem/index.ts';
import { publish } from './events.ts';

/** Starts watching the workers this thread makes from now on; returns how to stop. */
export function watchThreads(arenas: Arenas): () => void {
  const onWorker = (worker: Worker): void => {
    const thread = worker.threadId;
    worker.once('exit', () => threadEnded(arenas, thread));
  };
  process.on('worker', onWorker);
  return () => process.off('worker', onWorker);
}

/** A thread of this id is gone: gives its slots back, and recovers when it ended inside an operation. */
export function threadEnded(arenas: Arenas, thread: number): void {
  if (arenas.closed) return;
  for (const arena of arenas.all) {
    const dead = arena.wasm.slotsThreadEnded(thread);
    if (dead === 0) continue;
    publish('tmem:thread:dead', () => ({ thread, busy: true }));
    const start = performance.now();
    arena.needsRecovery = true;
    arenas.recover();
    publish('tmem:thread:recovered', () => ({ thread, durationMs: performance.now() - start }));
  }
}
