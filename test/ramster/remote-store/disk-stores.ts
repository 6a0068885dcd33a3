// Disk stores for tests, each in a folder of its own.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import type { DiskStoreOptions } from '../../../src/ramster/remote-store/disk-store.ts';
import { LONG_DEADLINE_MS, PatientClock } from './patient-clock.ts';

export function newFolder(): string {
  return fs.mkdtempSync(path.join(os.tmpdir(), 'tmem-disk-'));
}

/** Options of a store in a folder that goes with the test. */
export function newOptions(): DiskStoreOptions {
  const folder = newFolder();
  onTestFinished(() => fs.rmSync(folder, { recursive: true, force: true }));
  return optionsIn(folder);
}

export function optionsIn(folder: string): DiskStoreOptions {
  return {
    path: path.join(folder, 'pages'),
    fileBytesMax: 64 * 2 ** 20,
    owner: { name: 'a', memory: 1 },
    clock: new PatientClock(),
    deadlineMs: LONG_DEADLINE_MS,
    checkIntervalMs: 20,
  };
}
