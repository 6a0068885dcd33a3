/**
 * Reading an area and its device: each slot from the store, else from the device, else zeroes. Pages that are with
 * peers are fetched, several at a time.
 *
 * Readers take no lock. A page that leaves the store is on the device by then (device-side.ts), so whoever misses it
 * here finds it there.
 */

import { isOnDevice } from './allocation.ts';
import { type FrontswapArea, SLOT_BYTES } from './area.ts';
import { AwayPages, settledEach } from './away-pages.ts';
import type { BackingDevice } from './backing-device.ts';
import type { DeviceReads } from './device-reads.ts';
import { REGION_SLOTS } from './region-locks.ts';
import { CLEAN } from './slot-map.ts';

export class AreaReads {
  readonly #area: FrontswapArea;
  readonly #device: BackingDevice | undefined;
  readonly #reads: DeviceReads | undefined;
  /** A byte for each region: whether it was used lately. */
  readonly #used: Uint8Array<SharedArrayBuffer>;
  readonly #away: AwayPages;
  /** Where the last `now` ended at a page that is with a peer; -1: it did not. */
  #awayAt = -1;

  constructor(
    area: FrontswapArea,
    device: BackingDevice | undefined,
    reads: DeviceReads | undefined,
    used: Uint8Array<SharedArrayBuffer>,
  ) {
    this.#area = area;
    this.#device = device;
    this.#reads = reads;
    this.#used = used;
    this.#away = new AwayPages(area);
  }

  /** Reads what needs neither device nor peer, from the start on; how many bytes. */
  now(position: number, out: Uint8Array): number {
    let done = 0;
    this.#awayAt = -1;
    try {
      while (done < out.length) {
        const at = position + done;
        const slot = Math.floor(at / SLOT_BYTES);
        const within = at - slot * SLOT_BYTES;
        const length = Math.min(SLOT_BYTES - within, out.length - done);
        const part = length === out.length ? out : out.subarray(done, done + length);
        if (!this.#slotNow(slot, within, part)) break;
        done += length;
      }
    } catch (thrown) {
      if (!this.#away.canFetch(thrown)) throw thrown;
      this.#awayAt = position + done;
    }
    return done;
  }

  /** @throws what the device and the fetcher throw */
  async all(position: number, out: Uint8Array): Promise<void> {
    for (let done = 0; ; ) {
      // Whoever comes with what `now` has left knows how it ended.
      if (position + done !== this.#awayAt) done += this.now(position + done, out.subarray(done));
      if (done === out.length) return;
      const first = done;
      const isAway = position + done === this.#awayAt;
      this.#awayAt = -1;
      do {
        const slot = Math.floor((position + done) / SLOT_BYTES);
        done = Math.min((slot + 1) * SLOT_BYTES - position, out.length);
        // A run of the device's slots, or of those that may be away as well.
      } while (done < out.length && this.#area.holdsPage((position + done) / SLOT_BYTES) === isAway);
      const run = out.subarray(first, done);
      if (isAway) await this.#fetch(position + first, run);
      else await this.#reads?.read(position + first, run);
    }
  }

  /** Reads slots of which the first is away, and others may be. */
  async #fetch(position: number, out: Uint8Array): Promise<void> {
    const slots = Math.ceil((position + out.length) / SLOT_BYTES) - Math.floor(position / SLOT_BYTES);
    const first = Math.floor(position / SLOT_BYTES);
    const results = await settledEach(
      Array.from({ length: slots }, (_, i) => first + i),
      async (slot) => {
        const from = Math.max(slot * SLOT_BYTES, position);
        const to = Math.min((slot + 1) * SLOT_BYTES, position + out.length);
        const part = out.subarray(from - position, to - position);
        await this.#fetchSlot(
          slot,
          slot === first || this.#area.isAway(slot),
          from - slot * SLOT_BYTES,
          part,
        );
      },
    );
    const failed = results.find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  }

  async #fetchSlot(slot: number, isAway: boolean, within: number, part: Uint8Array): Promise<void> {
    const isRead = await this.#away
      .whenHere(
        slot,
        isAway,
        () => this.#slotNow(slot, within, part),
        (page) => {
          part.fill(0, this.#area.loadFetched(slot, page, within, part));
          return true;
        },
      )
      .catch((error) => {
        // The device has it as well.
        if (this.#area.map.get(slot) === CLEAN) return false;
        throw error;
      });
    if (!isRead) await this.#reads?.read(slot * SLOT_BYTES + within, part);
  }

  /** Reads a part of one slot. False: only the device has it. */
  #slotNow(slot: number, within: number, part: Uint8Array): boolean {
    const found =
      part.length === SLOT_BYTES
        ? this.#area.load(slot, part) || -1
        : this.#area.loadPart(slot, within, part);
    if (found >= 0) {
      this.#used[Math.floor(slot / REGION_SLOTS)] = 1;
      part.fill(0, found);
      return true;
    }
    if (isOnDevice(this.#device, slot)) return this.#reads?.now(slot, within, part) === true;
    part.fill(0);
    return true;
  }
}
