import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Scratch } from './scratch.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const FILES = 24;

const scratch = new Scratch();
afterAll(() => scratch[Symbol.dispose]());
for (let i = 0; i < FILES; i++) scratch.file(`tree/${i % 4}/file ${i}`, 1_500_000 + i * 1001);
const tree = join(scratch.path, 'tree');

/** The page cache keeps nothing of files younger than 2 s: they may change again without looking different. */
const SETTLED_MS = 2500;
beforeAll(() => sleep(SETTLED_MS));

function tmem(...args: string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  });
}

describe('tmem read', () => {
  const options = ['--memory', '16 MiB', '--operations', '4000', '--seed', '3'];

  test('reads a tree through the store and the LRU, verifies every byte, and prints one JSON object', () => {
    const { status, stdout, stderr } = tmem('read', tree, ...options, '--json');
    expect([status, stderr.includes('Error')]).toEqual([0, false]);
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({
      ...{ ok: true, complaints: [], files: FILES, threads: 2, seed: 3, codec: 'lz4' },
      ...{ memoryBytes: 16 * 2 ** 20, skipped: { count: 0, listed: [] } },
    });
    for (const { operations, bytes, verifiedBytes, wrong, failed, ...levels } of [result.tmem, result.lru]) {
      expect({ operations, wrong, failed }).toEqual({ operations: 8000, wrong: 0, failed: 0 });
      expect(verifiedBytes).toBe(bytes);
      expect(levels.hotPages + levels.compressedPages + levels.sourcePages).toBeGreaterThanOrEqual(
        bytes / 4096,
      );
    }
    // Half of each file compresses well, and the data is more than twice the memory.
    expect(result.tmem.compressedPages).toBeGreaterThan(0);
    expect(result.tmem.compressionRatio).toBeGreaterThan(1.5);
    expect(result.tmem.hitRatio).toBeGreaterThan(result.lru.hitRatio);
    expect(result.tmem.sourceBytes).toBeLessThan(result.lru.sourceBytes);
    expect(result.tmem.usedBytes).toBeLessThanOrEqual(result.memoryBytes);
  });

  test('prints a summary for people by default, and progress apart from it', () => {
    const { status, stdout, stderr } = tmem('read', tree, '--memory', '16 MiB', '--operations', '200');
    expect(status).toBe(0);
    expect(stdout).toMatch(/pages from memory/);
    expect(stdout).toMatch(/Every byte was verified\.\n$/);
    expect(stdout).not.toContain('\u001b');
    expect(stderr).toMatch(/^first pass: /m);
  });

  test.each([
    [[join(scratch.path, 'missing')], /cannot read .*missing: ENOENT/],
    [[tree, '--memory', '1 MiB'], /at least 16 MiB/],
    [[tree, '--threads', '0'], /whole number from 1 to 64/],
    [[tree, '--codec', 'zstd'], /lz4, lzo/],
    [[tree, '--colour', 'red'], /unknown option/],
  ])('%j ends with a message and a failure', (args, message) => {
    const { status, stdout, stderr } = tmem('read', ...args);
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(message);
  });

  test('an empty directory is a failure that says so', () => {
    mkdirSync(join(scratch.path, 'empty'));
    const { status, stderr } = tmem('read', join(scratch.path, 'empty'));
    expect(status).toBe(1);
    expect(stderr).toMatch(/there is nothing to read/);
  });
});
