/** Pages that came home because there was room, and are not sent again for a while: else they would go to and fro. */

import type { Clock } from '../clock.ts';
import type { PageRef } from '../local/local-pages.ts';
import { keyOf } from './parts.ts';

/** Remembered at most; the oldest are forgotten first. */
const RESTING_MAX = 65_536;

export class Resting {
  readonly #clock: Clock;
  readonly #restMs: number;
  /** When the rest of a page ends, in that order. */
  readonly #until = new Map<string, number>();

  constructor(clock: Clock, restMs: number) {
    this.#clock = clock;
    this.#restMs = restMs;
  }

  add(page: PageRef): void {
    const key = keyOf(page);
    const now = this.#clock.now();
    this.#until.delete(key);
    this.#until.set(key, now + this.#restMs);
    for (const [oldest, until] of this.#until) {
      if (until > now && this.#until.size <= RESTING_MAX) break;
      this.#until.delete(oldest);
    }
  }

  has(page: PageRef): boolean {
    if (this.#until.size === 0) return false;
    const until = this.#until.get(keyOf(page));
    return until !== undefined && until > this.#clock.now();
  }
}
