// The model of the zv tests: which pages were put into the heaps, and what must be true of them.

import { expect } from 'vitest';
import { HEAP_COUNT, type ZvArena } from './zv-arena.ts';
import { fillPage, isIntact, type Page } from './zv-page.ts';

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
    fillPage(this.#arena, page);
    this.all.push(page);
    return page;
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
    const damaged = this.all.filter((page) => !isIntact(this.#arena, page));
    expect(damaged).toEqual([]);
    const sorted = this.all.toSorted((a, b) => a.block - b.block);
    const overlapping = sorted.filter((page, i) => {
      const end = page.block + this.#arena.blockBytes(page.block);
      return end < page.block + 16 + page.stored || end > (sorted[i + 1]?.block ?? Infinity);
    });
    expect(overlapping).toEqual([]);
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
