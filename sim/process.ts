/**
 * A simulated process: one life of a node, from its start to its end. Whatever happens to it, a timer or a frame, runs
 * through `run`: not at all when it has ended, and later when it is stopped (as by SIGSTOP).
 *
 * Its clock has a zero and a speed of its own.
 */

import type { Clock } from '../src/ramster/clock.ts';
import type { VirtualClock } from './clock.ts';
import type { Trace } from './trace.ts';

export interface ProcessOptions {
  readonly name: string;
  /** Number of its machine, from 0. */
  readonly host: number;
  readonly clock: VirtualClock;
  readonly trace: Trace;
  /** What its clock shows at the beginning of everything. */
  readonly clockZeroMs: number;
  /** Its seconds in a second. */
  readonly clockSpeed: number;
}

export class SimProcess {
  readonly name: string;
  readonly host: number;
  readonly clock: Clock;
  readonly #time: VirtualClock;
  #hasEnded = false;
  #stoppedAtMs: number | undefined;
  #stoppedMs = 0;
  #waiting: (() => void)[] = [];

  constructor({ name, host, clock, trace, clockZeroMs, clockSpeed }: ProcessOptions) {
    this.name = name;
    this.host = host;
    this.#time = clock;
    this.clock = {
      now: () => clockZeroMs + clock.now() * clockSpeed,
      after: (delayMs, task) =>
        clock.after(delayMs / clockSpeed, () => {
          trace.mix(1, host);
          this.run(task);
        }),
    };
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  get isStopped(): boolean {
    return this.#stoppedAtMs !== undefined;
  }

  /** Virtual time in which it could run, since the beginning of everything. */
  get runningMs(): number {
    const now = this.#time.now();
    return now - this.#stoppedMs - (this.#stoppedAtMs === undefined ? 0 : now - this.#stoppedAtMs);
  }

  run(task: () => void): void {
    if (this.#hasEnded) return;
    if (this.isStopped) this.#waiting.push(task);
    else task();
  }

  stop(): void {
    this.#stoppedAtMs ??= this.#time.now();
  }

  /** Goes on with what came meanwhile, in its order. */
  proceed(): void {
    if (this.#stoppedAtMs === undefined) return;
    this.#stoppedMs += this.#time.now() - this.#stoppedAtMs;
    this.#stoppedAtMs = undefined;
    for (const task of this.#waiting.splice(0)) this.#time.after(0, () => this.run(task));
  }

  end(): void {
    this.#hasEnded = true;
    this.#waiting = [];
  }
}
