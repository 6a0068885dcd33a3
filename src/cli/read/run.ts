/**
 * Runs one contender: starts the threads, lets all begin together, adds up what they report.
 */

import { Worker } from 'node:worker_threads';
import { emptyTally, sumTallies, type Tally } from './tally.ts';
import type { FileFailure, WorkerMessage, WorkerTask } from './worker.ts';

export interface RunResult {
  readonly tally: Tally;
  /** Operations of each thread, so that another contender can be given the same. */
  readonly operations: readonly number[];
  readonly elapsedMs: number;
  readonly failures: readonly FileFailure[];
}

/** The worker's file, beside this one, as source or as built. */
const WORKER_URL = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);

/**
 * @param tasks - one for each thread
 * @param onProgress - called with the sum over all threads whenever one reports
 * @throws what a worker threw, or the reason of `signal`; all workers have ended then
 */
export async function run(
  tasks: readonly WorkerTask[],
  onProgress: (tally: Tally, elapsedMs: number) => void,
  signal: AbortSignal,
): Promise<RunResult> {
  signal.throwIfAborted();
  const tallies = tasks.map(() => emptyTally());
  const failures: FileFailure[] = [];
  const workers = tasks.map((task) => new Worker(WORKER_URL, { workerData: task }));
  const { promise: stopped, reject: stop } = Promise.withResolvers<never>();
  const abort = () => stop(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  let startedAt = 0;
  let finishedAt = 0;
  let ready = 0;

  const threads = workers.map((worker, i) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let done = false;
    worker.on('error', reject);
    worker.on('exit', (code) => {
      if (done) resolve();
      else reject(new Error(`thread ${i} ended early with exit code ${code}`));
    });
    worker.on('message', (message: WorkerMessage) => {
      if (message.kind === 'ready') {
        if (++ready < workers.length) return;
        startedAt = performance.now();
        for (const each of workers) each.postMessage('go');
        return;
      }
      tallies[i] = message.tally;
      onProgress(sumTallies(tallies), performance.now() - startedAt);
      if (message.kind === 'done') {
        done = true;
        failures.push(...message.failures);
        finishedAt = performance.now();
      }
    });
    return promise;
  });

  try {
    await Promise.race([Promise.all(threads), stopped]);
  } finally {
    signal.removeEventListener('abort', abort);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  return {
    tally: sumTallies(tallies),
    operations: tallies.map(({ operations }) => operations),
    elapsedMs: finishedAt - startedAt,
    failures: distinct(failures),
  };
}

/** Several threads meet the same broken file. */
function distinct(failures: readonly FileFailure[]): FileFailure[] {
  return [...new Map(failures.map((failure) => [failure.path, failure])).values()];
}
