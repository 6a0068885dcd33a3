// Worker threads that run a job at the same time: they are all ready before any of them starts.

import { once } from 'node:events';
import { type MessagePort, Worker } from 'node:worker_threads';

/** Where the threads of a job wait for each other, and how many of them. */
interface Start {
  gate: SharedArrayBuffer;
  threads: number;
}

export interface Order<Job> {
  job: Job;
  start: Start;
}

export interface Span<Result> {
  startNs: bigint;
  endNs: bigint;
  result: Result;
}

/** Threads of one file that answers each order by `serve`. */
export class Crew<Job, Result> {
  readonly #workers: Worker[];

  private constructor(workers: Worker[]) {
    this.#workers = workers;
  }

  /** Starts a worker of `file` for each entry of `workerData` and waits until all said that they are ready. */
  static async start<Job, Result>(file: URL, workerData: readonly unknown[]): Promise<Crew<Job, Result>> {
    const workers = workerData.map((data) => new Worker(file, { workerData: data }));
    await Promise.all(workers.map((worker) => once(worker, 'message')));
    return new Crew(workers);
  }

  /** Gives one job to each of the first threads; their results, and the time from the first start to the last end. */
  async run(jobs: readonly Job[]): Promise<{ wallNs: number; results: Result[] }> {
    const start = { gate: new SharedArrayBuffer(4), threads: jobs.length };
    const spans = await Promise.all(
      jobs.map(async (job, i) => {
        const worker = this.#workers[i];
        const answer = once(worker, 'message');
        worker.postMessage({ job, start } satisfies Order<Job>);
        return (await answer)[0] as Span<Result>;
      }),
    );
    const starts = spans.map((span) => span.startNs).sort((a, b) => (a < b ? -1 : 1));
    const ends = spans.map((span) => span.endNs).sort((a, b) => (a < b ? 1 : -1));
    return { wallNs: Number(ends[0] - starts[0]), results: spans.map((span) => span.result) };
  }

  async end(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

/** In a worker: says that it is ready, and answers orders until the crew ends. */
export function serve<Job, Result>(port: MessagePort, work: (job: Job) => Result): void {
  port.on('message', ({ job, start }: Order<Job>) => {
    const arrived = new Int32Array(start.gate);
    Atomics.add(arrived, 0, 1);
    // Spins: the others are as near, and a wake-up would cost more than the wait.
    while (Atomics.load(arrived, 0) < start.threads);
    const startNs = process.hrtime.bigint();
    const result = work(job);
    const endNs = process.hrtime.bigint();
    port.postMessage({ startNs, endNs, result } satisfies Span<Result>);
  });
  port.postMessage('ready');
}
