// Redis as a remote store: what it has to be like, what is noticed, and what is left behind.
import fs from 'node:fs';
import path from 'node:path';
import { Redis } from 'ioredis';
import { describe, expect, onTestFinished, type TestContext, test, vi } from 'vitest';
import { listAll, pageOf } from '../../../src/ramster/remote-store/conformance-tools.ts';
import { RedisStore, type RedisStoreOptions } from '../../../src/ramster/remote-store/redis-store.ts';
import { RemoteError } from '../../../src/ramster/remote-store/remote-store.ts';
import { needTool } from '../../nbd/tools.ts';
import { RedisCluster, RedisServer, type RedisSettings } from '../redis-server.ts';
import { PatientClock } from './patient-clock.ts';
import { optionsFor } from './redis-stores.ts';

const WAIT_MS = 30_000;

async function serverFor(context: TestContext, settings: RedisSettings = {}): Promise<RedisServer> {
  needTool(context, 'redis-server');
  const server = await RedisServer.start(settings);
  onTestFinished(() => server.stop());
  return server;
}

async function clusterFor(context: TestContext): Promise<RedisCluster> {
  needTool(context, 'redis-server');
  const cluster = await RedisCluster.start();
  onTestFinished(() => cluster.stop());
  return cluster;
}

async function opened(
  connection: RedisStoreOptions['connection'],
  options: Partial<RedisStoreOptions> = {},
): Promise<RedisStore> {
  const store = await RedisStore.open({ ...optionsFor(connection), ...options });
  onTestFinished(() => store.close());
  return store;
}

const isUp = (store: RedisStore) => vi.waitUntil(() => store.state === 'up', WAIT_MS);
const isDown = (store: RedisStore) => vi.waitUntil(() => store.state === 'down', WAIT_MS);

describe('at the start', () => {
  test.for<[string, RedisSettings, RegExp]>([
    [
      'a policy that throws pages away',
      { 'maxmemory-policy': 'allkeys-lru' },
      /allkeys-lru.*CONFIG SET maxmemory-policy noeviction/,
    ],
    ['no limit', { maxmemory: '0' }, /no maxmemory.*memoryMaxBytes/],
    ['a master elsewhere', { replicaof: '127.0.0.1 1' }, /replica/],
    ['a cluster around it', { 'cluster-enabled': 'yes' }, /node of a Redis Cluster/],
  ])('a Redis with %s is refused, with what to change', async ([_, settings, message], context) => {
    const server = await serverFor(context, settings);
    const opening = opened({ path: server.socket });
    await expect(opening).rejects.toMatchObject({
      code: 'TMEM_ERR_PEER',
      message: expect.stringMatching(message),
    });
  });

  test('any policy will do for ephemeral pages alone, and persistent ones are refused', async (context) => {
    const server = await serverFor(context, { 'maxmemory-policy': 'allkeys-lru' });
    const store = await opened({ path: server.socket }, { ephemeralOnly: true });
    expect(store.problem).toBeUndefined();
    expect(await store.put({ ...pageOf(1, 1), kind: 'ephemeral' })).toBe('stored');
    expect(await store.put(pageOf(2, 1))).toBe('refused');
  });

  test('a Redis without a limit takes what the store is told, and no more', async (context) => {
    const server = await serverFor(context, { maxmemory: '0' });
    const store = await opened({ path: server.socket }, { memoryMaxBytes: 4 * 2 ** 20 });
    let stored = 0;
    while (stored < 2000 && (await store.put(pageOf(1, 1 + stored, 4096))) === 'stored') stored++;
    expect(stored).toBeGreaterThan(100);
    expect(stored).toBeLessThan(1000);
  });

  test('one that cannot be reached is down with a reason, and up when it is there', async (context) => {
    const server = await serverFor(context);
    await server.kill();
    const store = await opened({ path: server.socket });
    expect(store.state).toBe('down');
    expect(store.memory).toBeUndefined();
    expect(store.problem).toMatch(/ECONNREFUSED|ENOENT|closed/);
    await expect(store.put(pageOf(1, 1))).rejects.toThrow(RemoteError);
    await server.run();
    await isUp(store);
    expect(await store.put(pageOf(1, 1))).toBe('stored');
  });

  test('settings are checked together', async () => {
    const options = { ...optionsFor('redis://127.0.0.1:1'), name: 'a b', deadlineMs: 0, leaseMs: 1 };
    await expect(RedisStore.open(options)).rejects.toMatchObject({
      code: 'TMEM_ERR_SETTING',
      message: expect.stringMatching(/name: .*deadlineMs: .*leaseMs: /),
    });
  });
});

describe('connections', () => {
  test('a password is needed where there is one', async (context) => {
    const server = await serverFor(context);
    await server.command('config', 'set', 'requirepass', 'secret');
    const stranger = await opened({ path: server.socket });
    expect(stranger.state).toBe('down');
    expect(stranger.problem).toMatch(/NOAUTH/);
    const mistaken = await opened({ path: server.socket, password: 'sesame' });
    expect(mistaken.problem).toMatch(/WRONGPASS/);
    const store = await opened({ path: server.socket, password: 'secret' });
    expect(await store.put(pageOf(1, 1))).toBe('stored');
  });

  test('a user who may do no more than the manual says can use all of it', async (context) => {
    const server = await serverFor(context);
    const manual = fs.readFileSync(
      path.join(import.meta.dirname, '../../../docs/operating/redis.md'),
      'utf8',
    );
    const rules = /`(\+@connection [^`]*)`/.exec(manual)?.[1]?.split(' ') ?? [];
    await server.command('acl', 'setuser', 'tmem', 'on', '>secret', '~tmem:*', ...rules);
    const store = await opened({ path: server.socket, username: 'tmem', password: 'secret' });
    expect(store.problem).toBeUndefined();
    for (const id of [1, 2, 100]) expect(await store.put(pageOf(1, id))).toBe('stored');
    await store.put(pageOf(2, 1));
    expect(await store.get(1, 1, true)).toBeDefined();
    await store.free([{ pool: 1, id: 100 }]);
    expect(await listAll(store)).toHaveLength(2);
    await store.destroyPool(1);
    expect(await listAll(store)).toEqual([{ pool: 2, id: 1 }]);
  });

  test('with TLS pages travel, and a server that is not trusted does not get them', async (context) => {
    const folder = path.join(import.meta.dirname, '../../nbd/certificates');
    needTool(context, 'redis-server');
    const server = await RedisServer.start(
      {
        'tls-cert-file': path.join(folder, 'server-cert.pem'),
        'tls-key-file': path.join(folder, 'server-key.pem'),
        'tls-ca-cert-file': path.join(folder, 'ca-cert.pem'),
      },
      'tls',
    );
    onTestFinished(() => server.stop());
    const pem = (name: string): Buffer => fs.readFileSync(path.join(folder, `${name}.pem`));
    const tls = { ca: pem('ca-cert'), cert: pem('client-cert'), key: pem('client-key') };
    const connection = { host: '127.0.0.1', port: server.port };
    const store = await opened({ ...connection, tls });
    expect(store.problem).toBeUndefined();
    expect(await store.put(pageOf(1, 1))).toBe('stored');
    const { ca: _, ...withoutAuthority } = tls;
    const careful = await opened({ ...connection, tls: withoutAuthority });
    expect(careful.state).toBe('down');
    expect(careful.problem).toMatch(/certificate/i);
  });

  test('a client that is handed in is copied with its prefix, and stays as it was', async (context) => {
    const server = await serverFor(context);
    const client = new Redis({ path: server.socket, keyPrefix: 'mine:' });
    onTestFinished(() => client.disconnect());
    const store = await opened(client);
    expect(await store.put(pageOf(1, 1))).toBe('stored');
    const keys = (await server.command('keys', '*')).split('\n');
    expect(keys.filter((key) => !key.startsWith('mine:tmem:{'))).toEqual([]);
    expect(keys).toHaveLength(4);
    await store.close();
    expect(await client.ping()).toBe('PONG');
  });

  test('a connection that is cut is made again, with the same memory and pages', async (context) => {
    const server = await serverFor(context);
    const store = await opened({ path: server.socket });
    const { memory } = store;
    await store.put(pageOf(1, 1));
    await server.command('client', 'kill', 'type', 'normal', 'skipme', 'yes');
    await vi.waitUntil(
      async () => (await store.get(1, 1, false).catch(() => undefined)) !== undefined,
      WAIT_MS,
    );
    expect(store.memory).toBe(memory);
    expect(store.state).toBe('up');
  });
});

describe('memory', () => {
  test('is the same for the node that opens it again, and another one when the node lost its own', async (context) => {
    const server = await serverFor(context);
    const options = optionsFor({ path: server.socket });
    const first = await RedisStore.open(options);
    await first.put(pageOf(1, 1));
    await first.close();
    const second = await opened(options.connection, options);
    expect(second.memory).toBe(first.memory);
    expect(await second.get(1, 1, false)).toBeDefined();
    expect(await second.put({ ...pageOf(1, 2), kind: 'ephemeral' })).toBe('refused');
    const reborn = await opened(options.connection, { ...options, owner: { name: 'a', memory: 2 } });
    expect(reborn.memory).not.toBe(first.memory);
    expect(await listAll(reborn)).toEqual([]);
  });

  test('is another one after the server was killed without its data', async (context) => {
    const server = await serverFor(context);
    const store = await opened({ path: server.socket });
    const { memory } = store;
    await store.put(pageOf(1, 1));
    await server.kill();
    await isDown(store);
    await expect(store.get(1, 1, false)).rejects.toThrow(RemoteError);
    await server.run();
    await isUp(store);
    expect(store.memory).not.toBe(memory);
    expect(await store.get(1, 1, false)).toBeUndefined();
  });

  test('is the same after the server was killed and had its data on the disk', async (context) => {
    const server = await serverFor(context, { appendonly: 'yes', appendfsync: 'always' });
    const store = await opened({ path: server.socket });
    const { memory } = store;
    await store.put(pageOf(1, 1));
    await server.kill();
    await isDown(store);
    await server.run();
    await isUp(store);
    expect(store.memory).toBe(memory);
    expect(await store.get(1, 1, false)).toBeDefined();
  });

  test('of a cluster is another one when one of its nodes lost what it had', async (context) => {
    const cluster = await clusterFor(context);
    const store = await opened({ nodes: cluster.nodes });
    const pages = Array.from({ length: 3 * 64 }, (_, i) => pageOf(i % 3, 1 + i * 64));
    for (const page of pages) expect(await store.put(page)).toBe('stored');
    for (const server of cluster.servers) {
      const { memory } = store;
      await server.command('flushall');
      await vi.waitUntil(() => store.memory !== memory, WAIT_MS);
    }
    await isUp(store);
    expect(await listAll(store)).toEqual([]);
  });

  test('of a cluster stays when a node is away for a while; only its pages cannot be had', async (context) => {
    const cluster = await clusterFor(context);
    const clock = new PatientClock();
    const store = await opened({ nodes: cluster.nodes }, { clock });
    const pages = Array.from({ length: 3 * 64 }, (_, i) => pageOf(i % 3, 1 + i * 64));
    for (const page of pages) await store.put(page);
    const { memory } = store;
    clock.isSilent = true;
    cluster.servers[0]?.signal('SIGSTOP');
    await vi.waitUntil(() => store.state !== 'up', WAIT_MS);
    cluster.servers[0]?.signal('SIGCONT');
    clock.isSilent = false;
    await isUp(store);
    expect(store.memory).toBe(memory);
    for (const page of pages) expect(await store.get(page.pool, page.id, false)).toBeDefined();
  });
});

describe('while it runs', () => {
  test('a policy that was changed is noticed: persistent pages are refused, those there stay', async (context) => {
    const server = await serverFor(context);
    const store = await opened({ path: server.socket });
    await store.put(pageOf(1, 1));
    await server.command('config', 'set', 'maxmemory-policy', 'allkeys-lfu');
    await vi.waitUntil(() => store.problem !== undefined, WAIT_MS);
    expect(store.problem).toContain('allkeys-lfu');
    expect(await store.put(pageOf(1, 2))).toBe('refused');
    expect(await store.get(1, 1, false)).toBeDefined();
    await server.command('config', 'set', 'maxmemory-policy', 'noeviction');
    await vi.waitUntil(() => store.problem === undefined, WAIT_MS);
    expect(await store.put(pageOf(1, 2))).toBe('stored');
  });

  test('a master that became a replica is down, and up when it is a master again', async (context) => {
    const server = await serverFor(context);
    const store = await opened({ path: server.socket });
    await server.command('replicaof', '127.0.0.1', '1');
    await isDown(store);
    expect(store.problem).toContain('replica');
    await server.command('replicaof', 'no', 'one');
    await isUp(store);
    expect(await store.put(pageOf(1, 1))).toBe('stored');
  });

  test('a key of somebody else in the place of ours is an error, and no page', async (context) => {
    const server = await serverFor(context);
    const store = await opened({ path: server.socket });
    await store.put(pageOf(1, 1));
    const [key = ''] = (await server.command('keys', '*/1/0}')).split('\n');
    await server.command('set', key, 'x');
    await expect(store.get(1, 1, false)).rejects.toThrow(/WRONGTYPE/);
    await server.command('del', key);
    await server.command('hset', key, '1', 'x', '64', 'x', 'name', 'x');
    expect(await listAll(store)).toEqual([{ pool: 1, id: 1 }]);
  });
});

describe('what is left behind', () => {
  test('everything has a lease, which is renewed while the node lives', async (context) => {
    const server = await serverFor(context);
    const store = await opened({ path: server.socket }, { leaseMs: 600_000 });
    // Also a block that was emptied, and filled again.
    for (let id = 1; id < 200; id++) await store.put(pageOf(id % 2, id));
    await store.free(Array.from({ length: 199 }, (_, i) => ({ pool: (i + 1) % 2, id: i + 1 })));
    for (let id = 1; id < 200; id++) await store.put(pageOf(id % 2, id));
    const keys = (await server.command('keys', '*')).split('\n');
    for (const key of keys) expect(Number(await server.command('pttl', key)), key).toBeGreaterThan(0);
    // A new connection renews at once.
    for (const key of keys) await server.command('pexpire', key, '100000');
    await server.command('client', 'kill', 'type', 'normal', 'skipme', 'yes');
    for (const key of keys) {
      await vi.waitUntil(async () => Number(await server.command('pttl', key)) > 100_000, WAIT_MS);
    }
  });

  test('a node that does not come back leaves nothing after its lease', async (context) => {
    const server = await serverFor(context);
    const store = await opened({ path: server.socket }, { leaseMs: 5000 });
    for (let id = 1; id < 200; id++) await store.put(pageOf(id % 2, id));
    await store.close();
    await vi.waitUntil(async () => (await server.command('dbsize')) === '0', WAIT_MS);
  });

  test('freed pages and destroyed pools leave nothing, once listed', async (context) => {
    const server = await serverFor(context);
    const store = await opened({ path: server.socket });
    const before = await server.command('dbsize');
    const pages = Array.from({ length: 500 }, (_, i) => pageOf(i % 2, 1 + i));
    for (const page of pages) await store.put(page);
    const ofFirst = pages.filter(({ pool }) => pool === 0);
    await store.free(ofFirst);
    await listAll(store);
    expect(await server.command('keys', '*:blocks:0')).toBe('');
    await store.destroyPool(0);
    await store.destroyPool(1);
    expect(await server.command('dbsize')).toBe(before);
  });
});
