// A clock that goes forward when a test says so.
import type { Clock, Timer } from '../../../src/ramster/clock.ts';

interface Due {
  readonly atMs: number;
  readonly task: () => void;
}

/** Promises that were resolved have run what waits for them. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export class VirtualClock implements Clock {
  #nowMs = 1_000_000;
  #due = new Set<Due>();

  now(): number {
    return this.#nowMs;
  }

  after(delayMs: number, task: () => void): Timer {
    const due = { atMs: this.#nowMs + Math.max(0, delayMs), task };
    this.#due.add(due);
    return { cancel: () => this.#due.delete(due) };
  }

  /** Timers that are set. */
  get timers(): number {
    return this.#due.size;
  }

  async pass(timeMs: number): Promise<void> {
    const endMs = this.#nowMs + timeMs;
    await settled();
    for (let next = this.#next(endMs); next !== undefined; next = this.#next(endMs)) {
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      this.#due.delete(next);
      next.task();
    }
    this.#nowMs = endMs;
    await settled();
  }

  /** Stands still for everybody: what was due meanwhile runs late. */
  jump(timeMs: number): void {
    this.#nowMs += timeMs;
  }

  /** Of those due at the same time, the one that was set first. */
  #next(endMs: number): Due | undefined {
    let first: Due | undefined;
    for (const due of this.#due) if (due.atMs <= endMs && due.atMs < (first?.atMs ?? Infinity)) first = due;
    return first;
  }
}
