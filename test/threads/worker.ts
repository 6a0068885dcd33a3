// A thread of the tests: works through a plan until its log is full or it is told to stop. A lie that shows at once (a
// torn page, an error) is thrown, and reaches the test as the worker's error.

import { parentPort, workerData } from 'node:worker_threads';
import { attach, type StoreToken } from '../../src/index.ts';
import { OperationLog } from './operation-log.ts';
import { Workload, type WorkloadPlan } from './workload.ts';

export interface WorkerTask {
  readonly store: StoreToken;
  readonly plan: WorkloadPlan;
  readonly log: Int32Array;
  readonly clock: Int32Array;
  /** Word 0 not 0 = stop. Word 1 not 0 = pause between two operations, for ever; word 2 says that it does. */
  readonly stop: Int32Array;
  /** Goes on when the log is full, with operations that are not logged. */
  readonly lingers?: boolean;
  readonly thread: number;
  readonly firstSequence: number;
}

/** Steps between two looks at the cold pool. */
const COLD_LOOK_STEPS = 50;

const {
  store: token,
  plan,
  log: words,
  clock,
  stop,
  lingers,
  thread,
  firstSequence,
} = workerData as WorkerTask;
const store = attach(token);
const log = new OperationLog(words, clock);
const workload = new Workload(store, plan, log, thread, firstSequence);
parentPort!.postMessage('ready');
let cold = 0;
for (let steps = 1; (lingers || !log.isFull) && Atomics.load(stop, 0) === 0; steps++) {
  if (Atomics.load(stop, 1) !== 0) {
    Atomics.store(stop, 2, 1);
    Atomics.notify(stop, 2);
    Atomics.wait(stop, 1, 1);
  }
  workload.step();
  if (plan.demoteTo !== undefined && steps % COLD_LOOK_STEPS === 0) cold += workload.checkColdPages();
}
store.close();
parentPort!.postMessage({ cold });
