/**
 * How a cached file is read: look whether it changed -> ask the cache -> fetch what it has with peers -> read what is
 * missing in one piece.
 *
 * Rule it keeps: bytes are returned only under a look at the file that began after the read was asked for (or within
 * `maxStaleMs` before). Bytes read from the file are kept only under a state that was seen before they were read,
 * and that had settled by then (page-source.ts).
 */

import type { Oid } from '../zcache/index.ts';
import type { CachedFileSettings } from './cached-file-options.ts';
import { CheckGate } from './check-gate.ts';
import type { PageCache } from './page-cache.ts';
import { isSettled, type PageSource, type SourceIdentity } from './page-source.ts';
import { Readahead } from './readahead.ts';
import { SourceRead } from './source-read.ts';

const PAGE_BYTES = 4096;

/** Page numbers have 32 bits; what lies beyond is read past the cache. */
const CACHED_BYTES_MAX = PAGE_BYTES * 2 ** 32;

/** One call of the operating system takes less than 2 GiB; as with any read, the caller asks for the rest. */
const READ_BYTES_MAX = 2 ** 30;

/** Reads in a row that go on where the last one ended, from which on the source is read ahead. */
const SEQUENTIAL_READS_MIN = 2;

export class CachedReader {
  readonly #source: PageSource;
  readonly #cache: PageCache;
  readonly #maxStaleMs: number;
  readonly #gate: CheckGate<void>;
  readonly #readahead: Readahead;
  #identity: SourceIdentity | undefined;
  /** When the last look at the source began; before the first, never. */
  #seenAtMs = Number.NEGATIVE_INFINITY;
  /** Where the last read ended, and how many followed each other. */
  #sequentialEnd = 0;
  #sequentialReads = 0;
  /** Whether what is read here has been used before; undefined: not found out yet. */
  #active: boolean | undefined;

  constructor(source: PageSource, cache: PageCache, settings: CachedFileSettings) {
    this.#source = source;
    this.#cache = cache;
    this.#maxStaleMs = settings.maxStaleMs;
    this.#gate = new CheckGate(() => this.#look());
    this.#readahead = new Readahead(cache.readaheadBuffers, settings.readaheadBytes);
  }

  /**
   * Makes sure that the state of the source is known, and no older than it may be. Undefined if that could be done
   * at once, else to be awaited.
   */
  check(): Promise<void> | undefined {
    const now = this.#cache.now();
    const ageMs = now - this.#seenAtMs;
    if (this.#maxStaleMs > 0 && ageMs >= 0 && ageMs <= this.#maxStaleMs) return undefined;
    const identity = this.#source.identityNow();
    const before = this.#identity;
    if (identity === undefined || (before !== undefined && identity !== before)) return this.#gate.ask();
    this.#identity = identity;
    this.#seenAtMs = now;
    return undefined;
  }

  /** Bytes in the source at the last check; 0 if that is not known. */
  get size(): number {
    return this.#identity?.size ?? 0;
  }

  /**
   * Reads into `out` from `position`, as of a check that the caller made. Bytes read: fewer than `out` has at the
   * end of the source.
   */
  read(out: Uint8Array, position: number): Promise<number> | number {
    if (out.length === 0) return 0;
    const asked = out.length > READ_BYTES_MAX ? out.subarray(0, READ_BYTES_MAX) : out;
    const identity = this.#identity;
    if (identity === undefined || !this.#mayUseCache(identity, position + asked.length)) {
      this.#cache.counters.bypassed_reads++;
      return this.#run(new SourceRead(position, [asked]));
    }
    const end = Math.min(identity.size, position + asked.length);
    if (end <= position) return 0;
    const wanted = asked.length > end - position ? asked.subarray(0, end - position) : asked;
    this.#note(position, end);
    const away = this.#cache.fetches ? { hot: [], cold: [] } : undefined;
    const missing = this.#cache.lookup(identity, position, wanted, away);
    if (missing.length === 0) return wanted.length;
    if (away === undefined || away.hot.length + away.cold.length === 0) {
      return this.#readMissing(identity, position, wanted, missing);
    }
    return this.#cache.fetchAway(identity, position, wanted, missing, away).then((left) => {
      return left.length === 0 ? wanted.length : this.#readMissing(identity, position, wanted, left);
    });
  }

  /** No more reads: gives back what readahead borrowed, and closes the source. */
  close(): Promise<void> {
    this.#readahead.reset();
    return this.#source.close();
  }

  #mayUseCache(identity: SourceIdentity, end: number): boolean {
    // Files of /proc and their like have no size and yet have bytes.
    return identity.size > 0 && end <= CACHED_BYTES_MAX && isSettled(identity, this.#seenAtMs);
  }

  /** Looks at the source. If it changed, what the cache holds of its old state goes first. */
  async #look(): Promise<void> {
    const seenAtMs = this.#cache.now();
    const identity = await this.#source.identity();
    const before = this.#identity;
    if (before !== undefined && identity !== before) {
      this.#cache.invalidate(before);
      this.#readahead.reset();
      this.#active = undefined;
    }
    this.#identity = identity;
    this.#seenAtMs = seenAtMs;
  }

  /** Learns from each read whether the reader goes through the source once, from front to back. */
  #note(position: number, end: number): void {
    if (position === this.#sequentialEnd) {
      this.#sequentialReads++;
    } else {
      this.#sequentialReads = 1;
      this.#readahead.reset();
      this.#active = true;
    }
    this.#sequentialEnd = end;
  }

  /** Reads the pages `missing` of the bytes from `position` on that belong into `out`. */
  async #readMissing(
    identity: SourceIdentity,
    position: number,
    out: Uint8Array,
    missing: readonly number[],
  ): Promise<number> {
    const cache = this.#cache;
    this.#active ??= cache.wasSeen(identity);
    const active = this.#active;
    const keeps = active || cache.admitsFirstRead;
    const start = Math.max(position, missing[0]! * PAGE_BYTES);
    const end = Math.min(position + out.length, (missing.at(-1)! + 1) * PAGE_BYTES);
    const part = end - start === out.length ? out : out.subarray(start - position, end - position);

    const ahead = this.#readahead.find(identity, start, end);
    if (ahead !== undefined) {
      cache.counters.readahead_hits++;
      ahead.copy(start, part);
      if (keeps) cache.keep(identity, ahead, missing, active);
      return out.length;
    }
    const other = cache.reads.find(identity.key, start, end);
    if (other !== undefined && (await other.join(start, part)) === part.length) {
      cache.counters.joined_reads++;
      return out.length;
    }
    const sequential = this.#sequentialReads >= SEQUENTIAL_READS_MIN;
    const larger = sequential ? this.#readahead.plan(identity, start, end) : undefined;
    const read = larger ?? (keeps ? wholePages(identity, start, part) : new SourceRead(start, [part]));
    try {
      await this.#run(read, identity.key);
    } finally {
      if (larger !== undefined) this.#readahead.keep(identity, larger);
    }
    larger?.copy(start, part);
    if (keeps) cache.keep(identity, read, missing, active);
    const readEnd = Math.min(end, read.start + read.bytes);
    return readEnd === end ? out.length : Math.max(start, readEnd) - position;
  }

  /** Runs a read of the source; others may join it if it is known of which state it is. */
  async #run(read: SourceRead, key?: Oid): Promise<number> {
    const { counters, reads } = this.#cache;
    const shared = key !== undefined && reads.add(key, read);
    let bytes = 0;
    try {
      bytes = await this.#source.read(read.pieces, read.start);
    } finally {
      if (shared) reads.remove(read);
      read.finish(bytes);
    }
    counters.source_reads++;
    counters.source_bytes += bytes;
    return bytes;
  }
}

/** A read of `part` from `start`, with the rest of its first and last page beside it. */
function wholePages(identity: SourceIdentity, start: number, part: Uint8Array): SourceRead {
  const before = start % PAGE_BYTES;
  const end = start + part.length;
  const after = Math.min(identity.size, Math.ceil(end / PAGE_BYTES) * PAGE_BYTES) - end;
  const pieces = [part];
  if (before > 0) pieces.unshift(new Uint8Array(before));
  if (after > 0) pieces.push(new Uint8Array(after));
  return new SourceRead(start - before, pieces);
}
