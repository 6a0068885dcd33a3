// A file system on a disk export whose server and guest are killed in the middle of their work.
import { expect, test } from 'vitest';
import { cutPower, POWER_CUT_PROGRAMS } from '../../guest/workloads/power-cut.ts';
import { needGuest } from './needs.ts';

/** On a loaded machine; a quiet one takes a tenth of it. */
const PATIENCE_MS = 300_000;
const BOOT_SECONDS = 120;

test.for<[string, boolean]>([
  ['the store is lost with the server', false],
  ['the store is a named one and kept', true],
])(
  'ext4 is clean and what was flushed is intact after power cuts, when %s',
  { timeout: PATIENCE_MS },
  async ([, keepStore], context) => {
    needGuest(context, POWER_CUT_PROGRAMS);
    const flushedBefore = keepStore ? [15] : [12, 10];
    const { files, checks } = await cutPower({ flushedBefore, keepStore, bootSeconds: BOOT_SECONDS });
    expect(files).toBe(flushedBefore.reduce((sum, count) => sum + count));
    expect(checks).toBe(flushedBefore.length + 1);
  },
);
