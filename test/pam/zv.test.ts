import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { compileZv, HEAP_COUNT, ZvArena } from './zv-arena.ts';
import { drawStored, numbersFrom } from './zv-page.ts';
import { Pages } from './zv-pages.ts';
import type { ZvWorkerData, ZvWorkerResult } from './zv-worker.ts';

let module: WebAssembly.Module;

beforeAll(async () => {
  module = await compileZv();
});

/** Puts and drops pages at random, keeping about `target` of them. */
function churn(pages: Pages, next: (below: number) => number, steps: number, target: number): void {
  for (let step = 0; step < steps; step++) {
    if (pages.all.length > 0 && next(2 * target) < pages.all.length) pages.drop(next(pages.all.length));
    else pages.put(next(HEAP_COUNT), drawStored(next));
  }
}

const stored = fc.oneof(
  fc.integer({ min: 1, max: 4096 }),
  fc.integer({ min: 1, max: 64 }),
  fc.constantFrom(8, 9, 4064, 4072, 4073, 4080, 4081, 4095, 4096),
);
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ put: stored, heap: fc.nat(HEAP_COUNT - 1) }) },
  { weight: 4, arbitrary: fc.record({ drop: fc.nat() }) },
);

describe('zv', () => {
  test('pages keep their bytes and every byte of every frame is accounted, whatever is put and dropped', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 250, size: 'max' }), (steps) => {
        const arena = new ZvArena(module, 120); // small: many puts are refused
        const pages = new Pages(arena);
        for (const step of steps) {
          if ('put' in step) pages.put(step.heap, step.put);
          else if (pages.all.length > 0) pages.drop(step.drop % pages.all.length);
          pages.expectAccounted();
        }
        pages.expectIntact();
        while (pages.all.length > 0) pages.drop(0);
        pages.expectAccounted();
        expect(arena.freeFrames).toBe(arena.usableFrames);
      }),
      { numRuns: 60 },
    );
  });

  test('frames taken between those of other heaps are used and given back', () => {
    const arena = new ZvArena(module, 1000);
    const pages = new Pages(arena);
    const next = numbersFrom(1);
    for (const target of [100, 1500, 20, 800]) {
      churn(pages, next, 6000, target);
      pages.expectAccounted();
      pages.expectIntact();
    }
    while (pages.all.length > 0) pages.drop(next(pages.all.length));
    pages.expectAccounted();
    expect(arena.freeFrames).toBe(arena.usableFrames);
  });

  test('after ten times the content in replacements at least 97 % of the frames is blocks', () => {
    const arena = new ZvArena(module, 13_000);
    const next = numbersFrom(2);
    const blocks = Array.from({ length: 30_000 }, () => arena.alloc(1, drawStored(next)));
    for (let i = 0; i < 10 * blocks.length; i++) {
      const block = arena.alloc(1, drawStored(next)); // as a put does: before the old page goes
      const nth = next(blocks.length);
      arena.free(1, blocks[nth]!);
      blocks[nth] = block;
    }
    expect(blocks).not.toContain(0);
    expect(arena.sum(1, 'USED_BYTES') / (arena.counter(1, 'FRAMES') * 4096)).toBeGreaterThan(0.97);
  });

  test('a put refused for want of a frame changes nothing', () => {
    const arena = new ZvArena(module, 300);
    const pages = new Pages(arena);
    const next = numbersFrom(3);
    churn(pages, next, 600, 150);
    let refused = 0;
    for (let i = 0; i < 400; i++) {
      const { freeFrames } = arena;
      arena.failFrame(1 + (i % 2)); // the second frame matters to the largest pages only
      if (pages.put(i % HEAP_COUNT, i % 5 === 0 ? 4096 : drawStored(next)) === undefined) {
        refused++;
        expect(arena.freeFrames).toBe(freeFrames);
      }
      pages.expectAccounted();
    }
    expect(refused).toBeGreaterThan(10);
    pages.expectIntact();
  });

  test('a page above 4080 bytes lies across two adjacent frames, or is refused when there are none', () => {
    const arena = new ZvArena(module, 200);
    const pages = new Pages(arena);
    expect(pages.put(0, 4096)).toBeDefined();
    expect(arena.counter(0, 'FRAMES')).toBe(2);
    while (pages.put(1, 4080) !== undefined); // each fills a frame
    expect(arena.freeFrames).toBe(0);
    // Free every second frame: no two of them touch.
    const full = pages.all.filter((page) => page.heap === 1).toSorted((a, b) => a.block - b.block);
    for (const page of full.filter((_, i) => i % 2 === 0)) pages.drop(pages.all.indexOf(page));
    const { freeFrames } = arena;
    expect(freeFrames).toBeGreaterThan(50);
    expect(pages.put(1, 4096)).toBeUndefined();
    expect(arena.freeFrames).toBe(freeFrames);
    expect(pages.put(1, 4080)).toBeDefined();
    pages.expectAccounted();
    pages.expectIntact();
  });

  test('reclaim of a frame sees exactly the pages with a byte in it, and empties it', () => {
    const arena = new ZvArena(module, 400);
    const pages = new Pages(arena);
    const next = numbersFrom(4);
    churn(pages, next, 3000, 400);
    for (let frame = 1; frame < arena.frames; frame++) {
      for (let heap = 0; heap < HEAP_COUNT; heap++) {
        const expected = pages.all.filter(
          ({ block, heap: owner }) =>
            owner === heap && block < (frame + 1) * 4096 && block + arena.blockBytes(block) > frame * 4096,
        );
        const seen = arena.pagesIn(heap, frame);
        expect(seen.map(({ block }) => block)).toEqual(
          expected.map(({ block }) => block).toSorted((a, b) => a - b),
        );
        for (const { block, descriptor } of seen) {
          expect(descriptor).toEqual(arena.bytes.slice(block, block + 16));
        }
      }
    }
    const { freeFrames } = arena;
    const frame = pages.all[0]!.block >>> 12;
    const { heap } = pages.all[0]!;
    for (const { block } of arena.pagesIn(heap, frame)) {
      pages.drop(pages.all.findIndex((page) => page.block === block));
    }
    expect(arena.pagesIn(heap, frame)).toEqual([]);
    expect(arena.freeFrames).toBeGreaterThan(freeFrames);
  });

  test('a new block names no object until it is described', () => {
    const arena = new ZvArena(module, 100);
    const first = arena.alloc(0, 1000);
    const second = arena.alloc(0, 1000);
    arena.bytes.fill(0xff, first + 4, first + 1016);
    arena.free(0, first);
    const again = arena.alloc(0, 1000);
    expect(again).toBe(first);
    expect(second).toBeGreaterThan(first);
    expect(arena.words[(again + 8) >>> 2]).toBe(0);
  });
});

describe('threads that share a heap', () => {
  test('never get a byte of each other, and lose none', async () => {
    const arena = new ZvArena(module, 400);
    const results = await Promise.all(
      [1, 2, 3].map(async (thread) => {
        const { memory, frames } = arena;
        const workerData: ZvWorkerData = { module, memory, frames, thread, steps: 20_000 };
        const worker = new Worker(new URL('./zv-worker.ts', import.meta.url), { workerData });
        try {
          return ((await once(worker, 'message')) as [ZvWorkerResult])[0];
        } finally {
          await worker.terminate();
        }
      }),
    );
    expect(results.flatMap(({ damaged }) => damaged)).toEqual([]);
    expect(results.some(({ refused }) => refused > 0)).toBe(true);
    const pages = new Pages(arena);
    pages.all.push(...results.flatMap((result) => result.pages));
    pages.expectIntact();
    pages.expectAccounted();
  });
});

describe('recovery of zv', () => {
  test('keeps what the index reaches and frees the rest', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 0, max: 100 }), (seed, keptPercent) => {
        const arena = new ZvArena(module, 300);
        const pages = new Pages(arena);
        const next = numbersFrom(seed);
        churn(pages, next, 1500, 300);
        for (let i = pages.all.length - 1; i >= 0; i--) if (next(100) >= keptPercent) pages.forget(i);
        expect(arena.recover(pages.all.map(({ block }) => block))).toEqual(Array(HEAP_COUNT).fill(0));
        pages.expectAccounted();
        pages.expectIntact();
        churn(pages, next, 300, 100);
        pages.expectAccounted();
        pages.expectIntact();
      }),
      { numRuns: 25 },
    );
  });

  test('needs nothing but the blocks: bins, copies of sizes, flags and first blocks may be garbage', () => {
    const arena = new ZvArena(module, 300);
    const pages = new Pages(arena);
    churn(pages, numbersFrom(5), 1500, 300);
    arena.spoilDerived(numbersFrom(6));
    expect(arena.recover(pages.all.map(({ block }) => block))).toEqual(Array(HEAP_COUNT).fill(0));
    pages.expectAccounted();
    pages.expectIntact();
  });
});

describe('the checker of zv', () => {
  test('notices damage to sizes, flags, first blocks, free lists and counts', () => {
    const cases: [name: string, word: (arena: ZvArena, pages: Pages) => number, flip: number][] = [
      ['size of a block', (_, { all }) => all[3]!.block, 0x40],
      ['a free flag', (_, { all }) => all[3]!.block, 1 << 28],
      ['a previous-free flag', (_, { all }) => all[3]!.block, 1 << 29],
      ['a mark', (_, { all }) => all[3]!.block, 1 << 30],
      ['first block of a frame', (arena, { all }) => arena.entryAt(all[3]!.block >>> 12), 1 << 4],
      ['owner of a frame', (arena, { all }) => arena.entryAt(all[3]!.block >>> 12), 1 << 16],
      ['frames', (arena) => arena.counterAt(0, 'FRAMES'), 1],
      ['blocks', (arena) => arena.counterAt(0, 'BLOCKS'), 1],
      ['free blocks', (arena) => arena.counterAt(0, 'FREE_BLOCKS'), 1],
      ['used bytes', (arena) => arena.counterAt(0, 'USED_BYTES'), 8],
      ['free bytes', (arena) => arena.counterAt(0, 'FREE_BYTES'), 8],
      ['stored bytes', (arena) => arena.counterAt(0, 'STORED_BYTES'), 1],
      ['a step of the histogram', (arena) => arena.counterAt(0, 'HISTOGRAM'), 64],
      ['a bin', (arena) => arena.counterAt(0, 'BINS') + 4 * 300, 8],
      ['the bitmap', (arena) => arena.counterAt(0, 'BITMAP'), 4],
      ['the summary', (arena) => arena.counterAt(0, 'SUMMARY'), 1 << 16],
    ];
    const unnoticed = cases.filter(([, word, flip]) => {
      const arena = new ZvArena(module, 200);
      const pages = new Pages(arena);
      churn(pages, numbersFrom(7), 500, 100);
      pages.expectAccounted();
      arena.words[word(arena, pages) >>> 2]! ^= flip;
      return arena.check().every((code) => code === 0);
    });
    expect(unnoticed.map(([name]) => name)).toEqual([]);
  });
});
