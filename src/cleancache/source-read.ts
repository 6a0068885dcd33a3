/**
 * One read of a source under way, and those who wait for the same bytes.
 *
 *   position  |---- pad ----|-------- caller's buffer --------|-- pad --|
 *             pieces[0]      pieces[1]                         pieces[2]
 *
 * The bytes land in one or several pieces of memory that follow each other in the source. Whoever needs bytes that
 * lie wholly inside a read under way waits for it instead of reading them again, and gets its copy at the moment
 * the read ends, before anyone can touch those pieces again.
 */

import type { Oid } from '../zcache/index.ts';

/** Reads under way that others may join, in one thread. More run as well, unshared. Few enough to go through all. */
const SHARED_READS_MAX = 64;

/** Who may wait for one read. More read for themselves. */
const WAITERS_MAX = 64;

export class SourceRead {
  readonly start: number;
  readonly end: number;
  readonly pieces: readonly Uint8Array[];
  /** Bytes that came, once the read has ended. */
  bytes = 0;
  readonly #waiters: (() => void)[] = [];

  constructor(start: number, pieces: readonly Uint8Array[]) {
    let length = 0;
    for (const piece of pieces) length += piece.length;
    this.start = start;
    this.end = start + length;
    this.pieces = pieces;
  }

  /** Copies what is there from `position` on into `out`; how many bytes that was. */
  copy(position: number, out: Uint8Array): number {
    const end = Math.min(this.start + this.bytes, position + out.length);
    let pieceStart = this.start;
    for (const piece of this.pieces) {
      const from = Math.max(position, pieceStart);
      const to = Math.min(end, pieceStart + piece.length);
      if (from < to) out.set(piece.subarray(from - pieceStart, to - pieceStart), from - position);
      pieceStart += piece.length;
    }
    return Math.max(0, end - position);
  }

  /** The bytes from `position` on, `length` of them: a view if they lie in one piece, else a copy in `scratch`. */
  view(position: number, length: number, scratch: Uint8Array): Uint8Array {
    let pieceStart = this.start;
    for (const piece of this.pieces) {
      const from = position - pieceStart;
      if (from >= 0 && from + length <= piece.length) return piece.subarray(from, from + length);
      pieceStart += piece.length;
    }
    const bytes = scratch.subarray(0, length);
    this.copy(position, bytes);
    return bytes;
  }

  get joinable(): boolean {
    return this.#waiters.length < WAITERS_MAX;
  }

  /** Bytes copied to `out` when the read ends: 0 if it failed. */
  join(position: number, out: Uint8Array): Promise<number> {
    return new Promise((resolve) => {
      this.#waiters.push(() => resolve(this.copy(position, out)));
    });
  }

  /** Ends the read: everyone who waits gets a copy, now. */
  finish(bytes: number): void {
    this.bytes = bytes;
    for (const give of this.#waiters) give();
  }
}

/** A read that others may join, and the state of the source it reads. */
interface ListedRead {
  readonly key: Oid;
  readonly read: SourceRead;
}

/** The reads of a thread that are under way. */
export class SourceReads {
  readonly #underWay: ListedRead[] = [];

  /** A read under way that will have all bytes from `start` to `end`. */
  find(key: Oid, start: number, end: number): SourceRead | undefined {
    for (const { key: ofRead, read } of this.#underWay) {
      if (read.start <= start && read.end >= end && read.joinable && ofRead.equals(key)) return read;
    }
    return undefined;
  }

  /** Lets others join `read` until `remove`; false if too many are under way, then nobody can. */
  add(key: Oid, read: SourceRead): boolean {
    if (this.#underWay.length === SHARED_READS_MAX) return false;
    this.#underWay.push({ key, read });
    return true;
  }

  remove(read: SourceRead): void {
    const place = this.#underWay.findIndex((listed) => listed.read === read);
    const last = this.#underWay.pop()!;
    if (place < this.#underWay.length) this.#underWay[place] = last;
  }
}
