// Misuse throws a TmemError with the right code, names what was wrong, and loses nothing.

import { describe, expect, test } from 'vitest';
import { type Client, open, type Pool, type Store } from '../../src/index.ts';
import { misused, oid, out, page, uuid } from './misused.ts';
import { expectCode } from './operations.ts';
import { PAGE_BYTES } from './page-content.ts';
import { drain, expectAccounted, withStore } from './small-store.ts';

type Call = (pool: Pool, given: never) => unknown;

const PAGE_CALLS: Record<string, Call> = {
  put: (pool, given) => pool.put(oid, 0, given),
  writeAt: (pool, given) => pool.writeAt(oid, 0, 0, given),
  exchange: (pool, given) => pool.exchange(oid, 0, given, out),
};

const BUFFER_CALLS: Record<string, Call> = {
  ...PAGE_CALLS,
  get: (pool, given) => pool.get(oid, 0, given),
  getAndKeep: (pool, given) => pool.getAndKeep(oid, 0, given),
  getAndFree: (pool, given) => pool.getAndFree(oid, 0, given),
  readAt: (pool, given) => pool.readAt(oid, 0, 0, given),
  'exchange out': (pool, given) => pool.exchange(oid, 0, page, given),
  putRange: (pool, given) => pool.putRange(oid, 0, given),
  getRange: (pool, given) => pool.getRange(oid, 0, given),
};

const INDEX_CALLS: Record<string, Call> = {
  put: (pool, index) => pool.put(oid, index, page),
  get: (pool, index) => pool.get(oid, index, out),
  getAndKeep: (pool, index) => pool.getAndKeep(oid, index, out),
  getAndFree: (pool, index) => pool.getAndFree(oid, index, out),
  readAt: (pool, index) => pool.readAt(oid, index, 0, out),
  writeAt: (pool, index) => pool.writeAt(oid, index, 0, page),
  exchange: (pool, index) => pool.exchange(oid, index, page, out),
  flushPage: (pool, index) => pool.flushPage(oid, index),
  putRange: (pool, index) => pool.putRange(oid, index, page),
  getRange: (pool, index) => pool.getRange(oid, index, out),
};

const OID_CALLS: Record<string, Call> = {
  put: (pool, given) => pool.put(given, 0, page),
  get: (pool, given) => pool.get(given, 0, out),
  readAt: (pool, given) => pool.readAt(given, 0, 0, out),
  writeAt: (pool, given) => pool.writeAt(given, 0, 0, page),
  exchange: (pool, given) => pool.exchange(given, 0, page, out),
  flushPage: (pool, given) => pool.flushPage(given, 0),
  flushObject: (pool, given) => pool.flushObject(given),
  putRange: (pool, given) => pool.putRange(given, 0, page),
  getRange: (pool, given) => pool.getRange(given, 0, out),
};

describe('arguments', () => {
  test.each(Object.keys(BUFFER_CALLS))('%s: a page is a Uint8Array and nothing else', (name) => {
    misused((pool) => {
      for (const given of [undefined, null, 'page', 5, {}, [1, 2], new Uint16Array(8), new ArrayBuffer(8)]) {
        expectCode('TMEM_ERR_TYPE', () => BUFFER_CALLS[name]!(pool, given as never));
      }
    });
  });

  test.each(Object.keys(PAGE_CALLS))('%s: a page has 1 to 4096 bytes', (name) => {
    misused((pool) => {
      for (const length of [0, PAGE_BYTES + 1, 2 * PAGE_BYTES]) {
        expectCode('TMEM_ERR_PAGE_LENGTH', () => PAGE_CALLS[name]!(pool, new Uint8Array(length) as never));
      }
    });
  });

  test.each(['putRange', 'getRange'])('%s: a range is whole pages', (name) => {
    misused((pool) => {
      for (const length of [0, 1, PAGE_BYTES - 1, PAGE_BYTES + 1]) {
        expectCode('TMEM_ERR_PAGE_LENGTH', () => BUFFER_CALLS[name]!(pool, new Uint8Array(length) as never));
      }
    });
  });

  test.each(Object.keys(INDEX_CALLS))('%s: an index is a whole number of 32 bits', (name) => {
    misused((pool) => {
      for (const index of [
        -1,
        0.5,
        2 ** 32,
        Number.NaN,
        Number.POSITIVE_INFINITY,
        '0',
        undefined,
        null,
        1n,
      ]) {
        expectCode('TMEM_ERR_INDEX', () => INDEX_CALLS[name]!(pool, index as never));
      }
    });
  });

  test('a range does not wrap around behind the last index', () => {
    misused((pool) => {
      const two = new Uint8Array(2 * PAGE_BYTES);
      expectCode('TMEM_ERR_INDEX', () => pool.putRange(oid, 2 ** 32 - 1, two));
      expectCode('TMEM_ERR_INDEX', () => pool.getRange(oid, 2 ** 32 - 1, two));
      expect(pool.putRange(oid, 2 ** 32 - 2, two)).toBe(2);
      expect(pool.getRange(oid, 2 ** 32 - 2, two)).toBe(2);
      for (const index of [2 ** 32 - 2, 2 ** 32 - 1]) expect(pool.flushPage(oid, index)).toBe(true);
    });
  });

  test.each(Object.keys(OID_CALLS))('%s: an oid is an Oid', (name) => {
    misused((pool) => {
      for (const given of [undefined, null, 1, 'oid', new Uint8Array(24), { ...oid }]) {
        expectCode('TMEM_ERR_TYPE', () => OID_CALLS[name]!(pool, given as never));
      }
    });
  });

  test('a get into a buffer that is shorter than the page changes nothing', () => {
    misused((pool) => {
      for (const length of [0, 1, PAGE_BYTES - 1]) {
        const short = new Uint8Array(length);
        expectCode('TMEM_ERR_PAGE_LENGTH', () => pool.get(oid, 0, short));
        expectCode('TMEM_ERR_PAGE_LENGTH', () => pool.getAndFree(oid, 0, short));
        expectCode('TMEM_ERR_PAGE_LENGTH', () => pool.exchange(oid, 0, page, short));
        expect(short.every((byte) => byte === 0)).toBe(true);
      }
    });
  });

  test('a part lies inside a page', () => {
    misused((pool) => {
      const bytes = new Uint8Array(10);
      for (const offset of [-1, 0.5, PAGE_BYTES - 9, PAGE_BYTES, 2 ** 32, Number.NaN]) {
        expectCode('TMEM_ERR_PAGE_LENGTH', () => pool.writeAt(oid, 0, offset, bytes));
      }
      for (const offset of [-1, 0.5, PAGE_BYTES + 1, Number.NaN]) {
        expectCode('TMEM_ERR_PAGE_LENGTH', () => pool.readAt(oid, 0, offset, bytes));
      }
    });
  });

  test('shrink takes a number of frames', () => {
    misused((_pool, _client, { store }) => {
      for (const frames of [-1, 0.5, Number.NaN, '1', undefined]) {
        expectCode('TMEM_ERR_TYPE', () => store.shrink(frames as number));
      }
    });
  });
});

describe('what is gone', () => {
  const ANY_CALL: Record<string, (pool: Pool, client: Client) => unknown> = {
    put: (pool) => pool.put(oid, 0, page),
    get: (pool) => pool.get(oid, 0, out),
    readAt: (pool) => pool.readAt(oid, 0, 0, out),
    writeAt: (pool) => pool.writeAt(oid, 0, 0, page),
    exchange: (pool) => pool.exchange(oid, 0, page, out),
    flushPage: (pool) => pool.flushPage(oid, 0),
    flushObject: (pool) => pool.flushObject(oid),
    flush: (pool) => pool.flush(),
    putRange: (pool) => pool.putRange(oid, 0, page),
    getRange: (pool) => pool.getRange(oid, 0, out),
    walk: (pool) => [...pool.walk()],
    pages: (pool) => pool.pages,
    stats: (pool) => pool.stats(),
    setCodec: (pool) => pool.setCodec('lzo'),
    grant: (pool, client) => pool.grant(client),
    revoke: (pool, client) => pool.revoke(client),
    destroy: (pool) => pool.destroy(),
  };

  test.each(Object.keys(ANY_CALL))('%s on a destroyed pool is an error', (name) => {
    misused((_pool, client, small) => {
      const gone = client.pool('gone', { kind: 'ephemeral', shared: uuid });
      gone.destroy();
      expectCode('TMEM_ERR_POOL_GONE', () => ANY_CALL[name]!(gone, client));
      drain(small);
      expectCode('TMEM_ERR_POOL_GONE', () => ANY_CALL[name]!(gone, client));
    });
  });

  test.each(Object.keys(ANY_CALL))('%s on a closed store is an error', (name) => {
    const store = open({ memory: '8 MiB', debug: true });
    const client = store.client('c');
    const pool = client.pool('p', { kind: 'persistent', shared: uuid });
    store.close();
    store.close();
    expectCode('TMEM_ERR_CLOSED', () => ANY_CALL[name]!(pool, client));
  });

  test('every call of a closed store and its clients is an error', () => {
    const store = open({ memory: '8 MiB', debug: true });
    const client = store.client('c');
    store.close();
    expect(store.closed).toBe(true);
    const calls: ((store: Store) => unknown)[] = [
      () => store.share(),
      () => store.client('c'),
      () => store.freeze(),
      () => store.thaw(),
      () => store.shrink(1),
      () => store.stats(),
      () => client.pool('p', { kind: 'ephemeral' }),
      () => client.setWeight(1),
      () => client.setCap(null),
      () => client.freeze(),
      () => client.stats(),
      () => client.remove(),
    ];
    for (const call of calls) expectCode('TMEM_ERR_CLOSED', () => call(store));
  });

  test('a removed client and its pools', () => {
    misused((_pool, _client, { store }) => {
      const client = store.client('gone');
      const pool = client.pool('p', { kind: 'persistent' });
      expect(pool.put(oid, 0, page)).toBe('stored');
      client.remove();
      for (const call of [
        () => client.pool('p', { kind: 'persistent' }),
        () => client.stats(),
        () => client.setWeight(5),
        () => client.setCap(null),
        () => client.freeze(),
        () => client.remove(),
      ]) {
        expectCode('TMEM_ERR_CLIENT_GONE', call);
      }
      expect(pool.put(oid, 0, page)).toBe('pool-gone');
      expect(pool.get(oid, 0, out)).toBe(0);
      expect(store.client('gone').pool('p', { kind: 'persistent' }).pages).toBe(0);
    });
  });

  test('an old object of a destroyed pool never reaches the pool that has its id now', () => {
    withStore({ pools: 1 }, (small) => {
      const client = small.store.client('c');
      const [first, second] = [1, 2].map(() => client.pool('twice', { kind: 'persistent' })) as [Pool, Pool];
      expect(first.put(oid, 7, page)).toBe('stored');
      first.destroy();
      drain(small);
      const other = client.pool('other', { kind: 'persistent' });
      expect(other.put(oid, 7, page)).toBe('stored');
      const small7 = new Uint8Array(1);
      expect(second.put(oid, 7, small7)).toBe('pool-gone');
      expect(second.get(oid, 7, out)).toBe(0);
      expect(second.writeAt(oid, 7, 0, small7)).toBe('pool-gone');
      expect(second.exchange(oid, 7, small7, out)).toEqual({ length: 0, outcome: 'pool-gone' });
      expect(second.flushPage(oid, 7)).toBe(false);
      expect(second.flushObject(oid)).toBe(0);
      expect(second.flush()).toBe(0);
      expect([...second.walk()]).toEqual([]);
      second.destroy();
      expect(other.get(oid, 7, out)).toBe(PAGE_BYTES);
      expect(Buffer.compare(out, page)).toBe(0);
      expectAccounted(small);
    });
  });
});
