/**
 * A swap area with its device: what the store refuses goes to the device, and pages move there on request.
 *
 *   write -> store -- accepted --> dirty in the store --- flush, shrink ---> device
 *                \--- refused ---------------------------------------------> device
 *   read  -> store, else device
 *
 * Rules it keeps:
 * - of a slot's two copies the store's is the newer one: it is asked first, and a refused store empties it before
 *   the device is written;
 * - all work on the device is put in order slot by slot (slot-queue.ts), so a read that missed the store waits for
 *   the write that made it miss;
 * - a page is marked clean before it is written: what is stored meanwhile marks it dirty again. A page is dropped
 *   only if it is clean after the write, in the same turn of that slot's queue.
 *
 * One SwapDevice an area: other threads may store and load through the area, but whatever concerns the device goes
 * through the thread that has it.
 */

import { type FrontswapArea, SLOT_BYTES } from './area.ts';
import type { BackingDevice } from './backing-device.ts';
import { SlotQueue } from './slot-queue.ts';

export class SwapDevice {
  readonly area: FrontswapArea;
  readonly #device: BackingDevice;
  readonly #queue = new SlotQueue();

  constructor(area: FrontswapArea, device: BackingDevice) {
    this.area = area;
    this.#device = device;
  }

  /**
   * Writes a page (4096 bytes), which must stay as it is until this ends. Accepted pages end at once and are on the
   * device after the next flush; with writethrough, and when the store refuses, this ends with the device's write.
   */
  async write(slot: number, page: Uint8Array): Promise<void> {
    if (!this.area.store(slot, page)) {
      await this.#queue.run(slot, () => this.#device.write(slot, page));
    } else if (this.area.writethrough) {
      await this.#queue.run(slot, () => this.#writeBack(slot));
    }
  }

  /** Reads a slot into `out` (4096 bytes); zeroes if nothing was written there. */
  async read(slot: number, out: Uint8Array): Promise<void> {
    if (this.area.load(slot, out) > 0) return;
    await this.#queue.run(slot, async () => {
      // Stored while this waited in line: the device may have an older page, or none.
      if (this.area.load(slot, out) === 0) await this.#device.read(slot, out);
    });
  }

  /** The slot reads as zeroes from now on, and its old page never comes back. */
  async trim(slot: number): Promise<void> {
    this.area.invalidatePage(slot);
    await this.#queue.run(slot, () => this.#device.trim(slot));
  }

  /** Writes all dirty pages to the device and makes them last. They stay in the store, clean. */
  async flush(): Promise<void> {
    const { map } = this.area;
    for (let slot = map.nextDirty(0); slot !== -1; slot = map.nextDirty(slot + 1)) {
      const dirty = slot;
      await this.#queue.run(dirty, () => this.#writeBack(dirty));
    }
    await this.#queue.idle();
    await this.#device.flush();
  }

  /**
   * Moves pages out to the device until at most `target` remain in the store: clean ones first, they only need to be
   * dropped. Goes through the area once; what is stored meanwhile may remain.
   *
   * @returns pages that remain
   */
  async shrink(target: number): Promise<number> {
    const { map } = this.area;
    for (let slot = map.nextClean(0); slot !== -1 && map.pages > target; slot = map.nextClean(slot + 1)) {
      const clean = slot;
      await this.#queue.run(clean, async () => {
        this.area.dropClean(clean);
      });
    }
    for (
      let slot = map.nextAccepted(0);
      slot !== -1 && map.pages > target;
      slot = map.nextAccepted(slot + 1)
    ) {
      const accepted = slot;
      await this.#queue.run(accepted, async () => {
        await this.#writeBack(accepted);
        this.area.dropClean(accepted);
      });
    }
    return map.pages;
  }

  /** Flushes, and closes the device. The area and its pages stay. */
  async close(): Promise<void> {
    await this.flush();
    await this.#device.close();
  }

  /** Writes the page that the store has of a slot, if it is newer than the device's. In that slot's turn. */
  async #writeBack(slot: number): Promise<void> {
    if (!this.area.startWrite(slot)) return;
    const page = new Uint8Array(SLOT_BYTES);
    if (this.area.peek(slot, page) === 0) return;
    try {
      await this.#device.write(slot, page);
    } catch (error) {
      this.area.failWrite(slot);
      throw error;
    }
  }
}
