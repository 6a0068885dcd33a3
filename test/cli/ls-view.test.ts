import { expect, test } from 'vitest';
import { checkView } from '../../src/cli/check/view.ts';
import { listView } from '../../src/cli/ls/view.ts';
import { render } from '../../src/cli/text/line.ts';
import type { NamedStore } from '../../src/zcache/index.ts';
import { storeFile } from './snapshots.ts';

const CREATED_MS = storeFile().createdMs;
const shown = (files: readonly NamedStore[], columns = 100) =>
  listView(files, '/dev/shm', CREATED_MS + 3_600_000, columns).map((line) => render(line, columns, false));

test('stores are listed with what is known of them', () => {
  const files = [
    storeFile(),
    storeFile({ name: 'old', state: 'other-layout', residentBytes: 4096 }),
    storeFile({ name: 'torn\u001b[2J', state: 'damaged', residentBytes: 0 }),
    storeFile({ name: 'root', state: 'not-ours', residentBytes: 2 ** 30 }),
  ];
  expect(shown(files)).toEqual([
    'name      state          memory  resident  threads           made',
    'web       ready         256 MiB   180 MiB  2 of 64  1 h 0 min ago',
    'old       other layout  256 MiB     4 KiB        -              -',
    'torn?[2J  damaged       256 MiB       0 B        -              -',
    'root      not ours      256 MiB     1 GiB        -              -',
  ]);
  expect(shown(files, 32)[1]).toBe('web       ready         256 MiB');
});

test('a directory without stores is said to have none', () => {
  expect(shown([])).toEqual(['no stores in /dev/shm']);
});

test('the verdict of a check comes first, then each finding on a line of its own', () => {
  const report = {
    sound: false,
    findings: ['frame 17 is\nnowhere', 'page 3 is twice'],
    frames: 65_536,
    pages: 12,
    remotePages: 0,
  };
  const text = (sound: boolean, findings: string[]) =>
    checkView('web', { ...report, sound, findings }).map((line) => render(line, 100, false));
  expect(text(true, [])).toEqual(['web: sound; 12 pages in 65.5k frames were looked at']);
  const away = checkView('web', { ...report, sound: true, findings: [], remotePages: 3 });
  expect(away.map((line) => render(line, 100, false))).toEqual([
    'web: sound; 12 pages in 65.5k frames were looked at, 3 pages are with peers',
  ]);
  expect(text(false, report.findings)).toEqual([
    'web: damaged; 12 pages in 65.5k frames were looked at',
    '  frame 17 is?nowhere',
    '  page 3 is twice',
  ]);
});
