/**
 * Remotify: while memory is short, the least recently used pages go to peers. Stored bytes travel as they are, sealed;
 * the page stays here until all its copies are acknowledged, and only then the record takes its place.
 *
 *   free memory   0 .. sendBelowPercent: send until sendUntilPercent is free
 */

import type { PoolKind } from '../../zcache/index.ts';
import type { PageRef, StoredLook } from '../local/local-pages.ts';
import type { Place } from '../place.ts';
import { encodeRecord } from '../record.ts';
import type { TravellingPage } from '../remote-store/remote-store.ts';
import { type Copies, makeCopies } from './copies.ts';
import { keyOf, type OwnerParts } from './parts.ts';
import type { Resting } from './resting.ts';

/** Between two attempts when nobody takes anything. */
const REST_MS = 500;

export class Remotify {
  readonly #parts: OwnerParts;
  readonly #resting: Resting;
  readonly #busy = new Set<string>();
  #isShort = false;
  /** Until then nothing is tried: nobody took anything the last time. */
  #restUntilMs = Number.NEGATIVE_INFINITY;
  #running = false;
  #stopped = false;

  constructor(parts: OwnerParts, resting: Resting) {
    this.#parts = parts;
    this.#resting = resting;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Looks at the memory, and sends if it is short; returns at once. */
  step(): void {
    if (this.#running || this.#stopped || this.#parts.clock.now() < this.#restUntilMs || !this.#mustSend())
      return;
    this.#running = true;
    void this.#sendUntilEnough()
      .catch(() => {
        // The store was busy, or is being closed; the pages are where they were.
        this.#rest();
      })
      .finally(() => {
        this.#running = false;
      });
  }

  /** Sends one page. 'stays': nothing to send, or not enough stores took it. */
  async send(page: PageRef): Promise<'sent' | 'stays'> {
    const { local, ids } = this.#parts;
    const key = keyOf(page);
    const kind = local.kindOf(page.pool);
    const found = local.look(page);
    if (kind === undefined || found?.kind !== 'stored' || this.#busy.has(key)) return 'stays';
    const id = ids.take();
    if (id === undefined) return 'stays';
    this.#busy.add(key);
    this.#parts.unsettled.begin(id);
    try {
      return await this.#sendAs(page, kind, found, id);
    } finally {
      this.#parts.unsettled.end(id);
      this.#busy.delete(key);
    }
  }

  async #sendAs(page: PageRef, kind: PoolKind, found: StoredLook, id: number): Promise<'sent' | 'stays'> {
    const { local, settings, sealer, releases, statistics, away } = this.#parts;
    const sealed = settings.seal ? sealer.seal(page, id, found.bytes) : undefined;
    const travelling = { pool: page.pool, kind, id, bytes: sealed?.bytes ?? found.bytes };
    const wanted = kind === 'persistent' ? settings.replicas : 1;
    const copies = await this.#copy(travelling, wanted);
    const all = [...copies.places, ...copies.uncertain];
    if (copies.places.length < wanted) {
      releases.add(page.pool, id, all);
      if (kind === 'ephemeral') statistics.eph_pages_remote_failed++;
      else statistics.pers_pages_remote_failed++;
      if (kind === 'persistent' && copies.noRoom) statistics.pers_pages_remote_nomem++;
      return 'stays';
    }
    const record = encodeRecord({
      pool: page.pool,
      id,
      kind,
      codec: found.codec,
      bytes: found.bytes.length,
      tag: sealed?.tag,
      lost: false,
      places: copies.places,
    });
    if (local.sendAway(page, found, record) !== 'stored') {
      // Somebody put, flushed or moved the page meanwhile: these copies are of the past.
      releases.add(page.pool, id, all);
      return 'stays';
    }
    releases.add(page.pool, id, copies.uncertain);
    if (kind === 'ephemeral') statistics.eph_pages_remoted++;
    else {
      statistics.pers_pages_remoted++;
      away.left(id);
    }
    return 'sent';
  }

  /** On a node that keeps copies on its disk, one of them is there. */
  async #copy(page: TravellingPage, wanted: number): Promise<Copies> {
    const { stores, random } = this.#parts;
    const { disk } = stores;
    if (page.kind === 'ephemeral' || disk?.memory === undefined) {
      return makeCopies(stores, random, page, wanted, []);
    }
    const place: Place = { node: 0, memory: disk.memory };
    const outcome = await disk.put(page).catch(() => 'refused' as const);
    const onDisk = outcome === 'stored' ? [place] : [];
    const others = await makeCopies(stores, random, page, Math.max(1, wanted - onDisk.length), []);
    return { ...others, places: [...onDisk, ...others.places] };
  }

  #mustSend(): boolean {
    const { local, settings } = this.#parts;
    const { totalBytes, freeBytes } = local.room();
    const percent = this.#isShort ? settings.sendUntilPercent : settings.sendBelowPercent;
    this.#isShort = freeBytes * 100 < totalBytes * percent;
    return this.#isShort && (settings.persistent || settings.ephemeral);
  }

  /** Batch after batch; ends when memory is not short any more, or when a batch brought nothing. */
  async #sendUntilEnough(): Promise<void> {
    while (!this.#stopped && this.#mustSend()) {
      const outcomes = await Promise.all(this.#coldest().map((page) => this.send(page)));
      if (outcomes.includes('sent')) continue;
      this.#rest();
      return;
    }
  }

  #rest(): void {
    this.#restUntilMs = this.#parts.clock.now() + REST_MS;
  }

  /** Whether there are enough stores for all copies. */
  #isPlaceFor(kind: PoolKind): boolean {
    const { stores, settings } = this.#parts;
    const onDisk = stores.disk?.memory === undefined ? 0 : 1;
    const wanted = kind === 'persistent' ? Math.max(1, settings.replicas - onDisk) : 1;
    return stores.candidates().length >= wanted;
  }

  /** Persistent pages first: for want of room they are refused, and ephemeral ones only go. */
  #coldest(): PageRef[] {
    const { local, settings } = this.#parts;
    const most = settings.inFlightPages;
    const pages: PageRef[] = [];
    for (const kind of ['persistent', 'ephemeral'] as const) {
      if (!settings[kind] || pages.length >= most || !this.#isPlaceFor(kind)) continue;
      // More than needed, because some have just come home.
      const found = local.coldest(kind, 2 * (most - pages.length));
      pages.push(...found.filter((page) => !this.#resting.has(page)).slice(0, most - pages.length));
    }
    return pages;
  }
}
