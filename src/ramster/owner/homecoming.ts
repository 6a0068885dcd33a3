/**
 * Homecoming: persistent pages that were given to who asked for them, on their way into the store. It is done a moment
 * later, for all that arrived meanwhile; whatever happens to a handle until then, its page does not come home.
 */

import type { Timer } from '../clock.ts';
import type { PageRef, RemoteLook, StoredBytes } from '../local/local-pages.ts';
import type { PageId } from '../page-id.ts';
import type { RemoteRecord } from '../record.ts';
import type { OwnerParts } from './parts.ts';

/** Pages that wait at most: one more, and all go home at once. */
const WAITING_MAX = 256;

interface Arrival {
  readonly page: PageRef;
  readonly found: RemoteLook;
  readonly record: RemoteRecord;
  readonly stored: StoredBytes;
  /** The page itself. */
  readonly bytes: Uint8Array;
}

export class Homecoming {
  readonly #parts: OwnerParts;
  readonly #waiting = new Map<PageId, Arrival>();
  #timer: Timer | undefined;

  constructor(parts: OwnerParts) {
    this.#parts = parts;
  }

  /** What waits stays with the peers. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#waiting.clear();
  }

  add(arrival: Arrival): void {
    this.#waiting.set(arrival.record.id, arrival);
    if (this.#waiting.size > WAITING_MAX) this.now();
    else this.#timer ??= this.#parts.clock.after(0, () => this.now());
  }

  /** The page of a copy that has arrived and waits. */
  pageOf(id: PageId): Uint8Array | undefined {
    return this.#waiting.get(id)?.bytes;
  }

  /** Brings home all that wait. */
  now(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const arrivals = [...this.#waiting.values()];
    this.#waiting.clear();
    try {
      for (const arrival of arrivals) this.#bring(arrival);
    } catch {
      // The store was busy, or is being closed: these pages stay where they are.
    }
  }

  #bring({ page, found, record, stored }: Arrival): void {
    const { local, releases, away } = this.#parts;
    if (local.bringHome(page, found, stored) !== 'stored') return;
    releases.add(record.pool, record.id, record.places);
    away.back(record.id);
  }
}
