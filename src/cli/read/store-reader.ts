/**
 * One thread's way through the store: files opened with openCached, pages shared with all other threads.
 */

import { type CachedFile, openCached } from '../../cleancache/index.ts';
import { attach, type Store } from '../../zcache/index.ts';
import { Handles } from './handles.ts';
import type { StoreToken } from './job-store.ts';
import type { PlannedFile } from './plan.ts';
import type { Levels, Reader } from './reader.ts';
import { REQUEST_BYTES } from './sequence.ts';

export class StoreReader implements Reader {
  readonly #store: Store;
  readonly #handles: Handles<CachedFile>;
  readonly #buffer = new Uint8Array(REQUEST_BYTES);

  constructor({ share, hotBytes }: StoreToken, handlesMax: number) {
    const store = attach(share);
    this.#store = store;
    this.#handles = new Handles((path) => openCached(path, { store, hotBytes }), handlesMax);
  }

  async read(file: PlannedFile, position: number, length: number): Promise<Uint8Array> {
    const handle = await this.#handles.of(file.path);
    const { bytesRead } = await handle.read(this.#buffer, 0, length, position);
    return this.#buffer.subarray(0, bytesRead);
  }

  levels(): Levels {
    throw new Error('not wired');
  }

  async close(): Promise<void> {
    await this.#handles.close();
    this.#store.close();
  }
}
