/** Reads numbers and text from the records of a block, little-endian; never past their end. */

import { refused } from './format.ts';

export class Cursor {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** The next `length` bytes, in place. */
  take(length: number): Buffer {
    if (length > this.left) throw refused(`a record is cut off: ${length} bytes expected, ${this.left} left`);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  u8(): number {
    return this.take(1).readUInt8();
  }

  u16(): number {
    return this.take(2).readUInt16LE();
  }

  u32(): number {
    return this.take(4).readUInt32LE();
  }

  /** A u64 that a number can hold exactly. */
  u64(): number {
    const value = this.take(8).readBigUInt64LE();
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw refused(`a number of ${value} is impossible`);
    return Number(value);
  }

  /** UTF-8 text; bytes that are none make it refused. */
  text(length: number): string {
    const bytes = this.take(length);
    const text = bytes.toString('utf8');
    if (Buffer.compare(Buffer.from(text, 'utf8'), bytes) !== 0) throw refused('a text is not UTF-8');
    return text;
  }
}
