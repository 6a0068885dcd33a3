// The parts a guest is made of that can be looked at without one.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { comparisonTable } from '../../guest/comparison.ts';
import { cpioArchive } from '../../guest/machine/cpio.ts';
import { parseReport } from '../../guest/machine/guest.ts';

test('reports are found on the serial line, whatever the kernel printed before them', () => {
  expect(parseReport('@guest pages_out 17\r')).toEqual({ key: 'pages_out', value: '17' });
  expect(parseReport('[    1.2] some driver@guest end swapon failed')).toEqual({
    ...{ key: 'end', value: 'swapon failed' },
  });
  expect(parseReport('@guest end')).toEqual({ key: 'end', value: '' });
  expect(parseReport('[    1.2] Linux version')).toBeUndefined();
});

test('an archive is what cpio unpacks: folders, files with their times, links', (context) => {
  const unpack = ['cpio', 'busybox'].find((name) => spawnSync(name, ['--help']).status === 0);
  if (unpack === undefined) context.skip('neither cpio nor busybox is installed');
  const folder = mkdtempSync(join(tmpdir(), 'guest-cpio-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const content = Buffer.from('five!');
  const archive = cpioArchive([
    { path: '/a/b/file', content, mode: 0o640, modifiedAtS: 1_000_000_000 },
    { path: 'a/empty', content: Buffer.alloc(0) },
    { path: 'a/link', target: 'b/file' },
  ]);
  const args = ['-i', '-d', '-m'];
  execFileSync(unpack!, unpack === 'busybox' ? ['cpio', ...args] : args, {
    ...{ cwd: folder, input: archive, stdio: ['pipe', 'ignore', 'ignore'] },
  });
  expect(readFileSync(join(folder, 'a/b/file'), 'utf8')).toBe('five!');
  expect(statSync(join(folder, 'a/b/file'))).toMatchObject({ mode: 0o100640, mtimeMs: 1_000_000_000_000 });
  expect(statSync(join(folder, 'a/empty')).size).toBe(0);
  expect(readlinkSync(join(folder, 'a/link'))).toBe('b/file');
});

test('a comparison shows medians, and times against the first device', () => {
  const result = (seconds: number) => ({
    ...{ seconds, hogSeconds: seconds / 2, programsSeconds: 1, pagesOut: 10, pagesIn: 20, stats: {} },
  });
  const table = comparisonTable({ tmem: [result(9), result(10), result(30)], zram: [result(20)] });
  expect(table.map((line) => line.split(/\s{2,}/))).toEqual([
    ['device', 'rounds', 'seconds', 'hog', 'programs', 'pages out', 'pages in', 'ratio'],
    ['tmem', '3', '10.0', '5.0', '1.0', '10', '20', '1.00'],
    ['zram', '1', '20.0', '10.0', '1.0', '10', '20', '0.50'],
  ]);
});
