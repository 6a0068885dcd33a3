/**
 * Pool: a set of pages with one lifetime rule. The public face of the core.
 *
 * Operations on single pages are in pool-pages.ts; here are those on objects, ranges, lists and the whole pool. All may
 * be called from any thread that opened the pool.
 */

import type { Arena } from '../arena/index.ts';
import { TmemError } from '../errors.ts';
import { checkBuffer, checkSameLength, PAGE_BYTES } from './checks.ts';
import type { Oid } from './oid.ts';
import { outcomeOf, type PutOutcome } from './outcome.ts';
import { GET_DEFAULT, GET_KEEP, INDEX_MAX, PoolPages } from './pool-pages.ts';
import type { Handle } from './pool-types.ts';
import { piecesOf, RANGE_PAGES_MAX, runRange, takeResults } from './range.ts';
import { cursorBytes, cursorOf, startOf, type WalkCursor, walkArena, walkBatch } from './walk.ts';

export class Pool extends PoolPages {
  readonly #rangeResults = new Int32Array(RANGE_PAGES_MAX);

  /** Pages in the pool now. */
  get pages(): number {
    this.checkUsable();
    return this.#sum((arena, id) => arena.wasm.pagesOf(id));
  }

  /** Makes all pages of an object unreachable; how many there were. */
  flushObject(oid: Oid): number {
    this.checkHandle(oid, 0);
    return this.#sum((arena, id) =>
      arena.wasm.objectFlush(id, oid.w0, oid.w1, oid.w2, oid.w3, oid.w4, oid.w5),
    );
  }

  /** Empties the pool and keeps it; how many pages there were. */
  flush(): number {
    this.checkUsable();
    return this.#sum((arena, id) => Math.max(arena.wasm.emptyPool(id), 0));
  }

  /** Stores whole pages (4096 bytes) under consecutive indexes; how many were. `outcomes[i]` says how page i fared. */
  putRange(oid: Oid, firstIndex: number, bytes: Uint8Array, outcomes?: PutOutcome[]): number {
    const pages = this.#checkRange(oid, firstIndex, bytes);
    let stored = 0;
    if (!this.#isInArena(bytes)) {
      for (let i = 0; i < pages; i++) {
        const outcome = this.put(oid, firstIndex + i, bytes.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES));
        if (outcomes !== undefined) outcomes[i] = outcome;
        if (outcome === 'stored') stored++;
      }
      return stored;
    }
    const { w0, w1, w2, w3, w4, w5 } = oid;
    for (const { arena, at, from, count } of piecesOf(this.arenas, oid, firstIndex, pages)) {
      const source = arena.bringIn(bytes) + from * PAGE_BYTES;
      runRange(this.arenas, arena, count, this.#rangeResults, (done) =>
        arena.wasm.rangePut(this.ids[at], w0, w1, w2, w3, w4, w5, firstIndex + from, source, count, done),
      );
      for (let i = 0; i < count; i++) {
        const outcome = outcomeOf(this.#rangeResults[i]);
        if (outcomes !== undefined) outcomes[from + i] = outcome;
        if (outcome === 'stored') stored++;
      }
    }
    return stored;
  }

  /**
   * Copies whole pages from consecutive indexes to `out`, page i to byte 4096 * i; how many were found. `lengths[i]` is
   * each page's length, 0 = miss. What `out` holds behind short and missed pages is left as it was.
   */
  getRange(oid: Oid, firstIndex: number, out: Uint8Array, lengths?: number[]): number {
    return this.#getRange(oid, firstIndex, out, lengths, GET_DEFAULT);
  }

  /** As getRange; the pages stay. */
  getRangeAndKeep(oid: Oid, firstIndex: number, out: Uint8Array, lengths?: number[]): number {
    return this.#getRange(oid, firstIndex, out, lengths, GET_KEEP);
  }

  #getRange(
    oid: Oid,
    firstIndex: number,
    out: Uint8Array,
    lengths: number[] | undefined,
    mode: number,
  ): number {
    const pages = this.#checkRange(oid, firstIndex, out);
    const inArena = this.#isInArena(out);
    const { w0, w1, w2, w3, w4, w5 } = oid;
    let found = 0;
    for (const { arena, at, from, count } of piecesOf(this.arenas, oid, firstIndex, pages)) {
      const first = firstIndex + from;
      const target = out.byteOffset + from * PAGE_BYTES;
      const id = this.ids[at];
      let any = true;
      if (inArena) {
        runRange(this.arenas, arena, count, this.#rangeResults, (done) =>
          arena.wasm.rangeGet(id, w0, w1, w2, w3, w4, w5, first, target, count, done, mode),
        );
      } else {
        any =
          this.arenas.run(arena, () => arena.wasm.rangeFind(id, w0, w1, w2, w3, w4, w5, first, count)) > 0;
        // Taken down before the gets below overwrite them.
        if (any) takeResults(arena, count, this.#rangeResults);
      }
      for (let i = 0; i < count; i++) {
        let length = any ? this.#rangeResults[i] : 0;
        if (length > 0 && !inArena) {
          const start = (from + i) * PAGE_BYTES;
          length = this.getPage(oid, first + i, out.subarray(start, start + PAGE_BYTES), mode);
        }
        if (length < 0) this.failedGet(length, first + i, out);
        if (lengths !== undefined) lengths[from + i] = length;
        if (length > 0) found++;
      }
    }
    return found;
  }

  /** Stores one page for each handle, in order; what became of each. */
  putMany(handles: readonly Handle[], pages: readonly Uint8Array[]): PutOutcome[] {
    checkSameLength(handles, pages);
    return handles.map(({ oid, index }, i) => this.put(oid, index, pages[i]));
  }

  /** Copies one page for each handle, in order, to its buffer; the length of each, 0 = miss. */
  getMany(handles: readonly Handle[], outs: readonly Uint8Array[]): number[] {
    checkSameLength(handles, outs);
    return handles.map(({ oid, index }, i) => this.get(oid, index, outs[i]));
  }

  /** Every handle in the pool, while others may change it: a handle that is there all the time comes exactly once. */
  *walk(): IterableIterator<Handle> {
    this.checkUsable();
    for (const [at, arena] of this.arenas.all.entries()) {
      yield* walkArena(this.arenas, arena, this.ids[at]);
    }
  }

  /**
   * A step of a walk: the handles behind a cursor (undefined: from the start), at most 64; none is possible before the
   * end, too. `next` undefined: that was the last step.
   */
  walkStep(cursor: WalkCursor | undefined): { handles: Handle[]; next: WalkCursor | undefined } {
    this.checkUsable();
    const at = cursor?.arena ?? 0;
    const arena = this.arenas.all[at];
    if (arena === undefined) return { handles: [], next: undefined };
    const batch = walkBatch(this.arenas, arena, this.ids[at], cursorBytes(cursor));
    if (batch === undefined) return { handles: [], next: startOf(this.arenas, at + 1) };
    const { oid, indexes } = batch;
    return { handles: indexes.map((index) => ({ oid, index })), next: cursorOf(at, batch.cursor) };
  }

  /** Ends the pool: every page is unreachable when this returns, its memory follows in steps. */
  destroy(): void {
    this.checkUsable();
    for (const [at, arena] of this.arenas.all.entries()) {
      this.arenas.run(arena, () => arena.wasm.removePool(this.ids[at]));
    }
    this.destroyed = true;
  }

  /** Whether the buffer is a view of the store's only arena. */
  #isInArena(bytes: Uint8Array): boolean {
    return this.arenas.all.length === 1 && bytes.buffer === this.arenas.all[0].buffer;
  }

  #sum(count: (arena: Arena, id: number) => number): number {
    let sum = 0;
    for (const [at, arena] of this.arenas.all.entries()) {
      sum += this.arenas.run(arena, () => count(arena, this.ids[at]) >>> 0);
    }
    return sum;
  }

  /** Number of whole pages in a range's buffer. */
  #checkRange(oid: Oid, firstIndex: number, bytes: Uint8Array): number {
    this.checkHandle(oid, firstIndex);
    checkBuffer(bytes);
    if (bytes.length === 0 || bytes.length % PAGE_BYTES !== 0) {
      throw new TmemError(
        'TMEM_ERR_PAGE_LENGTH',
        `range: ${bytes.length} bytes are not a whole number of pages of ${PAGE_BYTES} bytes`,
      );
    }
    const pages = bytes.length / PAGE_BYTES;
    if (firstIndex + pages - 1 > INDEX_MAX) {
      throw new TmemError(
        'TMEM_ERR_INDEX',
        `range: ${pages} pages from index ${firstIndex} go beyond ${INDEX_MAX}`,
      );
    }
    return pages;
  }
}
