/**
 * Pages of an area that are with peers, for those who may wait.
 *
 *   call here -> it says that the page is away -> fetch -> the same call again
 *                                                    `-> or the page itself, where there is no room here
 *
 * Rules it keeps:
 * - nobody is asked before the store has said that the page is away. It says so by throwing, which takes microseconds:
 *   who knows it already does not ask again;
 * - the page itself is what the slot held at some moment after it was asked for: enough for a reader. Who changes a
 * slot
 *   or writes it to the device holds its region, so that nobody else changes it meanwhile;
 * - a region may be held while a page is fetched: no fetcher waits for regions, and each answers in bounded time.
 */

import { isAway, TmemError } from '../zcache/index.ts';
import type { FrontswapArea } from './area.ts';

/** Pages asked for at one time by one caller: enough to fill a link for the time of a round trip. */
const FETCHES_AT_ONCE = 16;

/** Times a page may come home and be gone again before its caller looked. */
export const FETCHES_MAX = 8;

export class AwayPages {
  readonly #area: FrontswapArea;

  constructor(area: FrontswapArea) {
    this.#area = area;
  }

  /** Whether what was thrown says that a page is away, and it can be fetched. */
  canFetch(thrown: unknown): boolean {
    return isAway(thrown) && this.#area.fetches;
  }

  /**
   * Does `here`, which needs the page of a slot, as soon as that is there; or `given` with the page itself. `isAway`:
   * it was away a moment ago.
   */
  async whenHere<T>(
    slot: number,
    isAway: boolean,
    here: () => T,
    given: (page: Uint8Array) => T,
  ): Promise<T> {
    for (let fetches = 0; ; fetches++) {
      if (fetches > 0 || !isAway) {
        try {
          return here();
        } catch (thrown) {
          if (!this.canFetch(thrown)) throw thrown;
        }
      }
      if (fetches === FETCHES_MAX) throw alwaysAway(slot);
      const page = await this.#area.fetch(slot);
      if (page !== 'local') return given(page);
    }
  }
}

/** What became of `work` on each item, in order, few at a time. It ends after those among which one failed. */
export async function settledEach<Item, T>(
  items: readonly Item[],
  work: (item: Item) => Promise<T>,
): Promise<PromiseSettledResult<T>[]> {
  const results: PromiseSettledResult<T>[] = [];
  for (let at = 0; at < items.length; at += FETCHES_AT_ONCE) {
    const settled = await Promise.allSettled(items.slice(at, at + FETCHES_AT_ONCE).map(work));
    results.push(...settled);
    if (settled.some(({ status }) => status === 'rejected')) break;
  }
  return results;
}

export function alwaysAway(slot: number): TmemError {
  return new TmemError(
    'TMEM_ERR_BUSY',
    `frontswap: the page of slot ${slot} was sent away again each of ${FETCHES_MAX} times it was fetched; try again`,
  );
}
