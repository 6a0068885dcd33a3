// A thread can die at any instruction. The instrumented allocator dies before any store we like.

import { beforeAll, describe, expect, test } from 'vitest';
import { compileZv, HEAP_COUNT, Killed, ZvArena } from './zv-arena.ts';
import { drawStored, numbersFrom } from './zv-page.ts';
import { Pages } from './zv-pages.ts';

let module: WebAssembly.Module;

beforeAll(async () => {
  module = await compileZv(true);
});

/** Stores of one operation that are tried: more than the longest has. */
const STORES_MAX = 2000;

/** Runs `operation`, dying before its n-th store; false when it had fewer and was completed. */
function dies(arena: ZvArena, nth: number, operation: () => void): boolean {
  arena.killAtStore = nth;
  try {
    operation();
    return false;
  } catch (error) {
    if (!(error instanceof Killed)) throw error;
    return true;
  } finally {
    arena.killAtStore = 0;
  }
}

function recovered(arena: ZvArena, pages: Pages): void {
  expect(arena.recover(pages.all.map(({ block }) => block))).toEqual(Array(HEAP_COUNT).fill(0));
  pages.expectAccounted();
  pages.expectIntact();
}

/** An arena with some pages in all its heaps. */
function filled(seed: number, steps: number): { arena: ZvArena; pages: Pages } {
  const arena = new ZvArena(module, 90);
  const pages = new Pages(arena);
  const next = numbersFrom(seed);
  for (let i = 0; i < steps; i++) {
    if (next(3) === 0 && pages.all.length > 0) pages.drop(next(pages.all.length));
    else pages.put(next(HEAP_COUNT), drawStored(next));
  }
  return { arena, pages };
}

describe('a thread that dies before any store of zv', () => {
  test('while it allocates leaves all other pages whole and no byte lost', () => {
    let deaths = 0;
    for (let seed = 1; seed <= 12; seed++) {
      const size = seed % 4 === 0 ? 4096 : drawStored(numbersFrom(seed + 100));
      let nth = 0;
      let died = true;
      while (died && ++nth < STORES_MAX) {
        const { arena, pages } = filled(seed, 120);
        died = dies(arena, nth, () => arena.alloc(seed % HEAP_COUNT, size)); // never published: freed by recovery
        recovered(arena, pages);
        if (died) deaths++;
      }
      expect(died).toBe(false);
    }
    expect(deaths).toBeGreaterThan(100);
  });

  test('while it frees leaves all other pages whole and no byte lost', () => {
    let deaths = 0;
    let framesBack = 0;
    for (let seed = 1; seed <= 12; seed++) {
      let nth = 0;
      let died = true;
      while (died && ++nth < STORES_MAX) {
        const { arena, pages } = filled(seed, 120);
        const neighbours = pages.all
          .filter(({ heap }) => heap === seed % HEAP_COUNT)
          .toSorted((a, b) => a.block - b.block)
          .slice(seed % 4)
          .slice(0, 5);
        const [victim] = neighbours.splice(seed % 5, 1);
        // In half of the cases what lies beside it was freed before, so that whole frames can be cut out.
        if (seed % 2 === 0) for (const page of neighbours) pages.drop(pages.all.indexOf(page));
        pages.forget(pages.all.indexOf(victim!));
        const { freeFrames } = arena;
        died = dies(arena, nth, () => arena.free(victim!.heap, victim!.block));
        if (!died) framesBack += arena.freeFrames - freeFrames;
        recovered(arena, pages);
        if (died) deaths++;
      }
      expect(died).toBe(false);
    }
    expect(deaths).toBeGreaterThan(100);
    expect(framesBack).toBeGreaterThan(4);
  });

  test('while it recovers leaves a heap that the next recovery makes whole', () => {
    const start = () => {
      const { arena, pages } = filled(3, 60);
      // What the index does not reach: at the low end of each heap several frames in a row.
      pages.all.sort((a, b) => b.block - a.block);
      while (pages.all.length > 10) pages.all.pop();
      return { arena, pages, recover: () => arena.recover(pages.all.map(({ block }) => block)) };
    };
    const { arena, recover } = start();
    const stores = storesOf(arena, recover);
    expect(stores).toBeGreaterThan(300);
    for (let nth = 1; nth <= stores; nth++) {
      const { arena, pages, recover } = start();
      expect(dies(arena, nth, recover)).toBe(true);
      recovered(arena, pages);
    }
  });
});

/** How many stores an operation makes. */
function storesOf(arena: ZvArena, operation: () => void): number {
  arena.killAtStore = Number.MAX_SAFE_INTEGER;
  operation();
  const stores = Number.MAX_SAFE_INTEGER - arena.killAtStore;
  arena.killAtStore = 0;
  return stores;
}
