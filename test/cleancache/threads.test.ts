// Several threads reading the same files through one store.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { open, type Store } from '../../src/zcache/index.ts';

let folder: string;
let store: Store;

beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'tmem-threads-'));
  store = open({ memory: '16 MiB', threads: 4, debug: true });
});

afterEach(() => {
  store.close();
  fs.rmSync(folder, { recursive: true });
});

interface Report {
  wrong: number;
  sourceBytes: number;
  found: number;
}

function runReader(paths: readonly string[], seed: number, reads: number): Promise<Report> {
  const worker = new Worker(new URL('./reader-thread.ts', import.meta.url), {
    workerData: { store: store.share(), paths, seed, reads },
  });
  return new Promise((resolve, reject) => {
    let report: Report | undefined;
    worker.on('message', (message) => {
      report = message;
    });
    worker.on('error', reject);
    worker.on('exit', () => (report === undefined ? reject(new Error('no report')) : resolve(report)));
  });
}

test('threads read the same files, get their bytes, and find each other’s pages', async () => {
  const paths = Array.from({ length: 8 }, (_, i) => join(folder, `file-${i}`));
  for (const [i, path] of paths.entries()) {
    fs.writeFileSync(path, Buffer.from(Array.from({ length: 200_000 + i }, (_, at) => (at * (i + 3)) >> 6)));
  }
  const reports = await Promise.all([1, 2, 3].map((seed) => runReader(paths, seed, 300)));
  expect(reports.map(({ wrong }) => wrong)).toEqual([0, 0, 0]);
  for (const { found } of reports) expect(found).toBeGreaterThan(0);
  // One more reads the source hardly at all: the others have put it there.
  const last = await runReader(paths, 4, 100);
  expect(last.wrong).toBe(0);
  // It asks for about 1 MB.
  expect(last.sourceBytes).toBeLessThan(100_000);
});
