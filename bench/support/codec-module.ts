// The codecs of arena/codec alone, compiled by asc into a module of their own: for their tests and benchmark.

import asc from 'assemblyscript/asc';

/** Behind every buffer a codec reads or writes (SLACK_BYTES in arena/codec/bytes.ts). */
export const SLACK_BYTES = 64;
/** Scratch of a compressor (TABLE_BYTES in arena/codec/bytes.ts). */
export const TABLE_BYTES = 8192;

const SOURCES = ['lz4.ts', 'lzo1x.ts', 'page-scan.ts'].map((name) => `arena/codec/${name}`);
const ROOT = new URL('../../', import.meta.url);
const WASM_PAGE_BYTES = 65536;

type Compress = (src: number, srcLen: number, dst: number, dstCapacity: number, table: number) => number;
type Decompress = (src: number, srcLen: number, dst: number, dstLen: number) => number;

/** The exports as JavaScript sees them: sizes and addresses come back signed, 64-bit values as bigint. */
export interface CodecExports {
  lz4Compress: Compress;
  lz4Decompress: Decompress;
  lzo1xCompress: Compress;
  lzo1xDecompress: Decompress;
  scanPage(src: number, len: number): bigint;
  checksum(src: number, len: number): number;
  repeatedValue(src: number, len: number): bigint;
  fillRepeated(dst: number, len: number, value: bigint): void;
}

export interface CodecModule extends CodecExports {
  bytes: Uint8Array;
}

/** Compiles the codecs once and instantiates them over `memoryBytes` of fresh shared memory. */
export async function loadCodecs(memoryBytes: number): Promise<CodecModule> {
  const memoryPages = Math.ceil(memoryBytes / WASM_PAGE_BYTES);
  const outputs = new Map<string, Uint8Array>();
  const flags = [
    ['--runtime', 'stub', '--importMemory', '--sharedMemory', '--enable', 'threads,simd,bulk-memory'],
    ['--initialMemory', '1', '--maximumMemory', '65536', '--noAssert', '-O3'],
    ['--baseDir', decodeURIComponent(ROOT.pathname), '--outFile', 'codecs.wasm'],
  ].flat();
  const { error, stderr } = await asc.main([...SOURCES, ...flags], {
    writeFile: (name, content) => {
      if (typeof content !== 'string') outputs.set(name, content);
    },
  });
  const binary = outputs.get('codecs.wasm');
  if (error || !binary) throw new Error(`asc failed: ${error?.message}\n${stderr}`);
  const memory = new WebAssembly.Memory({ initial: memoryPages, maximum: 65536, shared: true });
  const { instance } = await WebAssembly.instantiate(binary.slice(), { env: { memory } });
  return { ...(instance.exports as unknown as CodecExports), bytes: new Uint8Array(memory.buffer) };
}
