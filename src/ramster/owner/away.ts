/**
 * How many persistent pages are away, as `remote_pers_pages`. Each that leaves or comes back is told here by the id of
 * its record. A survey counts anew, because records also leave the index unnoticed; what is told while it walks is set
 * against what it saw, so the number is exact whenever nothing moves.
 */

import type { PageId } from '../page-id.ts';
import type { RamsterStatistics } from '../statistics.ts';
import { indexOfId } from './survey.ts';

export class Away {
  readonly #statistics: RamsterStatistics;
  /** Told since the walk began. */
  #walk: { readonly left: Set<PageId>; readonly back: Set<PageId> } | undefined;
  #isCounted = false;

  constructor(statistics: RamsterStatistics) {
    this.#statistics = statistics;
  }

  get count(): number {
    return this.#statistics.remote_pers_pages;
  }

  /** Pages that were away at the start are in the count. */
  get isCounted(): boolean {
    return this.#isCounted;
  }

  /** A persistent page has left; its record has this id. */
  left(id: PageId): void {
    this.#statistics.remote_pers_pages++;
    this.#walk?.left.add(id);
  }

  /** It is away no more: home, put anew, flushed or lost. */
  back(id: PageId): void {
    // One from before the first count is not in it.
    if (this.#statistics.remote_pers_pages > 0) this.#statistics.remote_pers_pages--;
    this.#walk?.back.add(id);
  }

  /** A walk through all records begins. */
  begin(): void {
    this.#walk = { left: new Set(), back: new Set() };
  }

  /** The walk has ended, and has seen these ids (sorted; some twice). */
  end(seen: Float64Array): void {
    const { left, back } = this.#walk ?? { left: new Set(), back: new Set() };
    this.#walk = undefined;
    let count = 0;
    for (const [i, id] of seen.entries()) if (id !== seen[i - 1] && !back.has(id)) count++;
    for (const id of left) if (!back.has(id) && indexOfId(seen, id) === -1) count++;
    this.#statistics.remote_pers_pages = count;
    this.#isCounted = true;
  }
}
