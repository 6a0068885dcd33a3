/** A thread of a batch: runs the seed it is told, and gives back the result. */

import { parentPort } from 'node:worker_threads';
import type { BatchTask } from './batch.ts';
import { clusterOf } from './ramster.ts';
import { runScenario } from './scenario.ts';

parentPort?.on('message', async (task: BatchTask) => {
  parentPort?.postMessage(await runScenario({ ...task, ...clusterOf(task.seed) }));
});
