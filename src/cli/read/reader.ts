/**
 * Who answers a request: the two contenders of the job, behind one interface.
 */

import { type FileHandle, open } from 'node:fs/promises';
import { readFully } from './checksums.ts';
import { Handles } from './handles.ts';
import { ByteLru } from './lru.ts';
import { type PlannedFile, pagesOf } from './plan.ts';
import { REQUEST_BYTES } from './sequence.ts';
import type { Tally } from './tally.ts';

/** Where pages came from, since the reader was made. */
export type Levels = Pick<Tally, 'hotPages' | 'compressedPages' | 'sourcePages' | 'sourceBytes'>;

export interface Reader {
  /** The bytes at `position`, fewer than `length` at the end of the file. Valid until the next call. */
  read(file: PlannedFile, position: number, length: number): Promise<Uint8Array>;
  levels(): Levels;
  close(): Promise<void>;
}

/** A plain LRU of Buffers, one request an entry. A hit does not even need the file to be open. */
export class LruReader implements Reader {
  readonly #lru: ByteLru;
  readonly #handles: Handles<FileHandle>;
  readonly #levels: Levels = { hotPages: 0, compressedPages: 0, sourcePages: 0, sourceBytes: 0 };

  constructor(bytesMax: number, handlesMax: number) {
    this.#lru = new ByteLru(bytesMax);
    this.#handles = new Handles(open, handlesMax);
  }

  async read(file: PlannedFile, position: number, length: number): Promise<Uint8Array> {
    // Requests start at multiples of REQUEST_BYTES, and no file begins in the middle of another's pages.
    const key = file.firstPage + position / REQUEST_BYTES;
    const held = this.#lru.get(key);
    if (held !== undefined) {
      this.#levels.hotPages += pagesOf(held.length);
      return held;
    }
    const handle = await this.#handles.of(file.path);
    // Not from the pool of small Buffers: a held slice would keep its whole slab alive.
    const bytes = Buffer.allocUnsafeSlow(length);
    const filled = await readFully(handle, bytes, position);
    const value = filled === length ? bytes : bytes.subarray(0, filled);
    this.#levels.sourcePages += pagesOf(filled);
    this.#levels.sourceBytes += filled;
    this.#lru.set(key, value);
    return value;
  }

  levels(): Levels {
    return this.#levels;
  }

  async close(): Promise<void> {
    await this.#handles.close();
  }
}
