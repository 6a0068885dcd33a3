/** A thread of a batch: runs the seed it is told, and gives back the result. */

import { parentPort } from 'node:worker_threads';
import type { BatchTask } from './batch.ts';
import { BOUNDS, REST_MS, ramsterNode } from './ramster.ts';
import { runScenario } from './scenario.ts';

parentPort?.on('message', async (task: BatchTask) => {
  const options = { ...task, factory: ramsterNode, bounds: BOUNDS, restMs: REST_MS };
  parentPort?.postMessage(await runScenario(options));
});
