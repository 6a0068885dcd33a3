/**
 * Unsettled ids: copies may exist that no record names yet, or a record may have come to name other places than a
 * survey saw. A sweep leaves them alone.
 */

import type { PageId } from '../page-id.ts';

export class Unsettled {
  readonly #now = new Map<PageId, number>();
  readonly #watchers = new Set<Set<PageId>>();

  begin(id: PageId): void {
    this.#now.set(id, (this.#now.get(id) ?? 0) + 1);
    for (const seen of this.#watchers) seen.add(id);
  }

  end(id: PageId): void {
    const left = (this.#now.get(id) ?? 0) - 1;
    if (left > 0) this.#now.set(id, left);
    else this.#now.delete(id);
  }

  /** All ids that are unsettled now, or will be before `unwatch`. */
  watch(): Set<PageId> {
    const seen = new Set(this.#now.keys());
    this.#watchers.add(seen);
    return seen;
  }

  unwatch(seen: Set<PageId>): void {
    this.#watchers.delete(seen);
  }
}
