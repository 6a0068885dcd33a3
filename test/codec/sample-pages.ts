// Pages for codec tests: the committed real ones, all shared ones where they exist, and generated ones of any length.

import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { PAGE_BYTES } from './workbench.ts';

const FIXTURE = new URL('../fixtures/pages.bin', import.meta.url);
const SHARED = new URL('../../../shared/data/swap-pages.bin', import.meta.url);

/** Whole pages of a file, each a copy (slice of a Buffer would be a view). */
function readPages(file: URL): Uint8Array[] {
  const bytes = new Uint8Array(readFileSync(file));
  const count = Math.floor(bytes.length / PAGE_BYTES);
  return Array.from({ length: count }, (_, index) =>
    bytes.slice(index * PAGE_BYTES, (index + 1) * PAGE_BYTES),
  );
}

/** 256 real pages that are part of the repository. */
export function fixturePages(): Uint8Array[] {
  return readPages(FIXTURE);
}

/** Every real page there is. */
export function allPages(): Uint8Array[] {
  return readPages(existsSync(SHARED) ? SHARED : FIXTURE);
}

/** xorshift32: reproducible and quick enough for hundreds of thousands of inputs. `below` is at least 1. */
export function seededRandom(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** `length` bytes made of noise, runs, short periods and repeats of what came before, mixed by `seed`. */
export function generatedPage(length: number, seed: number): Uint8Array {
  const random = seededRandom(seed);
  const page = new Uint8Array(length);
  const alphabet = 1 + random(256);
  let at = 0;
  while (at < length) {
    const piece = Math.min(length - at, 1 + random(1 << (1 + random(10))));
    const kind = random(4);
    const distance = 1 + random(kind === 1 ? 20 : Math.max(1, at));
    for (const end = at + piece; at < end; at++) {
      if (kind === 0 || at < distance) page[at] = random(alphabet);
      else page[at] = kind === 3 ? 0 : page[at - distance]!;
    }
  }
  return page;
}

/** Generated pages of every kind and length, for fast-check. */
export const anyPage = fc
  .tuple(fc.integer({ min: 1, max: PAGE_BYTES }), fc.integer({ min: 1, max: 0xffffffff }))
  .map(([length, seed]) => generatedPage(length, seed));
