/**
 * Which clients of the store exports are: one each, with a pool for its pages and one for what belongs to them, and one
 * more with a pool where pages of its file are kept (`cache`).
 */

import { createHash } from 'node:crypto';
import type { StoreStatistics } from '../zcache/index.ts';

const CLIENT_PREFIX = 'nbd:';
const CACHE_PREFIX = 'nbd-cache:';
/** A client's name has at most 64 bytes; longer names of exports are hashed. */
const PLAIN_NAME = /^[\x20-\x7e]{0,54}$/;

/** An export that a store has something of. */
export interface KeptExport {
  /** What it is called, or '#' and a hash where the name is long or has unusual characters. */
  readonly name: string;
  /** Pages of it in the store. */
  readonly pages: number;
}

export function clientName(name: string): string {
  return CLIENT_PREFIX + shortened(name);
}

export function cacheName(name: string): string {
  return CACHE_PREFIX + shortened(name);
}

/** Clients and pools of the store that exports take. */
export function storeNeeds(exports: Iterable<{ readonly cache?: boolean | undefined }>): {
  clients: number;
  pools: number;
} {
  let clients = 0;
  let pools = 0;
  for (const { cache = false } of exports) {
    clients += cache ? 2 : 1;
    pools += cache ? 3 : 2;
  }
  return { clients, pools };
}

/** Exports with pages in the store, but for those of these names. */
export function keptExports({ clients }: StoreStatistics, but: Iterable<string>): KeptExport[] {
  const known = new Set([...but].map(clientName));
  return clients
    .filter(({ name }) => name.startsWith(CLIENT_PREFIX) && !known.has(name))
    .map(({ name, pools }) => ({
      name: name.slice(CLIENT_PREFIX.length),
      pages: areaContent(pools)?.curr_pages ?? 0,
    }))
    .filter(({ pages }) => pages > 0);
}

/** What is in the pool with an export's pages. */
export function areaContent(pools: StoreStatistics['clients'][number]['pools']) {
  return pools.find(({ name }) => name.startsWith('area-'))?.content;
}

function shortened(name: string): string {
  if (PLAIN_NAME.test(name)) return name;
  return `#${createHash('sha256').update(name).digest('hex').slice(0, 40)}`;
}
