// A worker thread in a process of a torture run.

import { workerData } from 'node:worker_threads';
import { attach } from '../../src/index.ts';
import { Game, prepare, type WorkerTask } from './game.ts';
import { SharedArea } from './shared-area.ts';

const TURN_MS = 50;

const { task, area: memory, store: token, instrumented, seed } = workerData as WorkerTask;
const area = new SharedArea(memory);
prepare(area, task, instrumented, seed);
const store = attach(token);
const game = new Game(area, store, task, task.workerLane!, seed);
while (game.turn(TURN_MS)) {}
store.close();
