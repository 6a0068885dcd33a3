/**
 * Repair: a persistent page with too few copies gets new ones, from one that is left. A page that no memory has any more
 * is marked as lost, so that a get of it is a clear error, and told.
 */

import type { PageRef, RemoteLook } from '../local/local-pages.ts';
import { encodeRecord, type RemoteRecord } from '../record.ts';
import { makeCopies } from './copies.ts';
import { type Fetch, readRecord } from './fetch.ts';
import type { OwnerParts } from './parts.ts';
import { needOf } from './survey.ts';

export type Repaired = 'whole' | 'short' | 'lost';

export class Repair {
  readonly #parts: OwnerParts;
  readonly #fetch: Fetch;

  constructor(parts: OwnerParts, fetch: Fetch) {
    this.#parts = parts;
    this.#fetch = fetch;
  }

  /** Mends one page; 'short': it could not be done now. */
  async repair(page: PageRef): Promise<Repaired> {
    const { local, unsettled } = this.#parts;
    const found = local.look(page);
    if (found?.kind !== 'remote') return 'whole';
    const record = readRecord(found);
    if (record.lost || needOf(this.#parts, record) === 'none') return 'whole';
    unsettled.begin(record.id);
    try {
      return await this.#mend(page, found, record);
    } finally {
      unsettled.end(record.id);
    }
  }

  async #mend(page: PageRef, found: RemoteLook, record: RemoteRecord): Promise<Repaired> {
    const { local, stores, random, settings, releases, statistics, sealer } = this.#parts;
    const copy = await this.#fetch.ask(page, found, record);
    if (copy === 'unknown') return 'short';
    if (copy === 'nowhere') return this.#lose(page, found, record);
    const good = record.places.filter((place) => stores.health(place) === 'good');
    const { pool, kind, id } = record;
    // Sealed again under the same id it is the same bytes.
    const bytes =
      record.tag === undefined ? copy.stored.bytes : sealer.seal(page, id, copy.stored.bytes).bytes;
    const taken = record.places.map(({ node }) => node);
    const wanted = settings.replicas - good.length;
    const made = await makeCopies(stores, random, { pool, kind, id, bytes }, wanted, taken);
    const leaving = record.places.filter((place) => stores.health(place) === 'leaving');
    // A copy at who leaves is better than none.
    const kept = [...good, ...made.places, ...leaving].slice(0, settings.replicas);
    const dropped = record.places.filter((place) => !kept.includes(place));
    const changed =
      made.places.length > 0 && local.sendAway(page, found, encodeRecord({ ...record, places: kept }));
    if (changed !== 'stored') {
      releases.add(pool, id, [...made.places, ...made.uncertain]);
      return changed === 'gone' ? 'whole' : this.#home(page, found, record, copy.stored);
    }
    releases.add(pool, id, [...dropped, ...made.uncertain]);
    statistics.replicas_repaired += made.places.length;
    return made.places.length < wanted ? 'short' : 'whole';
  }

  /** Nobody else takes a copy: home with the page, if there is room. */
  #home(
    page: PageRef,
    found: RemoteLook,
    record: RemoteRecord,
    stored: Parameters<OwnerParts['local']['bringHome']>[2],
  ): Repaired {
    const { local, settings, releases, statistics } = this.#parts;
    const { totalBytes, freeBytes, pressed } = local.room();
    if (pressed || freeBytes * 100 < totalBytes * settings.sendUntilPercent) return 'short';
    if (local.bringHome(page, found, stored) !== 'stored') return 'short';
    releases.add(record.pool, record.id, record.places);
    statistics.remote_pers_pages--;
    return 'whole';
  }

  #lose(page: PageRef, found: RemoteLook, record: RemoteRecord): Repaired {
    const { local, statistics, lost } = this.#parts;
    const marked = encodeRecord({ ...record, lost: true, places: [] });
    if (local.sendAway(page, found, marked) !== 'stored') return 'short';
    statistics.pages_lost++;
    statistics.remote_pers_pages--;
    lost(page);
    return 'lost';
  }
}
