import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { allPages, anyPage, fixturePages, generatedPage, seededRandom } from './sample-pages.ts';
import { CODECS, PAGE_BYTES, Workbench } from './workbench.ts';

/** No page of 4096 bytes may need more (COMPRESS_BOUND_BYTES in arena/codec/bytes.ts). */
const COMPRESS_BOUND_BYTES = 4160;

describe.each(CODECS)('%s', (codec) => {
  let bench: Workbench;
  beforeAll(async () => {
    bench = await Workbench.make();
  });

  function expectRoundTrip(page: Uint8Array): void {
    const packed = bench.compress(codec, page);
    expect(packed).toBeDefined();
    const back = bench.decompress(codec, packed!, page.length);
    expect(back !== undefined && Buffer.compare(back, page) === 0).toBe(true);
  }

  it('returns every real page exactly', () => {
    for (const page of allPages()) expectRoundTrip(page);
  });

  it('returns pages of every length exactly', () => {
    for (let length = 1; length <= PAGE_BYTES; length++) expectRoundTrip(generatedPage(length, length));
  });

  it('returns generated pages exactly', () => {
    fc.assert(fc.property(anyPage, expectRoundTrip), { numRuns: 2000 });
  });

  it('returns runs of every period exactly', () => {
    for (let period = 1; period <= 40; period++) {
      for (const length of [period, period + 3, 100, 1000, 4095, 4096]) {
        expectRoundTrip(Uint8Array.from({ length }, (_, index) => (index % period) * 7 + 1));
      }
    }
  });

  it('makes the same bytes of the same page whatever was compressed before', () => {
    const [first, second] = [fixturePages()[3]!, fixturePages()[200]!];
    const alone = bench.compress(codec, first);
    bench.compress(codec, second);
    expect(bench.compress(codec, first)).toEqual(alone);
  });

  it('makes the same bytes whatever lies behind the page', () => {
    const page = fixturePages()[17]!.subarray(0, 1000);
    const before = bench.compress(codec, page);
    bench.disturb(page[996]!);
    expect(bench.compress(codec, page)).toEqual(before);
  });

  it('fits noise of a whole page into the documented bound', () => {
    const random = seededRandom(7);
    const noise = Uint8Array.from({ length: PAGE_BYTES }, () => random(256));
    expect(bench.compress(codec, noise)!.length).toBeLessThanOrEqual(COMPRESS_BOUND_BYTES);
  });

  it('fits exactly its size and refuses one byte less, writing nowhere else', () => {
    const fits = (page: Uint8Array) => {
      const packed = bench.compress(codec, page)!;
      bench.strayCompressorWrites(page, PAGE_BYTES * 2);
      expect(bench.compress(codec, page, packed.length)).toEqual(packed);
      expect(bench.strayCompressorWrites(page, packed.length)).toEqual([]);
      expect(bench.compress(codec, page, packed.length - 1)).toBeUndefined();
      expect(bench.strayCompressorWrites(page, packed.length - 1)).toEqual([]);
    };
    fc.assert(fc.property(anyPage, fits), { numRuns: 1000 });
  });

  it('writes nothing outside any smaller capacity', () => {
    const pages = fixturePages().filter((_, index) => index % 16 === 0);
    for (const page of pages) {
      for (let capacity = 0; capacity < 4200; capacity += 37) {
        bench.compress(codec, page, capacity);
        expect(bench.strayCompressorWrites(page, capacity)).toEqual([]);
      }
    }
  });

  it('refuses a page longer than 4096 bytes', () => {
    const { lz4Compress, lzo1xCompress } = bench.codecs;
    const call = codec === 'lz4' ? lz4Compress : lzo1xCompress;
    expect(call(0, PAGE_BYTES + 1, 16384, PAGE_BYTES, 8192)).toBe(0);
  });
});
