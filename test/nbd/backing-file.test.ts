// A backing file that cannot be served is an error at start that names it, and says what is wrong.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { AreaExport, type AreaExportOptions } from '../../src/nbd/index.ts';
import { newFile, newFolder, newStore } from './bench.ts';
import type { ServerArguments } from './server-process.ts';

const MiB = 2 ** 20;
/** The user that nothing belongs to. */
const NOBODY = 65_534;

const open = (file: string, options: Partial<AreaExportOptions> = {}): Promise<AreaExport> =>
  AreaExport.open(newStore(), { name: 'one', kind: 'disk', file, ...options });

const refusal = (file: string, reason: RegExp) => ({
  code: 'TMEM_ERR_BACKING_FILE',
  message: expect.stringMatching(new RegExp(`${file}.*${reason.source}`)),
});

test.each<[string, (folder: string) => { file: string; size?: number }, RegExp]>([
  ['missing', (folder) => ({ file: join(folder, 'none') }), /is missing/],
  ['a directory', (folder) => ({ file: folder }), /is a directory/],
  ['too small', (folder) => ({ file: newFile(folder, MiB), size: MiB + 1 }), /has 1048576 bytes.* 1048577/],
  ['empty', (folder) => ({ file: newFile(folder, 0) }), /is empty/],
])('a backing file that is %s', async (_, make, reason) => {
  const { file, ...options } = make(newFolder());
  await expect(open(file, options)).rejects.toMatchObject(refusal(file, reason));
});

test('a backing file that may not be written can be served read-only', async () => {
  const folder = newFolder();
  const file = newFile(folder, MiB);
  fs.chmodSync(folder, 0o755);
  fs.chmodSync(file, 0o444);
  // The superuser may write to everything.
  const isRoot = process.geteuid?.() === 0;
  const store = newStore();
  if (isRoot) process.seteuid?.(NOBODY);
  try {
    const given: AreaExportOptions = { name: 'one', kind: 'disk', file };
    await expect(AreaExport.open(store, given)).rejects.toMatchObject(refusal(file, /may not be written/));
    const reader = await AreaExport.open(store, { ...given, readOnly: true });
    await reader.close();
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
});

test('a backing file that another process serves', async () => {
  const folder = newFolder();
  const file = newFile(folder, MiB);
  const given: ServerArguments = {
    path: join(folder, 'socket'),
    store: { memory: '8 MiB' },
    exports: [{ name: 'one', kind: 'disk', file }],
  };
  const child = fork(join(import.meta.dirname, 'server-process.ts'), [JSON.stringify(given)]);
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  await once(child, 'message');
  await expect(open(file)).rejects.toMatchObject(refusal(file, /is locked by another process/));
  child.kill('SIGKILL');
  await once(child, 'exit');
  await (await open(file)).close();
});
