/** Walks the handles of one pool in one arena, a batch of one object at a time (arena/tmem/walk.ts). */

import type { Arena } from '../arena/index.ts';
import type { Arenas } from './arenas.ts';
import { Oid } from './oid.ts';
import type { Handle } from './pool-types.ts';

/** Cursor: root slot, trie key, oid, next index, more, count; then up to 64 indexes. */
const CURSOR_BYTES = 44;
const OID_AT = 8;
const COUNT_AT = 44;
const INDEXES_AT = 48;

export function* walkArena(arenas: Arenas, arena: Arena, pool: number): IterableIterator<Handle> {
  // The cursor is kept here between batches: another walk of this thread may use the slot's area meanwhile.
  let cursor: Uint8Array = new Uint8Array(CURSOR_BYTES);
  for (;;) {
    arenas.check();
    const more = arenas.run(arena, () => {
      arena.bytes.set(cursor, arena.walk);
      return arena.wasm.poolWalk(pool);
    });
    if (more !== 1) return;
    cursor = arena.bytes.slice(arena.walk, arena.walk + CURSOR_BYTES);
    const oid = Oid.fromBytes(cursor.subarray(OID_AT, OID_AT + 24));
    const count = arena.word(arena.walk + COUNT_AT);
    const indexes = Array.from({ length: count }, (_, i) => arena.word(arena.walk + INDEXES_AT + 4 * i));
    for (const index of indexes) yield { oid, index };
  }
}
