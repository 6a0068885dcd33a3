import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { firstPass, matches, secondLook } from '../../src/cli/read/checksums.ts';
import { makePlan } from '../../src/cli/read/plan.ts';
import { Scratch } from './scratch.ts';

const scratch = new Scratch();
afterAll(() => scratch[Symbol.dispose]());

test('a wrong byte anywhere in any page is noticed, the right bytes pass', async () => {
  scratch.file('sums/a', 3 * 4096 + 5);
  scratch.file('sums/b', 2 * 2 ** 20 + 1);
  const plan = await makePlan([join(scratch.path, 'sums')]);
  const seen: number[] = [];
  const { sums, unreadable } = await firstPass(plan, (done) => seen.push(done));
  expect(unreadable).toEqual([]);
  expect(seen.at(-1)).toBe(plan.bytes);
  for (const file of plan.files) {
    const content = readFileSync(file.path);
    for (const position of [0, 4096, Math.floor(file.bytes / 4096) * 4096]) {
      const bytes = Buffer.from(content.subarray(position, position + 16_384));
      expect(matches(sums, file, position, bytes)).toBe(true);
      for (const at of [0, bytes.length >> 1, bytes.length - 1]) {
        bytes[at] ^= 0x10;
        expect(matches(sums, file, position, bytes)).toBe(false);
        bytes[at] ^= 0x10;
      }
    }
  }
});

test('files that vanished or became shorter before the first pass are reported with the reason', async () => {
  const gone = scratch.file('pass/gone', 100);
  const short = scratch.file('pass/short', 10_000);
  scratch.file('pass/whole', 100);
  const plan = await makePlan([join(scratch.path, 'pass')]);
  rmSync(gone);
  truncateSync(short, 5000);
  const { unreadable } = await firstPass(plan, () => {});
  expect(unreadable).toEqual([
    { path: gone, reason: 'ENOENT' },
    { path: short, reason: 'became shorter while it was read' },
  ]);
});

test('a second look tells a file that changed from bytes that are wrong', async () => {
  const path = scratch.file('look', 8192);
  writeFileSync(path, Buffer.alloc(6000, 7));
  expect(await secondLook(path, 4096, Buffer.alloc(1904, 7), 4096)).toBe('changed');
  expect(await secondLook(path, 4096, Buffer.alloc(4096, 7), 4096)).toBe('wrong');
  expect(await secondLook(path, 0, Buffer.alloc(4096, 8), 4096)).toBe('wrong');
});
