/**
 * The page cache: two levels of pages of all files, one cache for all threads of a store.
 *
 *   source file
 *      ^ |  read, if both levels miss
 *      | v
 *   hot pool    uncompressed pages in the arena; gets keep          limit: hotPages, then the least
 *      | ^                                                          recently used page moves down
 *      v |      a hit below moves the page up
 *   cold pool   compressed pages in the arena; gets remove
 *
 * Pages of both may be with peers; they are fetched (`fetchAway`), or, without a fetcher, missed.
 *
 * Rules it keeps:
 * - both levels are always asked before the source;
 * - pages are found under the key of the state of the file they were read in, so no reader that has looked at a
 *   changed file can find pages from before the change, whatever happens to them.
 *
 * Looking is synchronous. Files, and waiting for them, are in cached-file.ts. The reasons for what is
 * admitted when are in docs/internals/page-cache.md.
 */

import { type PageFetcher, type Store, TmemError } from '../zcache/index.ts';
import { CachedFile } from './cached-file.ts';
import { type CachedFileOptions, cachedFileSettings } from './cached-file-options.ts';
import { Cleancache, type CleancacheFs, type CleancacheStats, cleancache } from './cleancache.ts';
import { FileSource } from './file-source.ts';
import type { SourceIdentity } from './page-source.ts';
import { ReadaheadBuffers } from './readahead.ts';
import { type SourceRead, SourceReads } from './source-read.ts';
import { ZcacheCleancacheBackend } from './zcache-backend.ts';

const PAGE_BYTES = 4096;

/** Pages of one request that are fetched at one time: enough to fill a link for the time of a round trip. */
const FETCHES_AT_ONCE = 16;

/** What lies under a source in the pool of files seen before. One repeated byte takes no page memory. */
const SEEN_MARK = new Uint8Array(1);

export interface PageCacheOptions {
  /** The store that holds the pages. Without one the shim below is asked. */
  store?: Store;
  /** The shim to use; by default the one of this thread, whichever backend it has or gets. */
  cleancache?: Cleancache;
  /** With `store`: has pages that are with peers. Without one they are read from their files. */
  fetcher?: PageFetcher;
  /** Caches of one name share their pools, in all threads. */
  name?: string;
  /** Most pages of the hot level; by default a quarter of the store's memory. */
  hotPages?: number;
  /**
   * When pages read from a file are kept: `second-read` (default) leaves out what is read once, from front to back,
   * from a file that nobody read before; `first-read` keeps everything.
   */
  admit?: 'second-read' | 'first-read';
  /** Milliseconds since 1970. */
  now?: () => number;
}

/** Numbers of pages that a lookup found to be with peers, by the level they belong to. */
export interface AwayPages {
  readonly hot: number[];
  readonly cold: number[];
}

/** Counters of this thread. */
export interface PageCacheStats {
  hot: CleancacheStats;
  cold: CleancacheStats;
  /** Reads of sources, and the bytes they brought. */
  source_reads: number;
  source_bytes: number;
  /** Requests that found all their bytes in another request's read of the source. */
  joined_reads: number;
  /** Requests answered from what readahead had read before. */
  readahead_hits: number;
  /** Requests passed to the source without looking at the cache: what changed a moment ago, or cannot be kept. */
  bypassed_reads: number;
  /** Sources whose pages were flushed because they had changed. */
  changed_sources: number;
}

export class PageCache {
  readonly counters = {
    source_reads: 0,
    source_bytes: 0,
    joined_reads: 0,
    readahead_hits: 0,
    bypassed_reads: 0,
    changed_sources: 0,
  };
  readonly now: () => number;
  readonly reads = new SourceReads();
  readonly readaheadBuffers = new ReadaheadBuffers();
  readonly #shim: Cleancache;
  readonly #hot: CleancacheFs;
  readonly #cold: CleancacheFs;
  readonly #seen: CleancacheFs;
  /** Whether pages are kept from the first read on. */
  readonly admitsFirstRead: boolean;
  /** Room for one page, between two calls that do not wait. */
  readonly #page = new Uint8Array(PAGE_BYTES);
  readonly #hotLengths: number[] = [];
  readonly #coldLengths: number[] = [];

  /**
   * @throws TmemError TMEM_ERR_SETTING for a wrong option; of the store, such as TMEM_ERR_NAME_MISMATCH for pools that
   *   exist with other settings
   */
  constructor(options: PageCacheOptions = {}) {
    const { store, fetcher, name = 'files', hotPages, admit = 'second-read' } = options;
    if (store !== undefined && options.cleancache !== undefined) {
      throw new TmemError('TMEM_ERR_SETTING', 'page cache: give store or cleancache, not both');
    }
    if (store === undefined && fetcher !== undefined) {
      throw new TmemError(
        'TMEM_ERR_SETTING',
        'page cache: fetcher: needs store; a cleancache has a backend of its own',
      );
    }
    if (hotPages !== undefined && !(Number.isInteger(hotPages) && hotPages >= 1)) {
      throw new TmemError(
        'TMEM_ERR_SETTING',
        `page cache: hotPages: got ${hotPages}, allowed is a whole number from 1`,
      );
    }
    if (admit !== 'second-read' && admit !== 'first-read') {
      throw new TmemError(
        'TMEM_ERR_SETTING',
        `page cache: admit: got ${String(admit)}, allowed is 'second-read' or 'first-read'`,
      );
    }
    this.#shim = store === undefined ? (options.cleancache ?? cleancache) : shimOf(store, fetcher);
    this.#cold = this.#shim.initFs(`${name}-cold`);
    this.#hot = this.#shim.initHot(`${name}-hot`, hotPages, this.#cold);
    this.#seen = this.#shim.initFs(`${name}-seen`);
    // What is wrong with the pools shows here, not at the first read.
    for (const level of [this.#cold, this.#hot, this.#seen]) void level.pool;
    this.admitsFirstRead = admit === 'first-read';
    this.now = options.now ?? Date.now;
  }

  /**
   * Opens a file for reading through this cache.
   *
   * @throws the error of node:fs, such as ENOENT or EACCES
   */
  async open(path: string, options: CachedFileOptions = {}): Promise<CachedFile> {
    const settings = cachedFileSettings(options);
    return new CachedFile(await FileSource.open(path, this.now), this, settings);
  }

  stats(): PageCacheStats {
    return { hot: { ...this.#hot.stats }, cold: { ...this.#cold.stats }, ...this.counters };
  }

  /**
   * Copies what is held of the bytes from `position` on into `out`, which ends within the file. Pages that are with
   * peers are noted in `away`.
   *
   * @returns the numbers of the pages that are not held here, in order
   */
  lookup(identity: SourceIdentity, position: number, out: Uint8Array, away?: AwayPages): number[] {
    const missing: number[] = [];
    const end = position + out.length;
    const first = Math.floor(position / PAGE_BYTES);
    const last = Math.floor((end - 1) / PAGE_BYTES);
    const wholeFirst = Math.ceil(position / PAGE_BYTES);
    const wholeEnd = Math.floor(end / PAGE_BYTES);
    if (first < wholeFirst) this.#lookupPart(identity, first, position, out, missing, away);
    if (wholeFirst < wholeEnd) {
      const from = wholeFirst * PAGE_BYTES - position;
      const pages = out.subarray(from, from + (wholeEnd - wholeFirst) * PAGE_BYTES);
      this.#lookupWhole(identity, wholeFirst, pages, missing, away);
    }
    if (last >= wholeEnd && last >= wholeFirst)
      this.#lookupPart(identity, last, position, out, missing, away);
    return missing;
  }

  /** Whether pages may be with peers, and fetched from there. */
  get fetches(): boolean {
    return this.#cold.fetches;
  }

  /**
   * Fetches pages that are `away` into `out`, as for a lookup that found so many to be `missing`, few at a time.
   *
   * @returns the numbers of those that are missing still, in order
   */
  async fetchAway(
    identity: SourceIdentity,
    position: number,
    out: Uint8Array,
    missing: readonly number[],
    away: AwayPages,
  ): Promise<readonly number[]> {
    const found = new Set<number>();
    const fetch = async ({ level, page }: { level: CleancacheFs; page: number }): Promise<void> => {
      const bytes = new Uint8Array(PAGE_BYTES);
      const length = await level.fetchPage(identity.key, page, bytes);
      if (length !== pageLength(identity, page)) return;
      const whole = bytes.subarray(0, length);
      if (level !== this.#hot) this.#hot.putPage(identity.key, page, whole);
      copyPage(whole, page, position, out);
      found.add(page);
    };
    const asked = [
      ...away.hot.map((page) => ({ level: this.#hot, page })),
      ...away.cold.map((page) => ({ level: this.#cold, page })),
    ];
    for (let at = 0; at < asked.length; at += FETCHES_AT_ONCE) {
      await Promise.all(asked.slice(at, at + FETCHES_AT_ONCE).map(fetch));
    }
    return missing.filter((page) => !found.has(page));
  }

  /** Keeps those of the `pages` that `read` brought whole. */
  keep(identity: SourceIdentity, read: SourceRead, pages: readonly number[], active: boolean): void {
    if (!this.#shim.enabled) return;
    for (const page of pages) {
      const start = page * PAGE_BYTES;
      const length = pageLength(identity, page);
      if (start < read.start || start + length > read.start + read.bytes) continue;
      this.#hot.putPage(identity.key, page, read.view(start, length, this.#page), active);
    }
  }

  /** Whether anyone read from this state of a source before; in any case somebody has now. */
  wasSeen(identity: SourceIdentity): boolean {
    const seen = this.#seen.getPage(identity.key, 0, this.#page) > 0;
    this.#seen.putPage(identity.key, 0, SEEN_MARK);
    return seen;
  }

  /** Flushes all pages of a state that is over. */
  invalidate(identity: SourceIdentity): void {
    this.counters.changed_sources++;
    this.#hot.invalidateInode(identity.key);
    this.#cold.invalidateInode(identity.key);
    this.#seen.invalidateInode(identity.key);
  }

  /** A page of which only a part is asked for. */
  #lookupPart(
    identity: SourceIdentity,
    page: number,
    position: number,
    out: Uint8Array,
    missing: number[],
    away: AwayPages | undefined,
  ): void {
    const { key } = identity;
    const bytes = this.#page;
    let length = this.#hot.getPage(key, page, bytes, away?.hot);
    if (length === 0) {
      length = this.#cold.getPage(key, page, bytes, away?.cold);
      if (length > 0) this.#hot.putPage(key, page, bytes.subarray(0, length));
    }
    if (length !== pageLength(identity, page)) {
      missing.push(page);
      return;
    }
    copyPage(bytes.subarray(0, length), page, position, out);
  }

  /** Pages asked for whole: straight into the caller's buffer. */
  #lookupWhole(
    identity: SourceIdentity,
    first: number,
    out: Uint8Array,
    missing: number[],
    away: AwayPages | undefined,
  ): void {
    const count = out.length / PAGE_BYTES;
    const hot = this.#hotLengths;
    if (this.#hot.getPages(identity.key, first, out, hot, away?.hot) === count) return;
    for (let i = 0; i < count; i++) {
      if (hot[i] === PAGE_BYTES) continue;
      let end = i + 1;
      while (end < count && hot[end] !== PAGE_BYTES) end++;
      const pages = out.subarray(i * PAGE_BYTES, end * PAGE_BYTES);
      this.#lookupCold(identity, first + i, pages, missing, away);
      i = end;
    }
  }

  /** Pages that the hot level does not hold. Those found move up, in one step a page. */
  #lookupCold(
    { key }: SourceIdentity,
    first: number,
    out: Uint8Array,
    missing: number[],
    away: AwayPages | undefined,
  ): void {
    const count = out.length / PAGE_BYTES;
    const cold = this.#coldLengths;
    const found = this.#cold.getPages(key, first, out, cold, away?.cold);
    for (let i = 0; i < count; i++) {
      if (found === 0 || cold[i] !== PAGE_BYTES) missing.push(first + i);
      else this.#hot.putPage(key, first + i, out.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES));
    }
  }
}

/** Copies what `out`, which begins at `position`, has room for of a page. */
function copyPage(bytes: Uint8Array, page: number, position: number, out: Uint8Array): void {
  const start = page * PAGE_BYTES;
  const from = Math.max(position, start);
  const to = Math.min(position + out.length, start + bytes.length);
  out.set(bytes.subarray(from - start, to - start), from - position);
}

/** Exact length of a page: the last one of a source is as long as the source needs. */
function pageLength(identity: SourceIdentity, page: number): number {
  return Math.min(PAGE_BYTES, identity.size - page * PAGE_BYTES);
}

/** A shim of its own for each store, and each fetcher: two stores of one thread do not replace each other. */
const shims = new WeakMap<Store, WeakMap<object, Cleancache>>();

function shimOf(store: Store, fetcher: PageFetcher | undefined): Cleancache {
  const ofStore = shims.get(store) ?? new WeakMap<object, Cleancache>();
  shims.set(store, ofStore);
  let shim = ofStore.get(fetcher ?? store);
  if (shim === undefined) {
    shim = new Cleancache(store.settings.cleancache);
    shim.register(new ZcacheCleancacheBackend(store, undefined, fetcher));
    ofStore.set(fetcher ?? store, shim);
  }
  return shim;
}
