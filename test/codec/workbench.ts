// One codec with its buffers laid out in a small memory of its own, every gap filled with a known byte, so that a
// test can tell exactly which bytes a call wrote.
//
//   0        page 4 KiB | gap | table | gap | compressed 8 KiB | gap | page out 4 KiB | gap       each gap 4 KiB

import { type CodecModule, loadCodecs, SLACK_BYTES, TABLE_BYTES } from '../../bench/support/codec-module.ts';

export const PAGE_BYTES = 4096;
/** Room for any compressed page, and for hostile input twice as long as a page. */
export const PACKED_BYTES = 8192;
const GAP_BYTES = 4096;
const GAP_FILL = 0xa5;

const PAGE_AT = GAP_BYTES;
const TABLE_AT = PAGE_AT + PAGE_BYTES + GAP_BYTES;
const PACKED_AT = TABLE_AT + TABLE_BYTES + GAP_BYTES;
const OUT_AT = PACKED_AT + PACKED_BYTES + GAP_BYTES;
const MEMORY_BYTES = OUT_AT + PAGE_BYTES + GAP_BYTES;

export type CodecName = 'lz4' | 'lzo';
export const CODECS: readonly CodecName[] = ['lz4', 'lzo'];

export class Workbench {
  readonly codecs: CodecModule;
  readonly #clean: Uint8Array;

  private constructor(codecs: CodecModule) {
    this.codecs = codecs;
    this.codecs.bytes.fill(GAP_FILL);
    this.#clean = codecs.bytes.slice();
  }

  static async make(): Promise<Workbench> {
    return new Workbench(await loadCodecs(MEMORY_BYTES));
  }

  /** The compressed page, or undefined when it exceeds `capacity`. */
  compress(codec: CodecName, page: Uint8Array, capacity: number = PACKED_BYTES): Uint8Array | undefined {
    const { bytes, lz4Compress, lzo1xCompress } = this.codecs;
    bytes.set(page, PAGE_AT);
    const call = codec === 'lz4' ? lz4Compress : lzo1xCompress;
    const size = call(PAGE_AT, page.length, PACKED_AT, capacity, TABLE_AT);
    return size === 0 ? undefined : bytes.slice(PACKED_AT, PACKED_AT + size);
  }

  /** The page of `length` bytes, or undefined when the input is not one. */
  decompress(codec: CodecName, packed: Uint8Array, length: number): Uint8Array | undefined {
    const { bytes, lz4Decompress, lzo1xDecompress } = this.codecs;
    bytes.set(packed, PACKED_AT);
    const call = codec === 'lz4' ? lz4Decompress : lzo1xDecompress;
    const result = call(PACKED_AT, packed.length, OUT_AT, length);
    if (result !== 0 && result !== length) throw new Error(`${codec} returned ${result} for ${length} bytes`);
    return result === 0 ? undefined : bytes.slice(OUT_AT, OUT_AT + length);
  }

  /** Fills what lies behind a compressed page, which a decoder may read but must not heed. */
  fillBehindPacked(length: number, value: number): void {
    this.codecs.bytes.fill(value, PACKED_AT + length, PACKED_AT + length + SLACK_BYTES);
  }

  /** Addresses that changed since the last call of this kind, other than the output and the slack behind it. */
  strayDecoderWrites(packed: Uint8Array, length: number): number[] {
    const source = this.codecs.bytes.subarray(PACKED_AT, PACKED_AT + packed.length);
    const stray = Buffer.compare(source, packed) === 0 ? [] : [PACKED_AT];
    return stray.concat(
      this.#changes([
        [PACKED_AT, PACKED_AT + packed.length + SLACK_BYTES],
        [OUT_AT, OUT_AT + length + SLACK_BYTES],
      ]),
    );
  }

  /** The same for a compressor that was given `capacity` bytes. */
  strayCompressorWrites(page: Uint8Array, capacity: number): number[] {
    return this.#changes([
      [PAGE_AT, PAGE_AT + page.length],
      [TABLE_AT, TABLE_AT + TABLE_BYTES],
      [PACKED_AT, PACKED_AT + capacity + SLACK_BYTES],
    ]);
  }

  #changes(allowed: [number, number][]): number[] {
    const { bytes } = this.codecs;
    for (const [from, to] of allowed) bytes.set(this.#clean.subarray(from, to), from);
    if (Buffer.compare(bytes, this.#clean) === 0) return [];
    const changed = [...bytes.keys()].filter((at) => bytes[at] !== this.#clean[at]);
    bytes.set(this.#clean);
    return changed;
  }
}
