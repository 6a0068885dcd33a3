/** Walks the handles of one pool in one arena, a batch of one object at a time (arena/tmem/walk.ts). */

import type { Arena } from '../arena/index.ts';
import type { Arenas } from './arenas.ts';
import { Oid } from './oid.ts';
import type { Handle } from './pool-types.ts';

/** Cursor: root slot, trie key, oid, next index (u64), more; then the count, and up to 64 indexes. */
const CURSOR_BYTES = 44;
const KEY_AT = 4;
const OID_AT = 8;
const NEXT_AT = 32;
const MORE_AT = 40;
const COUNT_AT = 44;
const INDEXES_AT = 48;

/**
 * Where a walk of a pool goes on. It names a place in the order of handles, not in memory, so it stays good whatever
 * happens to the pool, and may be kept or sent.
 */
export interface WalkCursor {
  /** Number of the arena. */
  readonly arena: number;
  /** Below 64. */
  readonly root: number;
  /** u32. */
  readonly key: number;
  /** The object that the last handle was of, if `more`. */
  readonly oid: Oid;
  /** First index to look at in this object; 0: the object is done. */
  readonly next: number;
  readonly more: boolean;
}

export interface WalkBatch {
  /** To go on with. */
  readonly cursor: Uint8Array;
  readonly oid: Oid;
  readonly indexes: readonly number[];
}

/** The batch behind a cursor; undefined at the end, and when the pool is gone. */
export function walkBatch(
  arenas: Arenas,
  arena: Arena,
  pool: number,
  cursor: Uint8Array,
): WalkBatch | undefined {
  arenas.check();
  const more = arenas.run(arena, () => {
    arena.bytes.set(cursor, arena.walk);
    return arena.wasm.poolWalk(pool);
  });
  return more === 1 ? takeBatch(arena) : undefined;
}

/** The cursor that a batch left. */
export function takeCursor(arena: Arena): Uint8Array {
  return arena.bytes.slice(arena.walk, arena.walk + CURSOR_BYTES);
}

/** Copied, because another walk of this thread may use the slot's area meanwhile. */
function takeBatch(arena: Arena): WalkBatch {
  const cursor = takeCursor(arena);
  const count = arena.word(arena.walk + COUNT_AT);
  const indexes = Array.from({ length: count }, (_, i) => arena.word(arena.walk + INDEXES_AT + 4 * i));
  return { cursor, oid: Oid.fromBytes(cursor.subarray(OID_AT, OID_AT + 24)), indexes };
}

export function* walkArena(arenas: Arenas, arena: Arena, pool: number): IterableIterator<Handle> {
  let cursor: Uint8Array = new Uint8Array(CURSOR_BYTES);
  for (;;) {
    const batch = walkBatch(arenas, arena, pool, cursor);
    if (batch === undefined) return;
    ({ cursor } = batch);
    for (const index of batch.indexes) yield { oid: batch.oid, index };
  }
}

/** The start of an arena's part; undefined when there is no such arena. */
export function startOf(arenas: Arenas, arena: number): WalkCursor | undefined {
  return arena < arenas.all.length ? cursorOf(arena, new Uint8Array(CURSOR_BYTES)) : undefined;
}

/** The bytes of a cursor in its arena; undefined: from the start. */
export function cursorBytes(cursor: WalkCursor | undefined): Uint8Array {
  const bytes = new Uint8Array(CURSOR_BYTES);
  if (cursor === undefined) return bytes;
  const view = new DataView(bytes.buffer);
  view.setUint32(0, cursor.root, true);
  view.setUint32(KEY_AT, cursor.key, true);
  bytes.set(cursor.oid.toBytes(), OID_AT);
  view.setBigUint64(NEXT_AT, BigInt(cursor.next), true);
  view.setUint32(MORE_AT, cursor.more ? 1 : 0, true);
  return bytes;
}

export function cursorOf(arena: number, bytes: Uint8Array): WalkCursor {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return {
    arena,
    root: view.getUint32(0, true),
    key: view.getUint32(KEY_AT, true),
    oid: Oid.fromBytes(bytes.subarray(OID_AT, OID_AT + 24)),
    next: Number(view.getBigUint64(NEXT_AT, true)),
    more: view.getUint32(MORE_AT, true) !== 0,
  };
}
