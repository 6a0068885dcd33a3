/**
 * Where a list of an owner's pages goes on, as the bytes that travel: it names a place in the order of pools and pages,
 * so it is good as long as the pages are, also after a restart of either side.
 *
 *   0 u32 pool | 4 u8 arena | 5 u8 root slot | 6 u8 flags (1: within the pool, 2: more of the object) | 7 zero
 *   8 u32 key | 12 u64 high part of the id | 20 u32 next index
 */

import { Oid, type WalkCursor } from '../../zcache/index.ts';

const CURSOR_BYTES = 24;
const ROOTS = 64;
const IN_POOL = 1;
const MORE = 2;

export interface ListPosition {
  /** The pool, or if that is gone the one with the next higher number. */
  readonly pool: number;
  /** Undefined: from the pool's start. */
  readonly walk: WalkCursor | undefined;
}

export function encodeCursor({ pool, walk }: ListPosition): Uint8Array {
  const bytes = Buffer.alloc(CURSOR_BYTES);
  bytes.writeUInt32LE(pool, 0);
  if (walk === undefined) return bytes;
  bytes.writeUInt8(walk.arena, 4);
  bytes.writeUInt8(walk.root, 5);
  bytes.writeUInt8(IN_POOL | (walk.more ? MORE : 0), 6);
  bytes.writeUInt32LE(walk.key, 8);
  bytes.writeUInt32LE(walk.oid.w0, 12);
  bytes.writeUInt32LE(walk.oid.w1, 16);
  bytes.writeUInt32LE(walk.next, 20);
  return bytes;
}

/** Undefined when these bytes are no cursor. */
export function decodeCursor(cursor: Uint8Array): ListPosition | undefined {
  if (cursor.length !== CURSOR_BYTES) return undefined;
  const bytes = Buffer.from(cursor.buffer, cursor.byteOffset, CURSOR_BYTES);
  const pool = bytes.readUInt32LE(0);
  const flags = bytes.readUInt8(6);
  const root = bytes.readUInt8(5);
  if ((flags & ~(IN_POOL | MORE)) !== 0 || root >= ROOTS) return undefined;
  if ((flags & IN_POOL) === 0) return { pool, walk: undefined };
  return {
    pool,
    walk: {
      ...{ arena: bytes.readUInt8(4), root, more: (flags & MORE) !== 0 },
      ...{ key: bytes.readUInt32LE(8), next: bytes.readUInt32LE(20) },
      oid: Oid.fromWords([bytes.readUInt32LE(12), bytes.readUInt32LE(16), 0, 0, 0, 0]),
    },
  };
}
