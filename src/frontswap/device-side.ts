/**
 * How the pages of an area and the bytes of its device are kept in step. All calls are for slots whose region the
 * caller holds (region-locks.ts), so nobody else changes them meanwhile; others may read them at any time.
 *
 * Rules it keeps:
 * - of a slot's two copies the store's is the newer one, or both are the same;
 * - what replaces a page lies on the device before the page leaves the store: a reader who misses finds on the device
 *   what was written last, and a process that is killed in between finds the older page again, not one before it;
 * - a page is clean only once the device has it.
 */

import { isAway, TmemError } from '../zcache/index.ts';
import { type FrontswapArea, SLOT_BYTES } from './area.ts';
import { AwayPages, settledEach } from './away-pages.ts';
import type { BackingDevice } from './backing-device.ts';
import { REGION_SLOTS } from './region-locks.ts';
import { CLEAN, DIRTY, EMPTY } from './slot-map.ts';

/** Buffers kept for later: as many write-backs run side by side without making new ones. */
const BUFFERS_MAX = 4;

export class DeviceSide {
  readonly #area: FrontswapArea;
  readonly #device: BackingDevice;
  readonly #away: AwayPages;
  /** Called before these slots of the device change, and again when they have (or may have) changed. */
  readonly #changing: (first: number, end: number) => void;
  /** Each holds a region. */
  readonly #buffers: Uint8Array[] = [];

  constructor(area: FrontswapArea, device: BackingDevice, changing: (first: number, end: number) => void) {
    this.#area = area;
    this.#device = device;
    this.#away = new AwayPages(area);
    this.#changing = changing;
  }

  /** Writes bytes of one region to the device. Pages there: `keep` updates them, else they leave the store. */
  async write(position: number, bytes: Uint8Array, keep: boolean): Promise<void> {
    const end = position + bytes.length;
    const first = Math.floor(position / SLOT_BYTES);
    const last = Math.floor((end - 1) / SLOT_BYTES);
    // Of a page that is covered in part, the device gets the rest first.
    const missing = new MissingPages();
    if (position % SLOT_BYTES !== 0) await this.writeBack(first, first + 1, missing);
    if (end % SLOT_BYTES !== 0) await this.writeBack(last, last + 1, missing);
    missing.check();
    // Should this fail in the middle, the store's page is the only one that is whole.
    for (let slot = first; slot <= last; slot++) this.#area.map.change(slot, CLEAN, DIRTY);
    await this.#change(first, last + 1, () => this.#device.write(position, bytes));
    for (let slot = first; slot <= last; slot++) {
      const from = Math.max(slot * SLOT_BYTES, position);
      const to = Math.min((slot + 1) * SLOT_BYTES, end);
      const part = bytes.subarray(from - position, to - position);
      if (!keep || !this.#update(slot, from - slot * SLOT_BYTES, part)) this.#area.drop(slot);
    }
  }

  /**
   * Writes the dirty pages from `first` to before `end`, all of one region, to the device. They stay, clean; those that
   * are with peers and not fetched stay dirty.
   */
  async writeBack(first: number, end: number, missing: MissingPages): Promise<void> {
    const { map } = this.#area;
    for (let slot = map.nextDirty(first, end); slot !== -1; ) {
      const buffer = this.#buffers.pop() ?? new Uint8Array(REGION_SLOTS * SLOT_BYTES);
      try {
        const away: number[] = [];
        let pages = this.#collect(slot, end, buffer, missing.fetches ? away : undefined);
        let next = slot + Math.max(1, pages);
        if (away.length > 0) {
          const cut = await this.#fetch(away, slot, buffer, missing);
          if (cut !== undefined) [pages, next] = [cut - slot, cut + 1];
        }
        const bytes = buffer.subarray(0, pages * SLOT_BYTES);
        if (pages > 0)
          await this.#change(slot, slot + pages, () => this.#device.write(slot * SLOT_BYTES, bytes));
        for (let i = 0; i < pages; i++) map.set(slot + i, CLEAN);
        slot = map.nextDirty(next, end);
      } finally {
        if (this.#buffers.length < BUFFERS_MAX) this.#buffers.push(buffer);
      }
    }
  }

  /** Makes whole slots from `first` to before `end` zeroes, on the device and in the store. */
  async zero(first: number, end: number): Promise<void> {
    const bytes = Math.min(end * SLOT_BYTES, this.#device.bytes) - first * SLOT_BYTES;
    await this.#change(first, end, () => this.#device.zero(first * SLOT_BYTES, bytes));
  }

  async #change(first: number, end: number, work: () => Promise<void>): Promise<void> {
    this.#changing(first, end);
    try {
      await work();
    } finally {
      this.#changing(first, end);
    }
  }

  /**
   * Copies a run of dirty pages to `buffer`; how many. Marks without a page are taken back. Pages that are with peers
   * are counted and noted in `away`; without it, they end the run.
   */
  #collect(first: number, end: number, buffer: Uint8Array, away: number[] | undefined): number {
    const { map } = this.#area;
    let pages = 0;
    while (first + pages < end && map.get(first + pages) === DIRTY) {
      const slot = first + pages;
      // A look costs less than being told by what is thrown: most pages may be away.
      if (away === undefined && this.#area.isAway(slot)) break;
      try {
        if (!this.#copy(slot, pageOf(buffer, pages))) break;
      } catch (thrown) {
        if (!isAway(thrown)) throw thrown;
        if (away === undefined) break;
        away.push(slot);
      }
      pages++;
    }
    return pages;
  }

  /** Copies a dirty page; false if there is none, then the mark is taken back. */
  #copy(slot: number, out: Uint8Array): boolean {
    const length = this.#area.peek(slot, out);
    if (length === 0) this.#area.map.set(slot, EMPTY);
    else out.fill(0, length);
    return length > 0;
  }

  /** Fetches pages to their places in a `buffer` that begins with slot `first`; the first one that is missing. */
  async #fetch(
    slots: readonly number[],
    first: number,
    buffer: Uint8Array,
    missing: MissingPages,
  ): Promise<number | undefined> {
    const results = await settledEach(slots, (slot) => {
      const out = pageOf(buffer, slot - first);
      return this.#away.whenHere(
        slot,
        true,
        () => this.#copy(slot, out),
        (page) => {
          out.set(page);
          out.fill(0, page.length);
          return true;
        },
      );
    });
    for (const result of results) if (result.status === 'rejected') missing.add(result.reason);
    return slots.find((_, i) => {
      const result = results[i];
      return result?.status !== 'fulfilled' || !result.value;
    });
  }

  /** Gives the store what the device has got; false if it has no page of the slot then that may stay. */
  #update(slot: number, at: number, part: Uint8Array): boolean {
    try {
      const stored =
        part.length === SLOT_BYTES
          ? this.#area.replace(slot, part)
          : this.#area.replacePart(slot, at, part) === true;
      if (stored) this.#area.map.set(slot, CLEAN);
      return stored;
    } catch (thrown) {
      if (!isAway(thrown)) throw thrown;
      return false; // the device has all of it
    }
  }
}

/** Dirty pages that are with peers: whether a write-back fetches them, and which could not be had. */
export class MissingPages {
  #fetches: boolean;
  #failure: { readonly reason: unknown } | undefined;

  constructor(fetches = true) {
    this.#fetches = fetches;
  }

  get fetches(): boolean {
    return this.#fetches;
  }

  /** A lost page says nothing of others. Anything else would happen to each of them, after a while each time. */
  add(reason: unknown): void {
    if (!(TmemError.is(reason) && reason.code === 'TMEM_ERR_PAGE_LOST')) this.#fetches = false;
    this.#failure ??= { reason };
  }

  /** @throws why the first of them could not be fetched */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure.reason;
  }
}

function pageOf(buffer: Uint8Array, page: number): Uint8Array {
  return buffer.subarray(page * SLOT_BYTES, (page + 1) * SLOT_BYTES);
}
