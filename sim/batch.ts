/**
 * Many seeds, one after the other on each of a few threads. Ends at the first seed that fails, or whose thread does,
 * when what runs beside it is through.
 */

import { Worker } from 'node:worker_threads';
import type { ScenarioResult } from './scenario.ts';

export interface BatchOptions {
  readonly first: number;
  readonly last: number;
  readonly nodes: number;
  readonly steps: number;
  readonly threads: number;
  /** Told of every seed that is through. */
  readonly done: (result: ScenarioResult) => void;
}

/** What a thread is asked. */
export interface BatchTask {
  readonly seed: number;
  readonly nodes: number;
  readonly steps: number;
}

/** A seed that could not be run to its end. */
export interface BatchFailure {
  readonly seed: number;
  readonly error: string;
}

/** Undefined: all seeds are good. */
export async function runBatch(
  options: BatchOptions,
  isGood: (result: ScenarioResult) => boolean,
): Promise<ScenarioResult | BatchFailure | undefined> {
  const { first, last, nodes, steps } = options;
  let next = first;
  let failed: ScenarioResult | BatchFailure | undefined;
  const one = async (): Promise<void> => {
    const worker = new Worker(new URL('./batch-worker.ts', import.meta.url));
    try {
      while (next <= last && failed === undefined) {
        const seed = next++;
        const result = await ask(worker, { seed, nodes, steps });
        if ('error' in result) failed ??= result;
        else {
          options.done(result);
          if (!isGood(result)) failed ??= result;
        }
      }
    } finally {
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: options.threads }, one));
  return failed;
}

function ask(worker: Worker, task: BatchTask): Promise<ScenarioResult | BatchFailure> {
  return new Promise((resolve) => {
    const fail = (error: unknown): void => {
      const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
      resolve({ seed: task.seed, error: words });
    };
    worker.removeAllListeners();
    worker.once('message', resolve);
    worker.once('error', fail);
    worker.once('exit', (code) => fail(`the thread ended with ${code}`));
    worker.postMessage(task);
  });
}
