// Timing of our side and the arithmetic of medians.

import { WASI } from 'node:wasi';

/** WASI's name for the CPU clock of the calling thread. */
const THREAD_CLOCK = 3;

/**
 * CLOCK_THREAD_CPUTIME_ID, the clock of the native controls. process.threadCpuUsage() would be the plain way, but
 * on kernels that count by ticks it moves in steps of 4 ms; WASI reads the precise clock.
 */
function openThreadClock(): () => number {
  const wasi = new WASI({ version: 'preview1' });
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  wasi.initialize({ exports: { memory } });
  const read = wasi.wasiImport.clock_time_get as (
    clock: number,
    precision: bigint,
    address: number,
  ) => number;
  const cell = new BigUint64Array(memory.buffer, 0, 1);
  return () => {
    const failure = read(THREAD_CLOCK, 1n, 0);
    if (failure !== 0) throw new Error(`no CPU clock for threads here (WASI error ${failure})`);
    return Number(cell[0]);
  };
}

/** CPU time of the calling thread so far, in nanoseconds. A reading costs some hundred of them. */
export const threadClockNs = openThreadClock();

/** CPU time a call of `work` takes on this thread, in nanoseconds. */
export function threadCpuNs(work: () => void): number {
  const start = threadClockNs();
  work();
  return threadClockNs() - start;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Keeps a figure to what it is worth reading. */
export function rounded(value: number, digits = 3): number {
  return Number(value.toFixed(digits));
}
