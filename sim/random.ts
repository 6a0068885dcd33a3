/**
 * Chance from one seed. Every concern draws from a stream of its own, so a draw more in one place shifts no other.
 */

import type { Random } from '../src/ramster/clock.ts';

/** Streams by name: the same seed and name give the same numbers. */
export type Streams = (name: string) => Random;

const FNV_PRIME = 16_777_619;
const FNV_BASE = 2_166_136_261;
/** 2^32 divided by the golden ratio: what splitmix counts by. */
const GOLDEN = 0x9e37_79b9;
/** Draws until the state depends on every bit of its seed. */
const WARM_UP = 12;

export function streamsOf(seed: number): Streams {
  return (name) => {
    let hash = FNV_BASE ^ seed;
    for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), FNV_PRIME);
    return sfc32(hash, Math.floor(seed / 2 ** 32) ^ Math.imul(seed, GOLDEN));
  };
}

/** Small fast counting generator: 128 bits of state, passes the usual batteries, a few nanoseconds a draw. */
function sfc32(first: number, second: number): Random {
  let a = first | 0;
  let b = second | 0;
  let c = GOLDEN | 0;
  let counter = 1;
  const draw = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < WARM_UP; i++) draw();
  return draw;
}

/** A whole number from `least` to `most`, both included. */
export function between(random: Random, least: number, most: number): number {
  return least + Math.floor(random() * (most - least + 1));
}

export function oneOf<Item>(random: Random, items: readonly Item[]): Item {
  return items[Math.floor(random() * items.length)] as Item;
}

/** Time until the next of events that come `meanMs` apart on average. */
export function waiting(random: Random, meanMs: number): number {
  return -Math.log(1 - random()) * meanMs;
}

/** One of the names, each as often as its weight says. */
export function weighted<Name extends string>(random: Random, weights: Readonly<Record<Name, number>>): Name {
  const entries = Object.entries(weights) as [Name, number][];
  let left = random() * entries.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [name, weight] of entries) {
    left -= weight;
    if (left < 0) return name;
  }
  return (entries.at(-1) as [Name, number])[0];
}

export function randomBytes(random: Random, count: number): Uint8Array {
  return Uint8Array.from({ length: count }, () => Math.floor(random() * 256));
}
