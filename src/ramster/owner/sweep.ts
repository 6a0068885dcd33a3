/**
 * Sweep: compares what holders have with what records name, and frees the rest. What left the index unnoticed (a full
 * ring of orphans, a node that was killed, a message that came too late) is found here.
 */

import type { PageId } from '../page-id.ts';
import type { RemoteStore } from '../remote-store/remote-store.ts';
import type { OwnerParts } from './parts.ts';
import { hasId, placeKey, type Survey } from './survey.ts';

/** Answers to `list` of one store that are read at most: 64 GiB of pages. */
const LISTS_MAX = 20_000;

/** Frees what a store holds for nobody. False: it could not be asked to the end. */
export async function sweep(parts: OwnerParts, store: RemoteStore, found: Survey): Promise<boolean> {
  const { node, memory } = store;
  if (memory === undefined) return false;
  const named = found.named.get(placeKey(node, memory));
  const isOrphan = (id: PageId): boolean => id < found.below && !hasId(named, id) && !found.unsettled.has(id);
  let cursor: Uint8Array | undefined;
  try {
    for (let i = 0; i < LISTS_MAX; i++) {
      const { pages, next } = await store.list(cursor);
      if (store.memory !== memory) return false;
      for (const { pool, id } of pages) {
        if (!isOrphan(id)) continue;
        parts.statistics.orphans_swept++;
        parts.releases.add(pool, id, [{ node, memory }]);
      }
      if (next === undefined) return true;
      cursor = next;
    }
  } catch {
    // Another sweep follows.
  }
  return false;
}
