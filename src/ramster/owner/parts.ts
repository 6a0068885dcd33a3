/** What the parts of an owner work with. */

import type { Clock, Random } from '../clock.ts';
import type { LocalPages, PageRef } from '../local/local-pages.ts';
import type { PageId, PageIds } from '../page-id.ts';
import type { Place } from '../place.ts';
import type { NodeSettings } from '../settings.ts';
import type { RamsterStatistics } from '../statistics.ts';
import type { Away } from './away.ts';
import type { MissingCopies } from './missing-copies.ts';
import type { ReleaseQueue } from './release-queue.ts';
import type { Sealer } from './seal.ts';
import type { PlaceHealth, RemoteStores } from './stores.ts';
import type { Unsettled } from './unsettled.ts';

export interface OwnerParts {
  readonly local: LocalPages;
  readonly clock: Clock;
  readonly random: Random;
  readonly settings: NodeSettings;
  readonly statistics: RamsterStatistics;
  readonly stores: RemoteStores;
  readonly ids: PageIds;
  readonly sealer: Sealer;
  readonly unsettled: Unsettled;
  readonly away: Away;
  readonly missing: MissingCopies;
  readonly releases: ReleaseQueue;
  /** A persistent page has no copy any more. */
  readonly lost: (page: PageRef) => void;
}

/** What is known of the copy of a page at a place; one that the place did not list is gone. */
export function copyHealth({ stores, missing }: OwnerParts, place: Place, id: PageId): PlaceHealth {
  return missing.has(place, id) ? 'gone' : stores.health(place);
}

/** Names a handle among all of the node. */
export function keyOf({ pool, oid, index }: PageRef): string {
  return `${pool}/${oid.w0},${oid.w1},${oid.w2},${oid.w3},${oid.w4},${oid.w5}/${index}`;
}

export function sleep(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(ms, resolve);
  });
}
