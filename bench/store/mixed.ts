// A worker thread that puts and gets whole pages, half and half, at random handles; source pages come from content
// of its own (mix.ts). Jobs: do as many operations; do the same and note how long each takes; do as much work without a
// store.

import { parentPort, workerData } from 'node:worker_threads';
import { attach, type StoreToken } from '../../src/index.ts';
import { threadClockNs } from '../support/measure.ts';
import { PAGE_BYTES } from '../support/pages.ts';
import { serve } from './crew.ts';
import { type Counted, type Mix, makeMix } from './mix.ts';

export interface MixedThread extends Mix {
  token: StoreToken;
}

export interface MixedJob {
  what: 'count' | 'time' | 'time-nothing';
  operations: number;
}

/** Of the operations of one kind; wall time and CPU time of the thread. */
export interface Timed {
  p999Us: number;
  longestUs: number;
  cpuP999Us: number;
  cpuLongestUs: number;
}

export interface MixedResult extends Counted {
  /** CPU time of the thread for the job. */
  cpuNs: number;
  put?: Timed;
  get?: Timed;
}

type Work = Omit<MixedResult, 'cpuNs'>;

/** What an operation without a store copies and sums, so that it takes a few microseconds. */
const NOTHING_BYTES = 32 * PAGE_BYTES;

const thread = workerData as MixedThread;
const { put, get, below, source, countOnly } = makeMix(attach(thread.token), thread);
const scratch = Buffer.alloc(NOTHING_BYTES);

function nothing(): number {
  source.copy(scratch, 0, 0, NOTHING_BYTES);
  return scratch[below(PAGE_BYTES)] >= 0 ? 1 : 0;
}

function timeEach(operations: number, first: () => number, second: () => number): Work {
  const firsts = new Stopwatch(operations >>> 1);
  const seconds = new Stopwatch(operations >>> 1);
  let stored = 0;
  let found = 0;
  for (let i = 0; i < operations; i += 2) {
    stored += firsts.time(first);
    found += seconds.time(second);
  }
  return { stored, found, put: firsts.summary(), get: seconds.summary() };
}

/** Times operations by both clocks, the CPU clock inside the wall clock. */
class Stopwatch {
  readonly #wallUs: Float32Array;
  readonly #cpuUs: Float32Array;
  #count = 0;

  constructor(operations: number) {
    this.#wallUs = new Float32Array(operations);
    this.#cpuUs = new Float32Array(operations);
  }

  time(operation: () => number): number {
    const wallMs = performance.now();
    const cpuNs = threadClockNs();
    const done = operation();
    this.#cpuUs[this.#count] = (threadClockNs() - cpuNs) / 1e3;
    this.#wallUs[this.#count++] = (performance.now() - wallMs) * 1e3;
    return done;
  }

  summary(): Timed {
    const [wall, cpu] = [this.#wallUs.sort(), this.#cpuUs.sort()];
    const at = Math.floor(wall.length * 0.999);
    const last = wall.length - 1;
    return { p999Us: wall[at], longestUs: wall[last], cpuP999Us: cpu[at], cpuLongestUs: cpu[last] };
  }
}

serve<MixedJob, MixedResult>(parentPort!, ({ what, operations }) => {
  const start = threadClockNs();
  const work =
    what === 'count'
      ? countOnly(operations)
      : what === 'time'
        ? timeEach(operations, put, get)
        : timeEach(operations, nothing, nothing);
  return { ...work, cpuNs: threadClockNs() - start };
});
