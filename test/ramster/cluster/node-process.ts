// A node of a cluster as a process: a store and a Ramster on it. It runs the commands that its parent sends, and ends
// when that is gone.

import { subscribe } from 'node:diagnostics_channel';
import {
  type PeerView,
  Ramster,
  type RamsterSettings,
  type RamsterStatistics,
} from '../../../src/ramster/index.ts';
import { open, type Store } from '../../../src/zcache/index.ts';
import { serveCommands } from './commands.ts';
import type { Kind } from './pages.ts';
import { CLIENT, STORE_OPTIONS, StoredPages, type Versions } from './stored-pages.ts';

export interface NodeOptions {
  readonly store: { readonly memory: string; readonly name?: string };
  readonly ramster: RamsterSettings;
}

/** Something that the node has published. */
export interface Told {
  readonly event: string;
  readonly [more: string]: unknown;
}

const TOLD_MAX = 1000;
const EVENTS = ['peer', 'lost', 'refused', 'lease-ended'];

let store: Store;
let ramster: Ramster;
let pages: StoredPages;
const told: Told[] = [];

for (const event of EVENTS) {
  subscribe(`tmem:ramster:${event}`, (more) => {
    if (told.length < TOLD_MAX) told.push({ event, ...(more as object) });
  });
}

const commands = {
  /** Where peers connect. */
  async open(options: NodeOptions): Promise<readonly string[]> {
    store = open({ ...options.store, ...STORE_OPTIONS });
    pages = new StoredPages(store);
    ramster = await Ramster.open(store, { clients: [CLIENT], ...options.ramster });
    return ramster.addresses;
  },
  write: (kind: Kind, versions: Versions) => pages.write(kind, versions),
  read: (kind: Kind, indexes: readonly number[]) => pages.read(ramster, kind, indexes),
  race: (kind: Kind, versions: Versions) => pages.race(ramster, kind, versions),
  flush: (kind: Kind, indexes: readonly number[]) => pages.flush(kind, indexes),
  /** As of now. */
  async statistics(): Promise<RamsterStatistics> {
    await ramster.count(5000);
    return ramster.statistics();
  },
  peers: (): PeerView[] => ramster.peers(),
  told: (): readonly Told[] => told,
  problem: (): string | undefined => ramster.problem,
  drain: (timeoutMs: number) => ramster.drain(timeoutMs),
  async close(): Promise<void> {
    await ramster.close();
    store.close();
  },
};

export type NodeCommands = typeof commands;

serveCommands(commands);
