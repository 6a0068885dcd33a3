/**
 * Object id: 192 bits that name an object (a file, a slice of a swap area, a key) inside a pool.
 *
 * Immutable; kept as six 32-bit words, because that is how the arena takes them without allocating.
 */

import { createHash } from 'node:crypto';
import { TmemError } from '../errors.ts';

export const OID_BYTES = 24;
const WORD_MAX = 2n ** 64n - 1n;
const LOW_32 = 0xffff_ffffn;
const HIGH = 2 ** 32;

export class Oid {
  readonly w0: number;
  readonly w1: number;
  readonly w2: number;
  readonly w3: number;
  readonly w4: number;
  readonly w5: number;

  private constructor(words: ArrayLike<number>) {
    this.w0 = words[0] >>> 0;
    this.w1 = words[1] >>> 0;
    this.w2 = words[2] >>> 0;
    this.w3 = words[3] >>> 0;
    this.w4 = words[4] >>> 0;
    this.w5 = words[5] >>> 0;
    if ((this.w0 & this.w1 & this.w2 & this.w3 & this.w4 & this.w5) >>> 0 === 0xffff_ffff) {
      throw new TmemError('TMEM_ERR_OID', 'oid: all ones is reserved for "no object"; use another value');
    }
  }

  /** From 24 bytes, little-endian words. */
  static fromBytes(bytes: Uint8Array): Oid {
    if (!(bytes instanceof Uint8Array)) {
      throw new TmemError('TMEM_ERR_TYPE', `oid: expected a Uint8Array of 24 bytes, got ${typeof bytes}`);
    }
    if (bytes.length !== OID_BYTES) {
      throw new TmemError('TMEM_ERR_OID', `oid: expected 24 bytes, got ${bytes.length}`);
    }
    const words = [0, 0, 0, 0, 0, 0];
    for (let i = 0; i < OID_BYTES; i++) words[i >>> 2] |= bytes[i] << (8 * (i & 3));
    return new Oid(words);
  }

  /** From any string, by SHA-256 cut to 24 bytes: two strings never share an oid in practice. */
  static fromString(text: string): Oid {
    if (typeof text !== 'string') {
      throw new TmemError('TMEM_ERR_TYPE', `oid: expected a string, got ${typeof text}`);
    }
    return Oid.fromBytes(createHash('sha256').update(text).digest().subarray(0, OID_BYTES));
  }

  /** From one to three 64-bit words: whole numbers from 0 to 2^53 - 1, or bigints from 0 to 2^64 - 1. */
  static fromNumbers(a: number | bigint, b: number | bigint = 0, c: number | bigint = 0): Oid {
    const words = new Uint32Array(6);
    [a, b, c].forEach((value, i) => {
      if (
        typeof value === 'bigint' ? value < 0n || value > WORD_MAX : !Number.isSafeInteger(value) || value < 0
      ) {
        throw new TmemError(
          'TMEM_ERR_OID',
          `oid: got ${String(value)}, allowed are whole numbers from 0 to 2^53 - 1, or bigints from 0 to 2^64 - 1`,
        );
      }
      words[2 * i] = typeof value === 'bigint' ? Number(value & LOW_32) : value % HIGH;
      words[2 * i + 1] = typeof value === 'bigint' ? Number(value >> 32n) : Math.floor(value / HIGH);
    });
    return new Oid(words);
  }

  /** From the six words themselves, low word first. */
  static fromWords(words: ArrayLike<number>): Oid {
    return new Oid(words);
  }

  toBytes(): Uint8Array {
    const bytes = new Uint8Array(OID_BYTES);
    const view = new DataView(bytes.buffer);
    const words = [this.w0, this.w1, this.w2, this.w3, this.w4, this.w5];
    for (const [i, word] of words.entries()) view.setUint32(4 * i, word, true);
    return bytes;
  }

  equals(other: Oid): boolean {
    return (
      this.w0 === other.w0 &&
      this.w1 === other.w1 &&
      this.w2 === other.w2 &&
      this.w3 === other.w3 &&
      this.w4 === other.w4 &&
      this.w5 === other.w5
    );
  }

  /** 48 hexadecimal digits. */
  toString(): string {
    return Buffer.from(this.toBytes()).toString('hex');
  }
}
