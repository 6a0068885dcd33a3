import { stripVTControlCharacters } from 'node:util';
import { expect, test } from 'vitest';
import { Progress, runParts } from '../../src/cli/read/progress.ts';
import { emptyTally, hitRatio, sumTallies } from '../../src/cli/read/tally.ts';
import type { Output } from '../../src/cli/terminal.ts';

const ERASE = '\r\u001b[K';

function fake(more: Partial<Output>, env: Record<string, string> = {}) {
  const written: string[] = [];
  const clock = { now: 0 };
  const out: Output = { write: (text: string) => written.push(text), ...more };
  return { written, clock, progress: new Progress(out, env, () => clock.now) };
}

const state = (share: number, title = 'tmem') => ({ title, share, parts: ['1 MiB/s'] });

test('a terminal is redrawn at most ten times a second, in place', () => {
  const { written, clock, progress } = fake({ isTTY: true, columns: 80 });
  for (clock.now = 0; clock.now < 1000; clock.now += 7) progress.update(state(clock.now / 1000));
  expect(written.length).toBeGreaterThan(5);
  expect(written.length).toBeLessThanOrEqual(10);
  expect(written.every((text) => text.startsWith(ERASE) && !text.includes('\n'))).toBe(true);
  progress.clear();
  expect(written.at(-1)).toBe(ERASE);
});

test('a line never reaches the edge of the terminal, however narrow', () => {
  for (const [columns, room] of [
    [1, 0],
    [20, 19],
    [40, 39],
    [0, 79],
    [undefined, 79],
  ]) {
    const { written, progress } = fake({ isTTY: true, columns });
    progress.update({
      title: 'tmem',
      share: 0.5,
      parts: ['a rather long part', 'another long part', 'a third', 'and a last one'],
    });
    const width = stripVTControlCharacters(written[0]).replace('\r', '').length;
    expect(width).toBe(room);
  }
});

test('all figures of a run fit a terminal of 80 columns', () => {
  const { written, progress } = fake({ isTTY: true, columns: 80 });
  const tally = {
    ...emptyTally(),
    bytes: 350.7 * 2 ** 20,
    hotPages: 45,
    compressedPages: 36,
    sourcePages: 19,
  };
  progress.update({ title: 'tmem', share: 0.5, parts: runParts(tally, 1000, 75.8 * 2 ** 20) });
  expect(stripVTControlCharacters(written[0])).toMatch(/351 MiB\/s .* memory 75.8 MiB$/);
});

test('color is used on a terminal unless NO_COLOR asks for none', () => {
  const drawn = (env: Record<string, string>) => {
    const { written, progress } = fake({ isTTY: true, columns: 80 }, env);
    progress.update(state(0.5));
    return written[0];
  };
  expect(drawn({})).toContain('\u001b[36m');
  expect(drawn({ NO_COLOR: '' })).toContain('\u001b[36m');
  expect(drawn({ NO_COLOR: '1' })).not.toContain('\u001b[36m');
});

test.each([
  ['no terminal', {}, {}],
  ['a dumb terminal', { isTTY: true }, { TERM: 'dumb' }],
])('%s gets plain lines, seconds apart, without control characters', (_, out, env) => {
  const { written, clock, progress } = fake(out, env as Record<string, string>);
  for (clock.now = 0; clock.now < 12_000; clock.now += 50) progress.update(state(clock.now / 12_000));
  progress.clear();
  expect(written).toEqual(['tmem: 0 % 1 MiB/s\n', 'tmem: 41 % 1 MiB/s\n', 'tmem: 83 % 1 MiB/s\n']);
});

test('a new phase is shown at once', () => {
  const { written, progress } = fake({});
  progress.update(state(1));
  progress.update(state(0, 'LRU'));
  expect(written).toEqual(['tmem: 100 % 1 MiB/s\n', 'LRU: 0 % 1 MiB/s\n']);
});

test('the figures of a run are those of its tally, and a run that has not begun shows zeros', () => {
  const tally = { ...emptyTally(), bytes: 2 ** 20, hotPages: 50, compressedPages: 30, sourcePages: 20 };
  expect(runParts(tally, 500, 2 ** 24)).toEqual([
    '2 MiB/s',
    'hits 80 % (50 hot, 30 compressed)',
    'memory 16 MiB',
  ]);
  expect(runParts(emptyTally(), 0, undefined)).toEqual(['0 B/s', 'hits 0 % (0 hot, 0 compressed)']);
  expect(hitRatio(sumTallies([tally, { ...emptyTally(), sourcePages: 100 }]))).toBe(0.4);
});
