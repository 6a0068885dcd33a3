// The cluster example, as a user starts it.

import { execFile } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const EXAMPLE = fileURLToPath(new URL('../../examples/cluster/server.js', import.meta.url));
const DIRECTORY = '/dev/shm';
const SECONDS = 9;
const TIMEOUT_MS = 45_000;
/** Also a slow machine has seen most of the popular files by then. */
const HIT_PERCENT_MIN = 50;

interface Result {
  requests: number;
  /** Requests that got no answer, or another one than the file. */
  wrong: number;
  kills: number;
  /** Of each worker that took the place of a killed one: hits among the pages of its first requests, in percent. */
  replacements: number[];
}

test('the cluster example answers while workers are killed; the new ones start warm', async () => {
  const args = ['--no-warnings', EXAMPLE, '--demo', '--seconds', String(SECONDS)];
  const running = promisify(execFile)(process.execPath, args, { timeout: TIMEOUT_MS });
  const storeFiles = () => {
    const start = `tmem.demo-${running.child.pid}.`;
    return readdirSync(DIRECTORY).filter((file) => file.startsWith(start));
  };
  try {
    const { stdout, stderr } = await running;
    const result = JSON.parse(stdout.trim().split('\n').at(-1)!) as Result;
    expect(stderr).toBe('');
    expect(result.requests).toBeGreaterThan(0);
    expect(result.wrong).toBe(0);
    expect(result.kills).toBeGreaterThan(0);
    // With a cache of its own a new worker would begin at nothing, as the very first one does.
    expect(result.replacements.at(-1), stdout).toBeGreaterThan(HIT_PERCENT_MIN);
    expect(storeFiles(), 'the store is gone').toEqual([]);
  } finally {
    for (const file of storeFiles()) rmSync(join(DIRECTORY, file));
  }
});
