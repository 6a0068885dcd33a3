/**
 * Restores a store from a file: reads and checks all of it, makes a store that nobody can find, fills it while the file
 * is read and checked again, and publishes it. Whatever fails before that leaves nothing.
 */

import { TmemError } from '../../errors.ts';
import { openDraft } from '../open.ts';
import type { StoreOptions } from '../settings.ts';
import type { Store } from '../store.ts';
import { FileSource } from './file-source.ts';
import { fillStore } from './fill-store.ts';
import { refused, type SavedStore } from './format.ts';
import { SavedStoreReader } from './reader.ts';

export interface RestoreOptions {
  /** Name of the new store. Default: the name it was saved under. */
  readonly name?: string | undefined;
  /** Where named stores are. Default: /dev/shm. */
  readonly directory?: string | undefined;
  /** Another size than the saved store had, in bytes or as text like '1 GiB'. */
  readonly memory?: number | string | undefined;
  /** Another number of thread slots than the saved store had. */
  readonly threads?: number | undefined;
  /** Ends the restore with an AbortError; nothing is left of it. */
  readonly signal?: AbortSignal;
}

export interface RestoreResult {
  readonly name: string;
  readonly memoryBytes: number;
  readonly clients: number;
  readonly pools: number;
  readonly pages: number;
  /** Ephemeral pages of the file that found no room. */
  readonly dropped: number;
}

/** What a look over the whole file found. */
interface Verified {
  readonly saved: SavedStore;
  /** Pages of each pool. */
  readonly pagesOf: readonly number[];
  readonly digest: string;
}

/**
 * Makes a named store of a file that saveStore wrote. It is not attached to: open it by its name.
 *
 * @throws TmemError TMEM_ERR_SAVED_FILE when the file is not whole; TMEM_ERR_RESTORE or TMEM_ERR_NO_SPACE when a
 *   persistent page was refused; TMEM_ERR_STORE_EXISTS and all that `open` throws; errors of the file system
 */
export async function restoreStore(path: string, options: RestoreOptions = {}): Promise<RestoreResult> {
  const source = await FileSource.open(path);
  try {
    const verified = await verify(source, options.signal);
    const { saved } = verified;
    const draft = openDraft(draftOptions(saved, options));
    try {
      const filled = await fill(draft.store, source, verified, options.signal);
      draft.publish();
      return {
        ...{ name: draft.store.name ?? '', memoryBytes: draft.store.settings.memory },
        ...{ clients: saved.clients.length, pools: saved.pools.length, ...filled },
      };
    } finally {
      draft.store.close();
    }
  } finally {
    await source.close();
  }
}

async function verify(source: FileSource, signal: AbortSignal | undefined): Promise<Verified> {
  const reader = new SavedStoreReader(source);
  const saved = await reader.begin();
  const pagesOf = saved.pools.map(() => 0);
  for await (const pages of reader.pages(saved)) {
    signal?.throwIfAborted();
    for (const { pool } of pages) pagesOf[pool]++;
  }
  return { saved, pagesOf, digest: reader.digest };
}

async function fill(
  store: Store,
  source: FileSource,
  { saved, pagesOf, digest }: Verified,
  signal: AbortSignal | undefined,
) {
  source.rewind();
  const reader = new SavedStoreReader(source);
  await reader.begin();
  const filled = await fillStore(store, saved, pagesOf, reader.pages(saved), signal);
  if (reader.digest !== digest) throw refused('it was changed while it was read');
  return filled;
}

/** What follows from the memory and the threads is chosen anew with them. */
function draftOptions(saved: SavedStore, options: RestoreOptions): StoreOptions {
  const name = options.name ?? saved.name;
  if (name === '') {
    throw new TmemError('TMEM_ERR_STORE_NAME', 'the saved store had no name; give the new one a name');
  }
  const { memory, threads, directory } = options;
  const sizes: Record<string, unknown> = { ...saved.settings };
  if (memory !== undefined) Object.assign(sizes, { memory, arenas: undefined });
  if (threads !== undefined) sizes.threads = threads;
  if (memory !== undefined || threads !== undefined) sizes.stagingPages = undefined;
  return { ...sizes, name, directory };
}
