/**
 * A swap area: slots of 4096 bytes, each in the store or not.
 *
 * Every call is synchronous. A page that is refused is for the caller to write to the device (swap-device.ts does).
 *
 * Rules it keeps, with several threads on one area:
 * - a store puts the page first and sets the bits after; whatever removes a page clears the bits first. So a page
 *   in the store without its bits, which could come back years later, cannot remain;
 * - bits without a page are possible when two threads store and invalidate one slot at one time; a load then misses;
 * - a clean page is dropped in three steps, clean -> moving -> flushed -> empty: a store that meets it is refused, and
 *   one that began before finds the bits changed and starts over.
 */

import { TmemError } from '../zcache/index.ts';
import type { FrontswapPool } from './backend.ts';
import { CLEAN, DIRTY, EMPTY, MOVING, SlotMap } from './slot-map.ts';
import { Swizzle } from './swizzle.ts';

export const SLOT_BYTES = 4096;

/** Times a store starts over because other threads changed the slot meanwhile; then it is refused. */
const STORE_ATTEMPTS_MAX = 8;

const NO_FETCHER =
  'frontswap: the page is with a peer, and the backend was given nobody who fetches pages (fetcher)';

/** Counters of one area; names as in the original. All but the last count this thread's calls. */
export interface FrontswapStats {
  /** Loads that found the page. */
  loads: number;
  succ_stores: number;
  failed_stores: number;
  invalidates: number;
  /** Pages in the store now, of all threads. */
  curr_pages: number;
}

/** What another thread needs to use the area. Plain data: it can be sent to a worker. */
export interface SharedArea {
  readonly type: number;
  readonly slots: number;
  readonly swizzleBits: number;
  readonly writethrough: boolean;
  readonly exclusiveLoads: boolean;
  readonly map: SharedArrayBuffer;
}

/** What an area sees of the shim it belongs to. */
interface Switches {
  readonly enabled: boolean;
}

export class FrontswapArea {
  readonly type: number;
  readonly slots: number;
  /** Every page also goes to the device (swap-device.ts does that), so that any may be dropped at any time. */
  readonly writethrough: boolean;
  /** A successful load frees the store's copy. Loads of a slot must then not race its stores. */
  readonly exclusiveLoads: boolean;
  readonly map: SlotMap;
  readonly #shim: Switches;
  #pool: FrontswapPool | undefined;
  #swizzle: Swizzle | undefined;
  #loads = 0;
  #succStores = 0;
  #failedStores = 0;
  #invalidates = 0;

  /** Made by `Frontswap.init` and `Frontswap.attach`. */
  constructor(shim: Switches, about: Omit<SharedArea, 'swizzleBits' | 'map'>, map?: SharedArrayBuffer) {
    this.#shim = shim;
    this.type = about.type;
    this.slots = about.slots;
    this.writethrough = about.writethrough;
    this.exclusiveLoads = about.exclusiveLoads;
    this.map = new SlotMap(about.slots, map);
  }

  /**
   * Gives the area its pool. Until then stores are refused and loads miss. `fresh`: the bitmaps are empty yet, and are
   * filled from the pool.
   *
   * @throws TmemError TMEM_ERR_NAME_MISMATCH if the pool has pages of slots behind the last one
   */
  connect(pool: FrontswapPool, swizzleBits: number, fresh: boolean): void {
    const swizzle = new Swizzle(this.type, swizzleBits);
    if (fresh) this.#fillFromStore(pool, swizzle);
    this.#swizzle = swizzle;
    this.#pool = pool;
  }

  get connected(): boolean {
    return this.#pool !== undefined;
  }

  /** Takes stores from now on. */
  open(): void {
    this.map.alive = true;
  }

  /**
   * Offers a page for a slot.
   *
   * @param page - 4096 bytes
   * @returns whether it was accepted; if not, the slot is empty and the page is for the device
   * @throws TmemError TMEM_ERR_PAGE_LENGTH
   */
  store(offset: number, page: Uint8Array): boolean {
    if (page.length !== SLOT_BYTES) {
      throw new TmemError(
        'TMEM_ERR_PAGE_LENGTH',
        `frontswap: a slot has ${SLOT_BYTES} bytes, got ${page.length}`,
      );
    }
    const stored = this.#holds(offset) && this.#store(offset, page);
    if (stored) this.#succStores++;
    else this.#failedStores++;
    return stored;
  }

  /**
   * Copies the page of a slot to `out` (4096 bytes). Its length, 0 if the store has none: then the device has it.
   *
   * @throws TmemError TMEM_ERR_REMOTE if the page is with a peer: `fetch` brings it
   */
  load(offset: number, out: Uint8Array): number {
    if (!this.#holds(offset)) return 0;
    const state = this.map.get(offset);
    if (state === EMPTY || state === MOVING) return 0;
    const length = this.exclusiveLoads ? this.#loadAndFree(offset, state, out) : this.peek(offset, out);
    if (length > 0) this.#loads++;
    return length;
  }

  /**
   * As store, but refused it leaves the slot as it was. Only for a caller that keeps all others from changing the slot
   * meanwhile (swap-device.ts).
   */
  replace(offset: number, page: Uint8Array): boolean {
    const stored = this.#holds(offset) && this.#shim.enabled && this.#replace(offset, page);
    if (stored) this.#succStores++;
    else this.#failedStores++;
    return stored;
  }

  /** Replaces part of a page that is there, under the same rule. Undefined: no page is. */
  replacePart(offset: number, at: number, bytes: Uint8Array): boolean | undefined {
    if (!this.holdsPage(offset)) return undefined;
    const swizzle = this.#swizzle as Swizzle;
    const pool = this.#pool as FrontswapPool;
    const stored = this.#shim.enabled
      ? pool.writeAt(swizzle.oid(offset), swizzle.index(offset), at, bytes)
      : false;
    if (stored === true) {
      this.map.set(offset, DIRTY);
      this.#succStores++;
    } else if (stored === false) this.#failedStores++;
    return stored;
  }

  /** Copies part of a slot's page to `out`; how many bytes, -1 if the store has none. */
  loadPart(offset: number, at: number, out: Uint8Array): number {
    if (!this.holdsPage(offset)) return -1;
    const swizzle = this.#swizzle as Swizzle;
    const bytes = (this.#pool as FrontswapPool).readAt(swizzle.oid(offset), swizzle.index(offset), at, out);
    if (bytes >= 0) this.#loads++;
    return bytes;
  }

  /** Whether the slot's page is in the store. */
  holdsPage(offset: number): boolean {
    if (!this.#holds(offset)) return false;
    const state = this.map.get(offset);
    return state === CLEAN || state === DIRTY;
  }

  /** As a load that is neither exclusive nor counted. */
  peek(offset: number, out: Uint8Array): number {
    const swizzle = this.#swizzle as Swizzle;
    return (this.#pool as FrontswapPool).load(swizzle.oid(offset), swizzle.index(offset), out);
  }

  /** Whether pages of the area that are with peers can be fetched. */
  get fetches(): boolean {
    return this.#pool?.fetch !== undefined;
  }

  /**
   * Asks for the page of a slot that is with a peer: a call that needed it threw TMEM_ERR_REMOTE. 'local': it came
   * home, or is not in the store any more; ask again. Else the page, as it was at some moment after this call.
   *
   * @throws TmemError TMEM_ERR_PEERS_AWAY, TMEM_ERR_PAGE_LOST; TMEM_ERR_REMOTE if the backend has nobody to ask
   */
  async fetch(offset: number): Promise<'local' | Uint8Array> {
    if (!this.#holds(offset)) return 'local';
    const swizzle = this.#swizzle as Swizzle;
    const { fetch } = this.#pool as FrontswapPool;
    if (fetch === undefined) throw new TmemError('TMEM_ERR_REMOTE', NO_FETCHER);
    return await fetch(swizzle.oid(offset), swizzle.index(offset));
  }

  /** As a load of a slot, or of part of it, with the page that `fetch` gave. */
  loadFetched(offset: number, page: Uint8Array, at: number, out: Uint8Array): number {
    const part = page.subarray(at, at + out.length);
    out.set(part);
    if (this.exclusiveLoads && out.length === SLOT_BYTES) this.drop(offset);
    this.#loads++;
    return part.length;
  }

  /** Whether the page of a slot is with a peer, and could be fetched. */
  isAway(offset: number): boolean {
    if (!this.fetches || !this.holdsPage(offset)) return false;
    const swizzle = this.#swizzle as Swizzle;
    return this.#pool?.isAway?.(swizzle.oid(offset), swizzle.index(offset)) ?? false;
  }

  /** Empties a slot. What the device has of it is another matter. */
  invalidatePage(offset: number): void {
    this.#invalidates++;
    if (this.#holds(offset)) this.#drop(offset);
  }

  /** Empties all slots, and refuses stores from now on: `Frontswap.init` makes the area anew. */
  invalidateArea(): void {
    this.#invalidates++;
    this.map.alive = false;
    this.map.clear();
    this.#pool?.invalidateArea();
  }

  /** Empties a slot whose page is on the device, or not wanted any more; counts nothing. */
  drop(offset: number): void {
    if (this.#holds(offset)) this.#drop(offset);
  }

  /** Drops a page that the device has as well. False: it is not clean. */
  dropClean(offset: number): boolean {
    if (!this.map.change(offset, CLEAN, MOVING)) return false;
    this.#flush(offset);
    this.map.change(offset, MOVING, EMPTY);
    return true;
  }

  /** Everything that `Frontswap.attach` needs in another thread of this process. */
  share(): SharedArea {
    if (this.#swizzle === undefined) {
      throw new TmemError(
        'TMEM_ERR_SETTING',
        `frontswap: area ${this.type} has no backend yet; register one first`,
      );
    }
    const { type, slots, writethrough, exclusiveLoads, map } = this;
    return { type, slots, writethrough, exclusiveLoads, swizzleBits: this.#swizzle.bits, map: map.memory };
  }

  stats(): FrontswapStats {
    return {
      loads: this.#loads,
      succ_stores: this.#succStores,
      failed_stores: this.#failedStores,
      invalidates: this.#invalidates,
      curr_pages: this.map.pages,
    };
  }

  /** Whether the slot can be in the store. Once invalidated, the pool may be another area's of the same type. */
  #holds(offset: number): boolean {
    const usable = this.#pool !== undefined && this.map.alive;
    return usable && Number.isInteger(offset) && offset >= 0 && offset < this.slots;
  }

  /**
   * Every page there is accepted, and taken for dirty, also where the area writes through: who was killed in the middle
   * of a write may have left an older page on the device.
   */
  #fillFromStore(pool: FrontswapPool, swizzle: Swizzle): void {
    let last = -1;
    for (const { oid, index } of pool.walk()) {
      const offset = swizzle.offset(oid, index);
      if (offset >= 0 && offset < this.slots) this.map.set(offset, DIRTY);
      last = Math.max(last, offset);
    }
    if (last < this.slots) return;
    throw new TmemError(
      'TMEM_ERR_NAME_MISMATCH',
      `frontswap: area ${this.type} has ${this.slots} slots, the store has a page of it for slot ${last}; make it as ` +
        'large as it was, and drop what is behind its new end first',
    );
  }

  #store(offset: number, page: Uint8Array): boolean {
    const swizzle = this.#swizzle as Swizzle;
    const pool = this.#pool as FrontswapPool;
    if (!this.#shim.enabled) {
      this.#drop(offset);
      return false;
    }
    const oid = swizzle.oid(offset);
    const index = swizzle.index(offset);
    for (let attempt = 0; attempt < STORE_ATTEMPTS_MAX; attempt++) {
      const before = this.map.get(offset);
      // Whoever moves the page out also removes it; only what this store put itself is its own to remove.
      if (before === MOVING) {
        if (attempt > 0) pool.invalidatePage(oid, index);
        return false;
      }
      if (!pool.store(oid, index, page)) break;
      // Invalidated meanwhile: that flush may have been too early for this page.
      if (!this.map.alive) break;
      if (this.map.change(offset, before, DIRTY)) return true;
    }
    this.#drop(offset);
    return false;
  }

  #replace(offset: number, page: Uint8Array): boolean {
    const swizzle = this.#swizzle as Swizzle;
    const pool = this.#pool as FrontswapPool;
    if (!pool.replace(swizzle.oid(offset), swizzle.index(offset), page)) return false;
    this.map.set(offset, DIRTY);
    return true;
  }

  #loadAndFree(offset: number, state: typeof CLEAN | typeof DIRTY, out: Uint8Array): number {
    if (!this.map.change(offset, state, MOVING)) return 0;
    const swizzle = this.#swizzle as Swizzle;
    try {
      const length = (this.#pool as FrontswapPool).loadAndFree(
        swizzle.oid(offset),
        swizzle.index(offset),
        out,
      );
      this.map.change(offset, MOVING, EMPTY);
      return length;
    } catch (error) {
      // It is still there, as with a peer.
      this.map.change(offset, MOVING, state);
      throw error;
    }
  }

  #drop(offset: number): void {
    this.map.set(offset, EMPTY);
    this.#flush(offset);
  }

  #flush(offset: number): void {
    const swizzle = this.#swizzle as Swizzle;
    (this.#pool as FrontswapPool).invalidatePage(swizzle.oid(offset), swizzle.index(offset));
  }
}
