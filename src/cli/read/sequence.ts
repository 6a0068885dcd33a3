/**
 * The order of reading: skewed, random, and the same for the same seed.
 *
 * The data is cut into ranges of 64 KiB (a smaller file is one range). A shuffle gives each range a rank; the range
 * of rank r is picked with a probability proportional to 1 / (r + 1) ^ skew (Zipf's law, as seen in web and file
 * traffic), then one request of 16 KiB inside it. Skew 0 picks all ranges alike; 0.99 is what cache benchmarks use.
 *
 *   rank         0      1      2     3    4   ...
 *   cumulative   |------|----|---|--|--|-|-|...|     a random number in [0, total) falls into one of these
 */

import { PAGE_BYTES, type Plan } from './plan.ts';

/** The unit of popularity: what a reader of a large file works on for a while. */
export const RANGE_BYTES = 64 * 1024;

/** One read. A multiple of the page, so that each page can be checked by its own sum. */
export const REQUEST_BYTES = 4 * PAGE_BYTES;

export interface Request {
  /** Index into the files of the plan. */
  readonly file: number;
  readonly position: number;
  readonly length: number;
}

/** Random numbers from a seed: xoshiro128**, whose state is filled by a hash of seed and stream. */
export class Random {
  readonly #state: Uint32Array;

  constructor(seed: number, stream: number) {
    let mixed = (seed ^ Math.imul(stream + 1, 0x9e3779b9)) >>> 0;
    this.#state = Uint32Array.from({ length: 4 }, () => {
      mixed = (mixed + 0x9e3779b9) >>> 0;
      let word = mixed;
      word = Math.imul(word ^ (word >>> 16), 0x21f0aaad);
      word = Math.imul(word ^ (word >>> 15), 0x735a2d97);
      return (word ^ (word >>> 15)) >>> 0;
    });
    // The one state it must never be in.
    if (this.#state.every((word) => word === 0)) this.#state[0] = 1;
  }

  /** A whole number from 0 to 2^32 - 1. */
  word(): number {
    const state = this.#state;
    const product = Math.imul(state[1], 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const shifted = state[1] << 9;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = (state[3] << 11) | (state[3] >>> 21);
    return result;
  }

  /** A number in [0, 1). */
  unit(): number {
    return this.word() / 2 ** 32;
  }

  /** A whole number from 0 to `bound` - 1. */
  below(bound: number): number {
    return Math.floor(this.unit() * bound);
  }
}

/** The stream of the shuffle; threads have 0, 1, 2, … */
const SHUFFLE_STREAM = 0xffff;

/** What to read next, for one thread. All threads share the ranks and differ in their picks. */
export class Sequence {
  readonly #plan: Plan;
  readonly #random: Random;
  /** File of each range. */
  readonly #fileOf: Uint32Array;
  /** Number of the first range of each file. */
  readonly #firstRange: Uint32Array;
  /** Range by rank. */
  readonly #ranked: Uint32Array;
  readonly #cumulative: Float64Array;

  constructor(plan: Plan, seed: number, thread: number, skew: number) {
    this.#plan = plan;
    this.#random = new Random(seed, thread);
    this.#firstRange = new Uint32Array(plan.files.length);
    let ranges = 0;
    for (const [i, file] of plan.files.entries()) {
      this.#firstRange[i] = ranges;
      ranges += Math.ceil(file.bytes / RANGE_BYTES);
    }
    this.#fileOf = new Uint32Array(ranges);
    for (const [i, first] of this.#firstRange.entries()) this.#fileOf.fill(i, first, this.#firstRange[i + 1]);
    this.#ranked = shuffled(ranges, new Random(seed, SHUFFLE_STREAM));
    this.#cumulative = new Float64Array(ranges);
    let total = 0;
    for (let rank = 0; rank < ranges; rank++) {
      total += (rank + 1) ** -skew;
      this.#cumulative[rank] = total;
    }
  }

  next(): Request {
    const total = this.#cumulative[this.#cumulative.length - 1];
    const range = this.#ranked[this.#rankAt(this.#random.unit() * total)];
    const file = this.#fileOf[range];
    const start = (range - this.#firstRange[file]) * RANGE_BYTES;
    const rangeBytes = Math.min(RANGE_BYTES, this.#plan.files[file].bytes - start);
    const request = this.#random.below(Math.ceil(rangeBytes / REQUEST_BYTES));
    const offset = request * REQUEST_BYTES;
    return { file, position: start + offset, length: Math.min(REQUEST_BYTES, rangeBytes - offset) };
  }

  /** The rank whose share of the cumulative row holds `value`. */
  #rankAt(value: number): number {
    let low = 0;
    let high = this.#cumulative.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#cumulative[middle] > value) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

function shuffled(length: number, random: Random): Uint32Array {
  const order = Uint32Array.from({ length }, (_, i) => i);
  for (let i = length - 1; i > 0; i--) {
    const other = random.below(i + 1);
    const moved = order[i];
    order[i] = order[other];
    order[other] = moved;
  }
  return order;
}
