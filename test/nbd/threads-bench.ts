// A server of several threads, for as long as a test runs, and what watches it.

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { onTestFinished, vi } from 'vitest';
import {
  AreaExport,
  type AreaExportOptions,
  ThreadedNbdServer,
  type ThreadedNbdServerOptions,
} from '../../src/nbd/index.ts';
import type { Store, TmemError, TmemEventName } from '../../src/zcache/index.ts';
import { newFolder, newStore } from './bench.ts';
import { Client } from './client.ts';

const MiB = 2 ** 20;

/** What comes by a message from another thread. */
export const soon = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 30_000 });

export interface ThreadsBench {
  readonly folder: string;
  readonly path: string;
  readonly store: Store;
  readonly server: ThreadedNbdServer;
  readonly export: AreaExport;
  readonly workers: readonly Worker[];
  readonly failures: TmemError[];
}

/** The workers that are started from now on. */
export function watchWorkers(): Worker[] {
  const workers: Worker[] = [];
  const note = (worker: Worker): void => {
    workers.push(worker);
  };
  process.on('worker', note);
  onTestFinished(() => {
    process.off('worker', note);
  });
  return workers;
}

/** All events of one kind from now on. */
export function eventsOf<T>(name: TmemEventName): T[] {
  const found: T[] = [];
  const note = (event: unknown): void => {
    found.push(event as T);
  };
  subscribe(name, note);
  onTestFinished(() => {
    unsubscribe(name, note);
  });
  return found;
}

/** A server of two threads with an export 'one'. Both end with the test. */
export async function newThreads(
  exported: Partial<AreaExportOptions> = {},
  options: Partial<ThreadedNbdServerOptions> = {},
): Promise<ThreadsBench> {
  const folder = newFolder();
  const store = newStore();
  const workers = watchWorkers();
  const failures: TmemError[] = [];
  const onFailed = (error: TmemError): void => {
    failures.push(error);
  };
  const server = await ThreadedNbdServer.start(store, { threads: 2, onFailed, ...options });
  onTestFinished(() => server.stop(0).catch(() => undefined));
  const opened = await newExport(store, { name: 'one', ...exported });
  await server.addExport(opened);
  const path = join(folder, 'socket');
  await server.listen({ path });
  return { folder, path, store, server, export: opened, workers, failures };
}

export async function newExport(store: Store, options: Partial<AreaExportOptions>): Promise<AreaExport> {
  const size = options.file === undefined ? { size: 8 * MiB } : {};
  const opened = await AreaExport.open(store, { name: 'two', kind: 'ram', ...size, ...options });
  onTestFinished(() => opened.detach());
  return opened;
}

/** Clients, one after the other, so that it is known which thread each came to. */
export async function openClients(path: string, count: number, name = 'one'): Promise<Client[]> {
  const clients: Client[] = [];
  while (clients.length < count) clients.push(await Client.open(path, name));
  return clients;
}

export async function closeAll(clients: readonly Client[]): Promise<void> {
  for (const client of clients) await client.close();
}
