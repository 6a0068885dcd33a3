/**
 * Copies that are missing: a record names them at a place, and the place did not list them. A holder whose lease for
 * this node was over may have dropped them, an engine may have lost its last writes, and a peer that lies never had
 * them.
 *
 * It is a reason to make copies anew, and none to give a page up: who gets one asks the place all the same.
 */

import type { PageId } from '../page-id.ts';
import type { Place } from '../place.ts';

/** Remembered of each place; the others are found by the next sweep. */
const IDS_MAX = 65_536;

export class MissingCopies {
  readonly #ids = new Map<string, Set<PageId>>();

  /** What a place did not list, in place of what it did not list before. */
  set(place: Place, ids: Iterable<PageId>): void {
    const missing = new Set<PageId>();
    for (const id of ids) {
      if (missing.size === IDS_MAX) break;
      missing.add(id);
    }
    if (missing.size === 0) this.#ids.delete(keyOf(place));
    else this.#ids.set(keyOf(place), missing);
  }

  has(place: Place, id: PageId): boolean {
    return this.#ids.size > 0 && this.#ids.get(keyOf(place))?.has(id) === true;
  }

  /** There is a copy now. */
  found(place: Place, id: PageId): void {
    this.#ids.get(keyOf(place))?.delete(id);
  }
}

function keyOf({ node, memory }: Place): string {
  return `${node}/${memory}`;
}
