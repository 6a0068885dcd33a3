/**
 * The cleancache shim: between whoever reads a source of pages and whichever store is registered.
 *
 * Rules it keeps:
 * - a put is never an error for its caller, and a put that is not taken is a flush of that page;
 * - a source made before a backend is registered starts to use it when one is;
 * - a source is emptied in the old backend before another one takes its place, and when the switch goes off: a
 *   page that was flushed nowhere could otherwise come back later.
 *
 * Gets are asked even while the switch is off. After the pools were emptied they miss, and other threads, which
 * have a switch of their own, may have put pages since.
 */

import { type Oid, publish, TmemError } from '../zcache/index.ts';
import { AWAY, type CleancacheBackend, type CleancachePool } from './backend.ts';

const INDEX_MAX = 0xffff_ffff;

/** Counters of one source, or of all; names as in the original. Each thread counts its own calls. */
export interface CleancacheStats {
  succ_gets: number;
  failed_gets: number;
  /** Pages offered to the backend, taken or not. */
  puts: number;
  /** Puts that became flushes: switched off, page not active, or refused by the backend. */
  put_to_flush: number;
  invalidates: number;
}

export interface CleancacheOptions {
  /** Start switched off (nocleancache). */
  enabled?: boolean;
  /** Do not take pages that their owner used only once: puts with `active` false become flushes. */
  ignoreInactive?: boolean;
}

/** Makes the pool of a source; undefined if that cannot be done now. */
type InitPool = (backend: CleancacheBackend) => CleancachePool | undefined;

/** What a source sees of the shim it belongs to. */
interface Switches {
  readonly backend: CleancacheBackend | undefined;
  readonly enabled: boolean;
  readonly ignoreInactive: boolean;
}

/** One source of clean pages (a file system, a bucket, an image) and the pool it has in the backend. */
export class CleancacheFs {
  readonly stats: CleancacheStats = {
    succ_gets: 0,
    failed_gets: 0,
    puts: 0,
    put_to_flush: 0,
    invalidates: 0,
  };
  readonly #shim: Switches;
  readonly #init: InitPool;
  readonly #forget: (source: CleancacheFs) => void;
  #pool: CleancachePool | undefined;
  #closed = false;

  /** Made by `Cleancache.initFs` and its sisters. */
  constructor(shim: Switches, init: InitPool, forget: (source: CleancacheFs) => void) {
    this.#shim = shim;
    this.#init = init;
    this.#forget = forget;
  }

  /**
   * The pool in the backend registered now; undefined while there is none, or while the backend has no memory for
   * one: that is tried again at the next use.
   *
   * @throws whatever else keeps the backend from making the pool, such as TMEM_ERR_NAME_MISMATCH
   */
  get pool(): CleancachePool | undefined {
    if (this.#pool === undefined && this.#shim.backend !== undefined && !this.#closed) {
      try {
        this.#pool = this.#init(this.#shim.backend);
      } catch (error) {
        if (!TmemError.is(error) || error.code !== 'TMEM_ERR_NO_MEMORY') throw error;
      }
    }
    return this.#pool;
  }

  /**
   * Offers a clean page. Never an error: a page that is not taken costs a later read of the source, no more.
   *
   * @param index - page number in the file; above 32 bits the page is ignored
   * @param page - 1 to 4096 bytes
   * @param active - whether the page was used at least twice (see `ignoreInactive`)
   */
  putPage(key: Oid, index: number, page: Uint8Array, active = true): void {
    if (!fits(index)) return;
    try {
      const pool = this.pool;
      if (pool === undefined) return;
      if (!this.#shim.enabled || (this.#shim.ignoreInactive && !active)) {
        this.stats.put_to_flush++;
        pool.flushPage(key, index);
        return;
      }
      this.stats.puts++;
      if (!pool.put(key, index, page)) this.stats.put_to_flush++;
    } catch (error) {
      if (!TmemError.is(error)) throw error;
      this.stats.put_to_flush++;
    }
  }

  /** Whether pages may be with peers, and fetched from there. */
  get fetches(): boolean {
    return this.pool?.fetch !== undefined;
  }

  /**
   * Asks for a page. On a private source the page leaves the store: it is the reader's now.
   *
   * @param out - room for 4096 bytes
   * @param away - where the index goes if the page is with a peer: `fetchPage` may have it. Without it, such a page is
   *   flushed and missed
   * @returns bytes copied, 0 for a miss
   */
  getPage(key: Oid, index: number, out: Uint8Array, away?: number[]): number {
    const pool = fits(index) ? this.pool : undefined;
    const length = pool?.get(key, index, out) ?? 0;
    if (length > 0) this.stats.succ_gets++;
    else if (length !== AWAY || !this.#isNoted(key, index, away)) this.stats.failed_gets++;
    return Math.max(0, length);
  }

  /**
   * Asks for the pages from `firstIndex` on that fill `out`, a whole number of pages long. Each page found is
   * copied to its place in `out`, and each length (0 for a miss) written to `lengths`. `away` as for `getPage`.
   *
   * @returns pages found
   */
  getPages(key: Oid, firstIndex: number, out: Uint8Array, lengths: number[], away?: number[]): number {
    const pages = out.length / 4096;
    const pool = fits(firstIndex) && fits(firstIndex + pages - 1) ? this.pool : undefined;
    let found = 0;
    let noted = 0;
    if (pool === undefined) for (let i = 0; i < pages; i++) lengths[i] = 0;
    else found = pool.getRange(key, firstIndex, out, lengths);
    if (found < pages && pool?.fetch !== undefined) {
      for (let i = 0; i < pages; i++) {
        if (lengths[i] !== AWAY) continue;
        lengths[i] = 0;
        if (this.#isNoted(key, firstIndex + i, away)) noted++;
      }
    }
    this.stats.succ_gets += found;
    this.stats.failed_gets += pages - found - noted;
    return found;
  }

  /**
   * Gets a page that was with a peer. Nobody who has it answers: then it is flushed, and missed.
   *
   * @returns bytes copied, 0 for a miss
   */
  async fetchPage(key: Oid, index: number, out: Uint8Array): Promise<number> {
    const length = await this.#fetchPage(key, index, out);
    if (length > 0) this.stats.succ_gets++;
    else this.stats.failed_gets++;
    return length;
  }

  async #fetchPage(key: Oid, index: number, out: Uint8Array): Promise<number> {
    const { pool } = this;
    if (pool?.fetch === undefined) return 0;
    try {
      const page = await pool.fetch(key, index);
      const length = page === 'local' ? pool.get(key, index, out) : page.length;
      if (page !== 'local') out.set(page);
      if (length !== AWAY) return length;
    } catch (error) {
      if (!TmemError.is(error)) throw error;
    }
    pool.flushPage(key, index);
    return 0;
  }

  /** Notes a page that is away; where that cannot be, it is flushed. */
  #isNoted(key: Oid, index: number, away: number[] | undefined): boolean {
    if (away === undefined) this.pool?.flushPage(key, index);
    else away.push(index);
    return away !== undefined;
  }

  /** Flushes one page. */
  invalidatePage(key: Oid, index: number): void {
    this.stats.invalidates++;
    if (fits(index)) this.pool?.flushPage(key, index);
  }

  /** Flushes all pages of one file. */
  invalidateInode(key: Oid): void {
    this.stats.invalidates++;
    this.pool?.flushObject(key);
  }

  /** Flushes all pages of the source; on a shared source those of everybody. */
  invalidateFs(): void {
    this.stats.invalidates++;
    this.pool?.flush();
  }

  /** Empties the pool and lets go of it; the next use asks the backend registered by then. */
  release(): void {
    const pool = this.#pool;
    this.#pool = undefined;
    try {
      pool?.flush();
    } catch (error) {
      // A store that is closed in this thread cannot be emptied and answers nobody any more.
      if (!TmemError.is(error) || error.code !== 'TMEM_ERR_CLOSED') throw error;
    }
  }

  /** Empties the source and takes it out of the shim: puts are ignored and gets miss from then on. */
  close(): void {
    this.#closed = true;
    this.#forget(this);
    this.release();
  }
}

export class Cleancache {
  readonly #sources = new Set<CleancacheFs>();
  readonly #switches: { backend: CleancacheBackend | undefined; enabled: boolean; ignoreInactive: boolean };

  constructor(options: CleancacheOptions = {}) {
    this.#switches = {
      backend: undefined,
      enabled: options.enabled ?? true,
      ignoreInactive: options.ignoreInactive ?? false,
    };
  }

  /**
   * Makes `backend` the store of all sources, those that exist already included. Undefined takes it away.
   *
   * Replacing one is rarely meant: it is published as `tmem:backend:replaced` and emitted as a process warning
   * with code TMEM_WARN_BACKEND_REPLACED.
   *
   * @returns the backend there was, emptied of the pages of all sources
   */
  register(backend: CleancacheBackend | undefined): CleancacheBackend | undefined {
    const previous = this.#switches.backend;
    for (const source of this.#sources) source.release();
    this.#switches.backend = backend;
    if (previous !== undefined && backend !== undefined) {
      publish('tmem:backend:replaced', () => ({ frontEnd: 'cleancache', previous }));
      process.emitWarning('cleancache: a backend was registered already and was replaced', {
        type: 'TmemWarning',
        code: 'TMEM_WARN_BACKEND_REPLACED',
      });
    }
    return previous;
  }

  get backend(): CleancacheBackend | undefined {
    return this.#switches.backend;
  }

  /** The switch. Off: every put is a flush. Going off empties the pools of all sources of this thread. */
  get enabled(): boolean {
    return this.#switches.enabled;
  }

  set enabled(on: boolean) {
    this.#switches.enabled = on;
    if (!on) for (const source of this.#sources) source.pool?.flush();
  }

  get ignoreInactive(): boolean {
    return this.#switches.ignoreInactive;
  }

  set ignoreInactive(on: boolean) {
    this.#switches.ignoreInactive = on;
  }

  /** A private source; the same name is the same pool, in every thread of the store. */
  initFs(name: string): CleancacheFs {
    return this.#source((backend) => backend.initFs(name));
  }

  /** A source shared by all who give the same UUID. */
  initSharedFs(uuid: string): CleancacheFs {
    return this.#source((backend) => backend.initSharedFs(uuid));
  }

  /** A hot level of at most `pages` uncompressed pages that falls into `cold`, a source of this shim. */
  initHot(name: string, pages: number | undefined, cold: CleancacheFs): CleancacheFs {
    return this.#source((backend) => {
      const below = cold.pool;
      return below === undefined ? undefined : backend.initHot(name, pages, below);
    });
  }

  /** The counters of all sources together. */
  stats(): CleancacheStats {
    const total: CleancacheStats = { succ_gets: 0, failed_gets: 0, puts: 0, put_to_flush: 0, invalidates: 0 };
    for (const { stats } of this.#sources) {
      total.succ_gets += stats.succ_gets;
      total.failed_gets += stats.failed_gets;
      total.puts += stats.puts;
      total.put_to_flush += stats.put_to_flush;
      total.invalidates += stats.invalidates;
    }
    return total;
  }

  #source(init: InitPool): CleancacheFs {
    const source = new CleancacheFs(this.#switches, init, (gone) => this.#sources.delete(gone));
    this.#sources.add(source);
    return source;
  }
}

/** The shim of this thread, for those who bring none of their own. */
export const cleancache = new Cleancache();

function fits(index: number): boolean {
  return Number.isInteger(index) && index >= 0 && index <= INDEX_MAX;
}
