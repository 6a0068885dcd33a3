/**
 * What the clients of an export asked for, counted by all threads that serve it.
 *
 *   memory   | row | row | ...                one for each thread that the store may have
 *   row      | 8 counters | taken | unused |  64-bit floats: exact up to 2^53
 *
 * A thread counts in a row that nobody else writes, so counting takes no atomic step; the sum of the rows is what was
 * counted. A row that a thread gave back goes on, under the next one, from where it was.
 */

import { TmemError } from '../zcache/index.ts';

/** Requests that reached the volume of an export, and their bytes. */
export interface VolumeCounters {
  reads: number;
  read_bytes: number;
  writes: number;
  written_bytes: number;
  zeroes: number;
  trims: number;
  flushes: number;
  /** Pages the store refused: they went to the file, or the client was told that the export is full. */
  refused_pages: number;
}

const READS = 0;
const READ_BYTES = 1;
const WRITES = 2;
const WRITTEN_BYTES = 3;
const ZEROES = 4;
const TRIMS = 5;
const FLUSHES = 6;
const REFUSED_PAGES = 7;
const TAKEN = 8;

/** Two cache lines, which processors fetch in pairs: no thread slows another one down. */
const ROW_COUNTERS = 16;
const ROW_BYTES = ROW_COUNTERS * Float64Array.BYTES_PER_ELEMENT;

export class ThreadCounters implements VolumeCounters {
  readonly memory: SharedArrayBuffer;
  readonly #row: Float64Array<SharedArrayBuffer>;
  #givenBack = false;

  private constructor(memory: SharedArrayBuffer, row: Float64Array<SharedArrayBuffer>) {
    this.memory = memory;
    this.#row = row;
  }

  /** Memory for so many threads, as they begin. */
  static newMemory(threads: number): SharedArrayBuffer {
    return new SharedArrayBuffer(threads * ROW_BYTES);
  }

  /**
   * Takes a row for this thread.
   *
   * @throws TmemError TMEM_ERR_TOO_MANY_THREADS when all are taken
   */
  static take(memory: SharedArrayBuffer): ThreadCounters {
    for (let at = 0; at < memory.byteLength; at += ROW_BYTES) {
      const row = new Float64Array(memory, at, ROW_COUNTERS);
      if (Atomics.compareExchange(takenOf(row), 0, 0, 1) === 0) return new ThreadCounters(memory, row);
    }
    throw new TmemError(
      'TMEM_ERR_TOO_MANY_THREADS',
      `an export is served by at most ${memory.byteLength / ROW_BYTES} threads, as many as its store has; ` +
        'detach it where they end, or raise threads',
    );
  }

  /** What this thread counted stays; it counts no more. Idempotent. */
  giveBack(): void {
    if (this.#givenBack) return;
    this.#givenBack = true;
    Atomics.store(takenOf(this.#row), 0, 0);
  }

  /** The sum over all threads. */
  total(): VolumeCounters {
    const all = new Float64Array(this.memory);
    const sum = (counter: number): number => {
      let counted = 0;
      for (let at = counter; at < all.length; at += ROW_COUNTERS) counted += all[at] as number;
      return counted;
    };
    return {
      reads: sum(READS),
      read_bytes: sum(READ_BYTES),
      writes: sum(WRITES),
      written_bytes: sum(WRITTEN_BYTES),
      zeroes: sum(ZEROES),
      trims: sum(TRIMS),
      flushes: sum(FLUSHES),
      refused_pages: sum(REFUSED_PAGES),
    };
  }

  get reads(): number {
    return this.#row[READS] as number;
  }

  set reads(count: number) {
    this.#row[READS] = count;
  }

  get read_bytes(): number {
    return this.#row[READ_BYTES] as number;
  }

  set read_bytes(count: number) {
    this.#row[READ_BYTES] = count;
  }

  get writes(): number {
    return this.#row[WRITES] as number;
  }

  set writes(count: number) {
    this.#row[WRITES] = count;
  }

  get written_bytes(): number {
    return this.#row[WRITTEN_BYTES] as number;
  }

  set written_bytes(count: number) {
    this.#row[WRITTEN_BYTES] = count;
  }

  get zeroes(): number {
    return this.#row[ZEROES] as number;
  }

  set zeroes(count: number) {
    this.#row[ZEROES] = count;
  }

  get trims(): number {
    return this.#row[TRIMS] as number;
  }

  set trims(count: number) {
    this.#row[TRIMS] = count;
  }

  get flushes(): number {
    return this.#row[FLUSHES] as number;
  }

  set flushes(count: number) {
    this.#row[FLUSHES] = count;
  }

  get refused_pages(): number {
    return this.#row[REFUSED_PAGES] as number;
  }

  set refused_pages(count: number) {
    this.#row[REFUSED_PAGES] = count;
  }
}

/** The word of a row that says whether a thread counts in it. */
function takenOf(row: Float64Array<SharedArrayBuffer>): Int32Array<SharedArrayBuffer> {
  return new Int32Array(row.buffer, row.byteOffset + TAKEN * Float64Array.BYTES_PER_ELEMENT, 1);
}
