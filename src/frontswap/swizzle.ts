/**
 * From a slot of a swap area to a place in the store, and back.
 *
 *   offset    |------------ index ------------|- low bits -|
 *   oid word 0 = type << bits | low bits         index = offset >> bits
 *
 * Neighbours get different oids, so a run of slots spreads over the locks of the store. The bits are fixed while an
 * area holds pages: with others its pages would be looked for in the wrong places.
 */

import { Oid } from '../zcache/index.ts';

export const SWIZZLE_BITS_DEFAULT = 4;

/** Above it the oids of one area would take more memory than a small area's bitmaps. */
export const SWIZZLE_BITS_MAX = 16;

/** Types that fit beside `bits` low bits in word 0. */
export function typesOf(bits: number): number {
  return 2 ** (32 - bits);
}

export class Swizzle {
  readonly #bits: number;
  readonly #first: number;
  readonly #spread: number;
  /** One for each value of the low bits, made when first needed: a store or load makes no objects. */
  readonly #oids: Oid[];

  constructor(type: number, bits: number) {
    this.#bits = bits;
    this.#spread = 2 ** bits;
    this.#first = type * this.#spread;
    this.#oids = new Array(this.#spread);
  }

  get bits(): number {
    return this.#bits;
  }

  oid(offset: number): Oid {
    const low = offset % this.#spread;
    let oid = this.#oids[low];
    if (oid === undefined) {
      oid = Oid.fromNumbers(this.#first + low);
      this.#oids[low] = oid;
    }
    return oid;
  }

  index(offset: number): number {
    return Math.floor(offset / this.#spread);
  }

  /** The slot that is kept at a place; -1 if no slot of this area is. */
  offset(oid: Oid, index: number): number {
    const low = oid.w0 - this.#first;
    if (low < 0 || low >= this.#spread || (oid.w1 | oid.w2 | oid.w3 | oid.w4 | oid.w5) !== 0) return -1;
    return index * this.#spread + low;
  }
}
