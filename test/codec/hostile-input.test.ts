import { beforeAll, describe, expect, it } from 'vitest';
import { loadCodecs, SLACK_BYTES } from '../../bench/support/codec-module.ts';
import { fixturePages, generatedPage, seededRandom } from './sample-pages.ts';
import { CODECS, type CodecName, PACKED_BYTES, PAGE_BYTES, Workbench } from './workbench.ts';

const MUTATIONS = 150_000;
/** Seconds on an idle machine; this bound is for one that is busy with the other tests. */
const LONG_TEST_MS = 300_000;

/** Bytes that mean most in both formats: long lengths, end marks, the borders between instructions. */
const TELLING_BYTES = [0, 1, 15, 16, 17, 18, 31, 32, 33, 63, 64, 127, 128, 240, 254, 255];

type Random = (below: number) => number;

/** A compressed page and the length it stands for. */
interface Packed {
  bytes: Uint8Array;
  length: number;
}

/** A compressed page of another kind each time, broken in one to four ways, and its length or another. */
function mutate(valid: readonly Packed[], random: Random): Packed {
  const original = valid[random(valid.length)]!;
  const length = random(4) > 0 ? original.length : 1 + random(PAGE_BYTES);
  let input = Uint8Array.from(original.bytes);
  for (let times = 1 + random(4); times > 0; times--) {
    const at = random(input.length);
    switch (random(7)) {
      case 0:
        input[at]! ^= 1 << random(8);
        break;
      case 1:
        input[at] = random(256);
        break;
      case 2:
        input[at] = TELLING_BYTES[random(TELLING_BYTES.length)]!;
        break;
      case 3:
        input = input.slice(0, at + 1);
        break;
      case 4: {
        const other = valid[random(valid.length)]!.bytes;
        input = Uint8Array.from([...input.subarray(0, at), ...other.subarray(random(other.length))]);
        break;
      }
      case 5:
        input.fill(TELLING_BYTES[random(TELLING_BYTES.length)]!, at, at + random(40));
        break;
      default:
        input.copyWithin(at, random(input.length), random(input.length));
    }
    input = input.subarray(0, PACKED_BYTES);
  }
  return { bytes: input, length };
}

describe.each(CODECS)('%s decoder', (codec: CodecName) => {
  let bench: Workbench;
  let valid: Packed[];
  beforeAll(async () => {
    bench = await Workbench.make();
    const random = seededRandom(99);
    const small = Array.from({ length: 300 }, (_, index) => generatedPage(1 + random(200), index + 1));
    valid = [...small, ...fixturePages()].map((page) => {
      return { bytes: bench.compress(codec, page)!, length: page.length };
    });
    bench.restore();
  });

  /** Decodes twice, the second time among other bytes, and checks every write. Returns whether it gave a page. */
  function expectHarmless({ bytes: input, length }: Packed): boolean {
    const page = bench.decompress(codec, input, length);
    const stray = bench.strayDecoderWrites(input, length);
    bench.disturb(0xff);
    const again = bench.decompress(codec, input, length);
    bench.restore();
    const same = page === undefined ? again === undefined : !!again && Buffer.compare(page, again) === 0;
    if (stray.length > 0 || !same) expect({ input, length, stray, same }).toBe('harmless');
    return page !== undefined;
  }

  it('meets mutated input with data or 0 and never writes outside its buffer', {
    timeout: LONG_TEST_MS,
  }, () => {
    const random = seededRandom(codec === 'lz4' ? 4 : 20);
    let accepted = 0;
    for (let run = 0; run < MUTATIONS; run++) {
      if (expectHarmless(mutate(valid, random))) accepted++;
    }
    // Both outcomes were met, so the loop above tested more than the first check of the decoder.
    expect(accepted).toBeGreaterThan(100);
    expect(accepted).toBeLessThan(MUTATIONS / 2);
  });

  it('meets noise with data or 0 and never writes outside its buffer', () => {
    const random = seededRandom(5);
    for (let run = 0; run < MUTATIONS / 4; run++) {
      const bytes = Uint8Array.from({ length: 1 + random(60) }, () =>
        random(2) === 0 ? random(256) : TELLING_BYTES[random(TELLING_BYTES.length)]!,
      );
      expectHarmless({ bytes, length: 1 + random(300) });
    }
  });

  it('refuses every proper prefix of a page', () => {
    for (const { bytes, length } of valid.slice(0, 350)) {
      expect(bench.decompress(codec, bytes, length)).toBeDefined();
      for (let kept = 1; kept < bytes.length; kept++) {
        const got = bench.decompress(codec, bytes.subarray(0, kept), length);
        if (got !== undefined) expect({ bytes, length, kept }).toBe('refused');
      }
    }
  });

  it('refuses a length other than that of the page', () => {
    for (const { bytes, length } of valid) {
      for (const other of [length - 4, length - 1, length + 1, length + 4]) {
        if (other > 0) expect(bench.decompress(codec, bytes, other)).toBeUndefined();
      }
    }
  });

  it('refuses empty input', () => {
    expect(bench.decompress(codec, new Uint8Array(0), 1)).toBeUndefined();
  });

  it('ends on a length that would not fit 32 bits many times over', () => {
    const endless = new Uint8Array(PACKED_BYTES).fill(codec === 'lz4' ? 255 : 0);
    expect(expectHarmless({ bytes: endless, length: PAGE_BYTES })).toBe(false);
  });
});

describe('at the top of a 4 GiB arena, where sums of addresses wrap', () => {
  const TOP = 2 ** 32;
  const OUT_AT = TOP - SLACK_BYTES - PAGE_BYTES;
  /** Longer than any wrapped length can reach. */
  const LOW_BYTES = 32 * 2 ** 20;
  const SOURCE_AT = LOW_BYTES;
  const TABLE_AT = SOURCE_AT + 65536;

  /** A literal, then a match of some 15 MB, then literals that would land behind it. */
  function overlong(codec: CodecName): Uint8Array {
    const lengths = new Uint8Array(60_000).fill(codec === 'lz4' ? 255 : 0);
    return codec === 'lz4'
      ? Uint8Array.from([0x1f, 0x61, 1, 0, ...lengths, 1, 0xe0, ...new Uint8Array(14).fill(0x62)])
      : Uint8Array.from([0x12, 0x61, 0x20, ...lengths, 1, 3, 0, 0x62, 0x62, 0x62, 0x11, 0, 0]);
  }

  it.each(CODECS)('%s pages round-trip and overlong matches write nowhere', async (codec) => {
    const codecs = await loadCodecs(TOP);
    const [compress, decompress] =
      codec === 'lz4'
        ? [codecs.lz4Compress, codecs.lz4Decompress]
        : [codecs.lzo1xCompress, codecs.lzo1xDecompress];
    const { bytes } = codecs;
    const input = overlong(codec);
    bytes.set(input, SOURCE_AT);
    expect(decompress(SOURCE_AT, input.length, OUT_AT, PAGE_BYTES)).toBe(0);
    expect(Buffer.compare(bytes.subarray(0, LOW_BYTES), Buffer.alloc(LOW_BYTES))).toBe(0);

    let stored = 0;
    for (const page of fixturePages()) {
      bytes.set(page, SOURCE_AT);
      const size = compress(SOURCE_AT, PAGE_BYTES, OUT_AT, PAGE_BYTES, TABLE_AT);
      if (size === 0) continue;
      stored++;
      bytes.copyWithin(SOURCE_AT, OUT_AT, OUT_AT + size);
      expect(decompress(SOURCE_AT, size, OUT_AT, PAGE_BYTES)).toBe(PAGE_BYTES);
      expect(Buffer.compare(bytes.subarray(OUT_AT, OUT_AT + PAGE_BYTES), page)).toBe(0);
    }
    expect(stored).toBeGreaterThan(200);
  });
});
