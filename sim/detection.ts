/**
 * How long it takes until those who had a machine for 'up' find that its process has ended. Only time in which the
 * observer could run counts; a machine that is back sooner is no matter.
 */

import type { RemoteState } from '../src/ramster/remote-store/remote-store.ts';
import type { Machine } from './machine.ts';
import type { SimProcess } from './process.ts';
import type { Verdict } from './verdict.ts';

interface Watch {
  readonly process: SimProcess;
  readonly sinceMs: number;
}

export class Detection {
  readonly #verdict: Verdict;
  readonly #mostMs: number;
  /** What each process thinks of its peers. */
  readonly #opinions = new Map<SimProcess, Map<string, RemoteState>>();
  /** Who has not yet found out about whom, by the name of the one that ended. */
  readonly #watches = new Map<string, Watch[]>();

  constructor(verdict: Verdict, mostMs: number) {
    this.#verdict = verdict;
    this.#mostMs = mostMs;
  }

  observed({ process }: Machine, peer: string, state: RemoteState | undefined): void {
    if (process === undefined) return;
    const opinions = this.#opinions.get(process) ?? new Map();
    this.#opinions.set(process, opinions);
    if (state === undefined) opinions.delete(peer);
    else opinions.set(peer, state);
    if (state !== undefined && state !== 'down') return;
    for (const watch of this.#take(peer, (each) => each.process === process)) {
      const tookMs = process.runningMs - watch.sinceMs;
      if (state === 'down') this.#verdict.maxDetectionMs = Math.max(this.#verdict.maxDetectionMs, tookMs);
    }
  }

  /** A process is about to end. */
  ending({ name, process }: Machine): void {
    if (process === undefined) return;
    this.#opinions.delete(process);
    for (const victim of this.#watches.keys()) this.#take(victim, (each) => each.process === process);
    const watches = [...this.#opinions].flatMap(([observer, opinions]) =>
      opinions.get(name) === 'up' ? [{ process: observer, sinceMs: observer.runningMs }] : [],
    );
    this.#watches.set(name, watches);
  }

  started({ name }: Machine): void {
    this.#watches.delete(name);
  }

  /** Whoever should have found out by now. */
  judge(): void {
    for (const victim of this.#watches.keys()) {
      const late = this.#take(victim, ({ process, sinceMs }) => process.runningMs - sinceMs > this.#mostMs);
      for (const { process } of late) {
        const words = `${victim} ended, and is not found to be down after ${this.#mostMs} ms`;
        this.#verdict.found('unbounded_waits', process.name, words);
      }
    }
  }

  /** How many have not found out yet. */
  get open(): number {
    return [...this.#watches.values()].reduce((sum, watches) => sum + watches.length, 0);
  }

  #take(victim: string, isMeant: (watch: Watch) => boolean): Watch[] {
    const watches = this.#watches.get(victim) ?? [];
    const taken = watches.filter(isMeant);
    if (taken.length > 0)
      this.#watches.set(
        victim,
        watches.filter((watch) => !isMeant(watch)),
      );
    return taken;
  }
}
