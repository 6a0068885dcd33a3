// One export served by several threads: overlapping requests of all of them against one model.
import { once } from 'node:events';
import fs from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import type { AreaExportOptions } from '../../src/nbd/index.ts';
import { type Bench, newBench, newFile, newFolder } from './bench.ts';
import { Client } from './client.ts';
import { Rounds } from './rounds.ts';
import type { ThreadData } from './thread-server.ts';

const MiB = 2 ** 20;

async function startThread({ store, export: exported, folder }: Bench, n: number): Promise<string> {
  const path = join(folder, `socket-${n}`);
  const workerData: ThreadData = { store: store.share(), shared: exported.share(), path };
  const worker = new Worker(new URL('./thread-server.ts', import.meta.url), { workerData });
  onTestFinished(async () => {
    const exit = once(worker, 'exit');
    worker.postMessage('stop');
    await exit;
  });
  await once(worker, 'message');
  return path;
}

const kinds: Record<string, { bytes: number; options: Partial<AreaExportOptions> }> = {
  ram: { bytes: 2 * MiB, options: { kind: 'ram' } },
  'a disk with little memory': { bytes: 4 * MiB, options: { kind: 'disk', memoryMax: MiB } },
  'a disk with a cache': { bytes: 4 * MiB, options: { kind: 'disk', memoryMax: MiB, cache: true } },
};

test.each(Object.keys(kinds))('%s', async (kind) => {
  const { bytes, options } = kinds[kind]!;
  const file = options.kind === 'disk' ? newFile(newFolder(), bytes) : undefined;
  const bench = await newBench({ ...options, ...(file === undefined ? { size: bytes } : { file }) });
  const paths = [bench.path, await startThread(bench, 1), await startThread(bench, 2)];
  const clients = await Promise.all([...paths, ...paths].map((path) => Client.open(path)));
  const work = new Rounds(clients, bytes, {
    ...{ rounds: 80, width: 40, seed: 7 },
    meanwhile: async (random) => {
      if (file !== undefined && random(3) === 0) await bench.export.swap.shrink(random(300));
    },
  });
  await work.run();
  if (file !== undefined) {
    expect(await clients[2]!.command(3)).toBe(0);
    expect(fs.readFileSync(file).equals(work.image())).toBe(true);
  }
  for (const client of clients) await client.close();
});
