/**
 * One thread's way through the store: files opened with openCached, pages shared with all other threads.
 */

import { type CachedFile, PageCache } from '../../cleancache/index.ts';
import { attach, PAGE_BYTES, type Store } from '../../zcache/index.ts';
import { Handles } from './handles.ts';
import type { StoreToken } from './job-store.ts';
import { type PlannedFile, pagesOf } from './plan.ts';
import type { Levels, Reader } from './reader.ts';
import { REQUEST_BYTES } from './sequence.ts';

/**
 * How old a look at a file may be: with 0, every hit would pay for asking the file system, which the LRU never does.
 * Every byte is verified all the same.
 */
const MAX_STALE_MS = 1000;

export class StoreReader implements Reader {
  readonly #store: Store;
  readonly #cache: PageCache;
  readonly #handles: Handles<CachedFile>;
  #pages = 0;
  readonly #buffer = new Uint8Array(REQUEST_BYTES);

  constructor({ share, hotBytes }: StoreToken, handlesMax: number) {
    const store = attach(share);
    this.#store = store;
    const hotPages = Math.max(1, Math.floor(hotBytes / PAGE_BYTES));
    this.#cache = new PageCache({ store, hotPages, admit: 'first-read' });
    this.#handles = new Handles((path) => this.#cache.open(path, { maxStaleMs: MAX_STALE_MS }), handlesMax);
  }

  async read(file: PlannedFile, position: number, length: number): Promise<Uint8Array> {
    const handle = await this.#handles.of(file.path);
    const { bytesRead } = await handle.read(this.#buffer, 0, length, position);
    this.#pages += pagesOf(bytesRead);
    return this.#buffer.subarray(0, bytesRead);
  }

  levels(): Levels {
    const { hot, cold, source_bytes: sourceBytes } = this.#cache.stats();
    return {
      hotPages: hot.succ_gets,
      compressedPages: cold.succ_gets,
      // What neither level had, files that changed a moment ago (which are not cached) included.
      sourcePages: this.#pages - hot.succ_gets - cold.succ_gets,
      sourceBytes,
    };
  }

  async close(): Promise<void> {
    await this.#handles.close();
    this.#store.close();
  }
}
