// Settings of a daemon that is a node of a cluster.
import { expect, test } from 'vitest';
import { readSettings } from '../../src/serve/index.ts';
import { type ServeInput, type ServeSettings, serveSettings } from '../../src/serve/settings.ts';
import { TmemError } from '../../src/zcache/index.ts';
import { newFolder, writeSettings } from './running.ts';

const MiB = 2 ** 20;

const tls = { certificate: '/a-cert', key: '/a-key', authority: '/ca-cert' };
const node = {
  name: 'a',
  listen: ['10.0.0.1:7300'],
  tls,
  peers: [
    { name: 'b', address: '10.0.0.2:7300' },
    { name: 'c', address: '10.0.0.3:7300' },
  ],
};
const sound: ServeInput = {
  store: { memory: '64 MiB' },
  listen: ['unix:/tmp/nbd.sock'],
  exports: [{ name: 'one', kind: 'swap', size: '1 MiB' }],
  ramster: node,
};

function messageOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(TmemError);
    expect(error).toMatchObject({ code: 'TMEM_ERR_SETTING' });
    return (error as Error).message;
  }
  return expect.fail('nothing was thrown');
}

function read(
  flags: Record<string, string | string[]> = {},
  environment: Record<string, string> = {},
  file?: string,
): ServeSettings {
  return readSettings({ file, environment, flags, inheritsSockets: false });
}

test('a node has sound settings beside those that were given', () => {
  expect(serveSettings(sound).ramster).toMatchObject({
    ...node,
    ...{ cluster: 'tmem', replicas: 2, persistent: true, ephemeral: true, seal: true },
    ...{ allowInsecure: false, drainTimeoutMs: 60_000, heartbeatMs: 500, downMs: 3000 },
  });
  expect(serveSettings({ ...sound, ramster: undefined }).ramster).toBe(undefined);
});

test('a node that only lends needs neither exports nor a place for clients', () => {
  const settings = serveSettings({ store: { memory: '64 MiB' }, ramster: node });
  expect(settings).toMatchObject({ exports: [], listen: [] });
  expect(serveSettings({ ...sound, listen: [], exports: [] }).exports).toEqual([]);
  expect(messageOf(() => serveSettings({ ...sound, listen: [] }))).toMatch(/listen: is required/);
  expect(messageOf(() => serveSettings({ ...sound, exports: [], ramster: undefined }))).toMatch(
    /exports: got an empty array, allowed is at least one export \(or none on a node, see ramster\)/,
  );
});

test('a store has clients enough for exports and for nodes whose pages it holds', () => {
  const exports = Array.from({ length: 240 }, (_, i) => ({ name: `e${i}`, kind: 'ram' as const, size: MiB }));
  expect(serveSettings({ ...sound, exports }).store.clients).toBe(608);
  expect(serveSettings({ ...sound, exports, ramster: undefined }).store.clients).toBe(undefined);
});

test('all mistakes are told at once, each with its place', () => {
  const message = messageOf(() =>
    serveSettings({
      ...sound,
      threads: -1,
      ramster: {
        name: '-a',
        listen: ['10.0.0.1', 5],
        tls: { certificate: '', authority: '/ca' },
        peers: [{ name: 'b' }, 'c=10.0.0.3:7300', { name: 'd', address: '10.0.0.4:0' }],
        ...{ cluster: '', replicas: 4, persistent: 1, seal: 'no', lendBytes: '-1', capBytes: 1 },
        ...{ drainTimeoutMs: -1, heartbeatMs: 0, allowInsecure: 2, clients: [1], colour: 'red' },
        nats: { servers: ['http://x'], user: '', surprise: 1 },
        redis: { url: 'http://x', nodes: [], name: '?' },
        disk: { file: '', size: '1 KiB' },
      },
    }),
  );
  for (const place of [
    ...['threads', 'ramster.name', 'ramster.listen[0]', 'ramster.listen[1]', 'ramster.tls.certificate'],
    ...['ramster.tls.key', 'ramster.peers[0].address', 'ramster.peers[1]', 'ramster.peers[2].address'],
    ...['ramster.cluster', 'ramster.replicas', 'ramster.persistent', 'ramster.seal', 'ramster.lendBytes'],
    ...['ramster.capBytes', 'ramster.drainTimeoutMs', 'ramster.heartbeatMs', 'ramster.allowInsecure'],
    ...['ramster.clients[0]', 'ramster.colour', 'ramster.nats.servers[0]', 'ramster.nats.user'],
    ...['ramster.nats.surprise', 'ramster.redis.url', 'ramster.redis.nodes', 'ramster.redis.name'],
    ...['ramster.disk.file', 'ramster.disk.size'],
  ]) {
    expect(message.split('; ').filter((each) => each.includes(`${place}: `))).toHaveLength(1);
  }
});

const nats = { servers: ['nats://10.0.0.9:4222'] };
const natsNode = { ...node, peers: [], nats };

test.each<[string, object, RegExp]>([
  [
    'no certificates beyond this machine',
    { tls: undefined },
    /ramster\.tls: is required for 10\.0\.0\.1:7300/,
  ],
  [
    'itself among the peers',
    { peers: [{ name: 'a', address: 'x:1' }] },
    /ramster\.peers\[0\]\.name: 'a' is this/,
  ],
  [
    'a peer twice',
    { peers: [node.peers[0], node.peers[0]] },
    /ramster\.peers\[1\]\.name: 'b' is in the list/,
  ],
  [
    'silence before a heartbeat',
    { suspectMs: 400 },
    /ramster\.suspectMs: got 400, allowed is more than heartbeatMs/,
  ],
  [
    'a Redis called like a node',
    { redis: { name: 'b', url: 'redis://x' } },
    /ramster\.redis\.name: 'b' is the name/,
  ],
  ['no Redis at all', { redis: {} }, /ramster\.redis\.url, nodes: exactly one of the two is required/],
  [
    'one Redis and a cluster of them',
    { redis: { url: 'redis://x', nodes: ['redis://y'] } },
    /ramster\.redis\.url, nodes: exactly one of the two is required/,
  ],
  ['peers listed and found', { nats }, /ramster\.peers, nats: only one of the two is allowed/],
  ['nobody finds it', { ...natsNode, listen: [] }, /ramster\.nats: needs listen/],
  [
    'an address that is everywhere',
    { ...natsNode, listen: ['0.0.0.0:7300'] },
    /ramster\.nats\.address: is required, as others cannot connect to 0\.0\.0\.0:7300/,
  ],
  [
    'an address that nobody knows before',
    { ...natsNode, listen: ['10.0.0.1:0'] },
    /ramster\.nats\.address: is required, as others cannot connect to 10\.0\.0\.1:0/,
  ],
  [
    'half a password',
    { ...natsNode, nats: { ...nats, user: 'a' } },
    /ramster\.nats\.user, nats\.password: none or both/,
  ],
])('%s is a mistake', (_, changes, message) => {
  expect(messageOf(() => serveSettings({ ...sound, ramster: { ...node, ...changes } }))).toMatch(message);
});

test('NATS in the place of a list, Redis and a disk are taken', () => {
  const ramster = {
    ...natsNode,
    listen: ['[::]:7300'],
    nats: { ...nats, address: 'a.example:7300', token: 'secret', tls: { authority: '/nats-ca' } },
    redis: { nodes: ['rediss://r1:6379', 'rediss://r2:6379'], memoryMax: '4 GiB', ephemeralOnly: true },
    disk: { file: '/var/lib/tmem/copies', size: '8 GiB' },
  };
  expect(serveSettings({ ...sound, ramster }).ramster).toMatchObject({
    nats: ramster.nats,
    redis: { name: 'redis', nodes: ramster.redis.nodes, memoryMax: 4096 * MiB, ephemeralOnly: true },
    disk: { file: '/var/lib/tmem/copies', size: 8192 * MiB },
  });
});

test('a node can be made by flags and the environment, and a peer replaces that of its name', () => {
  const file = writeSettings(sound, newFolder());
  const environment = {
    TMEM_SERVE_CONFIG: file,
    TMEM_SERVE_RAMSTER_NAME: 'd',
    TMEM_SERVE_RAMSTER_PEER: 'b=10.0.0.22:7300 e=unix:/run/e.sock',
    TMEM_SERVE_RAMSTER_LEND_BYTES: '1 GiB',
  };
  const flags = {
    ...{ 'ramster-replicas': '1', 'ramster-seal': 'false', 'ramster-listen': ['10.0.0.4:1', '10.0.0.4:2'] },
    ...{ 'ramster-tls-key': '/other-key', 'ramster-drain-timeout-ms': '0', 'ramster-disk-file': '/copies' },
    ...{ 'ramster-disk-size': '2 GiB', 'ramster-redis-url': 'redis://10.0.0.9' },
  };
  expect(read(flags, environment).ramster).toMatchObject({
    name: 'd',
    ...{ replicas: 1, seal: false, drainTimeoutMs: 0, listen: ['10.0.0.4:1', '10.0.0.4:2'] },
    lendBytes: 1024 * MiB,
    tls: { ...tls, key: '/other-key' },
    peers: [
      { name: 'c', address: '10.0.0.3:7300' },
      { name: 'b', address: '10.0.0.22:7300' },
      { name: 'e', address: 'unix:/run/e.sock' },
    ],
    disk: { file: '/copies', size: 2048 * MiB },
    redis: { url: 'redis://10.0.0.9' },
  });
});

test('text that is no peer, and a file that has no group, are complained about', () => {
  const flags = { memory: '64 MiB', listen: [':1'], export: ['a=ram:1M'], 'ramster-name': 'a' };
  expect(messageOf(() => read({ ...flags, 'ramster-peer': ['b'] }))).toMatch(
    /ramster\.peers\[0\]: got "b", allowed is an object \{ name, address \}/,
  );
  expect(messageOf(() => read({ ...flags, 'ramster-peer': ['b=nowhere'] }))).toMatch(
    /ramster\.peers\[0\]\.address: got "nowhere"/,
  );
  const file = writeSettings({ ...sound, ramster: 'a' }, newFolder());
  expect(messageOf(() => read({ 'ramster-name': 'b' }, {}, file))).toMatch(
    /ramster: got "a", allowed is an object/,
  );
});
