/**
 * The conformance suite of remote stores: every rule of remote-store.ts as a case that throws when it is broken. It
 * needs no test framework, so others can prove their stores with it:
 *
 *   for (const { name, run } of remoteStoreConformance(make)) test(name, run);
 *
 * Each case makes a store of its own and closes it. It waits for nothing without a bound, and looks at no clock to
 * judge.
 */

import { systemClock } from '../clock.ts';
import { pageCases } from './conformance-pages.ts';
import { poolCases } from './conformance-pools.ts';
import { troubleCases } from './conformance-trouble.ts';
import type { RemoteStore } from './remote-store.ts';

/** A store, alone in its memory, and what a case may do to it. */
export interface StoreUnderTest {
  /** Up, and without pages. */
  readonly store: RemoteStore;
  /** The same memory, as another owner sees it. */
  neighbour?(): Promise<RemoteStore>;
  /** From now on it answers nobody, without a word; connections stay. */
  silence?(): Promise<void>;
  /** It answers again, with all it had. */
  answer?(): Promise<void>;
  /** Everything it had is gone, and it goes on. */
  loseMemory?(): Promise<void>;
  /** Also of a store that was silenced; all that was made goes. */
  close(): Promise<void>;
}

export interface Wishes {
  /** The store should be full somewhere between half of these bytes of pages and twice as many. */
  readonly roomBytes?: number;
}

export type MakeStore = (wishes: Wishes) => Promise<StoreUnderTest>;

/** What not every store can show: it has one owner, never falls silent, never loses its memory, is never full. */
export type Ability = 'neighbour' | 'silence' | 'loseMemory' | 'roomBytes';

export interface ConformanceCase {
  /** The promise that is checked. */
  readonly name: string;
  run(): Promise<void>;
}

/** What a case works with. */
export type Subject = Required<StoreUnderTest> & {
  /** Waits until something holds, asked again and again. */
  until(holds: () => boolean | Promise<boolean>, what: string): Promise<void>;
};

/** A case before it knows its store. */
export interface StoreCase {
  readonly name: string;
  readonly needs?: Ability;
  readonly wishes?: Wishes;
  check(subject: Subject): Promise<void>;
}

export interface Conditions {
  /** What the store cannot show; the cases that need it are left out. */
  readonly without?: readonly Ability[];
  /** Longest time of a case: so long that only what waits for ever meets it. */
  readonly patienceMs?: number;
}

const PATIENCE_DEFAULT_MS = 50_000;
const POLL_MS = 10;

export function remoteStoreConformance(make: MakeStore, conditions: Conditions = {}): ConformanceCase[] {
  const { without = [], patienceMs = PATIENCE_DEFAULT_MS } = conditions;
  const cases: StoreCase[] = [...pageCases, ...poolCases, ...troubleCases];
  return cases
    .filter(({ needs }) => needs === undefined || !without.includes(needs))
    .map(({ name, wishes = {}, check }) => ({
      name,
      async run() {
        const made = await make(wishes);
        try {
          const endMs = systemClock.now() + patienceMs;
          const until: Subject['until'] = (holds, what) => poll(holds, what, endMs);
          await bounded(check({ ...made, until } as Subject), patienceMs);
        } finally {
          await made.close();
        }
      },
    }));
}

function bounded(work: Promise<void>, patienceMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = systemClock.after(patienceMs, () =>
      reject(new Error('a call of the store waits without an end')),
    );
    work.then(resolve, reject).finally(() => timer.cancel());
  });
}

async function poll(holds: () => boolean | Promise<boolean>, what: string, endMs: number): Promise<void> {
  while (!(await holds())) {
    if (systemClock.now() > endMs) throw new Error(`waited long, and it is not so: ${what}`);
    await new Promise<void>((resolve) => void systemClock.after(POLL_MS, resolve));
  }
}
