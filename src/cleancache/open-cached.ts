/**
 * openCached: the front door for those who read files and want them cached.
 */

import type { Store } from '../zcache/index.ts';
import type { CachedFile } from './cached-file.ts';
import type { CachedFileOptions } from './cached-file-options.ts';
import { PageCache } from './page-cache.ts';

export interface OpenCachedOptions extends CachedFileOptions {
  /** The store that holds the pages: all files opened with one store share one cache, in all its threads. */
  store?: Store;
  /** A page cache made before, with settings of its own. */
  cache?: PageCache;
}

/** The cache of each store with the default settings, and the one of those who name none. */
const cacheOfStore = new WeakMap<Store, PageCache>();
let cacheOfThread: PageCache | undefined;

/**
 * Opens a file for reading through the page cache. The result has the shape of a FileHandle.
 *
 * Without `store` and `cache` the pages go to whatever backend is registered in this thread (`cleancache.register`),
 * also when that happens later; until then every read goes to the file.
 *
 * @throws the error of node:fs, such as ENOENT or EACCES; TmemError TMEM_ERR_SETTING for a wrong option
 */
export function openCached(path: string, options: OpenCachedOptions = {}): Promise<CachedFile> {
  return cacheFor(options).open(path, options);
}

function cacheFor({ cache, store }: OpenCachedOptions): PageCache {
  if (cache !== undefined) return cache;
  if (store === undefined) {
    cacheOfThread ??= new PageCache();
    return cacheOfThread;
  }
  let found = cacheOfStore.get(store);
  if (found === undefined) {
    found = new PageCache({ store });
    cacheOfStore.set(store, found);
  }
  return found;
}
