/**
 * Changes of slots of one region, which the caller holds (region-locks.ts): what the store takes stays there, what it
 * refuses goes to the device, if there is one.
 */

import { isOnDevice } from './allocation.ts';
import { type FrontswapArea, SLOT_BYTES } from './area.ts';
import type { BackingDevice } from './backing-device.ts';
import type { DeviceSide } from './device-side.ts';
import { REGION_SLOTS } from './region-locks.ts';

const zeroes = new Uint8Array(REGION_SLOTS * SLOT_BYTES);

export class RegionChanges {
  readonly #area: FrontswapArea;
  readonly #device: BackingDevice | undefined;
  readonly #side: DeviceSide | undefined;
  readonly #page = new Uint8Array(SLOT_BYTES);
  /** Pages that the store refused and that went to the device, or nowhere. */
  refusedPages = 0;
  /** Whether the last page that was not stored was offered at all. */
  #wasOffered = false;

  constructor(area: FrontswapArea, device: BackingDevice | undefined, side: DeviceSide | undefined) {
    this.#area = area;
    this.#device = device;
    this.#side = side;
  }

  /** Stores parts of `bytes` from index `from` to `end`, up to the first that is refused; the index of that. */
  store(position: number, bytes: Uint8Array, from: number, end: number): number {
    let done = from;
    while (done < end) {
      const length = Math.min(SLOT_BYTES - ((position + done) % SLOT_BYTES), end - done);
      const part = length === bytes.length ? bytes : bytes.subarray(done, done + length);
      if (!this.#storePart(position + done, part)) break;
      done += length;
    }
    return done;
  }

  /** As `store`, but what is refused goes to the device, and all of it if `through`. False: there is none. */
  async write(
    position: number,
    bytes: Uint8Array,
    from: number,
    end: number,
    through: boolean,
  ): Promise<boolean> {
    if (!through || this.#side === undefined) return await this.#storeOrWrite(position, bytes, from, end);
    await this.#side.write(position + from, bytes.subarray(from, end), true);
    return true;
  }

  /** Makes bytes zeroes, and whole slots holes. False as for `write`. */
  async zero(position: number, end: number, through: boolean): Promise<boolean> {
    const limit = this.#device?.bytes ?? Number.POSITIVE_INFINITY;
    const first = Math.ceil(position / SLOT_BYTES);
    const last = end === limit ? Math.ceil(end / SLOT_BYTES) : Math.floor(end / SLOT_BYTES);
    if (first < last) {
      await this.#side?.zero(first, last);
      const { map } = this.#area;
      for (let slot = map.nextAccepted(first, last); slot !== -1; slot = map.nextAccepted(slot + 1, last)) {
        this.#area.drop(slot);
      }
    }
    const head = Math.min(first * SLOT_BYTES, end);
    if (head > position && !(await this.#zeroPart(position, head, through))) return false;
    const tail = Math.max(last * SLOT_BYTES, head);
    return tail >= end || (await this.#zeroPart(tail, end, through));
  }

  /** Writes zeroes. False as for `write`. */
  async writeZeroes(position: number, end: number, through: boolean): Promise<boolean> {
    return await this.write(position, zeroes, 0, end - position, through);
  }

  /** Zeroes part of one slot; nothing to do where it has no page. */
  async #zeroPart(position: number, end: number, through: boolean): Promise<boolean> {
    const slot = Math.floor(position / SLOT_BYTES);
    if (!this.#area.holdsPage(slot) && !isOnDevice(this.#device, slot)) return true;
    return await this.writeZeroes(position, end, through);
  }

  #countRefused(): void {
    if (this.#wasOffered) this.refusedPages++;
  }

  #storePart(position: number, part: Uint8Array): boolean {
    this.#wasOffered = true;
    const slot = Math.floor(position / SLOT_BYTES);
    if (part.length === SLOT_BYTES) return this.#area.replace(slot, part);
    const stored = this.#area.replacePart(slot, position % SLOT_BYTES, part);
    if (stored !== undefined) return stored;
    // The rest of the page is the device's, unless that has none.
    if (isOnDevice(this.#device, slot)) {
      this.#wasOffered = false;
      return false;
    }
    this.#page.fill(0).set(part, position % SLOT_BYTES);
    return this.#area.replace(slot, this.#page);
  }

  async #storeOrWrite(position: number, bytes: Uint8Array, from: number, end: number): Promise<boolean> {
    for (let done = from; done < end; ) {
      done = this.store(position, bytes, done, end);
      if (done === end) return true;
      this.#countRefused();
      if (this.#side === undefined) return false;
      let refused = done;
      let stored: boolean;
      do {
        refused = Math.min(end, refused + SLOT_BYTES - ((position + refused) % SLOT_BYTES));
        const next = Math.min(end, refused + SLOT_BYTES);
        stored = refused < end && this.#storePart(position + refused, bytes.subarray(refused, next));
        if (refused < end && !stored) this.#countRefused();
      } while (refused < end && !stored);
      await this.#side.write(position + done, bytes.subarray(done, refused), false);
      done = stored ? Math.min(end, refused + SLOT_BYTES) : refused;
    }
    return true;
  }
}
