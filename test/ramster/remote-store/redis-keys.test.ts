import { expect, test } from 'vitest';
import { PAGE_ID_MAX } from '../../../src/ramster/page-id.ts';
import { blockOf, fieldOf, idOf, RedisKeys, slotOf } from '../../../src/ramster/remote-store/redis-keys.ts';

const keys = new RedisKeys('c', { name: 'a', memory: 0x0a });
const tagOf = (key: string): string => /^[^{]*\{([^}]+)\}/.exec(key)?.[1] ?? '';

test('slots are those of Redis Cluster', () => {
  // 0x31c3 is the check value of CRC-16/XMODEM; the other one is what CLUSTER KEYSLOT answers.
  expect(slotOf('123456789')).toBe(0x31c3);
  expect(slotOf('foo')).toBe(12_182);
});

test('a cluster has a marker in every 256 slots, all under names of their own', () => {
  const markers = keys.markers(true);
  expect(new Set(markers).size).toBe(64);
  const parts = markers.map((key) => Math.floor(slotOf(tagOf(key)) / 256)).sort((a, b) => a - b);
  expect(parts).toEqual(Array.from({ length: 64 }, (_, part) => part));
  expect(keys.markers(false)).toHaveLength(1);
});

test('what is about a node lies in one slot, and each block in one of its own', () => {
  expect(tagOf(keys.pools)).toBe('c/a/0000000a');
  expect(tagOf(keys.blocks(7))).toBe(tagOf(keys.pools));
  expect(tagOf(keys.pages({ pool: 7, block: 3 }))).toBe('c/a/0000000a/7/3');
});

test.each([1, 63, 64, 65, 2 ** 32, 2 ** 40 + 17, PAGE_ID_MAX])(
  'page %d is found again from its block and field',
  (id) => {
    const block = blockOf({ pool: 1, id });
    expect(idOf(block, fieldOf(id))).toBe(id);
  },
);

test.each(['64', '-1', '1.5', 'x'])('a field %s is no page', (field) => {
  expect(idOf({ pool: 1, block: 1 }, field)).toBeUndefined();
});
