/**
 * Copies that are wanted no more, on their way to be freed: a queue for each holder, sent in batches, and sent again until
 * it is acknowledged. It ends when the holder has lost its memory, or when its lease for this node is over. A queue that is
 * full drops the rest, and says so: a sweep finds those.
 */

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
  pages: HeldPage[];
  underWay: number;
}

export class ReleaseQueue {
  readonly #stores: RemoteStores;
  readonly #statistics: RamsterStatistics;
  readonly #isLeaseOver: (store: RemoteStore) => boolean;
  readonly #queues = new Map<string, Queue>();
  #hasDropped = false;

  constructor(
    stores: RemoteStores,
    statistics: RamsterStatistics,
    isLeaseOver: (store: RemoteStore) => boolean,
  ) {
    this.#stores = stores;
    this.#statistics = statistics;
    this.#isLeaseOver = isLeaseOver;
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

  /** Frees the copies of a page at all these places, in the background. */
  add(pool: number, id: PageId, places: readonly Place[]): void {
    for (const place of places) {
      if (this.#stores.health(place) === 'gone') continue;
      const key = `${place.node}/${place.memory}`;
      let queue = this.#queues.get(key);
      if (queue === undefined) {
        queue = { place, pages: [], underWay: 0 };
        this.#queues.set(key, queue);
      }
      if (queue.pages.length >= QUEUE_MAX) {
        this.#hasDropped = true;
        this.#statistics.remote_page_flushes_failed++;
        continue;
      }
      queue.pages.push({ pool, id });
      this.#count(1);
    }
  }

  /** Sends what can be sent. Called again and again. */
  step(): void {
    for (const [key, queue] of this.#queues) {
      const store = this.#stores.byNode(queue.place.node);
      if (store !== undefined && this.#isOver(queue, store)) {
        this.#count(-queue.pages.length);
        this.#statistics.remote_page_flushes_failed += queue.pages.length;
        queue.pages = [];
      } else if (store?.state === 'up') {
        while (queue.pages.length > 0 && queue.underWay < BATCHES_UNDER_WAY_MAX)
          void this.#send(queue, store);
      }
      if (queue.pages.length === 0 && queue.underWay === 0) this.#queues.delete(key);
    }
  }

  #isOver({ place }: Queue, store: RemoteStore): boolean {
    const isOtherMemory =
      store.memory !== undefined && !isSamePlace(place, { node: store.node, memory: store.memory });
    return isOtherMemory || this.#isLeaseOver(store);
  }

  async #send(queue: Queue, store: RemoteStore): Promise<void> {
    const batch = queue.pages.splice(0, FREE_MOST);
    queue.underWay++;
    try {
      await store.free(batch);
      this.#count(-batch.length);
      this.#statistics.remote_pages_flushed += batch.length;
    } catch {
      // Whether it was done is unknown; freeing twice does no harm.
      queue.pages.unshift(...batch);
    } finally {
      queue.underWay--;
    }
  }

  #count(change: number): void {
    const statistics = this.#statistics;
    statistics.curr_flush_queue += change;
    statistics.curr_flush_queue_max = Math.max(statistics.curr_flush_queue_max, statistics.curr_flush_queue);
  }
}
