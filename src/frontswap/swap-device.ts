/**
 * A swap area as a block device: bytes in and out, pages in the store if it takes them, else on the backing device.
 *
 *   write -> store -- accepted --> dirty in the store --- flush, moveOut ---> device
 *                \--- refused ----------------------------------------------> device
 *   read  -> store, else device, else zeroes
 *
 * Pages of the store that are with peers are fetched where they are needed, if the area's backend has a fetcher; what
 * is overwritten or dropped whole is not, nor what moves out because memory is short.
 *
 * Calls that end in `Now` do what can be done at once and return how many bytes that was; the rest is for the call of
 * the same name that may wait. Whoever changes a slot holds its region (region-locks.ts), so changes of one slot have
 * one order, whichever threads and connections they come from. What is done to one region that is held is in
 * region-changes.ts; the rules of the two copies are in device-side.ts.
 *
 * Each thread makes a SwapDevice of its own on the area and the device it shares with others (`share`). From then on
 * the area is changed through them only.
 */

import { setImmediate as nextTurn, setTimeout } from 'node:timers/promises';
import { allocationOf, type Extent, nextData } from './allocation.ts';
import { type FrontswapArea, SLOT_BYTES } from './area.ts';
import { AreaReads } from './area-reads.ts';
import type { BackingDevice } from './backing-device.ts';
import { type CleanPages, DeviceReads } from './device-reads.ts';
import { DeviceSide, MissingPages } from './device-side.ts';
import { DeviceSync } from './device-sync.ts';
import { RegionChanges } from './region-changes.ts';
import { REGION_SLOTS, RegionLocks } from './region-locks.ts';

const REGION_BYTES = REGION_SLOTS * SLOT_BYTES;

/** Regions that a long operation works on before others get a turn: some milliseconds. */
const REGIONS_A_TURN = 64;

/** A writer without room tries again for two seconds: pages leave by the thousand in that time, or not at all. */
const ROOM_PAUSE_MS = 10;
const ROOM_TRIES_MAX = 200;

/** What the SwapDevice of another thread needs, beside the area. Plain data. */
export interface SharedSwap {
  readonly locks: SharedArrayBuffer;
  readonly used: SharedArrayBuffer;
  readonly versions: SharedArrayBuffer | null;
  readonly failed: SharedArrayBuffer | null;
}

export interface SwapDeviceOptions {
  /** What the SwapDevice of another thread gave. */
  readonly shared?: SharedSwap | undefined;
  /** Where pages read from the device are kept, for a device that is slow. */
  readonly clean?: CleanPages | undefined;
  /** One number, the same for all threads: bytes that are in use. What would be stored behind them is refused. */
  readonly size?: SharedArrayBuffer | undefined;
}

export class SwapDevice {
  readonly area: FrontswapArea;
  readonly device: BackingDevice | undefined;
  readonly #side: DeviceSide | undefined;
  readonly #changes: RegionChanges;
  readonly #reads: DeviceReads | undefined;
  readonly #areaReads: AreaReads;
  readonly #locks: RegionLocks;
  /** A byte for each region: whether it was read or written since the hand of `moveOut` came by. */
  readonly #used: Uint8Array<SharedArrayBuffer>;
  readonly #sync: DeviceSync | undefined;
  readonly #size: Float64Array | undefined;
  #hand = 0;

  constructor(area: FrontswapArea, device?: BackingDevice, options: SwapDeviceOptions = {}) {
    const { shared, clean, size } = options;
    this.area = area;
    this.device = device;
    this.#size = size && new Float64Array(size);
    this.#locks = new RegionLocks(shared?.locks);
    if (device !== undefined) {
      const reads = new DeviceReads(device, this.#locks, clean, shared?.versions ?? undefined);
      this.#reads = reads;
      this.#side = new DeviceSide(area, device, (first, end) => reads.changing(first, end));
      this.#sync = new DeviceSync(device, shared?.failed ?? undefined);
    }
    this.#changes = new RegionChanges(area, device, this.#side);
    this.#used = new Uint8Array(shared?.used ?? new SharedArrayBuffer(Math.ceil(area.slots / REGION_SLOTS)));
    this.#areaReads = new AreaReads(area, device, this.#reads, this.#used);
  }

  share(): SharedSwap {
    return {
      ...{ locks: this.#locks.memory, used: this.#used.buffer },
      ...{ versions: this.#reads?.memory ?? null, failed: this.#sync?.memory ?? null },
    };
  }

  /** Stores what the store takes at once, from the start of `bytes` on; how many bytes. */
  writeNow(position: number, bytes: Uint8Array): number {
    if (this.area.writethrough) return 0;
    let done = 0;
    while (done < bytes.length) {
      const region = Math.floor((position + done) / REGION_BYTES);
      if (!this.#locks.tryAcquire(region)) break;
      const end = Math.min(bytes.length, (region + 1) * REGION_BYTES - position);
      try {
        if (this.#fits(position + end)) done = this.#changes.store(position, bytes, done, end);
      } finally {
        this.#locks.release(region);
      }
      this.#used[region] = 1;
      if (done < end) break;
    }
    return done;
  }

  /**
   * Writes bytes, which must stay as they are until this ends. `through`: to the device, too; they last after the
   * next `sync`. False: the store took not all of it and there is no device, or it goes beyond what is in use.
   *
   * @throws what the device throws; then each byte has its older or its newer content, also within one slot.
   *   TMEM_ERR_PEERS_AWAY, TMEM_ERR_PAGE_LOST: part of a page is written that cannot be fetched
   */
  async write(position: number, bytes: Uint8Array, through = this.area.writethrough): Promise<boolean> {
    for (let done = 0; done < bytes.length; ) {
      const region = Math.floor((position + done) / REGION_BYTES);
      const end = Math.min(bytes.length, (region + 1) * REGION_BYTES - position);
      const from = done;
      const written = await this.#whileRoomComes(region, async () => {
        return this.#fits(position + end) && (await this.#changes.write(position, bytes, from, end, through));
      });
      if (!written) return false;
      this.#used[region] = 1;
      done = end;
    }
    return true;
  }

  /** Reads what needs neither device nor peer, from the start on; how many bytes. */
  readNow(position: number, out: Uint8Array): number {
    return this.#areaReads.now(position, out);
  }

  /** @throws what the device throws; TMEM_ERR_PEERS_AWAY, TMEM_ERR_PAGE_LOST */
  async read(position: number, out: Uint8Array): Promise<void> {
    await this.#areaReads.all(position, out);
  }

  /**
   * Makes bytes zeroes. With `hole` their space is given back; without, the store keeps pages of zeroes. `through` as
   * for `write`; a hole is one on the device, too, in any case. False as for `write`.
   */
  async zero(
    position: number,
    length: number,
    hole: boolean,
    through = this.area.writethrough,
  ): Promise<boolean> {
    return await this.#zeroRegions(position, position + length, hole, async (from, to) => {
      if (!this.#fits(to)) return false;
      return await (hole
        ? this.#changes.zero(from, to, through)
        : this.#changes.writeZeroes(from, to, through));
    });
  }

  /** Calls `zero` for the part of each region, which is held then. Holes that are there already are passed over. */
  async #zeroRegions(
    position: number,
    end: number,
    hole: boolean,
    zero: (from: number, to: number) => Promise<boolean>,
  ): Promise<boolean> {
    let regions = 0;
    for (let at = position; at < end; ) {
      const region = Math.floor(at / REGION_BYTES);
      const to = Math.min(end, (region + 1) * REGION_BYTES);
      const from = at;
      if (!(await this.#whileRoomComes(region, () => zero(from, to)))) return false;
      at = hole ? Math.max(to, this.#nextData(to, end)) : to;
      if (++regions % REGIONS_A_TURN === 0) await nextTurn();
    }
    return true;
  }

  /** The whole slots among these bytes read as zeroes from now on, and their old pages never come back. */
  async trim(position: number, length: number): Promise<void> {
    const first = Math.ceil(position / SLOT_BYTES) * SLOT_BYTES;
    const end = position + length;
    const last = end === this.device?.bytes ? end : Math.floor(end / SLOT_BYTES) * SLOT_BYTES;
    if (last > first) await this.zero(first, last - first, true);
  }

  /**
   * Takes out of the store what lies behind bytes in use, up to `end`, when those have become fewer: it goes to the
   * device, or, where there is none, is dropped. Nothing comes there any more: who is under way in any thread ends
   * before, and who waits for a region is refused.
   */
  async cut(size: number, end: number): Promise<void> {
    await this.#locks.drain();
    if (this.#side === undefined) {
      await this.#zeroRegions(size, end, true, (from, to) => this.#changes.zero(from, to, false));
      return;
    }
    const { map } = this.area;
    const last = Math.ceil(end / SLOT_BYTES);
    let slot = map.nextAccepted(Math.ceil(size / SLOT_BYTES), last);
    for (let regions = 1; slot !== -1; regions++) {
      const region = Math.floor(slot / REGION_SLOTS);
      const regionEnd = Math.min((region + 1) * REGION_SLOTS, last);
      const from = slot;
      await this.#holding(region, () => this.#moveOut(from, regionEnd, 0, true));
      slot = map.nextAccepted(regionEnd, last);
      if (regions % REGIONS_A_TURN === 0) await nextTurn();
    }
  }

  /** Reads ahead what only the device has, to where clean pages are kept, or else to the system's cache. */
  async readAhead(position: number, length: number): Promise<void> {
    const first = Math.floor(position / SLOT_BYTES);
    const end = Math.ceil((position + length) / SLOT_BYTES);
    await this.#reads?.ahead(first, end, (slot) => this.area.holdsPage(slot));
  }

  /** Pages that the store did not take, in this thread: they went to the device, or their writer was told. */
  get refusedPages(): number {
    return this.#changes.refusedPages;
  }

  /** Whether zeroing (with holes) takes less time than writing. */
  get zeroesFast(): boolean {
    return this.device?.zeroesFast ?? true;
  }

  /** What holds something and what is a hole, from `position` on. */
  allocation(position: number, length: number, extentsMax: number): Extent[] {
    return allocationOf(this.area, this.device, position, length, extentsMax);
  }

  /**
   * Writes all dirty pages to the device and makes them last. They stay in the store, clean.
   *
   * @throws what the device throws. TMEM_ERR_PEERS_AWAY, TMEM_ERR_PAGE_LOST: a page cannot be fetched; then all others
   *   are on the device
   */
  async flush(): Promise<void> {
    if (this.#side === undefined) return;
    const { map } = this.area;
    const missing = new MissingPages();
    let regions = 0;
    for (let slot = map.nextDirty(0); slot !== -1; ) {
      const region = Math.floor(slot / REGION_SLOTS);
      const end = Math.min((region + 1) * REGION_SLOTS, this.area.slots);
      const from = slot;
      await this.#holding(region, () => (this.#side as DeviceSide).writeBack(from, end, missing));
      slot = map.nextDirty(end);
      if (++regions % REGIONS_A_TURN === 0) await nextTurn();
    }
    await this.sync();
    missing.check();
  }

  /**
   * What was written to the device before lasts when this ends.
   *
   * @throws what the device throws, and from then on always: nobody can tell what a failed sync has lost
   */
  async sync(): Promise<void> {
    await this.#sync?.sync();
  }

  /**
   * Moves pages out to the device, those first that were not used lately, until at most `target` remain in the store.
   * What is stored meanwhile may remain, and so do pages that are with peers: they take hardly any memory here.
   *
   * @returns pages that remain
   * @throws what the device throws, and as `sync` after one that failed: then the store's pages are the only ones
   */
  async shrink(target: number): Promise<number> {
    if (this.#side === undefined) return this.area.map.pages;
    const regions = this.#used.length;
    let looks = 0;
    // Once around to find those in use, once more to take them all the same.
    for (let step = 0; step < 2 * regions && this.area.map.pages > target; ) {
      const next = this.area.map.nextAccepted(this.#hand * REGION_SLOTS);
      const region = next === -1 ? regions : Math.floor(next / REGION_SLOTS);
      step += region - this.#hand + 1;
      this.#hand = (region + 1) % regions;
      if (region === regions) this.#hand = 0;
      else if (this.#used[region] === 1) this.#used[region] = 0;
      else {
        const first = region * REGION_SLOTS;
        const end = Math.min(first + REGION_SLOTS, this.area.slots);
        await this.#holding(region, () => this.#moveOut(first, end, target, false));
      }
      if (++looks % REGIONS_A_TURN === 0) await nextTurn();
    }
    return this.area.map.pages;
  }

  /** Somebody else has changed the device: what was read from it before is forgotten. */
  deviceChanged(): void {
    this.#reads?.changed();
  }

  /** Flushes, and closes the device. The area and its pages stay. */
  async close(): Promise<void> {
    await this.flush();
    await this.device?.close();
  }

  async #holding<T>(region: number, work: () => Promise<T>): Promise<T> {
    if (!this.#locks.tryAcquire(region)) await this.#locks.acquire(region);
    try {
      return await work();
    } finally {
      this.#locks.release(region);
    }
  }

  /**
   * As `#holding`. Where pages may leave for peers, what finds no room is tried again for a while: a writer that is
   * quicker than those leave is slowed down, and not told that all is full.
   */
  async #whileRoomComes(region: number, change: () => Promise<boolean>): Promise<boolean> {
    const tries = this.device === undefined && this.area.fetches ? ROOM_TRIES_MAX : 1;
    for (let tried = 1; ; tried++) {
      if (await this.#holding(region, change)) return true;
      if (tried === tries) return false;
      await setTimeout(ROOM_PAUSE_MS);
    }
  }

  /** Moves pages of a region that is held to the device, until `target` remain in the store; `away` ones, too. */
  async #moveOut(first: number, end: number, target: number, away: boolean): Promise<void> {
    const { map } = this.area;
    const missing = new MissingPages(away);
    await this.#side?.writeBack(first, end, missing);
    missing.check();
    this.#sync?.check();
    for (
      let slot = map.nextClean(first, end);
      slot !== -1 && map.pages > target;
      slot = map.nextClean(slot + 1, end)
    ) {
      if (away || !this.area.isAway(slot)) this.area.dropClean(slot);
    }
  }

  /** Only with the region held: see `cut`. */
  #fits(end: number): boolean {
    return this.#size === undefined || end <= (this.#size[0] as number);
  }

  /** Position of the first slot from byte `from` on that holds something; `end` if none does. */
  #nextData(from: number, end: number): number {
    const endSlot = Math.ceil(end / SLOT_BYTES);
    const slot = nextData(this.area, this.device, Math.floor(from / SLOT_BYTES), endSlot);
    return Math.min(slot * SLOT_BYTES, end);
  }
}
