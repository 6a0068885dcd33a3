// Pages of all kinds for the store's tests: same-filled ones, ones that compress well or hardly, noise; of any length.

import fc from 'fast-check';
import { generatedPage, seededRandom } from '../codec/sample-pages.ts';

export const PAGE_BYTES = 4096;

/** `length` bytes that no codec makes smaller. */
export function noise(length: number, seed: number): Uint8Array {
  const random = seededRandom(seed * 2 + 1);
  return Uint8Array.from({ length }, () => random(256));
}

/** One byte, `length` times. */
export function filled(length: number, byte: number): Uint8Array {
  return new Uint8Array(length).fill(byte);
}

/** One 64-bit value again and again, its bytes made from `seed`. */
export function repeated(length: number, seed: number): Uint8Array {
  const value = noise(8, seed);
  return Uint8Array.from({ length }, (_, i) => value[i % 8]!);
}

/** A page of `length` bytes that compresses to a little more than `incompressible` bytes. */
export function halfNoise(length: number, incompressible: number, seed: number): Uint8Array {
  const page = new Uint8Array(length).fill(seed & 0xff);
  page.set(noise(Math.min(length, incompressible), seed));
  return page;
}

/** A whole page that says which one it is and compresses to about `bytes`. */
export function numbered(number: number, bytes: number): Uint8Array {
  const page = halfNoise(PAGE_BYTES, bytes, number + 1);
  new DataView(page.buffer).setUint32(PAGE_BYTES - 4, number, true);
  return page;
}

const lengths = fc.oneof(
  { weight: 4, arbitrary: fc.constant(PAGE_BYTES) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 24 }) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: PAGE_BYTES }) },
);

/** Any page, at any position modulo 8 in a larger buffer. */
export const anyContent: fc.Arbitrary<Uint8Array> = fc
  .record({
    kind: fc.constantFrom('zero', 'filled', 'repeated', 'compressible', 'mixed', 'half', 'noise'),
    length: lengths,
    seed: fc.integer({ min: 1, max: 1_000_000 }),
    offset: fc.integer({ min: 0, max: 7 }),
  })
  .map(({ kind, length, seed, offset }) => {
    const buffer = new Uint8Array(length + offset);
    buffer.set(contentOf(kind, length, seed), offset);
    return buffer.subarray(offset);
  });

function contentOf(kind: string, length: number, seed: number): Uint8Array {
  if (kind === 'zero') return filled(length, 0);
  if (kind === 'filled') return filled(length, seed & 0xff);
  if (kind === 'repeated') return repeated(length, seed);
  if (kind === 'compressible') return halfNoise(length, 100 + (seed % 400), seed);
  if (kind === 'half') return halfNoise(length, 1500 + (seed % 2200), seed);
  if (kind === 'mixed') return generatedPage(length, seed);
  return noise(length, seed);
}
