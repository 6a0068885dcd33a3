// The model of the zv tests: which pages were put into a heap, with what bytes; and steps drawn from a seed.

import { expect } from 'vitest';
import { HEAP_COUNT, type ZvArena } from './zv-arena.ts';

export interface Page {
  heap: number;
  block: number;
  stored: number;
  seed: number;
}

/** Numbers from a seed (mulberry32), the same everywhere. */
export function numbersFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** Stored bytes as compressed pages have them: around 1500, some tiny, some hardly compressed. */
export function drawStored(next: (below: number) => number): number {
  const kind = next(20);
  if (kind === 0) return 1 + next(40);
  if (kind === 1) return 1 + next(4096);
  return 300 + next(800) + next(800) + next(800);
}

export class Pages {
  readonly all: Page[] = [];
  readonly #arena: ZvArena;
  #seed = 0;

  constructor(arena: ZvArena) {
    this.#arena = arena;
  }

  /** Stores a page of new content; undefined = refused. */
  put(heap: number, stored: number): Page | undefined {
    const block = this.#arena.alloc(heap, stored);
    if (block === 0) return undefined;
    const page = { heap, block, stored, seed: ++this.#seed };
    this.#fill(page);
    this.all.push(page);
    return page;
  }

  #fill({ block, stored, seed }: Page): void {
    this.#arena.describe(block, 1, 1 + (seed % 4096), seed, ~seed >>> 0);
    const data = this.#arena.data(block, stored);
    for (let i = 0; i < stored; i++) data[i] = (seed * 31 + i) & 0xff;
  }

  /** Takes the n-th page out of the model and frees its block. */
  drop(nth: number): void {
    const page = this.forget(nth);
    this.#arena.free(page.heap, page.block);
  }

  /** Takes the n-th page out of the model only. */
  forget(nth: number): Page {
    const page = this.all[nth]!;
    this.all[nth] = this.all.at(-1)!;
    this.all.pop();
    return page;
  }

  /** Bytes and descriptors of all pages are as they were written, and no two blocks share a byte. */
  expectIntact(): void {
    const damaged = this.all.filter((page) => !this.#isIntact(page));
    expect(damaged).toEqual([]);
    const sorted = this.all.toSorted((a, b) => a.block - b.block);
    const overlapping = sorted.filter((page, i) => {
      const end = page.block + this.#arena.blockBytes(page.block);
      return end < page.block + 16 + page.stored || end > (sorted[i + 1]?.block ?? Infinity);
    });
    expect(overlapping).toEqual([]);
  }

  #isIntact({ block, stored, seed }: Page): boolean {
    const { words } = this.#arena;
    const word = words[block >>> 2]! & 0x0fffffff;
    if (word !== (stored | (1 << 13) | ((seed % 4096) << 16))) return false;
    if (words[(block >>> 2) + 1] !== seed || words[(block >>> 2) + 3] !== ~seed >>> 0) return false;
    return this.#arena.data(block, stored).every((byte, i) => byte === ((seed * 31 + i) & 0xff));
  }

  /** Every rule of the allocator holds, and its counts are those of the model. */
  expectAccounted(): void {
    const arena = this.#arena;
    expect(arena.check()).toEqual(Array(HEAP_COUNT).fill(0));
    let held = 0;
    for (let heap = 0; heap < HEAP_COUNT; heap++) {
      const mine = this.all.filter((page) => page.heap === heap);
      expect(arena.counter(heap, 'BLOCKS')).toBe(mine.length);
      expect(arena.sum(heap, 'STORED_BYTES')).toBe(mine.reduce((sum, page) => sum + page.stored, 0));
      const used = mine.reduce((sum, page) => sum + arena.blockBytes(page.block), 0);
      expect(arena.sum(heap, 'USED_BYTES')).toBe(used);
      expect(used + arena.sum(heap, 'FREE_BYTES')).toBe(arena.counter(heap, 'FRAMES') * 4096);
      held += arena.counter(heap, 'FRAMES');
    }
    expect(held + arena.freeFrames).toBe(arena.usableFrames);
  }
}
