/**
 * The record that stands in the index for a page that is away: 32 bytes, and eight for each place. The core keeps it
 * and never looks into it.
 *
 *   0  u8   format, 1
 *   1  u8   bits 0-1 codec (raw, lz4, lzo) | 2 persistent | 3 sealed | 4 lost
 *   2  u16  length of the stored bytes, 1 to 4096
 *   4  u32  pool
 *   8  u64  page id
 *  16       authentication tag, 16 bytes (sealed pages; else 0)
 *  32       places: u32 node, u32 memory
 *
 * Little-endian, as everything in the arena. A lost page has no places.
 */

import type { PoolKind, StoredCodec } from '../zcache/index.ts';
import { PAGE_ID_MAX, type PageId } from './page-id.ts';
import type { Place } from './place.ts';

const FORMAT = 1;
const CODECS: readonly StoredCodec[] = ['raw', 'lz4', 'lzo'];
const PERSISTENT = 4;
const SEALED = 8;
const LOST = 16;
const HEAD_BYTES = 32;
/** A u64 is written as two words: big integers cost more than all the rest. */
const WORD = 2 ** 32;
const PLACE_BYTES = 8;
export const TAG_BYTES = 16;
/** As many as a record has room for (60 bytes). */
export const PLACES_MAX = 3;

export interface RemoteRecord {
  readonly pool: number;
  readonly id: PageId;
  readonly kind: PoolKind;
  readonly codec: StoredCodec;
  /** Length of the stored bytes. */
  readonly bytes: number;
  /** TAG_BYTES; undefined: not sealed. */
  readonly tag: Uint8Array | undefined;
  /** No peer has it any more. */
  readonly lost: boolean;
  readonly places: readonly Place[];
}

export function encodeRecord(record: RemoteRecord): Uint8Array {
  const bytes = Buffer.alloc(HEAD_BYTES + record.places.length * PLACE_BYTES);
  const flags =
    CODECS.indexOf(record.codec) |
    (record.kind === 'persistent' ? PERSISTENT : 0) |
    (record.tag === undefined ? 0 : SEALED) |
    (record.lost ? LOST : 0);
  bytes.writeUInt8(FORMAT, 0);
  bytes.writeUInt8(flags, 1);
  bytes.writeUInt16LE(record.bytes, 2);
  bytes.writeUInt32LE(record.pool, 4);
  bytes.writeUInt32LE(record.id % WORD, 8);
  bytes.writeUInt32LE(Math.floor(record.id / WORD), 12);
  if (record.tag !== undefined) bytes.set(record.tag, 16);
  for (const [i, { node, memory }] of record.places.entries()) {
    bytes.writeUInt32LE(node, HEAD_BYTES + i * PLACE_BYTES);
    bytes.writeUInt32LE(memory, HEAD_BYTES + i * PLACE_BYTES + 4);
  }
  return bytes;
}

/** Undefined: no record that this version reads. */
export function decodeRecord(bytes: Uint8Array): RemoteRecord | undefined {
  const count = (bytes.length - HEAD_BYTES) / PLACE_BYTES;
  if (!Number.isInteger(count) || count < 0 || count > PLACES_MAX || bytes[0] !== FORMAT) return undefined;
  const flags = bytes[1] as number;
  const codec = CODECS[flags & 3];
  const id = wordAt(bytes, 12) * WORD + wordAt(bytes, 8);
  if (codec === undefined || id === 0 || id > PAGE_ID_MAX) return undefined;
  const places: Place[] = [];
  for (let at = HEAD_BYTES; at < bytes.length; at += PLACE_BYTES) {
    places.push({ node: wordAt(bytes, at), memory: wordAt(bytes, at + 4) });
  }
  return {
    pool: wordAt(bytes, 4),
    id,
    kind: (flags & PERSISTENT) === 0 ? 'ephemeral' : 'persistent',
    codec,
    bytes: (bytes[2] as number) | ((bytes[3] as number) << 8),
    tag: (flags & SEALED) === 0 ? undefined : new Uint8Array(bytes.subarray(16, 16 + TAG_BYTES)),
    lost: (flags & LOST) !== 0,
    places,
  };
}

function wordAt(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
  const high = (bytes[at + 2] as number) | ((bytes[at + 3] as number) << 8);
  return (low | (high << 16)) >>> 0;
}
