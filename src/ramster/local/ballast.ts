/**
 * Ballast: some frames that are kept for records. A record takes the place of a page, but needs room before it does; a
 * store that is full to its last frame could send nothing, and would stay full.
 *
 * They are pages in a pool of the node's own. When a record finds no room they are dropped, and put again when what was
 * sent has made some.
 */

import { CLUSTER_CLIENT, Oid, type Pool, type Store } from '../../zcache/index.ts';

/** Some for each arena of a large store; each has room for about fifty records. */
const FRAMES = 16;
const FRAME_BYTES = 4096;
const PAGES = Oid.fromString('ballast');

export class Ballast {
  readonly #store: Store;
  readonly #pool: Pool;
  /** It does not compress, and is not one repeated value. */
  readonly #page = Uint8Array.from({ length: FRAME_BYTES }, (_, at) => (at * 167) ^ (at >> 8));
  #isWhole = false;

  constructor(store: Store) {
    this.#store = store;
    this.#pool = store.client(CLUSTER_CLIENT).pool('ballast', { kind: 'persistent', codec: 'none' });
  }

  /** Takes it in, if it is not there and there is room. */
  fill(): void {
    if (this.#isWhole || this.#store.freeRoom().free <= FRAMES) return;
    this.#isWhole = true;
    for (let index = 0; index < FRAMES; index++)
      if (this.#pool.replace(PAGES, index, this.#page) !== 'stored') this.#isWhole = false;
  }

  /** Whether there was any. */
  drop(): boolean {
    this.#isWhole = false;
    return this.#pool.flushObject(PAGES) > 0;
  }
}
