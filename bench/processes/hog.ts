// A process that takes memory steadily and keeps it.

import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { answer } from '../support/helper.ts';

export interface HogTask {
  bytes: number;
  bytesASecond: number;
}

const STEP_BYTES = 2 * 2 ** 20;
/** Whom the kernel kills first, if it has to. */
const KILL_FIRST = '1000';

const held: Buffer[] = [];

answer(async ({ bytes, bytesASecond }: HogTask): Promise<void> => {
  writeFileSync('/proc/self/oom_score_adj', KILL_FIRST);
  const startMs = performance.now();
  for (let taken = 0; taken < bytes; taken += STEP_BYTES) {
    const dueMs = (taken / bytesASecond) * 1000 - (performance.now() - startMs);
    if (dueMs > 0) await sleep(dueMs);
    held.push(Buffer.alloc(STEP_BYTES, 1));
  }
});
