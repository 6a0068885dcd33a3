/**
 * The memory of a simulated machine: one budget for the node's own pages and those it holds for others, as in an arena.
 * Ephemeral things are evicted in the order of their last use when something else needs room.
 *
 * A process that ends leaves it behind; a machine that loses it starts with another one.
 */

import type { Random } from '../src/ramster/clock.ts';
import type { Identity } from '../src/ramster/local/local-pages.ts';
import { memoryNumber } from '../src/ramster/place.ts';
import { randomBytes } from './random.ts';

/** What a page takes, whatever its length: as much as sixteen real ones, so that few pages fill a memory. */
export const PAGE_BYTES = 65_536;
export const RECORD_BYTES = 1024;

/** Something that may be evicted. */
export interface Evictable {
  /** Takes it out of its store, and gives its room back. */
  evict(): void;
}

export class SimMemory {
  readonly number: number;
  totalBytes: number;
  isPressed = false;
  readonly #id: Uint8Array;
  readonly #key: Uint8Array;
  #incarnation = 0;
  #usedBytes = 0;
  readonly #evictable = new Set<Evictable>();

  constructor(random: Random, totalBytes: number) {
    this.#id = randomBytes(random, 16);
    this.#key = randomBytes(random, 32);
    this.number = memoryNumber(this.#id);
    this.totalBytes = totalBytes;
  }

  /** A process begins to use it. */
  begin(): void {
    this.#incarnation++;
  }

  get identity(): Identity {
    return { memory: this.#id, incarnation: this.#incarnation, key: this.#key };
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  get freeBytes(): number {
    return Math.max(0, this.totalBytes - this.#usedBytes);
  }

  /** False: there is no room, and nothing that could be evicted for it. */
  take(bytes: number): boolean {
    while (this.#usedBytes + bytes > this.totalBytes) {
      const [coldest] = this.#evictable;
      if (coldest === undefined) return false;
      coldest.evict();
    }
    this.#usedBytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes;
  }

  /** `thing` may be evicted, and was used just now. */
  used(thing: Evictable): void {
    this.#evictable.delete(thing);
    this.#evictable.add(thing);
  }

  gone(thing: Evictable): void {
    this.#evictable.delete(thing);
  }
}
