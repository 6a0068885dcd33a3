// A clock for stores in tests: deadlines are long, so that a slow machine meets none, and short while nobody answers.
import { type Clock, systemClock } from '../../../src/ramster/clock.ts';

/** Longest deadline that stores take. */
export const LONG_DEADLINE_MS = 60_000;

const SHORT_DEADLINE_MS = 200;

export class PatientClock implements Clock {
  isSilent = false;

  now(): number {
    return systemClock.now();
  }

  after(delayMs: number, task: () => void) {
    return systemClock.after(this.isSilent ? Math.min(delayMs, SHORT_DEADLINE_MS) : delayMs, task);
  }
}
