/**
 * How the simulator's stores keep pages: as they are ('raw'), or in a form that is not the page ('lz4'), so that bytes
 * whose codec got lost on the way are found out. Nothing is really compressed.
 */

import { crc32 } from 'node:zlib';
import type { StoredBytes } from '../src/ramster/local/local-pages.ts';

const MASK = 0x5a;
/** In front of a page in the 'lz4' form. */
const MARK = 0xc4;

export function encodePage(page: Uint8Array): StoredBytes {
  if ((page[0] as number) % 2 === 0) return { codec: 'raw', bytes: page.slice() };
  const bytes = new Uint8Array(page.length + 1);
  bytes[0] = MARK;
  for (let i = 0; i < page.length; i++) bytes[i + 1] = (page[i] as number) ^ MASK;
  return { codec: 'lz4', bytes };
}

/** Undefined: not the page of this length and checksum. */
export function decodePage(
  { codec, bytes }: StoredBytes,
  length: number,
  checksum: number,
): Uint8Array | undefined {
  const page = codec === 'raw' ? bytes.slice() : unmasked(bytes);
  return page?.length === length && checksumOf(page) === checksum ? page : undefined;
}

export function checksumOf(page: Uint8Array): number {
  return crc32(page);
}

function unmasked(bytes: Uint8Array): Uint8Array | undefined {
  return bytes[0] === MARK ? bytes.subarray(1).map((byte) => byte ^ MASK) : undefined;
}
