/** What every remote store asks of its arguments before anything is sent. */

import { PAGE_BYTES, TmemError } from '../../zcache/index.ts';
import type { PageId } from '../page-id.ts';
import { FREE_MOST, type HeldPage, type TravellingPage } from './remote-store.ts';

const POOL_MAX = 2 ** 32 - 1;

/** @throws TmemError TMEM_ERR_PAGE_LENGTH, TMEM_ERR_TYPE */
export function checkTravelling(page: TravellingPage): void {
  checkPlace(page.pool, page.id);
  const { kind, bytes } = page;
  if (kind !== 'ephemeral' && kind !== 'persistent') {
    throw wrong(`kind: got ${String(kind)}, allowed is 'ephemeral' or 'persistent'`);
  }
  if (!(bytes instanceof Uint8Array)) throw wrong('bytes: expects a Uint8Array');
  if (bytes.length < 1 || bytes.length > PAGE_BYTES) {
    const allowed = `allowed are 1 to ${PAGE_BYTES}`;
    throw new TmemError('TMEM_ERR_PAGE_LENGTH', `a page to send has ${bytes.length} bytes, ${allowed}`);
  }
}

/** @throws TmemError TMEM_ERR_TYPE */
export function checkPlace(pool: number, id: PageId): void {
  checkPool(pool);
  if (!Number.isSafeInteger(id) || id < 1)
    throw wrong(`page id: got ${id}, allowed is a safe whole number above 0`);
}

/** @throws TmemError TMEM_ERR_TYPE */
export function checkPool(pool: number): void {
  if (!isPool(pool)) throw wrong(`pool: got ${pool}, allowed is a whole number from 0 to ${POOL_MAX}`);
}

/** @throws TmemError TMEM_ERR_TYPE */
export function checkFreed(pages: readonly HeldPage[]): void {
  if (pages.length > FREE_MOST)
    throw wrong(`free: got ${pages.length} pages, at most ${FREE_MOST} are allowed`);
  for (const { pool, id } of pages) checkPlace(pool, id);
}

/** @throws TmemError TMEM_ERR_TYPE */
export function checkCursor(cursor: Uint8Array, length: number): void {
  if (cursor.length !== length)
    throw wrong(`cursor: got ${cursor.length} bytes, not what a list of this store gave`);
}

export function isPool(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= POOL_MAX;
}

function wrong(what: string): TmemError {
  return new TmemError('TMEM_ERR_TYPE', what);
}
