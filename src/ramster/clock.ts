/**
 * Time and chance, as everything in RAMster takes them: handed in, so that the simulator runs the same code from a
 * seed.
 */

/** A timer that was set. */
export interface Timer {
  /** Sets it no more; harmless when it has run. */
  cancel(): void;
}

export interface Clock {
  /** Milliseconds of a clock that only goes forward; its zero means nothing. */
  now(): number;
  /** Runs `task` once, in `delayMs` milliseconds. No timer keeps the process alive. */
  after(delayMs: number, task: () => void): Timer;
}

/** A number from 0 (included) to 1 (not included). */
export type Random = () => number;

export const systemClock: Clock = {
  now: () => performance.now(),
  after(delayMs, task) {
    const timer = setTimeout(task, delayMs).unref();
    return { cancel: () => clearTimeout(timer) };
  },
};
