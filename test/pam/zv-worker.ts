// A thread of zv.test.ts: puts and drops pages in heaps that other threads use too, and checks each before it drops it.

import { parentPort, workerData } from 'node:worker_threads';
import { ZvArena } from './zv-arena.ts';
import { drawStored, fillPage, isIntact, numbersFrom, type Page } from './zv-page.ts';

export interface ZvWorkerData {
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  frames: number;
  thread: number;
  steps: number;
}

export interface ZvWorkerResult {
  pages: Page[];
  damaged: Page[];
  refused: number;
}

/** Pages a thread keeps: two threads come close to filling the arena of the test. */
const PAGES_KEPT = 400;

const { module, memory, frames, thread, steps } = workerData as ZvWorkerData;
const arena = new ZvArena(module, frames, memory, thread);
const next = numbersFrom(thread);
const result: ZvWorkerResult = { pages: [], damaged: [], refused: 0 };
const { pages } = result;
for (let step = 1; step <= steps; step++) {
  if (next(2 * PAGES_KEPT) < pages.length) {
    const nth = next(pages.length);
    const page = pages[nth]!;
    pages[nth] = pages.at(-1)!;
    pages.pop();
    if (!isIntact(arena, page)) result.damaged.push(page);
    arena.free(page.heap, page.block);
    continue;
  }
  const heap = next(2);
  const stored = drawStored(next);
  const page = { heap, stored, block: arena.alloc(heap, stored), seed: thread * steps + step };
  if (page.block === 0) {
    result.refused++;
    continue;
  }
  fillPage(arena, page);
  pages.push(page);
}
parentPort!.postMessage(result);
