// What is unpacked: whole values without extensions, and nothing else.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { pack, unpack } from '../../../src/ramster/wire/message-pack.ts';
import { hex, joined } from './vectors.ts';

function isPlain(bytes: Uint8Array): boolean {
  try {
    unpack(bytes);
    return true;
  } catch {
    return false;
  }
}

const plainValues = fc.anything({
  maxDepth: 4,
  key: fc.string().filter((key) => key !== '__proto__'),
  values: [
    fc.string({ maxLength: 300, size: 'max' }),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    fc.uint8Array({ maxLength: 300 }),
  ],
});

test('every plain value passes; cut anywhere, or with one more byte, it does not', () => {
  fc.assert(
    fc.property(plainValues, fc.nat(), (value, place) => {
      const bytes = pack(value);
      expect(isPlain(bytes)).toBe(true);
      expect(isPlain(bytes.subarray(0, place % bytes.length))).toBe(false);
      expect(isPlain(joined([bytes, new Uint8Array(1)]))).toBe(false);
    }),
    { numRuns: 2000 },
  );
});

test.each([
  ['every length of strings', 'a161 d90161 da000161 db0000000161'],
  ['every length of bytes', 'c40161 c5000161 c60000000161'],
  ['every length of lists', '91c0 dc0001c0 dd00000001c0'],
  ['every length of maps', '81a161c0 de0001a161c0 df00000001a161c0'],
  [
    'every number',
    '00 7f e0 ff cc00 cd0000 ce00000000 cf0000000000000000 d000 d10000 d200000000 d30000000000000000',
  ],
  ['fractions', 'ca00000000 cb0000000000000000'],
  ['nil, false and true', 'c0 c2 c3'],
])('%s is plain', (_, texts) => {
  for (const text of texts.split(' ')) expect([text, isPlain(hex(text))]).toEqual([text, true]);
});

test('every extension type, at any depth, and the token that is not used are refused', () => {
  const one = { d4: 1, d5: 2, d6: 4, d7: 8, d8: 16 };
  const fixed = Object.entries(one).map(([token, length]) => `${token}01${'00'.repeat(length)}`);
  for (const text of [...fixed, 'c7010100', 'c800010100', 'c9000000010100', 'c1']) {
    for (const whole of [text, `91${text}`, `81a161${text}`, `8191${text}c0`]) {
      expect([whole, isPlain(hex(whole))]).toEqual([whole, false]);
    }
  }
});

test('lengths that a stranger makes up allocate nothing', () => {
  for (const text of ['dd7fffffff', 'df7fffffff', 'db7fffffff', 'c67fffffff', 'dc0101']) {
    expect([text, isPlain(hex(text))]).toEqual([text, false]);
  }
});
