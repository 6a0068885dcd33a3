// Writes something into the file of a store that nobody has open, and sees what those who open it meet: an error with a
// code, or a store that works. Runs in a child: what is looked for are crashes and endless loops.

import { closeSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { checkStore, open, type Pool, type Store, TmemError } from '../../src/index.ts';
import { oidOf, PAGES_PER_OBJECT, pageOf, poolOf, putPages } from './pages.ts';

/** Pages number 0 to here are in the store, half of them in an ephemeral pool. */
export const PAGES = 120;

export interface Damage {
  readonly at: number;
  readonly bytes: Uint8Array;
}

export interface Place {
  readonly name: string;
  readonly directory: string;
}

/** Makes the store whose file is damaged; small, so that copying it is quick. */
export function makeVictim(place: Place): void {
  const sizes = { memory: '8 MiB', threads: 3, pools: 4, clients: 3, stagingPages: 8 } as const;
  const store = open({ ...place, ...sizes, lockTimeoutMs: 50, verify: true, shrinker: { enabled: false } });
  putPages(poolOf(store), 0, PAGES);
  putPages(poolOf(store, 'cache', { kind: 'ephemeral' }), 0, PAGES);
  putPages(poolOf(store, 'raw', { kind: 'ephemeral', pam: 'raw' }), 0, PAGES);
  store.close();
}

/** Tries each damage on a fresh copy of the victim; what came of it, by outcome, and how often. */
export function tryDamages(
  place: Place,
  path: string,
  damages: readonly Damage[],
  about: (damage: Damage) => void,
): Map<string, number> {
  const pristine = readFileSync(path);
  const outcomes = new Map<string, number>();
  for (const damage of damages) {
    about(damage);
    rmSync(path);
    writeFileSync(path, pristine, { mode: 0o600 });
    const descriptor = openSync(path, 'r+');
    writeSync(descriptor, damage.bytes, 0, damage.bytes.length, damage.at);
    closeSync(descriptor);
    const found = [...outcomeOf(place)];
    for (const outcome of found) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    if (found.some((outcome) => outcome.startsWith('bad'))) {
      outcomes.set(`bad at ${damage.at}: ${Buffer.from(damage.bytes).toString('hex').slice(0, 32)}`, 1);
    }
  }
  return outcomes;
}

/**
 * Whether any of those pages is neither right nor missing. A page of one repeated byte is nothing but a word of the
 * index, without a checksum: what happens to look like one is taken for one.
 */
function hasWrong(pool: Pool, first: number, count: number, version: number): boolean {
  const out = new Uint8Array(4096);
  for (let number = first; number < first + count; number++) {
    const length = pool.getAndKeep(oidOf(number), number % PAGES_PER_OBJECT, out);
    const page = out.subarray(0, length);
    if (page.every((byte) => byte === page[0])) continue;
    if (Buffer.compare(page, pageOf(number, version)) !== 0) return true;
  }
  return false;
}

function outcomeOf(place: Place): Set<string> {
  const outcomes = new Set<string>();
  const attempt = (call: () => void): void => {
    try {
      call();
      outcomes.add('works');
    } catch (error) {
      outcomes.add(TmemError.is(error) ? error.code : `bad error: ${(error as Error).stack}`);
    }
  };
  attempt(() => void checkStore(place.name, place));
  let store: Store | undefined;
  attempt(() => {
    store = open(place);
  });
  if (store === undefined) return outcomes;
  const opened = store;
  for (const [name, options] of [
    ['pages', {}],
    ['cache', { kind: 'ephemeral' }],
    ['raw', { kind: 'ephemeral', pam: 'raw' }],
  ] as const) {
    attempt(() => {
      const pool = poolOf(opened, name, options);
      if (hasWrong(pool, 0, PAGES, 1)) outcomes.add(`bad page in ${name}`);
      putPages(pool, PAGES / 2, PAGES, 2);
      if (hasWrong(pool, PAGES, PAGES / 2, 2)) outcomes.add(`bad page put into ${name}`);
      for (const { oid } of pool.walk()) pool.flushObject(oid);
    });
  }
  attempt(() => void opened.stats());
  attempt(() => void opened.shrink(20));
  attempt(() => void opened.giveBack(2000));
  attempt(() => poolOf(opened).destroy());
  attempt(() => opened.client('web').remove());
  attempt(() => opened.close());
  return outcomes;
}
