// Starts threads on a plan, waits for them within a bound, and never leaves one running.

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Store } from '../../src/index.ts';
import { OperationLog, type ThreadLog, tick } from './operation-log.ts';
import type { WorkerTask } from './worker.ts';
import type { WorkloadPlan } from './workload.ts';

const WORKER = new URL('./worker.ts', import.meta.url);
/** Threads that take longer are hanging. */
const TIMEOUT_MS = 50_000;

export interface ThreadsResult {
  readonly logs: readonly ThreadLog[];
  readonly clock: Int32Array;
  /** Pages found in the pool that takes what falls out of the checked one. */
  readonly cold: number;
}

export function newClock(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4));
}

export function startWorker(task: WorkerTask): Worker {
  return new Worker(WORKER, { workerData: task });
}

/** Runs `threads` threads until each has logged `records` operations. Throws what any of them threw. */
export async function runThreads(
  store: Store,
  plan: WorkloadPlan,
  threads: number,
  records: number,
): Promise<ThreadsResult> {
  const clock = newClock();
  const stop = new Int32Array(new SharedArrayBuffer(12));
  const words = Array.from({ length: threads }, () => OperationLog.memoryFor(records));
  const workers = words.map((log, thread) =>
    startWorker({ store: store.share(), plan, log, clock, stop, thread, firstSequence: 1 }),
  );
  let cold = 0;
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const failed = new AbortController();
    await Promise.all(
      workers.map(async (worker) => {
        worker.on('message', (message) => {
          cold += message.cold ?? 0;
        });
        try {
          await once(worker, 'exit', { signal: AbortSignal.any([signal, failed.signal]) });
        } catch (error) {
          failed.abort(error);
          throw signal.aborted ? new Error('the threads hang') : error;
        }
      }),
    );
  } finally {
    Atomics.store(stop, 0, 1);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  const logs = words.map((log, thread) => ({ words: log, thread, over: tick(clock) }));
  return { logs, clock, cold };
}
