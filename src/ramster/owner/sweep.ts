/**
 * Sweep: compares what holders have with what records name, and frees the rest. What left the index unnoticed (a full
 * ring of orphans, a node that was killed, a message that came too late) is found here.
 *
 * A sweep that has to end before the list does goes on there the next time, with what is known then: no holder, however
 * slow, keeps a node from looking after its pages.
 */

import type { PageId } from '../page-id.ts';
import type { RemoteStore } from '../remote-store/remote-store.ts';
import type { OwnerParts } from './parts.ts';
import { hasId, placeKey, type Survey } from './survey.ts';

/** Answers to `list` of one store that are read at most: 64 GiB of pages. */
const LISTS_MAX = 20_000;

export class Sweep {
  readonly #parts: OwnerParts;
  /** Where lists that were not read to their end go on, by node. */
  readonly #cursors = new Map<number, { readonly memory: number; readonly cursor: Uint8Array }>();

  constructor(parts: OwnerParts) {
    this.#parts = parts;
  }

  /** Frees what a store holds for nobody. False: its list was not read from its start to its end. */
  async sweep(store: RemoteStore, found: Survey, mustEnd: () => boolean): Promise<boolean> {
    const { node, memory } = store;
    if (memory === undefined) return false;
    const { statistics, releases } = this.#parts;
    const named = found.named.get(placeKey(node, memory));
    const isOrphan = (id: PageId): boolean =>
      id < found.below && !hasId(named, id) && !found.unsettled.has(id);
    const before = this.#cursors.get(node);
    this.#cursors.delete(node);
    const start = before?.memory === memory ? before.cursor : undefined;
    let cursor = start;
    try {
      for (let i = 0; i < LISTS_MAX; i++) {
        const { pages, next } = await store.list(cursor);
        if (store.memory !== memory) return false;
        for (const { pool, id } of pages) {
          if (!isOrphan(id)) continue;
          statistics.orphans_swept++;
          releases.add(pool, id, [{ node, memory }]);
        }
        if (next === undefined) return start === undefined;
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
}
