import { linkSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { defaultPaths, MEMORY_MIN_BYTES, memoryFor } from '../../src/cli/read/options.ts';
import { makePlan, PlanError, withoutFiles } from '../../src/cli/read/plan.ts';
import { Scratch } from './scratch.ts';

const scratch = new Scratch();
afterAll(() => scratch[Symbol.dispose]());

test('a plan lists files by name and numbers their pages in one row', async () => {
  scratch.file('tree/b/two', 4097);
  scratch.file('tree/a', 1);
  scratch.file('tree/c', 8192);
  scratch.file('tree/empty', 0);
  const root = join(scratch.path, 'tree');
  const plan = await makePlan([root]);
  expect(plan).toEqual({
    files: [
      { path: join(root, 'a'), bytes: 1, firstPage: 0 },
      { path: join(root, 'b/two'), bytes: 4097, firstPage: 1 },
      { path: join(root, 'c'), bytes: 8192, firstPage: 3 },
    ],
    pages: 5,
    bytes: 12_290,
    skipped: { count: 0, listed: [] },
  });
});

test('a file with several names, and paths that overlap, count once', async () => {
  const once = scratch.file('links/file', 100);
  linkSync(once, join(scratch.path, 'links/hard'));
  symlinkSync(once, join(scratch.path, 'links/soft'));
  const root = join(scratch.path, 'links');
  expect((await makePlan([root, once, root])).files.map(({ path }) => path)).toEqual([once]);
});

test('symbolic links are followed if they are named, not inside a directory', async () => {
  const target = scratch.file('outside', 100);
  mkdirSync(join(scratch.path, 'only-links'));
  const link = join(scratch.path, 'only-links/link');
  symlinkSync(target, link);
  expect((await makePlan([link])).bytes).toBe(100);
  await expect(makePlan([join(scratch.path, 'only-links')])).rejects.toThrow(/nothing to read/);
});

test('a named path that does not exist or is neither file nor directory is an error that names it', async () => {
  const missing = join(scratch.path, 'missing');
  await expect(makePlan([scratch.path, missing])).rejects.toThrow(`cannot read ${missing}: ENOENT`);
  await expect(makePlan(['/dev/null'])).rejects.toThrow('cannot read /dev/null: it is neither');
});

test('an empty directory is an error', async () => {
  mkdirSync(join(scratch.path, 'empty'));
  await expect(makePlan([join(scratch.path, 'empty')])).rejects.toBeInstanceOf(PlanError);
});

test('files that turn out to be unreadable leave the plan and are counted; page numbers stay', async () => {
  scratch.file('some/a', 5000);
  scratch.file('some/b', 10);
  const plan = await makePlan([join(scratch.path, 'some')]);
  const [a, b] = plan.files;
  const rest = withoutFiles(plan, [{ path: a.path, reason: 'EIO' }]);
  expect(rest).toEqual({
    files: [{ path: b.path, bytes: 10, firstPage: 2 }],
    pages: 3,
    bytes: 10,
    skipped: { count: 1, listed: [{ path: a.path, reason: 'EIO' }] },
  });
  expect(() => withoutFiles(rest, [{ path: b.path, reason: 'EIO' }])).toThrow(
    /nothing to read.*2 could not be read/,
  );
});

test('by default the nearest node_modules and the running program are read, with a sixth of the data as memory', () => {
  mkdirSync(join(scratch.path, 'project/node_modules'), { recursive: true });
  mkdirSync(join(scratch.path, 'project/src/deep'), { recursive: true });
  expect(defaultPaths(join(scratch.path, 'project'), '/bin/node')).toEqual(['node_modules', '/bin/node']);
  const deep = join(scratch.path, 'project/src/deep');
  expect(defaultPaths(deep, '/bin/node')).toEqual(['../../node_modules', '/bin/node']);
  expect(memoryFor(600 * 2 ** 20)).toBe(100 * 2 ** 20);
  expect(memoryFor(1000)).toBe(MEMORY_MIN_BYTES);
});
