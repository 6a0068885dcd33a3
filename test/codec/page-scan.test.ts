import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { type CodecModule, loadCodecs } from '../../bench/support/codec-module.ts';
import { allPages, anyPage, fixturePages, generatedPage, seededRandom } from './sample-pages.ts';
import { PAGE_BYTES } from './workbench.ts';

const AT = 4096;
const OUT_AT = 16384;
const MEMORY_BYTES = 65536;
/** Bit of scanPage's result that says the page repeats one 64-bit value. */
const SAME_FILLED = 1n << 32n;

/** Checksums of two fixed pages: other values would mean that stored pages no longer verify. */
const STORED_CHECKSUM_PAGE = 838390997;
const STORED_CHECKSUM_1001 = 2302186118;

let codecs: CodecModule;
beforeAll(async () => {
  codecs = await loadCodecs(MEMORY_BYTES);
});

/** Checksum and same-filled flag of `page`, put at `address` among bytes of `around`. */
function scan(page: Uint8Array, address = AT, around = 0): { checksum: number; same: boolean } {
  codecs.bytes.fill(around, AT - 64, AT + PAGE_BYTES + 128);
  codecs.bytes.set(page, address);
  const result = codecs.scanPage(address, page.length);
  const checksum = Number(result & 0xffffffffn);
  expect(codecs.checksum(address, page.length) >>> 0).toBe(checksum);
  return { checksum, same: (result & SAME_FILLED) !== 0n };
}

function isSameFilled(page: Uint8Array): boolean {
  return page.every((byte, index) => byte === page[index % 8]);
}

describe('same-filled pages', () => {
  it('are recognised among generated and real pages, and only they', () => {
    fc.assert(fc.property(anyPage, (page) => scan(page).same === isSameFilled(page)));
    for (const page of allPages()) expect(scan(page).same).toBe(isSameFilled(page));
  });

  it('come back exactly from their value, at every length', () => {
    for (let length = 1; length <= PAGE_BYTES; length++) {
      const random = seededRandom(length);
      const value = Uint8Array.from({ length: 8 }, () => random(256));
      const page = Uint8Array.from({ length }, (_, index) => value[index % 8]!);
      expect(scan(page).same).toBe(true);
      const repeated = codecs.repeatedValue(AT, length);
      codecs.bytes.fill(0xee, OUT_AT, OUT_AT + PAGE_BYTES + 64);
      codecs.fillRepeated(OUT_AT, length, repeated);
      expect(Buffer.compare(codecs.bytes.subarray(OUT_AT, OUT_AT + length), page)).toBe(0);
      expect(codecs.bytes[OUT_AT + length + 16]).toBe(0xee);
      if (length < 8) expect(repeated >> BigInt(8 * length)).toBe(0n);
    }
  });

  it('are not those where any single byte differs', () => {
    for (const length of [16, 63, 64, 65, 100, 1000, PAGE_BYTES]) {
      const page = new Uint8Array(length);
      for (let at = 0; at < length; at++) {
        page[at] = 1;
        expect(scan(page).same).toBe(false);
        page[at] = 0;
      }
    }
  });
});

describe('the checksum', () => {
  it('does not depend on the address or on the bytes around the page', () => {
    for (const length of [1, 7, 16, 63, 64, 65, 127, 1000, 4000, PAGE_BYTES]) {
      const page = generatedPage(length, length);
      const { checksum, same } = scan(page);
      for (let shift = 0; shift < 64; shift++) {
        expect(scan(page, AT + shift, 0x5a + shift)).toEqual({ checksum, same });
      }
    }
  });

  it('stays what it is in stored data', () => {
    const page = Uint8Array.from({ length: PAGE_BYTES }, (_, index) => index * 31 + (index >> 8));
    expect(scan(page).checksum).toBe(STORED_CHECKSUM_PAGE);
    expect(scan(page.subarray(0, 1001)).checksum).toBe(STORED_CHECKSUM_1001);
  });

  it('changes with every single bit of a page', () => {
    for (const original of [new Uint8Array(PAGE_BYTES), fixturePages()[40]!, generatedPage(1003, 3)]) {
      const page = original.slice();
      const { checksum } = scan(page);
      for (let bit = 0; bit < page.length * 8; bit++) {
        page[bit >> 3]! ^= 1 << (bit & 7);
        codecs.bytes[AT + (bit >> 3)] = page[bit >> 3]!;
        expect(codecs.checksum(AT, page.length) >>> 0 === checksum).toBe(false);
        page[bit >> 3]! ^= 1 << (bit & 7);
        codecs.bytes[AT + (bit >> 3)] = page[bit >> 3]!;
      }
    }
  });

  it.each([2, 4, 8, 16, 64, 256])('changes when two words of %i bytes are exchanged', (word) => {
    const random = seededRandom(word);
    const pages = fixturePages();
    for (let run = 0; run < 20_000; run++) {
      const page = pages[random(256)]!;
      const first = word * random(PAGE_BYTES / word);
      const second = word * random(PAGE_BYTES / word);
      const swapped = page.slice();
      swapped.set(page.subarray(first, first + word), second);
      swapped.set(page.subarray(second, second + word), first);
      if (Buffer.compare(page, swapped) === 0) continue;
      if (scan(page).checksum === scan(swapped).checksum) expect({ word, first, second }).toBe('told apart');
    }
  });

  it('tells runs of zeroes of every length and place from each other', () => {
    const seen = new Set<number>();
    for (let length = 1; length <= PAGE_BYTES; length++) seen.add(scan(new Uint8Array(length)).checksum);
    expect(seen.size).toBe(PAGE_BYTES);
    const ones = new Uint8Array(PAGE_BYTES).fill(1);
    const places = new Set<number>();
    for (let at = 0; at < PAGE_BYTES; at += 8) {
      const page = ones.slice();
      page.fill(0, at, at + 200);
      places.add(scan(page).checksum);
    }
    expect(places.size).toBe(PAGE_BYTES / 8);
  });

  it('collides no more often than 32 bits must', () => {
    // 100 000 values: about 1.2 collisions expected, 12 or more with probability below 1e-8.
    const values = new Set<number>();
    const page = fixturePages()[100]!.slice();
    const words = new Uint32Array(page.buffer);
    for (let run = 0; run < 100_000; run++) {
      words[run & 1023]! += 1 + (run >> 10);
      values.add(scan(page).checksum);
    }
    expect(values.size).toBeGreaterThan(100_000 - 12);
  });
});
