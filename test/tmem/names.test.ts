// Names, options and grants of stores, clients and pools: what does not fit is an error that names it, and changes
// nothing.

import { describe, expect, test } from 'vitest';
import { attach, type Client, open } from '../../src/index.ts';
import { misused, oid, out, page, uuid } from './misused.ts';
import { expectCode } from './operations.ts';
import { PAGE_BYTES } from './page-content.ts';
import { drain, expectAccounted, expectNothingLeft, withStore } from './small-store.ts';

describe('names and options', () => {
  test.each([
    ['', 'TMEM_ERR_NAME'],
    ['x'.repeat(65), 'TMEM_ERR_NAME'],
    ['ü'.repeat(33), 'TMEM_ERR_NAME'],
    ['a\nb', 'TMEM_ERR_NAME'],
    ['\ud800', 'TMEM_ERR_NAME'],
    [5, 'TMEM_ERR_TYPE'],
    [undefined, 'TMEM_ERR_TYPE'],
  ])('a client or pool is not called %j', (name, code) => {
    misused((_pool, client, { store }) => {
      expectCode(code, () => store.client(name as string));
      expectCode(code, () => client.pool(name as string, { kind: 'ephemeral' }));
    });
  });

  test.each(['x'.repeat(64), 'ü'.repeat(32), 'a b/c', '🦔'])('a client or pool may be called %j', (name) => {
    withStore({}, (small) => {
      const client = small.store.client(name);
      const pool = client.pool(name, { kind: 'persistent' });
      expect(pool.put(oid, 0, page)).toBe('stored');
      expect(small.store.client(name).pool(name, { kind: 'persistent' }).pages).toBe(1);
      expect(small.store.stats().clients.map((stats) => [stats.name, stats.pools[0]?.name])).toEqual([
        [name, name],
      ]);
      expectNothingLeft(small, [client]);
    });
  });

  test('a pool or client that exists with other settings is not opened, and stays what it is', () => {
    misused((_pool, client, { store }) => {
      for (const options of [
        { kind: 'ephemeral' },
        { kind: 'persistent', codec: 'lzo' },
        { kind: 'persistent', pam: 'zbud' },
      ] as const) {
        expectCode('TMEM_ERR_NAME_MISMATCH', () => client.pool('p', options));
      }
      expect(client.pool('p', { kind: 'persistent', codec: 'lz4', pam: 'zv' }).pages).toBe(2);
      store.client('heavy', { weight: 7, cap: '1 MiB' });
      expectCode('TMEM_ERR_NAME_MISMATCH', () => store.client('heavy', { weight: 8 }));
      expectCode('TMEM_ERR_NAME_MISMATCH', () => store.client('heavy', { cap: '2 MiB' }));
      expect(store.client('heavy', { weight: 7 }).stats().cap_bytes).toBe(2 ** 20);
    });
  });

  test('unknown, impossible and contradicting options are named', () => {
    misused((_pool, client, { store }) => {
      const kind = 'ephemeral' as const;
      for (const [options, word] of [
        [{}, 'kind'],
        [{ kind: 'eternal' }, 'kind'],
        [{ kind, colour: 'red' }, 'colour'],
        [{ kind, codec: 'zstd' }, 'codec'],
        [{ kind, pam: 'zsmalloc' }, 'pam'],
        [{ kind, shared: 'everyone' }, 'shared'],
        [{ kind, pam: 'raw', limit: 0 }, 'limit'],
        [{ kind, precompressed: true }, 'precompressed'],
        [{ kind, pageSize: 8192 }, 'pageSize'],
        [{ kind, pam: 'raw', codec: 'lz4' }, 'codec'],
        [{ kind, pam: 'zbud', limit: 5, demoteTo: client }, 'demoteTo'],
        [{ kind, pam: 'raw', limit: 5, demoteTo: {} }, 'demoteTo'],
      ] as const) {
        const error = expectCode('TMEM_ERR_POOL_FLAGS', () => client.pool('new', options as never));
        expect(error.message).toContain(word);
      }
      for (const [options, word] of [
        [{ weight: 0 }, 'weight'],
        [{ weight: 1.5 }, 'weight'],
        [{ cap: 1 }, 'cap'],
        [{ cap: 'much' }, 'cap'],
        [{ colour: 1 }, 'colour'],
      ] as const) {
        const error = expectCode('TMEM_ERR_SETTING', () => store.client('new', options as never));
        expect(error.message).toContain(word);
      }
      expect(store.stats().clients.map(({ name }) => name)).toEqual(['c']);
      expect(client.stats().pools.map(({ name }) => name)).toEqual(['p']);
    });
  });

  test.each([
    [{ memory: '1 KiB' }, 'memory'],
    [{ memory: 8 * 2 ** 20, arenas: 2 }, 'arenas'],
    [{ memory: '8 MiB', threads: 128, stagingPages: 64 }, 'threads'],
    [{ memory: '8 MiB', colour: 'red' }, 'colour'],
    [{ memory: '8 MiB', pools: 65_535, threads: 100, stagingPages: 4 }, 'stagingPages'],
    [{}, 'memory'],
  ])('a store is not opened with %j', (options, word) => {
    const error = expectCode('TMEM_ERR_SETTING', () => open(options as never));
    expect(error.message).toContain(word);
  });

  test('tables that are full say so, and have room again after a removal', () => {
    withStore({ pools: 4, clients: 3 }, (small) => {
      const clients = ['a', 'b', 'c'].map((name) => small.store.client(name));
      expectCode('TMEM_ERR_TOO_MANY_CLIENTS', () => small.store.client('d'));
      const [a] = clients as [Client];
      const pools = [1, 2, 3, 4].map((n) => a.pool(`pool ${n}`, { kind: 'ephemeral' }));
      expectCode('TMEM_ERR_TOO_MANY_POOLS', () => a.pool('pool 5', { kind: 'ephemeral' }));
      pools[2]!.destroy();
      drain(small);
      a.pool('pool 5', { kind: 'ephemeral' });
      clients[2]!.remove();
      expectNothingLeft(small, [small.store.client('d'), a, clients[1]!]);
    });
  });

  test('attach takes only what share() gave, and only while a thread slot is free', () => {
    withStore({ threads: 3 }, ({ store }) => {
      for (const token of [undefined, null, {}, { kind: 'tmem-store-1' }, 'token']) {
        expectCode('TMEM_ERR_SHARED_TOKEN', () => attach(token as never));
      }
      const third = attach(store.share()); // the second one is the test's own view
      expectCode('TMEM_ERR_TOO_MANY_THREADS', () => attach(store.share()));
      third.close();
      attach(store.share()).close();
    });
  });
});

describe('shared pools', () => {
  test('nobody but the creator joins without a grant, and a grant can be taken back', () => {
    withStore({}, (small) => {
      const [owner, guest] = ['owner', 'guest'].map((name) => small.store.client(name)) as [Client, Client];
      const pool = owner.pool('mine', { kind: 'ephemeral', shared: uuid });
      const join = () => guest.pool('theirs', { kind: 'ephemeral', shared: uuid.toUpperCase() });
      expectCode('TMEM_ERR_NOT_GRANTED', join);
      pool.grant(guest);
      const joined = join();
      expect(joined.id).toBe(pool.id);
      expect(joined.put(oid, 0, page)).toBe('stored');
      // A get keeps the page: the other may want it, too.
      for (const each of [pool, joined, pool]) expect(each.get(oid, 0, out)).toBe(PAGE_BYTES);
      expect(pool.stats().traffic.succ_gets).toBe(3);
      pool.revoke(guest);
      expectCode('TMEM_ERR_NOT_GRANTED', join);
      expectCode('TMEM_ERR_NAME_MISMATCH', () => owner.pool('mine', { kind: 'persistent', shared: uuid }));
      expectAccounted(small);
      expectNothingLeft(small, [guest, owner]);
    });
  });

  test('a pool that is not shared grants nothing', () => {
    misused((pool, client) => {
      expectCode('TMEM_ERR_NOT_GRANTED', () => pool.grant(client));
    });
  });
});
