/**
 * Pool: a set of pages with one lifetime rule. The public face of the core: put, get, flush and their kin.
 *
 * Everything here is synchronous, takes microseconds, allocates nothing on the heap for whole pages, and may be called
 * from any thread that opened the pool. A page is 1 to 4096 bytes and keeps its exact length. Any buffer that is a
 * view of the store's own memory (`store.staging`) is read and written in place.
 */

import type { Arena } from '../arena/index.ts';
import type { Arenas } from './arenas.ts';
import { checkBuffer, checkOffset, checkPage, checkSameLength, PAGE_BYTES } from './checks.ts';
import { TmemError } from './errors.ts';
import { Oid } from './oid.ts';
import { CODE, outcomeOf, type PutOutcome } from './outcome.ts';
import type { ExchangeResult, Handle, PoolDescription, PoolKind } from './pool-types.ts';
import { piecesOf, RANGE_PAGES_MAX, runRange, takeResults } from './range.ts';
import { walkArena } from './walk.ts';

const INDEX_MAX = 0xffff_ffff;

const DEFAULT = 0;
const KEEP = 1;
const FREE = 2;

export class Pool {
  readonly name: string;
  readonly kind: PoolKind;
  readonly codec: 'lz4' | 'lzo';
  readonly pam: 'zbud' | 'zv' | 'raw';
  readonly shared: string | null;
  protected readonly arenas: Arenas;
  /** The pool's id in each arena. */
  protected readonly ids: readonly number[];
  readonly #exchanged: ExchangeResult = { length: 0, outcome: 'stored' };
  readonly #rangeResults = new Int32Array(RANGE_PAGES_MAX);
  #destroyed = false;

  constructor(arenas: Arenas, ids: readonly number[], about: PoolDescription) {
    this.arenas = arenas;
    this.ids = ids;
    this.name = about.name;
    this.kind = about.kind;
    this.codec = about.codec;
    this.pam = about.pam;
    this.shared = about.shared;
  }

  /** Id of the pool in the store's first arena. */
  get id(): number {
    return this.ids[0];
  }

  /** Pages in the pool now. */
  get pages(): number {
    this.checkUsable();
    return this.#sum((arena, id) => arena.wasm.pagesOf(id));
  }

  /** Stores a page. What was there is replaced, or, when the put is refused, gone. */
  put(oid: Oid, index: number, bytes: Uint8Array): PutOutcome {
    this.#checkHandle(oid, index);
    checkPage(bytes);
    const at = this.arenas.place(oid, index);
    const arena = this.arenas.all[at];
    const id = this.ids[at];
    for (;;) {
      // Again after a recovery: what was brought in may have been overwritten.
      const source = arena.bringIn(bytes);
      let code: number | undefined;
      try {
        code = arena.wasm.pagePut(
          id,
          oid.w0,
          oid.w1,
          oid.w2,
          oid.w3,
          oid.w4,
          oid.w5,
          index,
          source,
          bytes.length,
        );
      } catch (error) {
        code = this.arenas.recoverFrom(arena, error);
      }
      if (code !== undefined) return outcomeOf(code);
    }
  }

  /** Copies a page to `out`; its length, 0 = miss. A private ephemeral pool gives the page away, others keep it. */
  get(oid: Oid, index: number, out: Uint8Array): number {
    return this.#get(oid, index, out, DEFAULT);
  }

  /** As get; the page stays. */
  getAndKeep(oid: Oid, index: number, out: Uint8Array): number {
    return this.#get(oid, index, out, KEEP);
  }

  /** As get; the page is removed. */
  getAndFree(oid: Oid, index: number, out: Uint8Array): number {
    return this.#get(oid, index, out, FREE);
  }

  #get(oid: Oid, index: number, out: Uint8Array, mode: number): number {
    this.#checkHandle(oid, index);
    checkBuffer(out);
    const at = this.arenas.place(oid, index);
    const arena = this.arenas.all[at];
    const id = this.ids[at];
    const target = arena.outFor(out);
    const size = out.length;
    for (;;) {
      let length: number | undefined;
      try {
        length = arena.wasm.pageGet(
          id,
          oid.w0,
          oid.w1,
          oid.w2,
          oid.w3,
          oid.w4,
          oid.w5,
          index,
          target,
          size,
          mode,
        );
      } catch (error) {
        length = this.arenas.recoverFrom(arena, error);
      }
      if (length === undefined) continue;
      if (length > 0) arena.takeOut(out, length);
      else if (length < 0) this.#failedGet(length, index, out);
      return length;
    }
  }

  #failedGet(code: number, index: number, out: Uint8Array): never {
    if (code === CODE.tooShort) {
      throw new TmemError(
        'TMEM_ERR_PAGE_LENGTH',
        `get: the page at index ${index} is longer than the ${out.length} bytes of the buffer; nothing was changed`,
      );
    }
    throw new TmemError(
      'TMEM_ERR_DAMAGED',
      `get: the page at index ${index} of pool '${this.name}' is damaged`,
    );
  }

  /** Copies part of a page, from `offset` on, and leaves it there; the bytes copied (0 behind its end), -1 = miss. */
  readAt(oid: Oid, index: number, offset: number, out: Uint8Array): number {
    this.#checkHandle(oid, index);
    checkOffset('readAt', offset, 0);
    checkBuffer(out);
    const at = this.arenas.place(oid, index);
    const arena = this.arenas.all[at];
    const { w0, w1, w2, w3, w4, w5 } = oid;
    const capacity = Math.min(out.length, PAGE_BYTES);
    const bytes = this.arenas.run(arena, () =>
      arena.wasm.pageReadAt(this.ids[at], w0, w1, w2, w3, w4, w5, index, offset, arena.outFor(out), capacity),
    );
    if (bytes === CODE.notThere) return -1;
    if (bytes < 0) this.#failedGet(bytes, index, out);
    if (bytes > 0) arena.takeOut(out, bytes);
    return bytes;
  }

  /** Replaces part of a page; a page that ends before it grows, with zeroes in between. Refused: nothing changed. */
  writeAt(oid: Oid, index: number, offset: number, bytes: Uint8Array): PutOutcome | 'miss' {
    this.#checkHandle(oid, index);
    checkPage(bytes);
    checkOffset('writeAt', offset, bytes.length);
    const at = this.arenas.place(oid, index);
    const arena = this.arenas.all[at];
    const { w0, w1, w2, w3, w4, w5 } = oid;
    const code = this.arenas.run(arena, () => {
      const source = arena.bringIn(bytes);
      return arena.wasm.pageWriteAt(
        this.ids[at],
        w0,
        w1,
        w2,
        w3,
        w4,
        w5,
        index,
        offset,
        source,
        bytes.length,
      );
    });
    return code === CODE.notThere ? 'miss' : outcomeOf(code);
  }

  /**
   * Stores a page and copies the one it replaces to `out` (at least as long as that page; 4096 bytes always do), in one
   * step. A refused exchange still returns the old page and empties the handle. The object returned is reused by
   * the pool's next exchange.
   */
  exchange(oid: Oid, index: number, bytes: Uint8Array, out: Uint8Array): ExchangeResult {
    this.#checkHandle(oid, index);
    checkPage(bytes);
    checkBuffer(out);
    if (out.length < PAGE_BYTES) {
      throw new TmemError(
        'TMEM_ERR_PAGE_LENGTH',
        `exchange: the buffer needs ${PAGE_BYTES} bytes, got ${out.length}`,
      );
    }
    const at = this.arenas.place(oid, index);
    const arena = this.arenas.all[at];
    const { w0, w1, w2, w3, w4, w5 } = oid;
    const length = this.arenas.run(arena, () => {
      const source = arena.bringIn(bytes);
      return arena.wasm.pageExchange(this.ids[at], w0, w1, w2, w3, w4, w5, index, source, bytes.length);
    });
    if (length === CODE.damaged) this.#failedGet(length, index, out);
    if (length > 0) arena.takeExchanged(out, length);
    this.#exchanged.length = Math.max(length, 0);
    this.#exchanged.outcome = outcomeOf(length < 0 ? length : arena.wasm.pageExchanged());
    return this.#exchanged;
  }

  /** Makes a page unreachable; whether there was one. */
  flushPage(oid: Oid, index: number): boolean {
    this.#checkHandle(oid, index);
    const at = this.arenas.place(oid, index);
    const arena = this.arenas.all[at];
    const { w0, w1, w2, w3, w4, w5 } = oid;
    const flushed = this.arenas.run(arena, () =>
      arena.wasm.pageFlush(this.ids[at], w0, w1, w2, w3, w4, w5, index),
    );
    return flushed !== 0;
  }

  /** Makes all pages of an object unreachable; how many there were. */
  flushObject(oid: Oid): number {
    this.#checkHandle(oid, 0);
    return this.#sum((arena, id) =>
      arena.wasm.objectFlush(id, oid.w0, oid.w1, oid.w2, oid.w3, oid.w4, oid.w5),
    );
  }

  /** Empties the pool and keeps it; how many pages there were. */
  flush(): number {
    this.checkUsable();
    return this.#sum((arena, id) => Math.max(arena.wasm.emptyPool(id), 0));
  }

  /** Stores whole pages (4096 bytes each) under consecutive indexes; how many were. `outcomes[i]` says how page i fared. */
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
    return this.#getRange(oid, firstIndex, out, lengths, DEFAULT);
  }

  /** As getRange; the pages stay. */
  getRangeAndKeep(oid: Oid, firstIndex: number, out: Uint8Array, lengths?: number[]): number {
    return this.#getRange(oid, firstIndex, out, lengths, KEEP);
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
          length = this.#get(oid, first + i, out.subarray(start, start + PAGE_BYTES), mode);
        }
        if (length < 0) this.#failedGet(length, first + i, out);
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

  /** Ends the pool: every page is unreachable when this returns, its memory follows in steps. */
  destroy(): void {
    this.checkUsable();
    for (const [at, arena] of this.arenas.all.entries()) {
      this.arenas.run(arena, () => arena.wasm.removePool(this.ids[at]));
    }
    this.#destroyed = true;
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

  /** @throws TmemError TMEM_ERR_CLOSED, TMEM_ERR_POOL_GONE */
  protected checkUsable(): void {
    this.arenas.check();
    if (this.#destroyed) {
      throw new TmemError('TMEM_ERR_POOL_GONE', `pool '${this.name}' was destroyed; open it again by name`);
    }
  }

  #checkHandle(oid: Oid, index: number): void {
    this.checkUsable();
    if (!(oid instanceof Oid))
      throw new TmemError('TMEM_ERR_TYPE', 'oid: expected an Oid; make one with Oid.from…');
    if (typeof index !== 'number' || index >>> 0 !== index) {
      throw new TmemError(
        'TMEM_ERR_INDEX',
        `index: got ${String(index)}, allowed are whole numbers from 0 to ${INDEX_MAX}`,
      );
    }
  }

  /** Number of whole pages in a range's buffer. */
  #checkRange(oid: Oid, firstIndex: number, bytes: Uint8Array): number {
    this.#checkHandle(oid, firstIndex);
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
