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

import { type FrontswapArea, SLOT_BYTES } from './area.ts';
import type { BackingDevice } from './backing-device.ts';
import { REGION_SLOTS } from './region-locks.ts';
import { CLEAN, DIRTY, EMPTY } from './slot-map.ts';

/** Buffers kept for later: as many write-backs run side by side without making new ones. */
const BUFFERS_MAX = 4;

export class DeviceSide {
  readonly #area: FrontswapArea;
  readonly #device: BackingDevice;
  /** Called before these slots of the device change, and again when they have (or may have) changed. */
  readonly #changing: (first: number, end: number) => void;
  /** Each holds a region. */
  readonly #buffers: Uint8Array[] = [];

  constructor(area: FrontswapArea, device: BackingDevice, changing: (first: number, end: number) => void) {
    this.#area = area;
    this.#device = device;
    this.#changing = changing;
  }

  /** Writes bytes of one region to the device. Pages there: `keep` updates them, else they leave the store. */
  async write(position: number, bytes: Uint8Array, keep: boolean): Promise<void> {
    const end = position + bytes.length;
    const first = Math.floor(position / SLOT_BYTES);
    const last = Math.floor((end - 1) / SLOT_BYTES);
    // Of a page that is covered in part, the device gets the rest first.
    if (position % SLOT_BYTES !== 0) await this.writeBack(first, first + 1);
    if (end % SLOT_BYTES !== 0) await this.writeBack(last, last + 1);
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

  /** Writes the dirty pages from `first` to before `end`, all of one region, to the device. They stay, clean. */
  async writeBack(first: number, end: number): Promise<void> {
    const { map } = this.#area;
    for (let slot = map.nextDirty(first, end); slot !== -1; slot = map.nextDirty(slot, end)) {
      const buffer = this.#buffers.pop() ?? new Uint8Array(REGION_SLOTS * SLOT_BYTES);
      try {
        const pages = this.#collect(slot, end, buffer);
        const bytes = buffer.subarray(0, pages * SLOT_BYTES);
        if (pages > 0)
          await this.#change(slot, slot + pages, () => this.#device.write(slot * SLOT_BYTES, bytes));
        for (let i = 0; i < pages; i++) map.set(slot + i, CLEAN);
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

  /** Copies a run of dirty pages to `buffer`; how many. Marks without a page are taken back. */
  #collect(first: number, end: number, buffer: Uint8Array): number {
    const { map } = this.#area;
    let pages = 0;
    while (first + pages < end && map.get(first + pages) === DIRTY) {
      const page = buffer.subarray(pages * SLOT_BYTES, (pages + 1) * SLOT_BYTES);
      const length = this.#area.peek(first + pages, page);
      if (length === 0) {
        map.set(first + pages, EMPTY);
        break;
      }
      page.fill(0, length);
      pages++;
    }
    return pages;
  }

  /** Gives the store what the device has got; false if it has no page of the slot then that may stay. */
  #update(slot: number, at: number, part: Uint8Array): boolean {
    const stored =
      part.length === SLOT_BYTES
        ? this.#area.replace(slot, part)
        : this.#area.replacePart(slot, at, part) === true;
    if (stored) this.#area.map.set(slot, CLEAN);
    return stored;
  }
}
