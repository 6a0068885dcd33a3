/**
 * Waits that must end: every asynchronous call has a bound, in time in which its process could run. What takes longer,
 * or never ends, is found.
 */

import type { SimProcess } from './process.ts';
import type { Verdict } from './verdict.ts';

export interface Wait {
  readonly process: SimProcess;
  readonly what: string;
  readonly sinceMs: number;
  readonly mostMs: number;
}

export class Waits {
  readonly #verdict: Verdict;
  readonly #open = new Set<Wait>();

  constructor(verdict: Verdict) {
    this.#verdict = verdict;
  }

  get open(): number {
    return this.#open.size;
  }

  /** Waits for `result`, which has to come within `mostMs`. */
  async for<Result>(
    process: SimProcess,
    what: string,
    mostMs: number,
    result: Promise<Result>,
  ): Promise<Result> {
    const wait = { process, what, sinceMs: process.runningMs, mostMs };
    this.#open.add(wait);
    try {
      return await result;
    } finally {
      this.#judge(wait);
      this.#open.delete(wait);
    }
  }

  /** A process is no more: nobody waits in it. */
  ended(process: SimProcess): void {
    for (const wait of this.#open) if (wait.process === process) this.#open.delete(wait);
  }

  /** Finds what has waited for too long, once. */
  judge(): void {
    for (const wait of this.#open) if (this.#judge(wait)) this.#open.delete(wait);
  }

  #judge({ process, what, sinceMs, mostMs }: Wait): boolean {
    const waitedMs = process.runningMs - sinceMs;
    if (waitedMs <= mostMs) return false;
    const words = `${what} took ${Math.round(waitedMs)} ms, allowed are ${Math.round(mostMs)} ms`;
    this.#verdict.found('unbounded_waits', process.name, words);
    return true;
  }
}
