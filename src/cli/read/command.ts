/**
 * `tmem read`: real files through the store, and the same through a plain LRU, so that one sees what it is worth.
 *
 *   plan -> first pass (sums of all pages) -> run through the store -> the same requests through the LRU -> summary
 */

import { JobStore } from './job-store.ts';
import { memoryFor, type ReadOptions } from './options.ts';
import { prepare } from './prepare.ts';
import { type Progress, runParts } from './progress.ts';
import { run } from './run.ts';
import type { ReadResult } from './summary.ts';
import type { WorkerTask } from './worker.ts';

type SharedTask = Omit<WorkerTask, 'contender' | 'thread' | 'operationsMax' | 'durationMaxMs'>;

/** What both contenders are given. */
interface Job {
  readonly task: SharedTask;
  readonly options: ReadOptions;
  readonly memoryBytes: number;
  readonly hotBytes: number;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/**
 * Does the whole job.
 *
 * @throws PlanError if there is nothing to read; TmemError if the store refuses its settings
 */
export async function read(
  paths: readonly string[],
  options: ReadOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<ReadResult> {
  const { plan, sums } = await prepare(paths, progress, signal);
  const { seed, skew, threads, codec } = options;
  const memoryBytes = options.memory ?? memoryFor(plan.bytes);
  const hotBytes = Math.floor(memoryBytes * options.hot);
  const job: Job = {
    task: { plan, sums, seed, skew, threads },
    options,
    memoryBytes,
    hotBytes,
    progress,
    signal,
  };
  const { result: tmem, operations } = await runStore(job);
  const lru = await runLru(job, operations);
  progress.clear();
  return {
    ...{ files: plan.files.length, dataBytes: plan.bytes, skipped: plan.skipped },
    ...{ memoryBytes, hotBytes, threads, seed, skew, codec, tmem, lru },
  };
}

async function runStore({ task, options, memoryBytes, hotBytes, progress, signal }: Job) {
  using store = new JobStore({ memoryBytes, hotBytes, threads: task.threads, codec: options.codec });
  const durationMaxMs = options.operations === undefined ? options.seconds * 1000 : Number.POSITIVE_INFINITY;
  const operationsMax = options.operations ?? Number.POSITIVE_INFINITY;
  const contender = store.token();
  const tasks = threadsOf(task).map((thread) => ({
    ...task,
    thread,
    operationsMax,
    durationMaxMs,
    contender,
  }));
  const { operations, ...result } = await run(
    tasks,
    (tally, elapsedMs) => {
      const share =
        options.operations === undefined
          ? elapsedMs / durationMaxMs
          : tally.operations / (operationsMax * task.threads);
      progress.update({ title: 'tmem', share, parts: runParts(tally, elapsedMs, store.usedBytes()) });
    },
    signal,
  );
  return {
    operations,
    result: { ...result, usedBytes: store.usedBytes(), compressionRatio: store.compressionRatio() },
  };
}

/** The same requests, thread by thread, through an LRU of the same bytes. */
async function runLru({ task, memoryBytes, progress, signal }: Job, operations: readonly number[]) {
  const contender = { kind: 'lru' as const, bytesMax: Math.floor(memoryBytes / task.threads) };
  const durationMaxMs = Number.POSITIVE_INFINITY;
  const tasks = operations.map((operationsMax, thread) => ({
    ...task,
    thread,
    operationsMax,
    durationMaxMs,
    contender,
  }));
  const goal = operations.reduce((sum, each) => sum + each, 0);
  return await run(
    tasks,
    (tally, elapsedMs) => {
      progress.update({
        title: 'LRU',
        share: tally.operations / goal,
        parts: runParts(tally, elapsedMs, undefined),
      });
    },
    signal,
  );
}

function threadsOf({ threads }: SharedTask): number[] {
  return Array.from({ length: threads }, (_, thread) => thread);
}
