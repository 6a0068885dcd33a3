/**
 * Saves a store to a file: clients and pools with their settings, all persistent pages and, if asked for, the ephemeral
 * ones. Other threads go on meanwhile: each page is one that was in the store at some moment of the save, but two pages
 * may be of two moments. Who needs one moment for all stops the writers, or freezes the store, for the time of it.
 */

import { PAGE_BYTES } from '../../tmem/index.ts';
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
 * @throws TmemError TMEM_ERR_SAVED_FILE when something else than a file has that path, TMEM_ERR_DAMAGED when a page
 *   cannot be read; errors of the file system
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
    const length = pool.peek(oid, index, page);
    // Taken out or flushed since the walk saw it.
    if (length > 0) await writer.add({ pool: number, oid, index, bytes: page.subarray(0, length) });
  }
}
