// A process of a torture run: opens the store (or makes it), plays in its main thread and perhaps in a worker, which it
// terminates at random moments, until it is killed, kills itself where its aim is, or is told to stop.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { open, type Store } from '../../src/index.ts';
import { numbers } from '../threads/workload.ts';
import { AIMS } from './aims.ts';
import { type ChildTask, Game, prepare, type WorkerTask } from './game.ts';
import { SCENES } from './scenes.ts';
import { SharedArea } from './shared-area.ts';

/** Turns of the event loop: the store's caretaker works between them. */
const TURN_MS = 4;
/** Of those who leave by themselves. */
const TURNS_BEFORE_LEAVING = 5;
/** A life of a worker, from when it works. */
const WORKER_LIFE_MS = { least: 1, most: 150 };
const WORKER_LOOK_MS = 4;

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function keepWorkers(
  area: SharedArea,
  store: Store,
  task: ChildTask,
  lane: number,
  instrumented: WebAssembly.Module | undefined,
): Promise<void> {
  const next = numbers(task.seed + 1);
  while (!area.isStopped) {
    const workerData: WorkerTask = {
      ...{ task, area: area.memory, store: store.share(), instrumented, seed: next(2 ** 30) },
    };
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData });
    const exited = once(worker, 'exit');
    const lifeMs = WORKER_LIFE_MS.least + next(WORKER_LIFE_MS.most - WORKER_LIFE_MS.least);
    let isGone = false;
    exited.then(
      () => {
        isGone = true;
      },
      () => {},
    );
    // Only once it works: one that is terminated while it loads koffi takes its process with it (SIGABRT).
    let untilMs = Number.POSITIVE_INFINITY;
    while (!isGone && performance.now() < untilMs && !area.isStopped) {
      await new Promise((resolve) => setTimeout(resolve, WORKER_LOOK_MS));
      if (untilMs === Number.POSITIVE_INFINITY && area.beats(lane) > 0) untilMs = performance.now() + lifeMs;
    }
    if (!area.isStopped && !isGone) {
      area.noteWorkerKill();
      await worker.terminate();
    }
    await exited;
    area.endLife(lane);
  }
}

async function main(task: ChildTask): Promise<void> {
  const area = SharedArea.map(task.area, false);
  const instrumented =
    task.aim === undefined ? undefined : new WebAssembly.Module(readFileSync(task.instrumented));
  prepare(area, task, instrumented, task.seed);
  const { directory, name } = task;
  const store = open({ ...SCENES[task.scene]!.store, directory, name });
  const game = new Game(area, store, task, task.lane, task.seed);
  const workers =
    task.workerLane === undefined ? undefined : keepWorkers(area, store, task, task.workerLane, instrumented);
  const leaves = task.aim !== undefined && AIMS[task.aim]!.leaves === true;
  for (let turns = 0; game.turn(TURN_MS) && !(leaves && turns === TURNS_BEFORE_LEAVING); turns++)
    await nextTurn();
  if (!leaves) await workers;
  store.close();
  if (leaves) process.exit(0);
}

await main(JSON.parse(process.argv[2]!) as ChildTask);
