/**
 * Saves a store to a file: clients and pools with their settings, all persistent pages and, if asked for, the ephemeral
 * ones. Other threads go on meanwhile: each page is one that was in the store at some moment of the save, but two pages
 * may be of two moments. Who needs one moment for all stops the writers, or freezes the store, for the time of it.
 */

import { type Oid, PAGE_BYTES, TmemError } from '../../tmem/index.ts';
import { isAway } from '../page-fetcher.ts';
import type { ClientPool } from '../pool.ts';
import type { Store } from '../store.ts';
import { FileReplacement } from './file-replacement.ts';
import type { SavedCounts, SavedStore } from './format.ts';
import { inventoryOf } from './inventory.ts';
import { type ByteSink, SavedStoreWriter } from './writer.ts';

export interface SaveOptions {
  /** Save the pages of ephemeral pools, too. Default: false. */
  readonly ephemeral?: boolean;
  /** Ends the save with an AbortError; nothing is left of it. */
  readonly signal?: AbortSignal;
}

export interface SaveResult {
  readonly clients: number;
  readonly pools: number;
  readonly pages: number;
  /** Bytes of the pages, uncompressed. */
  readonly pageBytes: number;
  readonly fileBytes: number;
}

/**
 * Saves a store to a file of mode 0600, which appears, or replaces an older one, only when it is complete.
 *
 * Persistent pages that are with peers cannot be saved: bring them home first (drain the node). Ephemeral ones that are
 * away are left out.
 *
 * @throws TmemError TMEM_ERR_REMOTE naming how many persistent pages are with peers; TMEM_ERR_SAVED_FILE when something
 *   else than a file has that path; TMEM_ERR_DAMAGED when a page cannot be read; errors of the file system
 */
export async function saveStore(store: Store, path: string, options: SaveOptions = {}): Promise<SaveResult> {
  const file = await FileReplacement.begin(path);
  try {
    const { clients, pools, pages, pageBytes } = await writeStore(store, file, options);
    await file.commit();
    return { clients, pools, pages, pageBytes, fileBytes: file.bytes };
  } catch (error) {
    await file.discard();
    throw error;
  }
}

/** Writes a store to any sink. */
export async function writeStore(
  store: Store,
  sink: ByteSink,
  { ephemeral = false, signal }: SaveOptions,
): Promise<SavedCounts & { clients: number; pools: number }> {
  const { frozen, clients, pools } = inventoryOf(store);
  const kept = pools.flatMap(({ pool }) => (pool.kind === 'persistent' ? [pool] : []));
  const away = kept.reduce((sum, { remotePages }) => sum + remotePages.count, 0);
  if (away > 0) throw withPeers(`${away} persistent pages are`);
  const saved: SavedStore = {
    ...{ name: store.name ?? '', frozen, ephemeral, clients, settings: { ...store.settings } },
    pools: pools.map(({ about }) => about),
  };
  const writer = new SavedStoreWriter(sink);
  await writer.begin(saved);
  for (const [number, { about, pool }] of pools.entries()) {
    if (about.kind === 'persistent' || ephemeral) await writePages(writer, number, pool, signal);
  }
  const counts = await writer.end();
  return { ...counts, clients: clients.length, pools: pools.length };
}

async function writePages(
  writer: SavedStoreWriter,
  number: number,
  pool: ClientPool,
  signal: AbortSignal | undefined,
): Promise<void> {
  const page = Buffer.alloc(PAGE_BYTES);
  for (const { oid, index } of pool.walk()) {
    signal?.throwIfAborted();
    const length = peek(pool, oid, index, page);
    // Taken out, flushed or sent to a peer since the walk saw it.
    if (length > 0) await writer.add({ pool: number, oid, index, bytes: page.subarray(0, length) });
  }
}

/** Length of the page; 0: it is not here, and need not be. */
function peek(pool: ClientPool, oid: Oid, index: number, page: Buffer): number {
  try {
    return pool.peek(oid, index, page);
  } catch (error) {
    if (!isAway(error)) throw error;
    if (pool.kind === 'persistent') throw withPeers('meanwhile a persistent page was sent, and is');
    return 0;
  }
}

function withPeers(which: string): TmemError {
  return new TmemError(
    'TMEM_ERR_REMOTE',
    `save: ${which} with peers; bring them home first (drain the node), then save`,
  );
}
