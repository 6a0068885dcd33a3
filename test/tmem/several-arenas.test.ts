// A store of several arenas behaves as one: objects spread over them, every operation finds what is where.

import { describe, expect, test } from 'vitest';
import { attach, Oid } from '../../src/index.ts';
import { numbered, PAGE_BYTES } from './page-content.ts';
import { expectAccounted, expectNothingLeft, FRAME_BYTES, MIB, withStore } from './small-store.ts';

const OPTIONS = { memory: 64 * MIB, arenas: 4 } as const;
const oid = Oid.fromString('one object');
const other = Oid.fromString('another');
const out = new Uint8Array(PAGE_BYTES);
/** Indexes of 16 ranges of 256: they fall into all arenas. */
const indexes = Array.from({ length: 16 * 4 }, (_, i) => (i >> 2) * 256 + (i & 3) * 85);

describe('a store of four arenas', () => {
  test('spreads one object over all of them, and every operation finds its pages', () => {
    withStore(OPTIONS, (small) => {
      const client = small.store.client('c');
      const pool = client.pool('p', { kind: 'persistent' });
      for (const [i, index] of indexes.entries())
        expect(pool.put(oid, index, numbered(i, 700))).toBe('stored');
      expect(pool.put(other, 0, numbered(0, 700))).toBe('stored');
      const perArena = small.arenas.map((arena, at) => arena.wasm.pagesOf(pool.arenaIds[at]!));
      expect(perArena.reduce((sum, pages) => sum + pages, 0)).toBe(indexes.length + 1);
      expect(Math.min(...perArena)).toBeGreaterThan(0);
      expect(pool.pages).toBe(indexes.length + 1);
      for (const [i, index] of indexes.entries()) {
        expect(pool.get(oid, index, out)).toBe(PAGE_BYTES);
        expect(Buffer.compare(out, numbered(i, 700))).toBe(0);
        expect(pool.readAt(oid, index, PAGE_BYTES - 4, out)).toBe(4);
        expect(new DataView(out.buffer).getUint32(0, true)).toBe(i);
        expect(pool.writeAt(oid, index, 0, out.subarray(0, 4))).toBe('stored');
        expect(pool.exchange(oid, index, numbered(i, 700), out)).toEqual({
          length: PAGE_BYTES,
          outcome: 'stored',
        });
      }
      const walked = [...pool.walk()].filter((handle) => handle.oid.equals(oid)).map(({ index }) => index);
      expect(walked.sort((a, b) => a - b)).toEqual([...indexes].sort((a, b) => a - b));
      expect(pool.flushPage(oid, indexes[0]!)).toBe(true);
      expect(pool.flushObject(oid)).toBe(indexes.length - 1);
      expect(pool.flushObject(oid)).toBe(0);
      expect(pool.pages).toBe(1);
      expect(pool.flush()).toBe(1);
      expectAccounted(small);
      expectNothingLeft(small, [client]);
    });
  });

  test.each(['buffer', 'staging'] as const)('a range from a %s crosses from arena to arena', (from) => {
    withStore(OPTIONS, (small) => {
      const pool = small.store.client('c').pool('p', { kind: 'persistent' });
      const pages = 8;
      const { staging } = small.store;
      const range =
        from === 'staging' ? staging.subarray(0, pages * PAGE_BYTES) : new Uint8Array(pages * PAGE_BYTES);
      for (let first = 252; first < 256 * 12; first += 256) {
        for (let i = 0; i < pages; i++) range.set(numbered(first + i, 700), i * PAGE_BYTES);
        expect(pool.putRange(oid, first, range)).toBe(pages);
        range.fill(0);
        const lengths: number[] = [];
        expect(pool.getRange(oid, first, range, lengths)).toBe(pages);
        expect(lengths).toEqual(Array(pages).fill(PAGE_BYTES));
        for (let i = 0; i < pages; i++) {
          const page = range.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
          expect(Buffer.compare(page, numbered(first + i, 700))).toBe(0);
        }
      }
      expectAccounted(small);
    });
  });

  test('evicts in the arena that is full, shrinks in all, keeps caps, and forgets what is destroyed', () => {
    withStore({ memory: 32 * MIB, arenas: 4 }, (small) => {
      const { store } = small;
      const client = store.client('c', { cap: 8 * MIB });
      const pool = client.pool('e', { kind: 'ephemeral' });
      const kept = client.pool('p', { kind: 'persistent' });
      const again = attach(store.share());
      for (let i = 0; i < 4000; i++) {
        expect(pool.put(Oid.fromNumbers(i >> 5), (i & 31) * 256, numbered(i, 2500))).toBe('stored');
        if (i % 50 === 0) expect(kept.put(oid, i * 11, numbered(i, 2500))).toBe('stored');
      }
      expect(client.stats().frames.curr_frames * FRAME_BYTES).toBeLessThanOrEqual(8 * MIB);
      expect(client.stats().reclaim.evicted_zpages).toBeGreaterThan(0);
      const free = store.stats().store.frames_free;
      const { freed } = store.shrink(300);
      expect(freed).toBeGreaterThanOrEqual(300);
      expect(store.stats().store.frames_free).toBeGreaterThanOrEqual(free + 300);
      expect(kept.pages).toBe(80);
      // Another thread's view of it.
      const seen = again.client('c').pool('p', { kind: 'persistent' });
      for (let i = 0; i < 4000; i += 50) {
        expect(seen.get(oid, i * 11, out)).toBe(PAGE_BYTES);
        expect(Buffer.compare(out, numbered(i, 2500))).toBe(0);
      }
      again.close();
      store.freeze();
      expect(kept.put(oid, 0, out)).toBe('frozen');
      store.thaw();
      pool.destroy();
      kept.setCodec('lzo');
      expect(kept.put(oid, 5, numbered(5, 700))).toBe('stored');
      expectAccounted(small);
      expectNothingLeft(small, [client]);
    });
  });

  test('shares pools and grants in every arena', () => {
    withStore(OPTIONS, (small) => {
      const [owner, guest] = [small.store.client('owner'), small.store.client('guest')];
      const uuid = 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6';
      // Other pools before it, so that its ids are not all alike.
      guest.pool('own', { kind: 'ephemeral' });
      const pool = owner.pool('shared', { kind: 'ephemeral', shared: uuid });
      pool.grant(guest);
      const joined = guest.pool('joined', { kind: 'ephemeral', shared: uuid });
      for (const index of indexes) expect(pool.put(oid, index, numbered(index, 300))).toBe('stored');
      for (const index of indexes) expect(joined.get(oid, index, out)).toBe(PAGE_BYTES);
      expect(joined.pages).toBe(indexes.length);
      expectAccounted(small);
      expectNothingLeft(small, [guest, owner]);
    });
  });
});
