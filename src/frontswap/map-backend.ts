/**
 * A frontswap backend of plain Maps, for tests (ours and those of users) and as the model of other backends.
 *
 * It lives on the heap of one thread. `refuse` decides which stores are refused, to try what happens then.
 */

import type { Oid } from '../zcache/index.ts';
import type { FrontswapBackend, FrontswapPool } from './backend.ts';

/** Whether to refuse a store: asked once for each. */
export type RefuseStore = (oid: Oid, index: number) => boolean;

class MapPool implements FrontswapPool {
  /** By the first word of the oid (the others are zero) and the index. */
  readonly #pages = new Map<string, { oid: Oid; index: number; page: Uint8Array }>();
  readonly #refuse: RefuseStore;

  constructor(refuse: RefuseStore) {
    this.#refuse = refuse;
  }

  store(oid: Oid, index: number, page: Uint8Array): boolean {
    const place = placeOf(oid, index);
    this.#pages.delete(place);
    if (this.#refuse(oid, index)) return false;
    this.#pages.set(place, { oid, index, page: page.slice() });
    return true;
  }

  replace(oid: Oid, index: number, page: Uint8Array): boolean {
    if (this.#refuse(oid, index)) return false;
    this.#pages.set(placeOf(oid, index), { oid, index, page: page.slice() });
    return true;
  }

  writeAt(oid: Oid, index: number, offset: number, bytes: Uint8Array): boolean | undefined {
    const page = this.#pages.get(placeOf(oid, index))?.page;
    if (page === undefined) return undefined;
    if (this.#refuse(oid, index)) return false;
    page.set(bytes, offset);
    return true;
  }

  readAt(oid: Oid, index: number, offset: number, out: Uint8Array): number {
    const page = this.#pages.get(placeOf(oid, index))?.page;
    if (page === undefined) return -1;
    const part = page.subarray(offset, offset + out.length);
    out.set(part);
    return part.length;
  }

  load(oid: Oid, index: number, out: Uint8Array): number {
    const page = this.#pages.get(placeOf(oid, index))?.page;
    if (page === undefined) return 0;
    out.set(page);
    return page.length;
  }

  loadAndFree(oid: Oid, index: number, out: Uint8Array): number {
    const length = this.load(oid, index, out);
    this.invalidatePage(oid, index);
    return length;
  }

  invalidatePage(oid: Oid, index: number): boolean {
    return this.#pages.delete(placeOf(oid, index));
  }

  invalidateArea(): number {
    const pages = this.#pages.size;
    this.#pages.clear();
    return pages;
  }

  walk(): Iterable<{ oid: Oid; index: number }> {
    return this.#pages.values();
  }
}

export class MapFrontswapBackend implements FrontswapBackend {
  readonly #areas = new Map<number, MapPool>();
  readonly #metadata = new MapPool(() => false);
  readonly #refuse: RefuseStore;

  constructor(refuse: RefuseStore = () => false) {
    this.#refuse = refuse;
  }

  init(type: number): FrontswapPool {
    let pool = this.#areas.get(type);
    if (pool === undefined) {
      pool = new MapPool(this.#refuse);
      this.#areas.set(type, pool);
    }
    return pool;
  }

  initMetadata(): FrontswapPool {
    return this.#metadata;
  }
}

function placeOf(oid: Oid, index: number): string {
  return `${oid.w0}/${index}`;
}
