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
    bench.strayCompressorWrites(new Uint8Array(PAGE_BYTES), PACKED_BYTES);
  });

  /** Decodes twice, with other bytes behind the input, and checks every write. Returns whether it gave a page. */
  function expectHarmless({ bytes: input, length }: Packed): boolean {
    bench.fillBehindPacked(input.length, 0xff);
    const page = bench.decompress(codec, input, length);
    bench.fillBehindPacked(input.length, 0);
    const again = bench.decompress(codec, input, length);
    const stray = bench.strayDecoderWrites(input, length);
    const same =
      page === undefined ? again === undefined : again !== undefined && Buffer.compare(page, again) === 0;
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
  const SOURCE_AT = 65536;
  const OUT_AT = TOP - SLACK_BYTES - PAGE_BYTES;

  it.each(CODECS)('%s pages round-trip and endless lengths are refused', async (codec) => {
    const codecs = await loadCodecs(TOP);
    const [compress, decompress] =
      codec === 'lz4'
        ? [codecs.lz4Compress, codecs.lz4Decompress]
        : [codecs.lzo1xCompress, codecs.lzo1xDecompress];
    const { bytes } = codecs;
    for (const page of fixturePages().slice(0, 32)) {
      bytes.set(page, SOURCE_AT);
      const size = compress(SOURCE_AT, PAGE_BYTES, OUT_AT, PAGE_BYTES, 4096);
      if (size === 0) continue;
      bytes.copyWithin(SOURCE_AT, OUT_AT, OUT_AT + size);
      expect(decompress(SOURCE_AT, size, OUT_AT, PAGE_BYTES)).toBe(PAGE_BYTES);
      expect(Buffer.compare(bytes.subarray(OUT_AT, OUT_AT + PAGE_BYTES), page)).toBe(0);
    }
    const below = bytes.slice(0, 32768);
    for (const endless of [0, 255]) {
      bytes.fill(endless, SOURCE_AT, SOURCE_AT + 65535);
      bytes[SOURCE_AT + 65534] = 1;
      expect(decompress(SOURCE_AT, 65535, OUT_AT, PAGE_BYTES)).toBe(0);
      expect(Buffer.compare(bytes.subarray(0, 32768), below)).toBe(0);
    }
  });
});
