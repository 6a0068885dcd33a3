/** What a run found: counts that must be 0, counts of what happened, and the first findings in words. */

import type { Trace } from './trace.ts';

/** What must never happen; every count has to be 0. */
export const NEVER = [
  'stale',
  'lost_persistent_beyond_replicas',
  'unbounded_waits',
  'orphans_left',
  'copies_missing',
  'copies_short',
  'away_within_reach',
  'errors',
] as const;
export type Never = (typeof NEVER)[number];

/** What may happen, and is counted. */
export const HAPPENED = [
  'operations',
  'faults',
  'reads',
  'fetches',
  'lost_legitimately',
  'lost_with_own_memory',
  'away_errors',
] as const;
export type Happened = (typeof HAPPENED)[number];

/** Findings kept in words; the first ones tell the most. */
const WORDS_MOST = 20;

export class Verdict {
  readonly counts = Object.fromEntries([...NEVER, ...HAPPENED].map((name) => [name, 0])) as Record<
    Never | Happened,
    number
  >;
  readonly words: string[] = [];
  maxDetectionMs = 0;
  readonly #trace: Trace;

  constructor(trace: Trace) {
    this.#trace = trace;
  }

  count(what: Happened, times = 1): void {
    this.counts[what] += times;
  }

  /** Something that must not happen did. */
  found(what: Never, who: string, words: string): void {
    this.counts[what]++;
    this.#trace.tell(who, () => `!! ${what}: ${words}`);
    if (this.words.length < WORDS_MOST) this.words.push(`${what} at ${who}: ${words}`);
  }

  get isGood(): boolean {
    return NEVER.every((name) => this.counts[name] === 0);
  }
}
