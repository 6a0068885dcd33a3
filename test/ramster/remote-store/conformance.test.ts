// The conformance suite itself: a store that keeps every promise passes, and one that breaks a promise does not.
import { describe, expect, test } from 'vitest';
import {
  type Conditions,
  type ConformanceCase,
  remoteStoreConformance,
} from '../../../src/ramster/remote-store/conformance.ts';
import { FAULTS, type Fault, memoryStoreUnderTest } from './memory-store.ts';

/** Where a fault makes a case wait for what never comes. */
const SHORT_PATIENCE_MS = 1000;

function casesWith(fault: Fault | undefined, conditions: Conditions = {}): ConformanceCase[] {
  return remoteStoreConformance(({ roomBytes }) => memoryStoreUnderTest(fault, roomBytes), conditions);
}

describe('the reference store passes', () => {
  for (const { name, run } of casesWith(undefined)) test(name, run);
});

describe('a store with a fault does not pass the case for it', () => {
  test.each(Object.entries(FAULTS) as [Fault, string][])('%s', async (fault, beginning) => {
    const found = casesWith(fault, { patienceMs: SHORT_PATIENCE_MS }).filter(({ name }) =>
      name.startsWith(beginning),
    );
    expect(found).toHaveLength(1);
    await expect(found[0]?.run()).rejects.toThrow();
  });

  test('each case has a fault that it finds', () => {
    const beginnings = Object.values(FAULTS);
    const idle = casesWith(undefined).filter(
      ({ name }) => !beginnings.some((start) => name.startsWith(start)),
    );
    expect(idle.map(({ name }) => name)).toEqual([]);
  });
});

test('cases that a store cannot show are left out, and only those', () => {
  const all = casesWith(undefined);
  const some = casesWith(undefined, { without: ['neighbour', 'silence'] });
  const left = all.filter(({ name }) => !some.some((other) => other.name === name));
  expect(left.map(({ name }) => name)).toEqual([
    expect.stringMatching(/^two owners /),
    expect.stringMatching(/^a store that falls silent /),
    expect.stringMatching(/^after a silence /),
  ]);
});

test('a case closes its store also when it fails', async () => {
  let closed = 0;
  const cases = remoteStoreConformance(async () => ({
    ...(await memoryStoreUnderTest('says it is down')),
    close: async () => void closed++,
  }));
  await expect(cases[0]?.run()).rejects.toThrow("its state is 'down'");
  expect(closed).toBe(1);
});
