/**
 * Copies that are wanted no more, on their way to be freed: a queue for each holder, sent in batches, and sent again
 * until it is acknowledged. It ends when the holder has lost its memory, when its lease for this node is over, or when
 * nobody has known the holder for as long. A queue that is full drops the rest, and says so: a sweep finds those.
 */

import type { Clock } from '../clock.ts';
import type { PageId } from '../page-id.ts';
import { isSamePlace, type Place } from '../place.ts';
import { FREE_MOST, type HeldPage, type RemoteStore } from '../remote-store/remote-store.ts';
import type { RamsterStatistics } from '../statistics.ts';
import type { RemoteStores } from './stores.ts';

/** Pages queued for one holder: 2 MiB of them. */
const QUEUE_MAX = 65_536;
const BATCHES_UNDER_WAY_MAX = 4;

interface Queue {
  readonly place: Place;
  /** By their ids. */
  readonly pages: Map<PageId, HeldPage>;
  /** Those of them that were sent, and not acknowledged yet. */
  readonly sent: Set<PageId>;
  underWay: number;
  /** When there was a store for this node last. */
  knownMs: number;
}

export interface ReleaseQueueOptions {
  readonly stores: RemoteStores;
  readonly statistics: RamsterStatistics;
  readonly clock: Clock;
  /** How long a queue is kept for a node to which there is no link. */
  readonly unknownMs: number;
  readonly isLeaseOver: (store: RemoteStore) => boolean;
}

export class ReleaseQueue {
  readonly #options: ReleaseQueueOptions;
  readonly #stores: RemoteStores;
  readonly #statistics: RamsterStatistics;
  readonly #queues = new Map<string, Queue>();
  #hasDropped = false;

  constructor(options: ReleaseQueueOptions) {
    this.#options = options;
    this.#stores = options.stores;
    this.#statistics = options.statistics;
  }

  /** Copies were dropped from a queue since this was asked last: only a sweep can find them. */
  takeDropped(): boolean {
    const dropped = this.#hasDropped;
    this.#hasDropped = false;
    return dropped;
  }

  get isEmpty(): boolean {
    return this.#queues.size === 0;
  }

  /** Nodes for which there is a queue. */
  nodes(): number[] {
    return [...this.#queues.values()].map(({ place }) => place.node);
  }

  /** Nodes that are being told, or will be, to free copies with this id. */
  nodesOf(id: PageId): number[] {
    return [...this.#queues.values()].filter(({ pages }) => pages.has(id)).map(({ place }) => place.node);
  }

  /** Frees the copies of a page at all these places, in the background. */
  add(pool: number, id: PageId, places: readonly Place[]): void {
    for (const place of places) {
      if (this.#stores.health(place) === 'gone') continue;
      const key = `${place.node}/${place.memory}`;
      let queue = this.#queues.get(key);
      if (queue === undefined) {
        const knownMs = this.#options.clock.now();
        queue = { place, pages: new Map(), sent: new Set(), underWay: 0, knownMs };
        this.#queues.set(key, queue);
      }
      if (queue.pages.has(id)) continue;
      if (queue.pages.size >= QUEUE_MAX) {
        this.#hasDropped = true;
        this.#statistics.remote_page_flushes_failed++;
        continue;
      }
      queue.pages.set(id, { pool, id });
      this.#count(1);
    }
  }

  /** Sends what can be sent. Called again and again. */
  step(): void {
    const now = this.#options.clock.now();
    for (const [key, queue] of this.#queues) {
      const store = this.#stores.byNode(queue.place.node);
      if (store !== undefined) queue.knownMs = now;
      if (this.#isOver(queue, store, now)) this.#drop(queue);
      else if (store?.state === 'up') this.#sendAll(queue, store);
      if (queue.pages.size === 0 && queue.underWay === 0) this.#queues.delete(key);
    }
  }

  #isOver({ place, knownMs }: Queue, store: RemoteStore | undefined, now: number): boolean {
    if (store === undefined) return now - knownMs > this.#options.unknownMs;
    const { node, memory } = store;
    const isOtherMemory = memory !== undefined && !isSamePlace(place, { node, memory });
    return isOtherMemory || this.#options.isLeaseOver(store);
  }

  #drop({ pages }: Queue): void {
    this.#count(-pages.size);
    this.#statistics.remote_page_flushes_failed += pages.size;
    pages.clear();
  }

  #sendAll(queue: Queue, store: RemoteStore): void {
    let batch: HeldPage[] = [];
    for (const page of queue.pages.values()) {
      if (queue.underWay >= BATCHES_UNDER_WAY_MAX) return;
      if (queue.sent.has(page.id)) continue;
      batch.push(page);
      if (batch.length < FREE_MOST) continue;
      void this.#send(queue, store, batch);
      batch = [];
    }
    if (batch.length > 0 && queue.underWay < BATCHES_UNDER_WAY_MAX) void this.#send(queue, store, batch);
  }

  async #send(queue: Queue, store: RemoteStore, batch: readonly HeldPage[]): Promise<void> {
    const { pages, sent } = queue;
    for (const { id } of batch) sent.add(id);
    queue.underWay++;
    try {
      await store.free(batch);
      for (const { id } of batch) {
        // Unless it was given up meanwhile.
        if (!pages.delete(id)) continue;
        this.#count(-1);
        this.#statistics.remote_pages_flushed++;
      }
    } catch {
      // Whether it was done is unknown; freeing twice does no harm.
    } finally {
      for (const { id } of batch) sent.delete(id);
      queue.underWay--;
    }
  }

  #count(change: number): void {
    const statistics = this.#statistics;
    statistics.curr_flush_queue += change;
    statistics.curr_flush_queue_max = Math.max(statistics.curr_flush_queue_max, statistics.curr_flush_queue);
  }
}
