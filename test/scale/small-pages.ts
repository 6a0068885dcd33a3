// Small pages of real content: pieces of 1 to 64 bytes cut out of the committed pages.

import { readFileSync } from 'node:fs';

const FIXTURE = new Uint8Array(readFileSync(new URL('../fixtures/pages.bin', import.meta.url)));
const BYTES_MAX = 64;

/** Mixes a number well enough to draw from. */
function mixed(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x21f0aaad);
  hash = Math.imul(hash ^ (hash >>> 15), 0x735a2d97);
  return (hash ^ (hash >>> 15)) >>> 0;
}

/** Piece number `n`: always the same. A view, valid as long as nobody writes to it. */
export function smallPage(n: number): Uint8Array {
  const at = mixed(n) % (FIXTURE.length - BYTES_MAX);
  return FIXTURE.subarray(at, at + 1 + (mixed(n + 1) % BYTES_MAX));
}
