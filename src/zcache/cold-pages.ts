/**
 * The pages of some clients that were not used lately: what may leave for other machines. From the frames that were not
 * used for the longest time to the pages in them (arena/tmem/frame-pages.ts); records of pages that are away and pages
 * that take no memory are not among them.
 */

import type { Arena } from '../arena/index.ts';
import { type Arenas, Oid, type PoolKind } from '../tmem/index.ts';
import { ColdFrames } from './cold-frames.ts';
import { clientsOf } from './raw.ts';
import { arenasOf, type Store } from './store.ts';

export interface ColdPage {
  /** Number of the pool (away.ts). */
  readonly pool: number;
  readonly oid: Oid;
  readonly index: number;
}

/** In the results of the arena: pool, index, oid. */
const RESULT_BYTES = 32;
const OID_AT = 8;
const RESULTS_MAX = 171;
/** Frames looked into in one call, in each arena: those with nothing but records cost a few microseconds each. */
const FRAMES_LOOKED_MAX = 1024;
/** Batches of frames chosen in one call, in each arena: the rest of a round, and the beginning of the next. */
const BATCHES_MAX = 3;
const ID_MASK = 0xffff;
const CLIENT_IDS = 1024;

export class ColdPages {
  readonly #arenas: Arenas;
  readonly #isAllowed: (client: string) => boolean;
  readonly #frames: Readonly<Record<PoolKind, readonly ColdFrames[]>>;
  /** Of a frame that had more pages than were asked for. */
  readonly #left: Readonly<Record<PoolKind, ColdPage[]>> = { ephemeral: [], persistent: [] };
  readonly #results = Buffer.alloc(RESULTS_MAX * RESULT_BYTES);

  /** @param isAllowed - whether pages of a client of this name may be named */
  constructor(store: Store, isAllowed: (client: string) => boolean) {
    this.#arenas = arenasOf(store);
    this.#isAllowed = isAllowed;
    const framesOf = (kindsOf: (arena: Arena) => number[]) =>
      this.#arenas.all.map((arena) => new ColdFrames(arena, kindsOf(arena)));
    this.#frames = {
      ephemeral: framesOf(({ layout: l }) => [l.KIND_ZBUD_EPH, l.KIND_ZV_EPH, l.KIND_RAW_EPH]),
      persistent: framesOf(({ layout: l }) => [l.KIND_ZBUD_PERS, l.KIND_ZV_PERS, l.KIND_RAW_PERS]),
    };
  }

  /**
   * Up to `most` pages of a kind, roughly the least recently used first. A call goes on where the last one ended, and
   * behind the page that was used last it begins with the coldest again.
   */
  coldest(kind: PoolKind, most: number): ColdPage[] {
    this.#arenas.check();
    const found = this.#left[kind].splice(0);
    for (const [at, frames] of this.#frames[kind].entries()) {
      const arena = this.#arenas.all[at] as Arena;
      // An equal part of what is still wanted from each arena: each has a clock of its own.
      const wanted = found.length + Math.ceil((most - found.length) / (this.#arenas.all.length - at));
      this.#collect(arena, frames, found, wanted);
    }
    this.#left[kind].push(...found.splice(most));
    return found;
  }

  #collect(arena: Arena, frames: ColdFrames, found: ColdPage[], wanted: number): void {
    const before = found.length;
    let batches = 0;
    for (let looked = 0; looked < FRAMES_LOOKED_MAX && found.length < wanted; looked++) {
      let frame = frames.next();
      for (; frame === undefined; frame = frames.next()) {
        if (batches++ === BATCHES_MAX) return;
        if (frames.refill(this.#allowedIn(arena))) continue;
        // At the end. What was named in this call is not named again in it.
        if (found.length > before) return;
        frames.rewind();
      }
      this.#addPages(arena, frame, found);
    }
  }

  #addPages(arena: Arena, frame: number, found: ColdPage[]): void {
    const count = this.#arenas.run(arena, () => arena.wasm.pagesOfFrame(frame));
    const results = this.#results;
    if (count > 0) arena.takeExchanged(results, count * RESULT_BYTES);
    for (let at = 0; at < count * RESULT_BYTES; at += RESULT_BYTES) {
      const oid = Oid.fromWords(
        [0, 4, 8, 12, 16, 20].map((word) => results.readUInt32LE(at + OID_AT + word)),
      );
      found.push({ pool: results.readUInt32LE(at), oid, index: results.readUInt32LE(at + 4) });
    }
  }

  #allowedIn(arena: Arena): Uint8Array {
    const isAllowed = new Uint8Array(CLIENT_IDS);
    for (const { id, name } of clientsOf(arena)) if (this.#isAllowed(name)) isAllowed[id & ID_MASK] = 1;
    return isAllowed;
  }
}
