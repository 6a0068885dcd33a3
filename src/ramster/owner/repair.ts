/**
 * Repair: a persistent page with too few copies gets new ones, from one that is left. A page that no memory has any
 * more is marked as lost, so that a get of it is a clear error, and told.
 */

import type { PageRef, RemoteLook } from '../local/local-pages.ts';
import type { PageId } from '../page-id.ts';
import { isSamePlace, type Place } from '../place.ts';
import { encodeRecord, type RemoteRecord } from '../record.ts';
import { makeCopies } from './copies.ts';
import { type Fetch, readRecord } from './fetch.ts';
import { copyHealth, type OwnerParts } from './parts.ts';
import type { PlaceHealth } from './stores.ts';
import { needOf } from './survey.ts';

export type Repaired = 'whole' | 'short' | 'lost';

export class Repair {
  readonly #parts: OwnerParts;
  readonly #fetch: Fetch;
  readonly #underWay = new Set<PageId>();

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
    // Two repairs of one page would free each other's copies: they have the same id.
    if (this.#underWay.has(record.id) || !this.#canHelp(record)) return 'short';
    this.#underWay.add(record.id);
    unsettled.begin(record.id);
    try {
      return await this.#mend(page, found, record);
    } finally {
      unsettled.end(record.id);
      this.#underWay.delete(record.id);
    }
  }

  /** Nothing is got in vain: there is a store that may take a copy, or room here, or nothing to get. */
  #canHelp(record: RemoteRecord): boolean {
    const { stores } = this.#parts;
    const taken = this.#taken(record);
    return (
      this.#hasRoom() ||
      stores.candidates().some(({ node }) => !taken.includes(node)) ||
      record.places.every((place) => copyHealth(this.#parts, place, record.id) === 'gone')
    );
  }

  /**
   * Nodes that get no new copy: those that have one, and those that are being told to free one of this id, because that
   * would free the new one, too. Who has lost its memory has none any more.
   */
  #taken({ id, places }: RemoteRecord): number[] {
    const { releases } = this.#parts;
    const holders = places.filter((place) => copyHealth(this.#parts, place, id) !== 'gone');
    return [...holders.map(({ node }) => node), ...releases.nodesOf(id)];
  }

  async #mend(page: PageRef, found: RemoteLook, record: RemoteRecord): Promise<Repaired> {
    const { local, stores, random, settings, releases, statistics, sealer, missing } = this.#parts;
    const copy = await this.#fetch.ask(page, found, record);
    if (copy === 'unknown') return 'short';
    if (copy === 'nowhere') return this.#fetch.lose(page, found, record) ? 'lost' : 'short';
    const healthOf = (place: Place): PlaceHealth => copyHealth(this.#parts, place, record.id);
    const good = record.places.filter((place) => healthOf(place) === 'good');
    const { pool, kind, id } = record;
    // Sealed again under the same id it is the same bytes.
    const bytes =
      record.tag === undefined ? copy.stored.bytes : sealer.seal(page, id, copy.stored.bytes).bytes;
    const wanted = settings.replicas - good.length;
    if (wanted <= 0) return 'whole';
    const made = await makeCopies(stores, random, { pool, kind, id, bytes }, wanted, this.#taken(record));
    const placesThatAre = (health: PlaceHealth): Place[] =>
      record.places.filter((place) => !good.includes(place) && healthOf(place) === health);
    // A copy at who leaves or is away is better than none.
    const others = [...placesThatAre('good'), ...placesThatAre('leaving'), ...placesThatAre('away')];
    const kept = [...good, ...made.places, ...others].slice(0, settings.replicas);
    const dropped = record.places.filter((place) => !kept.includes(place));
    const changed =
      made.places.length > 0 && local.sendAway(page, found, encodeRecord({ ...record, places: kept }));
    if (changed !== 'stored') {
      releases.add(pool, id, [...made.places, ...made.uncertain]);
      if (changed !== 'gone') return this.#home(page, found, record, copy.stored);
      // Handles share versions: the change may have been another's.
      const now = local.look(page);
      return now?.kind === 'remote' && readRecord(now).id === id ? 'short' : 'whole';
    }
    for (const place of made.places) missing.found(place, id);
    // Of a copy that is missing there is nothing to free, and a free could come after a new one.
    const freed = dropped.filter((place) => !made.places.some((each) => isSamePlace(each, place)));
    releases.add(pool, id, [...freed, ...made.uncertain]);
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
    const { local, releases, away } = this.#parts;
    if (!this.#hasRoom()) return 'short';
    if (local.bringHome(page, found, stored) !== 'stored') return 'short';
    releases.add(record.pool, record.id, record.places);
    away.back(record.id);
    return 'whole';
  }

  #hasRoom(): boolean {
    const { local, settings } = this.#parts;
    const { totalBytes, freeBytes, pressed } = local.room();
    return !pressed && freeBytes * 100 >= totalBytes * settings.sendBelowPercent;
  }
}
