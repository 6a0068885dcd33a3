/** The clock and the timer the shrinker runs on; handed in, so that tests have their own. */

export interface Timer {
  /** Milliseconds of a clock that does not run backwards; fractions count. */
  nowMs(): number;
  /** Calls `run` once, later; returns how to call that off. Keeps no process alive. */
  after(delayMs: number, run: () => void): () => void;
}

export const systemTimer: Timer = {
  nowMs: () => performance.now(),
  after(delayMs, run) {
    // Not an immediate, even for the shortest pause: one that keeps no process alive also wakes no idle event loop.
    const timeout = setTimeout(run, delayMs).unref();
    return () => clearTimeout(timeout);
  },
};
