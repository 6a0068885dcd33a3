/**
 * One thread of the job: reads its sequence through one contender and checks every page.
 *
 * Messages out: { ready }, then a tally now and then, then { done } with the last one. In: anything, once: go.
 */

import { once } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import { matches, secondLook } from './checksums.ts';
import { handlesShare } from './handles.ts';
import type { StoreToken } from './job-store.ts';
import type { Plan, PlannedFile } from './plan.ts';
import { reasonOf } from './plan.ts';
import { LruReader, type Reader } from './reader.ts';
import { Sequence } from './sequence.ts';
import { emptyTally, type Tally } from './tally.ts';

/** What a worker is started with. */
export interface WorkerTask {
  readonly plan: Plan;
  readonly sums: Uint32Array<SharedArrayBuffer>;
  readonly seed: number;
  readonly skew: number;
  readonly thread: number;
  readonly threads: number;
  /** Stop after this many operations, … */
  readonly operationsMax: number;
  /** … or after this time, whatever comes first. */
  readonly durationMaxMs: number;
  readonly contender: { readonly kind: 'lru'; readonly bytesMax: number } | StoreToken;
}

/** A file that failed while the job ran. */
export interface FileFailure {
  readonly path: string;
  readonly reason: string;
}

export type WorkerMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'progress'; readonly tally: Tally }
  | { readonly kind: 'done'; readonly tally: Tally; readonly failures: readonly FileFailure[] };

/** Time between two reports; the display asks for no more. */
const REPORT_INTERVAL_MS = 100;

/** Failed files a thread reports by name; all failed requests are counted. */
const FAILURES_LISTED_MAX = 10;

/** Operations between two looks at the clock. */
const CLOCK_OPERATIONS = 16;

class Job {
  readonly #task: WorkerTask;
  readonly #reader: Reader;
  readonly #tally = emptyTally();
  readonly #failures = new Map<string, string>();

  constructor(task: WorkerTask, reader: Reader) {
    this.#task = task;
    this.#reader = reader;
  }

  async run(report: (tally: Tally) => void): Promise<void> {
    const { plan, seed, skew, thread, operationsMax, durationMaxMs } = this.#task;
    const sequence = new Sequence(plan, seed, thread, skew);
    const start = performance.now();
    let reportAt = start + REPORT_INTERVAL_MS;
    while (this.#tally.operations < operationsMax) {
      const { file, position, length } = sequence.next();
      await this.#request(plan.files[file], position, length);
      if (++this.#tally.operations % CLOCK_OPERATIONS !== 0) continue;
      const now = performance.now();
      if (now - start >= durationMaxMs) break;
      if (now < reportAt) continue;
      reportAt = now + REPORT_INTERVAL_MS;
      report(this.tally());
    }
  }

  tally(): Tally {
    return { ...this.#tally, ...this.#reader.levels() };
  }

  failures(): FileFailure[] {
    return Array.from(this.#failures, ([path, reason]) => ({ path, reason }));
  }

  async #request(file: PlannedFile, position: number, length: number): Promise<void> {
    try {
      const bytes = await this.#reader.read(file, position, length);
      this.#tally.bytes += bytes.length;
      if (bytes.length === length && matches(this.#task.sums, file, position, bytes)) {
        this.#tally.verifiedBytes += length;
        return;
      }
      if ((await secondLook(file.path, position, bytes, length)) === 'wrong') this.#tally.wrong++;
      else {
        this.#tally.changed++;
        this.#tally.verifiedBytes += bytes.length;
      }
    } catch (error) {
      if (!isSystemError(error)) throw error;
      this.#tally.failed++;
      if (this.#failures.size < FAILURES_LISTED_MAX) this.#failures.set(file.path, reasonOf(error));
    }
  }
}

/** What the operating system refused is news about a file; anything else is a mistake and ends the job. */
function isSystemError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error;
}

async function makeReader({ contender, threads }: WorkerTask): Promise<Reader> {
  if (contender.kind === 'lru') return new LruReader(contender.bytesMax, handlesShare(threads));
  // Only here, so that the threads of the LRU do not carry the store's code and memory.
  const { StoreReader } = await import('./store-reader.ts');
  return new StoreReader(contender, handlesShare(threads));
}

const port = parentPort;
if (port !== null) {
  const send = (message: WorkerMessage) => port.postMessage(message);
  const task = workerData as WorkerTask;
  const reader = await makeReader(task);
  const job = new Job(task, reader);
  send({ kind: 'ready' });
  await once(port, 'message');
  await job.run((tally) => send({ kind: 'progress', tally }));
  send({ kind: 'done', tally: job.tally(), failures: job.failures() });
  await reader.close();
}
