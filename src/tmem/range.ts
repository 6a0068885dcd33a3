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

/** Takes down what the last range call left for each of its pages: outcomes, lengths, or whether it is there. */
export function takeResults(arena: Arena, count: number, into: Int32Array): void {
  for (let i = 0; i < count; i++) into[i] = arena.word(arena.arguments + 4 * i) | 0;
}
