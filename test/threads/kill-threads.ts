// Threads that are terminated at random moments and replaced, while the others go on.

import type { Worker } from 'node:worker_threads';
import type { Store } from '../../src/index.ts';
import { OperationLog, type ThreadLog, tick } from './operation-log.ts';
import { newClock, startWorker } from './run-threads.ts';
import { numbers, Workload, type WorkloadPlan } from './workload.ts';

/** A start or an exit that takes longer is a hang. */
const TIMEOUT_MS = 20_000;
/** Operations that a thread logs at most: some tenths of a second. Then it goes on without a log. */
const RECORDS = 4000;
/** The thread of the test itself, in the histories. */
const PARENT = 7;

interface Running {
  readonly worker: Worker;
  readonly exited: Promise<unknown>;
  /** It has attached and works. */
  isReady: boolean;
  readonly words: Int32Array;
  /** Word 0: stop. Word 1: pause between two operations. Word 2: is pausing. */
  readonly stop: Int32Array;
}

export class KilledThreads {
  readonly clock = newClock();
  readonly logs: ThreadLog[] = [];
  /** What threads threw. */
  readonly errors: unknown[] = [];
  kills = 0;
  readonly #store: Store;
  readonly #plan: WorkloadPlan;
  readonly #next: (below: number) => number;
  readonly #running: (Running | undefined)[];
  readonly #parent: OperationLog;
  readonly #reader: Workload;
  readonly #starts: number[];

  constructor(store: Store, plan: WorkloadPlan, threads: number) {
    this.#store = store;
    this.#plan = plan;
    this.#next = numbers(plan.seed);
    this.#running = Array(threads).fill(undefined);
    this.#starts = Array(threads).fill(0);
    const words = OperationLog.memoryFor(10_000);
    this.#parent = new OperationLog(words, this.clock);
    this.logs.push({ words, thread: PARENT, over: 0 });
    this.#reader = new Workload(store, plan, this.#parent, PARENT, 1);
  }

  async #start(thread: number): Promise<void> {
    const words = OperationLog.memoryFor(RECORDS);
    const stop = new Int32Array(new SharedArrayBuffer(12));
    const firstSequence = 1 + this.#starts[thread]!++ * RECORDS;
    const { clock } = this;
    const worker = startWorker({
      ...{
        store: this.#store.share(),
        plan: this.#plan,
        log: words,
        clock,
        stop,
        thread,
        firstSequence,
        lingers: true,
      },
    });
    worker.on('error', (error) => this.errors.push(error));
    const exited = new Promise((resolve) => worker.once('exit', resolve));
    const running: Running = { worker, exited, isReady: false, words, stop };
    this.#running[thread] = running;
    worker.once('message', () => {
      running.isReady = true;
    });
    await Promise.race([new Promise((resolve) => worker.once('message', resolve)), exited]);
  }

  /** All threads run. */
  async start(): Promise<void> {
    await Promise.all(this.#running.map((running, thread) => (running ? undefined : this.#start(thread))));
  }

  /** Terminates some threads at the same time, at a moment nobody knows, and starts others in their place. */
  async killSome(threads: number): Promise<void> {
    const chosen = new Set<number>();
    while (chosen.size < threads) chosen.add(this.#next(this.#running.length));
    const idle = this.#next(4) === 0;
    if (idle) await Promise.all([...chosen].map((thread) => this.#pause(thread)));
    else await new Promise((resolve) => setTimeout(resolve, this.#next(12)));
    await Promise.all(
      [...chosen].map(async (thread) => {
        const { worker, isReady } = this.#running[thread]!;
        await worker.terminate();
        if (isReady) this.kills++;
        this.#ended(thread);
      }),
    );
    // The others go on being killed while new ones start; some die in the middle of that.
    void this.start();
    const readyOnes = () => this.#running.filter((running) => running?.isReady).length;
    while (this.errors.length === 0 && readyOnes() < 2)
      await new Promise((resolve) => setTimeout(resolve, 2));
  }

  async #pause(thread: number): Promise<void> {
    const { stop, exited } = this.#running[thread]!;
    Atomics.store(stop, 1, 1);
    await Promise.race([Atomics.waitAsync(stop, 2, 0, TIMEOUT_MS).value, exited]);
  }

  /** The exit of the thread was seen, so what it left was cleaned up. */
  #ended(thread: number): void {
    this.logs.push({ words: this.#running[thread]!.words, thread, over: tick(this.clock) });
    this.#running[thread] = undefined;
  }

  /** Lets all threads come to an end by themselves. */
  async stop(): Promise<void> {
    await Promise.all(
      this.#running.map(async (running, thread) => {
        if (running === undefined) return;
        Atomics.store(running.stop, 0, 1);
        await running.exited;
        this.#ended(thread);
      }),
    );
  }

  /** Reads every handle into the history. */
  readAll(): void {
    this.#reader.readAll();
  }

  async terminate(): Promise<void> {
    await Promise.all(this.#running.map((running) => running?.worker.terminate()));
  }
}
