import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { prepare } from '../../src/cli/read/prepare.ts';
import { Progress } from '../../src/cli/read/progress.ts';
import { Scratch } from './scratch.ts';

const scratch = new Scratch();
// What the tests make is for everyone to read, unless they say otherwise.
process.umask(0o022);
const forbidden: string[] = [];
afterAll(() => {
  for (const path of forbidden) chmodSync(path, 0o700);
  scratch[Symbol.dispose]();
});

/** Takes all rights from `path`, until the tests are over. */
function forbid(path: string): void {
  forbidden.push(path);
  chmodSync(path, 0);
}
const silent = new Progress({ write: () => {} }, {}, () => 0);
const never = new AbortController().signal;

/** The user nobody, whom permissions bind. */
const NOBODY = 65_534;

/** Runs `call` as a user whom permissions bind: the super-user reads everything. */
async function bound<Result>(call: () => Promise<Result>): Promise<Result> {
  if (process.geteuid?.() !== 0) return await call();
  chmodSync(scratch.path, 0o755);
  process.seteuid?.(NOBODY);
  try {
    return await call();
  } finally {
    process.seteuid?.(0);
  }
}

test('unreadable files and directories inside a directory are skipped and counted', async () => {
  const open = scratch.file('guarded/open', 500);
  const secret = scratch.file('guarded/secret', 500);
  const closed = join(scratch.path, 'guarded/closed');
  mkdirSync(closed);
  forbid(secret);
  forbid(closed);
  const { plan } = await bound(() => prepare([join(scratch.path, 'guarded')], silent, never));
  expect(plan.files.map(({ path }) => path)).toEqual([open]);
  expect(plan.bytes).toBe(500);
  expect(plan.skipped).toEqual({
    count: 2,
    listed: [
      { path: closed, reason: 'EACCES' },
      { path: secret, reason: 'EACCES' },
    ],
  });
});

test('an unreadable file or directory that was named is an error that names it', async () => {
  scratch.file('named/open', 500);
  const secret = scratch.file('named/secret', 500);
  const closed = join(scratch.path, 'named/closed');
  mkdirSync(closed);
  forbid(secret);
  forbid(closed);
  for (const path of [secret, closed]) {
    const attempt = bound(() => prepare([join(scratch.path, 'named'), path], silent, never));
    await expect(attempt).rejects.toThrow(`cannot read ${path}: EACCES`);
  }
});

test('it can be interrupted', async () => {
  const path = scratch.file('long', 500);
  await expect(prepare([path], silent, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
});
