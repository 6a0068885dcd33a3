// A server with one export, on a socket in a directory of its own, for as long as a test runs.

import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { AreaExport, type AreaExportOptions, NbdServer, type NbdServerOptions } from '../../src/nbd/index.ts';
import { open, type Store } from '../../src/zcache/index.ts';

export interface Bench {
  readonly folder: string;
  readonly path: string;
  readonly store: Store;
  readonly server: NbdServer;
  readonly export: AreaExport;
}

export function newFolder(): string {
  const folder = fs.mkdtempSync(join(tmpdir(), 'tmem-nbd-'));
  onTestFinished(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A file of so many bytes, sparse. */
export function newFile(folder: string, bytes: number): string {
  const path = join(folder, `image-${fs.readdirSync(folder).length}`);
  fs.writeFileSync(path, '');
  fs.truncateSync(path, bytes);
  return path;
}

/** Takes pages whether they compress or not. */
export function newStore(memory = '16 MiB'): Store {
  const store = open({ memory, incompressible: 'store' });
  onTestFinished(() => store.close());
  return store;
}

export async function newBench(
  exported: Partial<AreaExportOptions> = {},
  { memory, ...options }: NbdServerOptions & { memory?: string } = {},
): Promise<Bench> {
  const folder = newFolder();
  const store = newStore(memory);
  const server = new NbdServer(options);
  const opened = await AreaExport.open(store, {
    ...{ name: 'one', kind: 'ram', ...(exported.file === undefined ? { size: 8 * 2 ** 20 } : {}) },
    ...exported,
  });
  await server.addExport(opened);
  const path = join(folder, 'socket');
  await server.listen({ path });
  onTestFinished(async () => {
    await server.stop(0);
    await opened.close();
  });
  return { folder, path, store, server, export: opened };
}
