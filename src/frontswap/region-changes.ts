/**
 * Changes of slots of one region, which the caller holds (region-locks.ts): what the store takes stays there, what it
 * refuses goes to the device, if there is one. Of a page that is with a peer, and gets a new part, the rest is fetched.
 */

import { isOnDevice } from './allocation.ts';
import { type FrontswapArea, SLOT_BYTES } from './area.ts';
import { AwayPages, alwaysAway, FETCHES_MAX } from './away-pages.ts';
import type { BackingDevice } from './backing-device.ts';
import type { DeviceSide } from './device-side.ts';
import { REGION_SLOTS } from './region-locks.ts';

const zeroes = new Uint8Array(REGION_SLOTS * SLOT_BYTES);

/**
 * What became of a part of a page: the store has it; has not taken it; was not asked, as the rest of the page is the
 * device's; or was asked, and the page is with a peer.
 */
type Outcome = 'stored' | 'refused' | 'not offered' | 'away';

export class RegionChanges {
  readonly #area: FrontswapArea;
  readonly #device: BackingDevice | undefined;
  readonly #side: DeviceSide | undefined;
  readonly #page = new Uint8Array(SLOT_BYTES);
  /** Pages that the store refused and that went to the device, or nowhere. */
  refusedPages = 0;
  /** Of the last part that was to be stored. */
  #outcome: Outcome = 'stored';
  readonly #away: AwayPages;

  constructor(area: FrontswapArea, device: BackingDevice | undefined, side: DeviceSide | undefined) {
    this.#area = area;
    this.#device = device;
    this.#side = side;
    this.#away = new AwayPages(area);
  }

  /** Stores parts of `bytes` from index `from` to `end`, up to the first that is not stored; the index of that. */
  store(position: number, bytes: Uint8Array, from: number, end: number): number {
    let done = from;
    while (done < end) {
      const next = endOfSlot(position, done, end);
      const part = next - done === bytes.length ? bytes : bytes.subarray(done, next);
      if (this.#storePart(position + done, part) !== 'stored') break;
      done = next;
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

  #storePart(position: number, part: Uint8Array): Outcome {
    this.#outcome = this.#outcomeOf(position, part);
    return this.#outcome;
  }

  #outcomeOf(position: number, part: Uint8Array): Outcome {
    const slot = Math.floor(position / SLOT_BYTES);
    if (part.length === SLOT_BYTES) return this.#replace(slot, part);
    try {
      const stored = this.#area.replacePart(slot, position % SLOT_BYTES, part);
      if (stored !== undefined) return stored ? 'stored' : 'refused';
    } catch (thrown) {
      if (!this.#away.canFetch(thrown)) throw thrown;
      return 'away';
    }
    // The rest of the page is the device's, unless that has none.
    if (isOnDevice(this.#device, slot)) return 'not offered';
    this.#page.fill(0).set(part, position % SLOT_BYTES);
    return this.#replace(slot, this.#page);
  }

  #replace(slot: number, page: Uint8Array): Outcome {
    return this.#area.replace(slot, page) ? 'stored' : 'refused';
  }

  async #storeOrWrite(position: number, bytes: Uint8Array, from: number, end: number): Promise<boolean> {
    let fetches = 0;
    for (let done = from; done < end; ) {
      done = this.store(position, bytes, done, end);
      if (done === end) return true;
      let next = endOfSlot(position, done, end);
      if (this.#outcome === 'away') {
        const slot = Math.floor((position + done) / SLOT_BYTES);
        if (++fetches > FETCHES_MAX) throw alwaysAway(slot);
        const page = await this.#fetch(slot);
        if (page === 'local') continue;
        const whole = new Uint8Array(SLOT_BYTES);
        whole.set(page);
        whole.set(bytes.subarray(done, next), (position + done) % SLOT_BYTES);
        if (!(await this.#storeOrWrite(slot * SLOT_BYTES, whole, 0, SLOT_BYTES))) return false;
        done = next;
        continue;
      }
      this.#countRefused();
      if (this.#side === undefined) return false;
      let refused = next;
      while (refused < end) {
        next = endOfSlot(position, refused, end);
        const outcome = this.#storePart(position + refused, bytes.subarray(refused, next));
        if (outcome === 'stored' || outcome === 'away') break;
        this.#countRefused();
        refused = next;
      }
      const isStored = refused < end && this.#outcome === 'stored';
      await this.#side.write(position + done, bytes.subarray(done, refused), false);
      done = isStored ? next : refused;
    }
    return true;
  }

  /** As `fetch` of the area. A page that cannot be had leaves the store if the device has it as well. */
  async #fetch(slot: number): Promise<'local' | Uint8Array> {
    try {
      return await this.#area.fetch(slot);
    } catch (error) {
      if (this.#area.dropClean(slot)) return 'local';
      throw error;
    }
  }

  #countRefused(): void {
    if (this.#outcome === 'refused') this.refusedPages++;
  }
}

/** Where the slot of the byte at index `from` ends, at most `end`. */
function endOfSlot(position: number, from: number, end: number): number {
  return Math.min(end, from + SLOT_BYTES - ((position + from) % SLOT_BYTES));
}
