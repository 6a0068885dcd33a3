/**
 * Fetch: gets a page that is away. A copy is got and kept, checked, and given to the caller; a moment later the page is
 * brought home ("localify"), and only then all copies are freed. So an answer that is lost loses nothing, and nobody
 * waits for what comes after it. Without room here the page stays where it is; an ephemeral one comes home at once, or
 * is gone with the answer, as after any get.
 *
 * A second get of a page waits for the first one. Holders are asked the quickest first, the next one as well when there
 * is no answer within hedgeMs; a copy that is not what was sent (seal, length, checksum) counts as none.
 */

import { TmemError } from '../../zcache/index.ts';
import type { Timer } from '../clock.ts';
import type { PageRef, RemoteLook, StoredBytes } from '../local/local-pages.ts';
import type { PageId } from '../page-id.ts';
import type { Place } from '../place.ts';
import { decodeRecord, encodeRecord, type RemoteRecord } from '../record.ts';
import type { RemoteStore } from '../remote-store/remote-store.ts';
import { Homecoming } from './homecoming.ts';
import { type OwnerParts, sleep } from './parts.ts';

/** Times that a handle which changes under a fetch is looked at anew. */
const ROUNDS_MAX = 16;
/** How often it is looked whether a holder is reachable again. */
const AWAY_LOOK_MS = 50;

export type Fetched = 'local' | Uint8Array;

/** What was found out about a copy. */
type Found = { readonly stored: StoredBytes } | 'nowhere' | 'unknown';

export class Fetch {
  readonly #parts: OwnerParts;
  readonly #homecoming: Homecoming;
  /** By the id of the copy that is got: a handle that was put anew has another one. */
  readonly #underWay = new Map<PageId, Promise<Fetched>>();

  constructor(parts: OwnerParts) {
    this.#parts = parts;
    this.#homecoming = new Homecoming(parts);
  }

  stop(): void {
    this.#homecoming.stop();
  }

  /**
   * 'local': the handle holds no remote page any more. Else the page itself; it comes home later, if there is room.
   *
   * @throws TmemError TMEM_ERR_PEERS_AWAY, TMEM_ERR_PAGE_LOST, TMEM_ERR_DAMAGED
   */
  async fetch(page: PageRef): Promise<Fetched> {
    const found = this.#parts.local.look(page);
    if (found?.kind !== 'remote') return 'local';
    const record = readRecord(found);
    const { id } = record;
    const arrived = this.#homecoming.pageOf(id);
    if (arrived !== undefined) return arrived;
    const before = this.#underWay.get(id);
    if (before !== undefined) return before;
    const fetched = this.#fetch(page, found, record);
    this.#underWay.set(id, fetched);
    try {
      return await fetched;
    } finally {
      this.#underWay.delete(id);
    }
  }

  /** Brings a page home now; whether it is here, or not there any more. @throws as `fetch` */
  async bring(page: PageRef): Promise<boolean> {
    await this.fetch(page);
    this.#homecoming.now();
    return this.#parts.local.look(page)?.kind !== 'remote';
  }

  async #fetch(page: PageRef, foundFirst: RemoteLook, recordFirst: RemoteRecord): Promise<Fetched> {
    const { local, clock, settings } = this.#parts;
    const endMs = clock.now() + settings.patienceMs;
    let found = foundFirst;
    let record = recordFirst;
    for (let round = 0; round < ROUNDS_MAX; round++) {
      if (round > 0) {
        const now = local.look(page);
        if (now?.kind !== 'remote') return 'local';
        found = now;
        record = readRecord(now);
      }
      if (record.lost) throw pageLost();
      const copy = await this.#find(page, found, record, endMs);
      if (copy === 'changed') continue;
      if (copy === 'unknown' && record.kind === 'persistent') {
        this.#countGet(true, false);
        throw peersAway();
      }
      const done =
        typeof copy === 'string'
          ? this.#missing(page, found, record)
          : this.#arrived(page, found, record, copy.stored);
      if (done !== 'again') return done;
    }
    throw new TmemError(
      'TMEM_ERR_BUSY',
      'a page that is with a peer was changed again and again during a get',
    );
  }

  /** A copy came: to the caller with it, and home. */
  #arrived(page: PageRef, found: RemoteLook, record: RemoteRecord, stored: StoredBytes): Fetched | 'again' {
    if (record.kind === 'ephemeral') return this.#arrivedEphemeral(page, found, record, stored);
    const bytes = this.#parts.local.decode(found, stored);
    if (bytes === undefined) {
      // Of what was sealed no other copy is better. Else the only copy is not what was sent.
      if (record.tag === undefined) return this.#missing(page, found, record);
      this.#countGet(true, false);
      throw damaged();
    }
    this.#countGet(true, true);
    this.#homecoming.add({ page, found, record, stored, bytes });
    return bytes;
  }

  #arrivedEphemeral(
    page: PageRef,
    found: RemoteLook,
    record: RemoteRecord,
    stored: StoredBytes,
  ): Fetched | 'again' {
    const { local, releases } = this.#parts;
    const outcome = local.bringHome(page, found, stored);
    if (outcome === 'gone') return 'again';
    if (outcome === 'damaged') return this.#missing(page, found, record);
    const bytes = outcome === 'stored' ? undefined : local.decode(found, stored);
    if (outcome !== 'stored' && (bytes === undefined || !local.forget(page, found))) return 'again';
    releases.add(record.pool, record.id, record.places);
    this.#countGet(false, true);
    return bytes ?? 'local';
  }

  /** No holder has it, or (ephemeral pages) none answers. */
  #missing(page: PageRef, found: RemoteLook, record: RemoteRecord): 'local' | 'again' {
    const { local, releases } = this.#parts;
    if (record.kind === 'ephemeral') {
      if (!local.forget(page, found)) return 'again';
      releases.add(record.pool, record.id, record.places);
      this.#countGet(false, false);
      return 'local';
    }
    if (!this.lose(page, found, record)) return 'again';
    this.#countGet(true, false);
    throw pageLost();
  }

  /** Marks a persistent page as lost, and tells it. False: something else happened to it. */
  lose(page: PageRef, found: RemoteLook, record: RemoteRecord): boolean {
    const { local, releases, statistics, away, lost } = this.#parts;
    const marked = encodeRecord({ ...record, lost: true, places: [] });
    if (local.sendAway(page, found, marked) !== 'stored') return false;
    // What is left of it is damaged.
    releases.add(record.pool, record.id, record.places);
    statistics.pages_lost++;
    away.back(record.id);
    lost(page);
    return true;
  }

  #countGet(persistent: boolean, succeeded: boolean): void {
    const { statistics } = this.#parts;
    if (persistent) statistics[succeeded ? 'remote_pers_pages_succ_get' : 'remote_pers_pages_unsucc_get']++;
    else statistics[succeeded ? 'remote_eph_pages_succ_get' : 'remote_eph_pages_unsucc_get']++;
  }

  /** Asks until there is a copy, or it is clear that there is none, or patience ends. */
  async #find(
    page: PageRef,
    found: RemoteLook,
    record: RemoteRecord,
    endMs: number,
  ): Promise<Found | 'changed'> {
    const { clock, local } = this.#parts;
    for (;;) {
      const copy = await this.ask(page, found, record);
      if (copy !== 'unknown' || record.kind === 'ephemeral' || clock.now() >= endMs) return copy;
      await sleep(clock, Math.min(AWAY_LOOK_MS, Math.max(1, endMs - clock.now())));
      const now = local.look(page);
      // Nobody waits for a page that was put anew.
      if (now?.kind !== 'remote' || now.word !== found.word || now.version !== found.version)
        return 'changed';
    }
  }

  /** Asks all places once: the quickest first, the others when it does not answer soon or has nothing. */
  ask(page: PageRef, found: RemoteLook, record: RemoteRecord): Promise<Found> {
    const { clock, settings, stores } = this.#parts;
    const places = record.places.filter((place) => stores.health(place) !== 'gone');
    if (places.length === 0) return Promise.resolve('nowhere');
    const reachable = this.#reachable(places);
    // Those that are away may have a copy.
    let unknown = reachable.length < places.length;
    const [only] = reachable;
    if (only === undefined) return Promise.resolve('unknown');
    if (reachable.length === 1) {
      return this.#askOne(only, page, found, record).then((answer) =>
        unknown && answer === 'nowhere' ? 'unknown' : answer,
      );
    }
    return new Promise((resolve) => {
      let next = 0;
      let open = 0;
      let isDone = false;
      let hedge: Timer | undefined;
      const end = (result: Found): void => {
        isDone = true;
        hedge?.cancel();
        resolve(result);
      };
      const askNext = (): void => {
        const store = reachable[next++];
        if (isDone || store === undefined) return;
        open++;
        hedge?.cancel();
        if (next < reachable.length) hedge = clock.after(settings.hedgeMs, askNext);
        void this.#askOne(store, page, found, record).then((answer) => {
          open--;
          if (isDone) return;
          if (typeof answer !== 'string') return end(answer);
          unknown ||= answer === 'unknown';
          if (next < reachable.length) askNext();
          else if (open === 0) end(unknown ? 'unknown' : 'nowhere');
        });
      };
      askNext();
    });
  }

  async #askOne(store: RemoteStore, page: PageRef, found: RemoteLook, record: RemoteRecord): Promise<Found> {
    const { memory } = store;
    let bytes: Uint8Array | undefined;
    try {
      bytes = await store.get(record.pool, record.id, false);
    } catch {
      return 'unknown';
    }
    // A miss of a store that came back empty meanwhile says nothing that is not known from its memory.
    if (bytes === undefined) return store.memory === memory ? 'nowhere' : 'unknown';
    const stored = this.open(page, found, record, bytes);
    return stored === undefined ? 'nowhere' : { stored };
  }

  /** The stored bytes of a copy; undefined: it is not what was sent. */
  open(page: PageRef, found: RemoteLook, record: RemoteRecord, copy: Uint8Array): StoredBytes | undefined {
    const { local, sealer } = this.#parts;
    if (copy.length !== record.bytes) return undefined;
    const bytes =
      record.tag === undefined ? copy : sealer.open(page, record.id, { bytes: copy, tag: record.tag });
    if (bytes === undefined) return undefined;
    const stored = { codec: record.codec, bytes };
    // What is sealed was authenticated, and what has no other copy is checked when it comes home.
    const isTrusted = record.tag !== undefined || record.places.length === 1;
    return isTrusted || local.decode(found, stored) !== undefined ? stored : undefined;
  }

  #reachable(places: readonly Place[]): RemoteStore[] {
    const { stores } = this.#parts;
    const rank = ({ state, latencyMs }: RemoteStore): number => (state === 'up' ? 0 : 1e9) + latencyMs;
    return places
      .filter((place) => stores.health(place) !== 'away')
      .map(({ node }) => stores.byNode(node))
      .filter((store) => store !== undefined)
      .sort((a, b) => rank(a) - rank(b));
  }
}

export function readRecord({ record }: RemoteLook): RemoteRecord {
  const read = decodeRecord(record);
  if (read !== undefined) return read;
  throw new TmemError('TMEM_ERR_DAMAGED', 'the record of a page that is away cannot be read');
}

function damaged(): TmemError {
  return new TmemError('TMEM_ERR_DAMAGED', 'a page that came back from a peer is not what was stored');
}

function pageLost(): TmemError {
  return new TmemError(
    'TMEM_ERR_PAGE_LOST',
    'every peer that had this page has lost its memory; write the page anew, or flush it',
  );
}

function peersAway(): TmemError {
  return new TmemError(
    'TMEM_ERR_PEERS_AWAY',
    'no peer that has this page answers now; try again when they are back (tmem peers)',
  );
}
