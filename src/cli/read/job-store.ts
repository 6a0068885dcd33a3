/**
 * The store of the job, as the main thread holds it.
 */

import { open, type Store } from '../../zcache/index.ts';
import { PAGE_BYTES } from './plan.ts';

export interface JobStoreOptions {
  readonly memoryBytes: number;
  readonly hotBytes: number;
  readonly threads: number;
  readonly codec: 'lz4' | 'lzo';
}

/** What a thread needs to read through the store. */
export interface StoreToken {
  readonly kind: 'store';
  readonly share: ReturnType<Store['share']>;
  readonly hotBytes: number;
}

export class JobStore implements Disposable {
  readonly #store: Store;
  readonly #hotBytes: number;

  constructor({ memoryBytes, hotBytes, threads, codec }: JobStoreOptions) {
    // One slot more: the main thread is attached too.
    this.#store = open({ memory: memoryBytes, threads: threads + 1, codec });
    this.#hotBytes = hotBytes;
  }

  token(): StoreToken {
    return { kind: 'store', share: this.#store.share(), hotBytes: this.#hotBytes };
  }

  /** Bytes in use, the fixed part of the store included. */
  usedBytes(): number {
    const { store } = this.#store.stats();
    return (store.frames_total - store.frames_free) * PAGE_BYTES;
  }

  /** Bytes of pages / bytes they were compressed to, over all pages that ever went to the compressed level. */
  compressionRatio(): number {
    const pools = this.#store.stats().clients.flatMap((client) => client.pools);
    const compressed = pools.find((pool) => pool.name.endsWith('-cold'));
    return compressed === undefined ? 1 : compressed.content.ratio;
  }

  [Symbol.dispose](): void {
    this.#store.close();
  }
}
