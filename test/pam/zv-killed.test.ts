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

/** An arena with some pages, most of its frames in use. */
function filled(seed: number): { arena: ZvArena; pages: Pages } {
  const arena = new ZvArena(module, 90);
  const pages = new Pages(arena);
  const next = numbersFrom(seed);
  for (let i = 0; i < 120; i++) {
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
        const { arena, pages } = filled(seed);
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
    for (let seed = 1; seed <= 12; seed++) {
      let nth = 0;
      let died = true;
      while (died && ++nth < STORES_MAX) {
        const { arena, pages } = filled(seed);
        const { heap, block } = pages.forget(seed % pages.all.length);
        died = dies(arena, nth, () => arena.free(heap, block));
        recovered(arena, pages);
        if (died) deaths++;
      }
      expect(died).toBe(false);
    }
    expect(deaths).toBeGreaterThan(100);
  });

  test('while it recovers leaves a heap that the next recovery makes whole', () => {
    const { arena: whole, pages: all } = filled(3);
    const stores = storesOf(whole, () => whole.recover(all.all.map(({ block }) => block)));
    for (let nth = 1; nth < stores; nth += 7) {
      const { arena, pages } = filled(3);
      for (let i = pages.all.length - 1; i > 0; i -= 3) pages.forget(i);
      dies(arena, nth, () => arena.recover(pages.all.map(({ block }) => block)));
      recovered(arena, pages);
    }
    expect(stores).toBeGreaterThan(300);
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
