// Counters of an export, of all threads that serve it.
import { expect, test } from 'vitest';
import { ThreadCounters } from '../../src/nbd/volume-counters.ts';

const none = {
  ...{ reads: 0, read_bytes: 0, writes: 0, written_bytes: 0 },
  ...{ zeroes: 0, trims: 0, flushes: 0, refused_pages: 0 },
};

test('every counter of every thread is in the sum', () => {
  const memory = ThreadCounters.newMemory(3);
  const threads = [0, 1, 2].map(() => ThreadCounters.take(memory));
  expect(threads[0]!.total()).toEqual(none);
  threads.forEach((counters, thread) => {
    Object.keys(none).forEach((name, i) => {
      counters[name as keyof typeof none] += 10 ** thread * (i + 1);
    });
  });
  const sums = Object.keys(none).map((name, i) => [name, 111 * (i + 1)]);
  for (const counters of threads) expect(counters.total()).toEqual(Object.fromEntries(sums));
});

test('what a thread counted stays when it has gone, and its row is for one other', () => {
  const memory = ThreadCounters.newMemory(2);
  const first = ThreadCounters.take(memory);
  const second = ThreadCounters.take(memory);
  second.writes = 5;
  expect(() => ThreadCounters.take(memory)).toThrow(
    expect.objectContaining({ code: 'TMEM_ERR_TOO_MANY_THREADS' }),
  );
  second.giveBack();
  expect(first.total().writes).toBe(5);
  const third = ThreadCounters.take(memory);
  second.giveBack();
  expect(() => ThreadCounters.take(memory)).toThrow(/at most 2 threads/);
  third.writes++;
  expect(first.total().writes).toBe(6);
});
