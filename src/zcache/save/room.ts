/** Why a store that is filled has no room for a persistent page, and how much it would need. */

import { TmemError } from '../../errors.ts';
import type { PutOutcome } from '../../tmem/index.ts';
import { formatByteSize } from '../byte-size.ts';
import type { Store } from '../store.ts';

const FRAME_BYTES = 4096;
const MIB = 2 ** 20;
/** The need is estimated from the pages that found room; others may compress less well. */
const ESTIMATE_MARGIN = 1.1;
/** A store that is refused frames while so many of its own are free is not full: the machine is. */
const FREE_SHARE = 1 / 8;

export class Room {
  readonly #store: Store;
  readonly #framesAtFirst: number;

  /** @param store - without pages yet */
  constructor(store: Store) {
    this.#store = store;
    const { frames_total, frames_free } = store.stats().store;
    this.#framesAtFirst = frames_total - frames_free;
  }

  /** The error when a page was refused after `done` of `pages`. */
  refusal(outcome: PutOutcome, done: number, pages: number): TmemError {
    const { memory } = this.#store.settings;
    const { frames_total, frames_free } = this.#store.stats().store;
    const fit = `${done} of ${pages} persistent pages fit`;
    if (outcome === 'no-memory' && frames_free > frames_total * FREE_SHARE) {
      return new TmemError(
        'TMEM_ERR_NO_SPACE',
        `${fit}, then the file system of the store was full or the machine short of memory; enlarge it (Docker: ` +
          '--shm-size; else mount -o remount,size=…), remove other stores, or end other programs',
      );
    }
    const bytes =
      Math.ceil((this.#framesFor(outcome, done, pages) * FRAME_BYTES * ESTIMATE_MARGIN) / MIB) * MIB;
    return new TmemError(
      'TMEM_ERR_RESTORE',
      `${fit} ${formatByteSize(memory)}, the next was refused (${outcome}); give the store about ` +
        `${formatByteSize(bytes)} of memory`,
    );
  }

  #framesFor(outcome: PutOutcome, done: number, pages: number): number {
    const { persistentLimitPercent } = this.#store.settings;
    if (outcome === 'over-limit' && persistentLimitPercent !== 'off') {
      return (pages * 100) / persistentLimitPercent;
    }
    const { frames_total, frames_free } = this.#store.stats().store;
    const framesOfPages = frames_total - frames_free - this.#framesAtFirst;
    return this.#framesAtFirst + (framesOfPages * pages) / Math.max(done, 1);
  }
}
