// How fast and how dense the codecs are beside the native libraries, page by page, in alternating rounds.
//
// Both sides see the same pages in the same order, laid out the same way in memory, with one warm output buffer.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BenchOptions, Figures } from './run.ts';
import { type CodecModule, loadCodecs, TABLE_BYTES } from './support/codec-module.ts';
import { median, rounded, threadCpuNs } from './support/measure.ts';
import {
  CONTROL_SOURCE,
  type Codec,
  compileNative,
  NativeControl,
  type Operation,
} from './support/native.ts';
import { loadPages, PAGE_BYTES, type Pages, withoutSameFilled } from './support/pages.ts';

const ROUNDS = 15;
/** Rounds before the first one that counts: the optimising compiler has replaced the first code by then. */
const WARM_UP_ROUNDS = 5;
/** Above the expansion of both formats for one page. */
const OUT_BYTES = PAGE_BYTES + 512;
/** Address 0 stays unused. */
const TABLE_AT = 4096;
const OUT_AT = TABLE_AT + TABLE_BYTES;
const DATA_AT = OUT_AT + 2 * OUT_BYTES;

/** One pass of our codec over all pages. */
interface OurSide {
  round: () => void;
  compressedBytes: number;
}

export async function run({ pages: file, say }: BenchOptions): Promise<Figures> {
  const pages = withoutSameFilled(loadPages(file));
  say(`${pages.count} pages of ${pages.source}, same-filled ones left out`);
  const directory = mkdtempSync(join(tmpdir(), 'tmem-bench-'));
  try {
    const executable = join(directory, 'control');
    const pagesFile = join(directory, 'pages.bin');
    compileNative(CONTROL_SOURCE, executable);
    writeFileSync(pagesFile, pages.bytes);
    const figures: Figures = {};
    for (const codec of ['lz4', 'lzo'] as const) {
      for (const operation of ['compress', 'decompress'] as const) {
        const result = await compare(codec, operation, pages, executable, pagesFile);
        const { ours, theirs, ourBytes, theirBytes } = result;
        const library = codec === 'lz4' ? 'liblz4' : 'liblzo2';
        figures[`${codec}_${operation}_vs_${library}`] = rounded(theirs / ours);
        if (operation === 'compress')
          figures[`${codec}_ratio_vs_${library}`] = rounded(theirBytes / ourBytes, 4);
        const share = (bytes: number) => ((100 * bytes) / pages.bytes.length).toFixed(2);
        say(
          `${codec} ${operation}: ${ours.toFixed(0)} ns a page, ${library} ${theirs.toFixed(0)}, ` +
            `x ${(theirs / ours).toFixed(3)}; packed to ${share(ourBytes)} %, ${library} ${share(theirBytes)} %`,
        );
      }
    }
    return figures;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Medians of nanoseconds a page, and compressed bytes, of both sides. */
async function compare(
  codec: Codec,
  operation: Operation,
  pages: Pages,
  executable: string,
  pagesFile: string,
) {
  const codecs = await loadCodecs(DATA_AT + pages.bytes.length + pages.count * (OUT_BYTES - PAGE_BYTES));
  const ours =
    operation === 'compress' ? compressor(codecs, codec, pages) : decompressor(codecs, codec, pages);
  const rounds = WARM_UP_ROUNDS + ROUNDS;
  const control = new NativeControl(executable, { codec, operation, pagesFile, rounds });
  try {
    const ourNs: number[] = [];
    const theirNs: number[] = [];
    let theirBytes = 0;
    for (let round = 0; round < rounds; round++) {
      const spent = threadCpuNs(ours.round) / pages.count;
      const theirs = await control.round();
      theirBytes = theirs.compressedBytes;
      if (round < WARM_UP_ROUNDS) continue;
      ourNs.push(spent);
      theirNs.push(theirs.nsPerPage);
    }
    return { ours: median(ourNs), theirs: median(theirNs), ourBytes: ours.compressedBytes, theirBytes };
  } finally {
    control.close();
  }
}

function compressor(codecs: CodecModule, codec: Codec, { bytes, count }: Pages): OurSide {
  const compress = codec === 'lz4' ? codecs.lz4Compress : codecs.lzo1xCompress;
  const decompress = codec === 'lz4' ? codecs.lz4Decompress : codecs.lzo1xDecompress;
  codecs.bytes.set(bytes, DATA_AT);
  let compressedBytes = 0;
  const check = OUT_AT + OUT_BYTES;
  for (let index = 0; index < count; index++) {
    const size = compress(DATA_AT + index * PAGE_BYTES, PAGE_BYTES, OUT_AT, OUT_BYTES, TABLE_AT);
    const back = decompress(OUT_AT, size, check, PAGE_BYTES);
    const page = bytes.subarray(index * PAGE_BYTES, (index + 1) * PAGE_BYTES);
    if (back !== PAGE_BYTES || page.compare(codecs.bytes, check, check + PAGE_BYTES) !== 0) {
      throw new Error(`${codec}: page ${index} does not survive the round trip`);
    }
    compressedBytes += size;
  }
  const round = () => {
    let total = 0;
    for (let index = 0; index < count; index++) {
      total += compress(DATA_AT + index * PAGE_BYTES, PAGE_BYTES, OUT_AT, OUT_BYTES, TABLE_AT);
    }
    if (total !== compressedBytes) throw new Error(`${codec}: a round gave other sizes than the check`);
  };
  return { round, compressedBytes };
}

function decompressor(codecs: CodecModule, codec: Codec, { bytes, count }: Pages): OurSide {
  const compress = codec === 'lz4' ? codecs.lz4Compress : codecs.lzo1xCompress;
  const decompress = codec === 'lz4' ? codecs.lz4Decompress : codecs.lzo1xDecompress;
  const source = OUT_AT;
  const starts = new Uint32Array(count + 1);
  let at = DATA_AT;
  for (let index = 0; index < count; index++) {
    codecs.bytes.set(bytes.subarray(index * PAGE_BYTES, (index + 1) * PAGE_BYTES), source);
    starts[index] = at;
    at += compress(source, PAGE_BYTES, at, OUT_BYTES, TABLE_AT);
  }
  starts[count] = at;
  for (let index = 0; index < count; index++) {
    const back = decompress(starts[index]!, starts[index + 1]! - starts[index]!, OUT_AT, PAGE_BYTES);
    const page = bytes.subarray(index * PAGE_BYTES, (index + 1) * PAGE_BYTES);
    if (back !== PAGE_BYTES || page.compare(codecs.bytes, OUT_AT, OUT_AT + PAGE_BYTES) !== 0) {
      throw new Error(`${codec}: page ${index} does not survive the round trip`);
    }
  }
  const round = () => {
    let total = 0;
    for (let index = 0; index < count; index++) {
      total += decompress(starts[index]!, starts[index + 1]! - starts[index]!, OUT_AT, PAGE_BYTES);
    }
    if (total !== count * PAGE_BYTES) throw new Error(`${codec}: a round gave other sizes than the check`);
  };
  return { round, compressedBytes: at - DATA_AT };
}
