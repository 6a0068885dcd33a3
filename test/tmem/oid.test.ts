// Oid: the same value from bytes, numbers and words; the reserved one is refused.

import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Oid } from '../../src/index.ts';
import { expectCode } from './operations.ts';

const anyBytes = fc
  .uint8Array({ minLength: 24, maxLength: 24 })
  .filter((bytes) => bytes.some((byte) => byte !== 255));

describe('Oid', () => {
  test('keeps its 24 bytes, whatever they are', () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        const oid = Oid.fromBytes(bytes);
        expect([...oid.toBytes()]).toEqual([...bytes]);
        expect(oid.toString()).toBe(Buffer.from(bytes).toString('hex'));
        expect(oid.equals(Oid.fromBytes(oid.toBytes()))).toBe(true);
        expect(oid.equals(Oid.fromWords([oid.w0, oid.w1, oid.w2, oid.w3, oid.w4, oid.w5]))).toBe(true);
      }),
    );
  });

  test('of numbers is that of the same bigints, little-endian', () => {
    const number = fc.maxSafeNat();
    fc.assert(
      fc.property(number, number, number, (a, b, c) => {
        const oid = Oid.fromNumbers(a, b, c);
        expect(oid.equals(Oid.fromNumbers(BigInt(a), BigInt(b), BigInt(c)))).toBe(true);
        const view = new DataView(oid.toBytes().buffer);
        expect([0, 8, 16].map((at) => view.getBigUint64(at, true))).toEqual([a, b, c].map(BigInt));
      }),
    );
    expect(Oid.fromNumbers(5).equals(Oid.fromNumbers(5, 0, 0))).toBe(true);
    expect(Oid.fromNumbers(2n ** 64n - 1n).toString()).toBe('f'.repeat(16) + '0'.repeat(32));
  });

  test('of a string is its SHA-256 cut to 24 bytes', () => {
    const digest = createHash('sha256').update('key ü').digest();
    expect(Buffer.compare(Oid.fromString('key ü').toBytes(), digest.subarray(0, 24))).toBe(0);
    expect(Oid.fromString('').equals(Oid.fromString(' '))).toBe(false);
  });

  test('of all ones is refused', () => {
    const ones = 2n ** 64n - 1n;
    expectCode('TMEM_ERR_OID', () => Oid.fromBytes(new Uint8Array(24).fill(255)));
    expectCode('TMEM_ERR_OID', () => Oid.fromNumbers(ones, ones, ones));
    expect(Oid.fromNumbers(ones, ones, ones - 1n).toString()).toBe(`${'f'.repeat(32)}feffffffffffffff`);
  });

  test('of something else is refused', () => {
    for (const bytes of [new Uint8Array(23), new Uint8Array(25), new Uint8Array(0)]) {
      expectCode('TMEM_ERR_OID', () => Oid.fromBytes(bytes));
    }
    expectCode('TMEM_ERR_TYPE', () => Oid.fromBytes('x'.repeat(24) as never));
    expectCode('TMEM_ERR_TYPE', () => Oid.fromString(5 as never));
    for (const number of [-1, 0.5, 2 ** 53, Number.NaN, -1n, 2n ** 64n, '1', null]) {
      expectCode('TMEM_ERR_OID', () => Oid.fromNumbers(number as never));
      expectCode('TMEM_ERR_OID', () => Oid.fromNumbers(0, number as never));
    }
  });
});
