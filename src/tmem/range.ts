/** Ranges of consecutive pages: cut into what one call into one arena can do, and its results. */

import type { Arena } from '../arena/index.ts';
import { type Arenas, PLACE_PAGES } from './arenas.ts';
import type { Oid } from './oid.ts';

/** Pages of one call into the arena: its area for results has room for them. */
export const RANGE_PAGES_MAX = 64;

export interface Piece {
  readonly arena: Arena;
  /** Number of the arena. */
  readonly at: number;
  /** First page of the piece, counted from the start of the range. */
  readonly from: number;
  readonly count: number;
}

export function* piecesOf(
  arenas: Arenas,
  oid: Oid,
  firstIndex: number,
  pages: number,
): IterableIterator<Piece> {
  let from = 0;
  while (from < pages) {
    const index = firstIndex + from;
    const at = arenas.place(oid, index);
    // Another arena may hold what lies behind the next multiple.
    const count = Math.min(RANGE_PAGES_MAX, pages - from, PLACE_PAGES - (index % PLACE_PAGES));
    yield { arena: arenas.all[at], at, from, count };
    from += count;
  }
}

/**
 * Runs a range call (`call(from)` does the pages from `from` on) and takes down its results: outcomes or lengths. When
 * it is cut short by a dead thread's lock, it goes on behind the last page that took effect.
 */
export function runRange(
  arenas: Arenas,
  arena: Arena,
  count: number,
  into: Int32Array,
  call: (from: number) => void,
): void {
  for (let from = 0; ; ) {
    try {
      call(from);
      break;
    } catch (error) {
      const result = arenas.recoverFrom(arena, error);
      from = arena.wasm.rangeDone();
      if (result === undefined) continue;
      arena.setWord(arena.arguments + 4 * from, result);
      from++;
    }
  }
  takeResults(arena, count, into);
}

/** Takes down what the last range call left for each of its pages. */
export function takeResults(arena: Arena, count: number, into: Int32Array): void {
  for (let i = 0; i < count; i++) into[i] = arena.word(arena.arguments + 4 * i) | 0;
}
