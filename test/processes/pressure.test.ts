// Memory pressure from a control group's limit, in a small size; the benchmark `processes` does the same with 1 GiB.

import { expect, test } from 'vitest';
import { pressureScene } from '../../bench/processes/pressure-scene.ts';
import { MemoryGroup } from '../../bench/support/memory-group.ts';

const MIB = 2 ** 20;
const LIMIT_BYTES = 448 * MIB;
const HOG_BYTES = 224 * MIB;
/** Slow: the margin that the shrinker keeps (64 MiB) then lasts for a second of a busy machine. */
const HOG_BYTES_A_SECOND = 64 * MIB;

test('a full store gives way to a control group before the kernel kills, and keeps persistent pages', async ({
  skip,
}) => {
  const group = MemoryGroup.create(LIMIT_BYTES);
  if (typeof group === 'string') {
    // Where this may be left out, it is said; as root in CI it may not.
    expect(process.env.CI !== undefined && process.getuid?.() === 0, group).toBe(false);
    skip(group);
    return;
  }
  await using _removed = group;
  const outcome = await pressureScene(group, {
    memoryBytes: 256 * MIB,
    persistentPages: 8192,
    hogBytes: HOG_BYTES,
    hogBytesASecond: HOG_BYTES_A_SECOND,
    shrinks: true,
  });
  expect(outcome.fullBytes + HOG_BYTES, 'there is not room for both').toBeGreaterThan(LIMIT_BYTES);
  expect(outcome.kills).toBe(0);
  expect(outcome.leftBytes + HOG_BYTES, 'there is room for both').toBeLessThan(LIMIT_BYTES);
  expect(outcome.endBytes).toBeLessThan(LIMIT_BYTES);
  expect(outcome.persistent.stored).toBeGreaterThan(0);
  expect(outcome.persistent.lost).toBe(0);
});
