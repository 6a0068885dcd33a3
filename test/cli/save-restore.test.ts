import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { Oid, open } from '../../src/zcache/index.ts';
import { Scratch } from './scratch.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

const scratch = new Scratch();
const directory = mkdtempSync('/dev/shm/tmem-cli-');
afterAll(() => {
  scratch[Symbol.dispose]();
  rmSync(directory, { recursive: true, force: true });
});

function tmem(...args: string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [MAIN, ...args, '--directory', directory], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  });
}

test('tmem save and tmem restore carry a store over, in two lines a person can read', () => {
  const file = join(scratch.path, 'web.tmem');
  {
    using store = open({ name: 'web', directory, memory: '16 MiB' });
    const client = store.client('app');
    const [kept, cache] = (['persistent', 'ephemeral'] as const).map((kind) => client.pool(kind, { kind }));
    for (let i = 0; i < 20; i++) kept.put(Oid.fromNumbers(1), i, Buffer.alloc(4096, i));
    for (let i = 0; i < 30; i++) cache.put(Oid.fromNumbers(1), i, Buffer.alloc(4096, i));
  }
  expect(tmem('save', 'web', file)).toMatchObject({
    ...{ status: 0, stderr: '' },
    stdout: expect.stringMatching(
      /^saved web: 20 pages \(80 KiB\) in 2 pools of 1 clients, .*web\.tmem has .*B\n$/,
    ),
  });
  const saved = tmem('save', 'web', file, '--ephemeral', '--json');
  expect(JSON.parse(saved.stdout)).toMatchObject({
    name: 'web',
    path: file,
    clients: 1,
    pools: 2,
    pages: 50,
  });
  expect(tmem('restore', file, 'copy', '--memory', '12 MiB')).toMatchObject({
    ...{ status: 0, stderr: '' },
    stdout: 'restored copy (12 MiB): 50 pages in 2 pools of 1 clients\n',
  });
  using copy = open({ name: 'copy', directory });
  expect(copy.client('app').pool('persistent', { kind: 'persistent' }).pages).toBe(20);
});

test('failures are one line, exit status 1, and leave nothing', () => {
  const bad = join(scratch.path, 'bad.tmem');
  writeFileSync(bad, 'something else');
  const before = readdirSync(directory);
  for (const [args, message] of [
    [['save', 'none', join(scratch.path, 'none.tmem')], /^tmem save: .*none/],
    [['restore', bad, 'bad'], /^tmem restore: .*no file that tmem save wrote/],
    [['restore', join(scratch.path, 'missing')], /^tmem restore: ENOENT/],
    [['restore', bad, 'bad', '--memory', '1 MiB'], /^tmem restore: .*at least 8 MiB/],
  ] as const) {
    const { status, stdout, stderr } = tmem(...args);
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd()).not.toContain('\n');
  }
  expect(readdirSync(directory)).toEqual(before);
  expect(existsSync(join(scratch.path, 'none.tmem'))).toBe(false);
  expect(readFileSync(bad, 'utf8')).toBe('something else');
});
