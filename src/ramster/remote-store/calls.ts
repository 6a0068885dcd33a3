/**
 * The calls under way at a store: each has a deadline, and there are never more than a bounded number.
 *
 * A call whose deadline ran out may still be worked on (a reply that comes late is dropped); until that ends it counts.
 */

import type { Clock } from '../clock.ts';
import { RemoteError } from './remote-store.ts';

/** With pages of 4096 bytes these are 16 MiB. */
const UNDER_WAY_MOST = 4096;

/** A new round trip counts for an eighth of the average. */
const LATENCY_WEIGHT = 1 / 8;

/** How short a call is: only single round trips tell something of the latency. */
export type CallLength = 'round trip' | 'several';

export class Calls {
  readonly #name: string;
  readonly #clock: Clock;
  readonly #deadlineMs: number;
  readonly #late: () => void;
  #underWay = 0;
  #latencyMs = 0;

  /** @param late - called when a deadline runs out */
  constructor(name: string, clock: Clock, deadlineMs: number, late: () => void) {
    this.#name = name;
    this.#clock = clock;
    this.#deadlineMs = deadlineMs;
    this.#late = late;
  }

  /** Average of the latest round trips, in milliseconds; 0 before the first one. */
  get latencyMs(): number {
    return this.#latencyMs;
  }

  /**
   * What `work` resolves to, if it does so before the deadline.
   *
   * @throws RemoteError when it is late, or too many are under way
   */
  run<T>(what: string, length: CallLength, work: () => Promise<T>): Promise<T> {
    if (this.#underWay >= UNDER_WAY_MOST) {
      return Promise.reject(new RemoteError(`${this.#name}: ${what}: ${UNDER_WAY_MOST} calls are under way`));
    }
    return new Promise((resolve, reject) => {
      this.#underWay++;
      const startMs = this.#clock.now();
      const timer = this.#clock.after(this.#deadlineMs, () => {
        this.#late();
        reject(new RemoteError(`${this.#name}: ${what}: no answer within ${this.#deadlineMs} ms`));
      });
      const settled = (): void => {
        this.#underWay--;
        timer.cancel();
      };
      work().then(
        (value) => {
          settled();
          if (length === 'round trip') this.#measured(this.#clock.now() - startMs);
          resolve(value);
        },
        (error: unknown) => {
          settled();
          reject(error);
        },
      );
    });
  }

  #measured(tookMs: number): void {
    const isFirst = this.#latencyMs === 0;
    this.#latencyMs = isFirst ? tookMs : this.#latencyMs + (tookMs - this.#latencyMs) * LATENCY_WEIGHT;
  }
}
