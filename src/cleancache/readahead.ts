/**
 * Readahead of one reader: after the second read in a row that goes on where the last one ended, the source is
 * read in larger pieces than were asked for, and the next reads are answered from memory.
 *
 *   buffer (borrowed):  |--------- one read of the source, page-aligned ---------|
 *                        answered already ^ next read
 *
 * What was read is tied to the state of the source that was seen before: once another state is seen, it is dropped.
 */

import type { SourceIdentity } from './page-source.ts';
import { SourceRead } from './source-read.ts';

const PAGE_BYTES = 4096;

/** Largest piece. Beyond it a read of the source costs as much a byte as it ever will. */
export const READAHEAD_BYTES_MAX = 256 * 1024;

/**
 * Requests from this size on are read as they are: copying them costs more than the reads of the source that a larger
 * piece saves.
 */
const DIRECT_BYTES_MIN = 128 * 1024;

/** Buffers lent out at one time in a thread: 8 MiB. A reader that gets none reads without readahead. */
const BUFFERS_MAX = 32;

/** The buffers of a thread, used again and again. */
export class ReadaheadBuffers {
  readonly #free: Uint8Array[] = [];
  #lent = 0;

  borrow(): Uint8Array | undefined {
    if (this.#lent === BUFFERS_MAX) return undefined;
    this.#lent++;
    return this.#free.pop() ?? new Uint8Array(READAHEAD_BYTES_MAX);
  }

  giveBack(buffer: Uint8Array): void {
    this.#lent--;
    this.#free.push(buffer);
  }
}

export class Readahead {
  readonly #buffers: ReadaheadBuffers;
  readonly #bytesMax: number;
  #buffer: Uint8Array | undefined;
  #filling = false;
  #windowBytes = 0;
  #read: SourceRead | undefined;
  #identity: SourceIdentity | undefined;

  /** `bytesMax`: largest piece, 0 for no readahead. */
  constructor(buffers: ReadaheadBuffers, bytesMax: number) {
    this.#buffers = buffers;
    this.#bytesMax = bytesMax;
  }

  /** What was read before, if it has all bytes from `start` to `end`. */
  find(identity: SourceIdentity, start: number, end: number): SourceRead | undefined {
    const read = this.#read;
    if (read === undefined || this.#identity !== identity) return undefined;
    return read.start <= start && read.start + read.bytes >= end ? read : undefined;
  }

  /**
   * A larger read for the bytes from `start` to `end`, to be run and then given to `keep`; undefined if they should
   * be read as they are.
   */
  plan(identity: SourceIdentity, start: number, end: number): SourceRead | undefined {
    if (this.#filling || end - start >= Math.min(this.#bytesMax, DIRECT_BYTES_MIN)) return undefined;
    this.#windowBytes = Math.min(this.#bytesMax, Math.max(2 * this.#windowBytes, 4 * (end - start)));
    const from = start - (start % PAGE_BYTES);
    const to = Math.min(identity.size, from + wholePages(this.#windowBytes));
    // A window that only just covers the request, or a source that ends with it: nothing to gain.
    if (to <= end) return undefined;
    this.#buffer ??= this.#buffers.borrow();
    if (this.#buffer === undefined) return undefined;
    this.#filling = true;
    this.#read = undefined;
    return new SourceRead(from, [this.#buffer.subarray(0, to - from)]);
  }

  /** What `plan` asked for has been read (or not: then `read.bytes` is 0). */
  keep(identity: SourceIdentity, read: SourceRead): void {
    this.#filling = false;
    this.#read = read;
    this.#identity = identity;
  }

  /** The reader jumped, or is done: the next sequence starts small, and the buffer is free for others. */
  reset(): void {
    if (this.#filling) return;
    this.#windowBytes = 0;
    this.#read = undefined;
    this.#identity = undefined;
    if (this.#buffer !== undefined) this.#buffers.giveBack(this.#buffer);
    this.#buffer = undefined;
  }
}

function wholePages(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}
