/**
 * Which page lies in which slot of a file: (pool, id) -> slot, in typed arrays of about 22 bytes a slot.
 *
 *   ids      f64 of each slot
 *   pools    u32 of each slot
 *   lengths  u16 of each slot: bytes of its page, 0 = free
 *   table    u32, a power of two of at least twice the slots: slot + 1, 0 = empty; open addressing, linear probing
 */

import type { PageId } from '../page-id.ts';
import type { HeldPage } from './remote-store.ts';

export class SlotIndex {
  readonly slots: number;
  readonly #ids: Float64Array;
  readonly #pools: Uint32Array;
  readonly #lengths: Uint16Array;
  readonly #table: Uint32Array;
  readonly #mask: number;
  #used = 0;

  constructor(slots: number) {
    this.slots = slots;
    this.#ids = new Float64Array(slots);
    this.#pools = new Uint32Array(slots);
    this.#lengths = new Uint16Array(slots);
    const places = 2 ** Math.ceil(Math.log2(Math.max(2, slots * 2)));
    this.#table = new Uint32Array(places);
    this.#mask = places - 1;
  }

  /** Slots that have a page. */
  get used(): number {
    return this.#used;
  }

  /** Bytes of a slot's page; 0 = it is free. */
  lengthOf(slot: number): number {
    return this.#lengths[slot] as number;
  }

  pageIn(slot: number): HeldPage {
    return { pool: this.#pools[slot] as number, id: this.#ids[slot] as number };
  }

  find(pool: number, id: PageId): number | undefined {
    for (let at = this.#home(pool, id); ; at = (at + 1) & this.#mask) {
      const entry = this.#table[at] as number;
      if (entry === 0) return undefined;
      if (this.#ids[entry - 1] === id && this.#pools[entry - 1] === pool) return entry - 1;
    }
  }

  /** Enters a page that has no slot into a slot that is free. */
  enter(slot: number, { pool, id }: HeldPage, length: number): void {
    this.#ids[slot] = id;
    this.#pools[slot] = pool;
    this.#lengths[slot] = length;
    this.#used++;
    let at = this.#home(pool, id);
    while (this.#table[at] !== 0) at = (at + 1) & this.#mask;
    this.#table[at] = slot + 1;
  }

  /** Frees a slot that has a page. */
  remove(slot: number): void {
    const { pool, id } = this.pageIn(slot);
    let hole = this.#home(pool, id);
    while (this.#table[hole] !== slot + 1) hole = (hole + 1) & this.#mask;
    // Entries behind the hole move into it unless that is before their home: so no search ever stops short.
    for (let at = (hole + 1) & this.#mask; this.#table[at] !== 0; at = (at + 1) & this.#mask) {
      const entry = this.pageIn((this.#table[at] as number) - 1);
      const home = this.#home(entry.pool, entry.id);
      if (((at - home) & this.#mask) < ((at - hole) & this.#mask)) continue;
      this.#table[hole] = this.#table[at] as number;
      hole = at;
    }
    this.#table[hole] = 0;
    this.#lengths[slot] = 0;
    this.#used--;
  }

  #home(pool: number, id: PageId): number {
    let hash = Math.imul(id % 2 ** 32, 0x9e37_79b1) ^ Math.imul(Math.floor(id / 2 ** 32) + 1, 0x85eb_ca6b);
    hash = Math.imul(hash ^ (hash >>> 15) ^ pool, 0x2c1b_3c6d);
    return (hash ^ (hash >>> 13)) & this.#mask;
  }
}
