// Pools that compress nothing: bytes are kept as they came, in as much memory as they need, whatever the store refuses.
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { Oid, type Pool } from '../../src/index.ts';
import { expectCode } from './operations.ts';
import { expectAccounted, type SmallStore, withStore } from './small-store.ts';

const oid = Oid.fromNumbers(8);
const out = Buffer.alloc(4096);
const bytes = randomBytes(4096);

function framesOf({ store }: SmallStore): number {
  return store.client('c').frames().frames;
}

function expectPage(pool: Pool, index: number, page: Uint8Array): void {
  expect(Buffer.compare(out.subarray(0, pool.getAndKeep(oid, index, out)), page)).toBe(0);
}

test.each(['persistent', 'ephemeral'] as const)('every length is kept as it is in a %s pool', (kind) => {
  withStore({ verify: true, zvMaxPageBytes: 100, zvMaxMeanBytes: 100 }, (small) => {
    const pool = small.store.client('c').pool('p', { kind, codec: 'none' });
    const lengths = [1, 2, 7, 8, 9, 1000, 4079, 4080, 4081, 4095, 4096];
    for (const length of lengths) expect(pool.put(oid, length, bytes.subarray(0, length))).toBe('stored');
    for (const length of lengths) expectPage(pool, length, bytes.subarray(0, length));
    expect(pool.remotePages.look(oid, 1000)).toMatchObject({ kind: 'stored', codec: 'raw', length: 1000 });
    expectAccounted(small);
  });
});

test('it takes no more memory than the bytes need', () => {
  withStore({}, (small) => {
    const pool = small.store.client('c').pool('p', { kind: 'persistent', codec: 'none' });
    const before = framesOf(small);
    for (let i = 0; i < 400; i++) expect(pool.put(oid, i, bytes.subarray(i, i + 1000))).toBe('stored');
    expect(framesOf(small) - before).toBeLessThan((400 * 1016) / 4096 + 20);
    expect(pool.stats().content.curr_zbytes).toBe(400 * 1000);
  });
});

test('it says so, can be switched, and keeps what it has', () => {
  withStore({}, ({ store }) => {
    const client = store.client('c');
    const pool = client.pool('p', { kind: 'ephemeral', codec: 'none' });
    expect(pool).toMatchObject({ codec: 'none', pam: 'zv' });
    expect(pool.stats()).toMatchObject({ codec: 'none', pam: 'zv' });
    pool.put(oid, 1, bytes.subarray(0, 1500));
    pool.setCodec('lz4');
    expect(pool.put(oid, 2, bytes)).toBe('compresses-poorly');
    pool.setCodec('none');
    expect(pool.put(oid, 2, bytes)).toBe('stored');
    expectPage(pool, 1, bytes.subarray(0, 1500));
    expectPage(pool, 2, bytes);
    expectCode('TMEM_ERR_NAME_MISMATCH', () => client.pool('p', { kind: 'ephemeral', codec: 'lzo' }));
    expectCode('TMEM_ERR_SETTING', () =>
      client.pool('z', { kind: 'ephemeral', pam: 'zbud' }).setCodec('none'),
    );
    expectCode('TMEM_ERR_POOL_FLAGS', () =>
      client.pool('y', { kind: 'ephemeral', pam: 'zbud', codec: 'none' }),
    );
  });
});

test('a hot level falls into it', () => {
  withStore({}, (small) => {
    const client = small.store.client('c');
    const cold = client.pool('cold', { kind: 'ephemeral', codec: 'none' });
    const hot = client.pool('hot', { kind: 'ephemeral', pam: 'raw', limit: 2, demoteTo: cold });
    for (let i = 0; i < 6; i++) expect(hot.put(oid, i, bytes.subarray(i, i + 3000))).toBe('stored');
    expect([hot.pages, cold.pages]).toEqual([2, 4]);
    for (let i = 0; i < 4; i++) expectPage(cold, i, bytes.subarray(i, i + 3000));
    expectAccounted(small);
  });
});

test('its pages go to a peer and come home into blocks of their size', () => {
  withStore({}, (small) => {
    const pool = small.store.client('c').pool('p', { kind: 'persistent', codec: 'none' });
    const { remotePages } = pool;
    for (const length of [500, 4096]) {
      pool.put(oid, length, bytes.subarray(0, length));
      const frames = framesOf(small);
      const page = remotePages.look(oid, length);
      if (page?.kind !== 'stored') throw new Error('no page');
      expect(remotePages.sendAway(oid, length, page, bytes.subarray(0, 20))).toBe('stored');
      const away = remotePages.look(oid, length);
      if (away?.kind !== 'remote') throw new Error('no record');
      expect(remotePages.bringHome(oid, length, away, page)).toBe('stored');
      expectPage(pool, length, bytes.subarray(0, length));
      expect(framesOf(small)).toBe(frames);
    }
  });
});
