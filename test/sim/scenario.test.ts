// Scenarios of RAMster in the simulator: the same seed is the same run, and no run breaks a promise.
import { describe, expect, test } from 'vitest';
import { cluster } from '../../sim/ramster.ts';
import { runScale } from '../../sim/scale.ts';
import { isGood } from '../../sim/scenario.ts';
import { small } from './scenarios.ts';

test('a seed replays exactly, and another one is another run', async () => {
  const first = await small(11);
  expect(await small(11)).toEqual(first);
  expect((await small(12)).trace).not.toBe(first.trace);
});

test('what is printed does not change the run', async () => {
  const lines: string[] = [];
  const printed = await small(13, { print: (line) => lines.push(line) });
  expect(printed.trace).toBe((await small(13)).trace);
  expect(lines.length).toBeGreaterThan(printed.operations);
});

describe('nothing is stale, lost, left behind or waited for without end', () => {
  test.each(Array.from({ length: 12 }, (_, i) => 100 + i))('in a small cluster (seed %i)', async (seed) => {
    const result = await small(seed);
    expect(result.findings).toEqual([]);
    expect(isGood(result)).toBe(true);
  });

  test.each([1, 2])('among 50 nodes (seed %i)', async (seed) => {
    const result = await small(seed, { nodes: 50, steps: 3000 });
    expect(result.findings).toEqual([]);
    // There was something to be done right.
    expect(result.remotified).toBeGreaterThan(0);
    expect(result.fetches).toBeGreaterThan(0);
    expect(result.faults).toBeGreaterThan(0);
  });
});

// A get's patience began anew with every change of a version that its handle shares with others.
test('a get waits no longer when its neighbours change (seed 5045)', async () => {
  const result = await small(5045, { steps: 2000 });
  expect(result.findings).toEqual([]);
});

// Peers that had given this owner all they give were asked again and again, while others had room.
test('a page that is short of copies comes home or finds another peer (seed 10001)', async () => {
  const result = await small(10_001, { nodes: 50, steps: 5000 });
  expect(result.findings).toEqual([]);
  expect(result.short_at_end).toBe(0);
});

test('what a quiet node sends, and how soon a dead one is found, does not grow with the cluster', async () => {
  const scale = (nodes: number) => runScale({ seed: 1, nodes, ...cluster() });
  const few = await scale(10);
  const many = await scale(100);
  expect(many.frames_per_second).toBeLessThanOrEqual(few.frames_per_second * 1.5);
  for (const { watchers, detection_ms, unbounded_waits, errors } of [few, many]) {
    expect(watchers).toBeGreaterThan(0);
    expect(detection_ms).toBeGreaterThan(0);
    expect(detection_ms).toBeLessThanOrEqual(cluster().bounds.detectionMs);
    expect(unbounded_waits + errors).toBe(0);
  }
});
