/**
 * Page ids: the name of one copy that a node sent to its peers. A node never uses an id again, so a message about an id
 * is about that copy alone, however late it arrives: what is decided later about the same handle has another id. This
 * is the version per handle that the original lacked.
 *
 *   id = incarnation * 2^32 + counter      an exact JavaScript number, below 2^53
 *
 * The incarnation is kept with the pages and raised at every start (local/local-pages.ts).
 */

/** A safe whole number above 0. */
export type PageId = number;

const COUNTER_END = 2 ** 32;
export const INCARNATION_MAX = 2 ** 21 - 1;
export const PAGE_ID_MAX = Number.MAX_SAFE_INTEGER;

export class PageIds {
  readonly #base: number;
  #counter = 0;

  /** @param incarnation - 1 to 2097151 */
  constructor(incarnation: number) {
    this.#base = incarnation * COUNTER_END;
  }

  /** The id that comes next; every id given so far is below it. */
  get next(): PageId {
    return this.#base + this.#counter;
  }

  /** Undefined once 2^32 ids were given: then nothing is sent until the node starts again. */
  take(): PageId | undefined {
    return this.#counter === COUNTER_END ? undefined : this.#base + this.#counter++;
  }
}
