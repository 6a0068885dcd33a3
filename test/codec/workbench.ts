// Both codecs with their buffers laid out in a small memory of their own, every gap filled with a known byte, so that
// a test can tell exactly which bytes a call wrote. The source ends one slack before the end of the memory: whoever
// reads further traps.
//
//   0    gap | table | gap | compressed 8 KiB | gap | page out 4 KiB | gap | source, up to 8 KiB | slack    64 KiB
//        each gap 4 KiB or more

import { type CodecModule, loadCodecs, SLACK_BYTES, TABLE_BYTES } from '../../bench/support/codec-module.ts';

export const PAGE_BYTES = 4096;
/** Room for any compressed page, and for hostile input twice as long as a page. */
export const PACKED_BYTES = 8192;
const GAP_BYTES = 4096;
const GAP_FILL = 0xa5;

const TABLE_AT = GAP_BYTES;
const PACKED_AT = TABLE_AT + TABLE_BYTES + GAP_BYTES;
const OUT_AT = PACKED_AT + PACKED_BYTES + GAP_BYTES;
const MEMORY_BYTES = 65536;
const SOURCE_END = MEMORY_BYTES - SLACK_BYTES;

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
    const source = SOURCE_END - page.length;
    bytes.set(page, source);
    const call = codec === 'lz4' ? lz4Compress : lzo1xCompress;
    const size = call(source, page.length, PACKED_AT, capacity, TABLE_AT);
    return size === 0 ? undefined : bytes.slice(PACKED_AT, PACKED_AT + size);
  }

  /** The page of `length` bytes, or undefined when the input is not one. */
  decompress(codec: CodecName, packed: Uint8Array, length: number): Uint8Array | undefined {
    const { bytes, lz4Decompress, lzo1xDecompress } = this.codecs;
    const source = SOURCE_END - packed.length;
    bytes.set(packed, source);
    const call = codec === 'lz4' ? lz4Decompress : lzo1xDecompress;
    const result = call(source, packed.length, OUT_AT, length);
    if (result !== 0 && result !== length) throw new Error(`${codec} returned ${result} for ${length} bytes`);
    return result === 0 ? undefined : bytes.slice(OUT_AT, OUT_AT + length);
  }

  /** Changes all that a codec may read but must not heed: everything but the source of its next call. */
  disturb(value: number): void {
    this.codecs.bytes.fill(value);
  }

  /** Makes the memory what it was at first. */
  restore(): void {
    this.codecs.bytes.set(this.#clean);
  }

  /** Addresses that changed since the last call of this kind, other than the output and the slack behind it. */
  strayDecoderWrites(packed: Uint8Array, length: number): number[] {
    return this.#changes(packed, [[OUT_AT, OUT_AT + length + SLACK_BYTES]]);
  }

  /** The same for a compressor that was given `capacity` bytes. */
  strayCompressorWrites(page: Uint8Array, capacity: number): number[] {
    return this.#changes(page, [
      [TABLE_AT, TABLE_AT + TABLE_BYTES],
      [PACKED_AT, PACKED_AT + capacity + SLACK_BYTES],
    ]);
  }

  #changes(source: Uint8Array, allowed: [number, number][]): number[] {
    const { bytes } = this.codecs;
    const sourceAt = SOURCE_END - source.length;
    const intact = Buffer.compare(bytes.subarray(sourceAt, SOURCE_END), source) === 0;
    for (const [from, to] of [...allowed, [sourceAt, SOURCE_END] as const]) {
      bytes.set(this.#clean.subarray(from, to), from);
    }
    if (intact && Buffer.compare(bytes, this.#clean) === 0) return [];
    const changed = [...bytes.keys()].filter((at) => bytes[at] !== this.#clean[at]);
    this.restore();
    return intact ? changed : [sourceAt, ...changed];
  }
}
