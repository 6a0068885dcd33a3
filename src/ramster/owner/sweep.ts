/**
 * Sweep: compares what holders have with what records name, and frees the rest. What left the index unnoticed (a full
 * ring of orphans, a node that was killed, a message that came too late) is found here.
 *
 * What a record names at a holder, and the holder does not list, is told as well (missing-copies.ts).
 *
 * A sweep that has to end before the list does goes on there the next time, with what is known then: no holder, however
 * slow, keeps a node from looking after its pages.
 */

import type { Place } from '../place.ts';
import type { RemoteStore } from '../remote-store/remote-store.ts';
import type { OwnerParts } from './parts.ts';
import { indexOfId, placeKey, type Survey } from './survey.ts';

/** Answers to `list` of one store that are read at most: 64 GiB of pages. */
const LISTS_MAX = 20_000;

export class Sweep {
  readonly #parts: OwnerParts;
  /** Where lists that were not read to their end go on, by node. */
  readonly #cursors = new Map<number, { readonly memory: number; readonly cursor: Uint8Array }>();

  /** Copies were found missing since this was set to false. */
  hasMissing = false;

  constructor(parts: OwnerParts) {
    this.#parts = parts;
  }

  /** Frees what a store holds for nobody. False: its list was not read from its start to its end. */
  async sweep(store: RemoteStore, found: Survey, mustEnd: () => boolean): Promise<boolean> {
    const { node, memory } = store;
    if (memory === undefined) return false;
    const { statistics, releases } = this.#parts;
    const named = found.named.get(placeKey(node, memory)) ?? new Float64Array();
    /** By place in `named`: 1 = the store has it. */
    const listed = new Uint8Array(named.length);
    const before = this.#cursors.get(node);
    this.#cursors.delete(node);
    const start = before?.memory === memory ? before.cursor : undefined;
    let cursor = start;
    try {
      for (let i = 0; i < LISTS_MAX; i++) {
        const { pages, next } = await store.list(cursor);
        if (store.memory !== memory) return false;
        for (const { pool, id } of pages) {
          const at = indexOfId(named, id);
          if (at !== -1) listed[at] = 1;
          if (at !== -1 || id >= found.below || found.unsettled.has(id)) continue;
          statistics.orphans_swept++;
          releases.add(pool, id, [{ node, memory }]);
        }
        if (next === undefined) {
          if (start !== undefined) return false;
          this.#missing({ node, memory }, named, listed, found);
          return true;
        }
        cursor = next;
        if (!mustEnd()) continue;
        this.#cursors.set(node, { memory, cursor });
        return false;
      }
    } catch {
      // Another sweep follows, from the start of the list.
    }
    return false;
  }

  #missing(place: Place, named: Float64Array, listed: Uint8Array, { unsettled }: Survey): void {
    const missing = named.filter((id, at) => listed[at] === 0 && !unsettled.has(id));
    this.#parts.missing.set(place, missing);
    this.hasMissing ||= missing.length > 0;
  }
}
