// The scene of misuse tests: a pool with two pages that must be there and whole afterwards, whatever was thrown.

import { expect } from 'vitest';
import { type Client, Oid, type Pool } from '../../src/index.ts';
import { halfNoise, PAGE_BYTES } from './page-content.ts';
import { expectAccounted, type SmallStore, withStore } from './small-store.ts';

export const oid = Oid.fromNumbers(9);
export const page = halfNoise(PAGE_BYTES, 800, 1);
export const out = new Uint8Array(PAGE_BYTES);
export const uuid = 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6';

/** Runs `use` on a pool with two pages; afterwards they are still there. */
export function misused(use: (pool: Pool, client: Client, small: SmallStore) => void): void {
  withStore({}, (small) => {
    const client = small.store.client('c');
    const pool = client.pool('p', { kind: 'persistent' });
    for (const index of [0, 1]) expect(pool.put(oid, index, page)).toBe('stored');
    use(pool, client, small);
    for (const index of [0, 1]) {
      expect(pool.get(oid, index, out)).toBe(PAGE_BYTES);
      expect(Buffer.compare(out, page)).toBe(0);
    }
    expect(pool.pages).toBe(2);
    expectAccounted(small);
  });
}
