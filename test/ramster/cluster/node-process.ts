// A node of a cluster as a process: a store and a Ramster on it. It runs the commands that its parent sends, and ends when
// that is gone.

import { subscribe } from 'node:diagnostics_channel';
import {
  type PeerView,
  Ramster,
  type RamsterSettings,
  type RamsterStatistics,
} from '../../../src/ramster/index.ts';
import { Oid, open, type Pool, type PutOutcome, type Store, TmemError } from '../../../src/zcache/index.ts';
import { serveCommands } from './commands.ts';
import { type Kind, PAGE_BYTES, pageOf, versionOf } from './pages.ts';

/** What a get found: a version of the page, of which every byte is right; or why there is none. */
export type Read = number | 'miss' | 'away' | 'lost' | 'damaged';

export interface NodeOptions {
  readonly store: { readonly memory: string; readonly name?: string };
  readonly ramster: RamsterSettings;
}

/** Something that the node has published. */
export interface Told {
  readonly event: string;
  readonly [more: string]: unknown;
}

/** The client whose pages may be sent. */
const CLIENT = 'load';
const OBJECT = Oid.fromNumbers(1);
const TOLD_MAX = 1000;
const EVENTS = ['peer', 'lost', 'refused', 'lease-ended'];

let store: Store;
let ramster: Ramster;
let pools: Record<Kind, Pool>;
const told: Told[] = [];

for (const event of EVENTS) {
  subscribe(`tmem:ramster:${event}`, (more) => {
    if (told.length < TOLD_MAX) told.push({ event, ...(more as object) });
  });
}

async function read(kind: Kind, index: number): Promise<Read> {
  const page = Buffer.alloc(PAGE_BYTES);
  try {
    const length = await ramster.get(pools[kind], OBJECT, index, page);
    if (length === 0) return 'miss';
    return versionOf(kind, index, page.subarray(0, length)) ?? 'damaged';
  } catch (error) {
    if (TmemError.is(error) && error.code === 'TMEM_ERR_PEERS_AWAY') return 'away';
    if (TmemError.is(error) && error.code === 'TMEM_ERR_PAGE_LOST') return 'lost';
    throw error;
  }
}

function write(kind: Kind, index: number, version: number): PutOutcome {
  return pools[kind].put(OBJECT, index, pageOf(kind, index, version));
}

const commands = {
  /** Where peers connect. */
  async open(options: NodeOptions): Promise<readonly string[]> {
    const shrinker = { enabled: false };
    store = open({ ...options.store, shrinker, incompressible: 'store', threads: 8, pools: 64, clients: 31 });
    const client = store.client(CLIENT);
    pools = {
      persistent: client.pool('persistent', { kind: 'persistent' }),
      ephemeral: client.pool('ephemeral', { kind: 'ephemeral' }),
    };
    ramster = await Ramster.open(store, { clients: [CLIENT], ...options.ramster });
    return ramster.addresses;
  },
  write: (kind: Kind, pages: readonly (readonly [index: number, version: number])[]): PutOutcome[] =>
    pages.map(([index, version]) => write(kind, index, version)),
  read: (kind: Kind, indexes: readonly number[]): Promise<Read[]> =>
    Promise.all(indexes.map((index) => read(kind, index))),
  /** Gets of pages that are put anew before they have ended. */
  async race(
    kind: Kind,
    pages: readonly (readonly [index: number, version: number])[],
  ): Promise<{ readonly outcomes: PutOutcome[]; readonly found: Read[] }> {
    const reads = pages.map(([index]) => read(kind, index));
    const outcomes = pages.map(([index, version]) => write(kind, index, version));
    return { outcomes, found: await Promise.all(reads) };
  },
  flush: (kind: Kind, indexes: readonly number[]): void => {
    for (const index of indexes) pools[kind].flushPage(OBJECT, index);
  },
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
