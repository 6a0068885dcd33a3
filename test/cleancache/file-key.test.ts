// The key of one state of a file.
import type { BigIntStats } from 'node:fs';
import { expect, test } from 'vitest';
import { fileKey } from '../../src/cleancache/file-key.ts';

const state = { dev: 1n, ino: 2n, size: 3n, mtimeNs: 4n, ctimeNs: 5n };
const keyOf = (change = {}) => fileKey({ ...state, ...change } as BigIntStats);

test('a key is the same for the same state, and another if anything differs, in any half of its 64 bits', () => {
  const before = keyOf();
  for (const field of Object.keys(state) as (keyof typeof state)[]) {
    for (const bit of [5n, 40n]) {
      const changed = keyOf({ [field]: state[field] + (1n << bit) });
      expect(changed.equals(before)).toBe(false);
    }
  }
  expect(keyOf().equals(before)).toBe(true);
});
