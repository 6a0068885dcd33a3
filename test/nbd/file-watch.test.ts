// A file that is looked at now and then.
import fs from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { FileWatch } from '../../src/nbd/file-watch.ts';
import { newFolder } from './bench.ts';

test('a file that cannot be looked at any more has changed, and nobody has to catch anything', async () => {
  const descriptor = fs.openSync(join(newFolder(), 'file'), 'w');
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  let looks = 0;
  const watch = new FileWatch(descriptor, () => {
    if (++looks === 1) throw new Error('gone, too');
  });
  vi.advanceTimersByTime(5000);
  expect(looks).toBe(0);
  fs.closeSync(descriptor);
  vi.advanceTimersByTime(1000);
  expect(looks).toBe(1);
  // Once more, since the first call failed; then it is known.
  vi.advanceTimersByTime(10_000);
  expect(looks).toBe(2);
  watch.stop();
});
