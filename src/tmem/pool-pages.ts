/**
 * The operations on single pages of a pool: put, get and their kin, each one call into the arena the page lives in.
 *
 * Everything here is synchronous, takes microseconds and allocates nothing on the heap for whole pages. A page is 1 to
 * 4096 bytes and keeps its exact length. Any buffer that is a view of the store's own memory (`store.staging`) is read
 * and written in place.
 */

import { TmemError } from '../errors.ts';
import type { Arenas } from './arenas.ts';
import { checkBuffer, checkOffset, checkPage, PAGE_BYTES } from './checks.ts';
import { Oid } from './oid.ts';
import { CODE, isRemote, outcomeOf, type PutOutcome } from './outcome.ts';
import type { ExchangeResult, PoolCodec, PoolDescription, PoolKind } from './pool-types.ts';
import { RemotePages } from './remote-pages.ts';

export const INDEX_MAX = 0xffff_ffff;

/** Whether a get keeps the page: as the pool does, yes, no. */
export const GET_DEFAULT = 0;
export const GET_KEEP = 1;
const GET_FREE = 2;
const GET_PEEK = 3;

/** What getIfHere says of a page that is with a peer. */
const AWAY = -1;

export abstract class PoolPages {
  readonly name: string;
  readonly kind: PoolKind;
  readonly codec: PoolCodec;
  readonly pam: 'zbud' | 'zv' | 'raw';
  readonly shared: string | null;
  protected readonly arenas: Arenas;
  /** The pool's id in each arena. */
  protected readonly ids: readonly number[];
  readonly #exchanged: ExchangeResult = { length: 0, outcome: 'stored' };
  protected destroyed = false;

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

  /** Stores a page. What was there is replaced, or, when the put is refused, gone. */
  put(oid: Oid, index: number, bytes: Uint8Array): PutOutcome {
    this.checkHandle(oid, index);
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
    return this.getPage(oid, index, out, GET_DEFAULT);
  }

  /** As get; the page stays. */
  getAndKeep(oid: Oid, index: number, out: Uint8Array): number {
    return this.getPage(oid, index, out, GET_KEEP);
  }

  /** As get; the page is removed. */
  getAndFree(oid: Oid, index: number, out: Uint8Array): number {
    return this.getPage(oid, index, out, GET_FREE);
  }

  /** As getAndKeep, but it counts nothing, is no use of the page, and always checks it: for tools. */
  peek(oid: Oid, index: number, out: Uint8Array): number {
    return this.getPage(oid, index, out, GET_PEEK);
  }

  /**
   * As get, getAndKeep or getAndFree, but a page that is with a peer is an answer, -1, and no error: for those who
   * fetch such pages, to whom it is nothing unusual. An error costs as much as several gets.
   */
  getIfHere(oid: Oid, index: number, out: Uint8Array, how: 'get' | 'keep' | 'free'): number {
    const mode = how === 'keep' ? GET_KEEP : how === 'free' ? GET_FREE : GET_DEFAULT;
    return this.getPage(oid, index, out, mode, true);
  }

  protected getPage(oid: Oid, index: number, out: Uint8Array, mode: number, mayBeAway = false): number {
    this.checkHandle(oid, index);
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
      else if (length < 0) {
        if (mayBeAway && length === CODE.remote) return AWAY;
        this.failedGet(length, index, out);
      }
      return length;
    }
  }

  /** The pool's pages for those who move pages between machines. */
  get remotePages(): RemotePages {
    return new RemotePages(this.arenas, this.ids);
  }

  protected failedGet(code: number, index: number, out: Uint8Array): never {
    if (code === CODE.remote) throw isRemote();
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
    this.checkHandle(oid, index);
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
    if (bytes < 0) this.failedGet(bytes, index, out);
    if (bytes > 0) arena.takeOut(out, bytes);
    return bytes;
  }

  /** Replaces part of a page; a page that ends before it grows, with zeroes in between. Refused: nothing changed. */
  writeAt(oid: Oid, index: number, offset: number, bytes: Uint8Array): PutOutcome | 'miss' {
    this.checkHandle(oid, index);
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

  /** As put, but a refusal changes nothing: what was there stays. */
  replace(oid: Oid, index: number, bytes: Uint8Array): PutOutcome {
    this.checkHandle(oid, index);
    checkPage(bytes);
    const at = this.arenas.place(oid, index);
    const arena = this.arenas.all[at];
    const { w0, w1, w2, w3, w4, w5 } = oid;
    const code = this.arenas.run(arena, () => {
      const source = arena.bringIn(bytes);
      return arena.wasm.pageReplace(this.ids[at], w0, w1, w2, w3, w4, w5, index, source, bytes.length);
    });
    return outcomeOf(code);
  }

  /**
   * Stores a page and copies the one it replaces to `out` (at least as long as that page; 4096 bytes always do), in one
   * step. A refused exchange still returns the old page and empties the handle. The object returned is reused by
   * the pool's next exchange.
   */
  exchange(oid: Oid, index: number, bytes: Uint8Array, out: Uint8Array): ExchangeResult {
    this.checkHandle(oid, index);
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
    if (length === CODE.damaged) this.failedGet(length, index, out);
    if (length > 0) arena.takeExchanged(out, length);
    this.#exchanged.length = Math.max(length, 0);
    this.#exchanged.outcome = outcomeOf(length < 0 ? length : arena.wasm.pageExchanged());
    return this.#exchanged;
  }

  /** Makes a page unreachable; whether there was one. */
  flushPage(oid: Oid, index: number): boolean {
    this.checkHandle(oid, index);
    const at = this.arenas.place(oid, index);
    const arena = this.arenas.all[at];
    const { w0, w1, w2, w3, w4, w5 } = oid;
    const flushed = this.arenas.run(arena, () =>
      arena.wasm.pageFlush(this.ids[at], w0, w1, w2, w3, w4, w5, index),
    );
    return flushed !== 0;
  }

  /** @throws TmemError TMEM_ERR_CLOSED, TMEM_ERR_POOL_GONE */
  protected checkUsable(): void {
    this.arenas.check();
    if (this.destroyed) {
      throw new TmemError('TMEM_ERR_POOL_GONE', `pool '${this.name}' was destroyed; open it again by name`);
    }
  }

  protected checkHandle(oid: Oid, index: number): void {
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
}
