// One page in a zv heap, its bytes drawn from its seed; and numbers drawn from a seed.

import type { ZvArena } from './zv-arena.ts';

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

export function fillPage(arena: ZvArena, { block, stored, seed }: Page): void {
  arena.fillIn(block, 1, 1 + (seed % 4096), seed, ~seed >>> 0);
  const data = arena.data(block, stored);
  for (let i = 0; i < stored; i++) data[i] = (seed * 31 + i) & 0xff;
}

/** Whether descriptor and bytes are as fillPage wrote them. */
export function isIntact(arena: ZvArena, { block, stored, seed }: Page): boolean {
  const { words } = arena;
  const word = words[block >>> 2]! & 0x0fffffff;
  if (word !== (stored | (1 << 13) | ((seed % 4096) << 16))) return false;
  if (words[(block >>> 2) + 1] !== seed || words[(block >>> 2) + 3] !== ~seed >>> 0) return false;
  return arena.data(block, stored).every((byte, i) => byte === ((seed * 31 + i) & 0xff));
}
