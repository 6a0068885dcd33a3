// A node's fetch socket against whoever connects: strangers, liars, and those who stall or disappear harm nobody.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import fc from 'fast-check';
import { expect, onTestFinished, test, vi } from 'vitest';
import {
  decodeError,
  decodeFetchHelloReply,
  encodeFetch,
  encodeFetchHello,
} from '../../../src/ramster/fetch-socket/messages.ts';
import type { Store } from '../../../src/zcache/index.ts';
import {
  frameOf,
  listening,
  newFetcher,
  newPages,
  newSocketPath,
  oid,
  PROTOCOLS,
  RawClient,
  refusals,
  scene,
  text,
  until,
} from './bench.ts';

const OID = oid.toBytes();
const hello = (store: Store, protocols = PROTOCOLS) => encodeFetchHello(0, { protocols, store: store.id });
const ask = (request: number, pool: number, index: number) => encodeFetch(request, { pool, index, oid: OID });

/** A client that has said hello. */
async function greeted(path: string, store: Store): Promise<RawClient> {
  const client = new RawClient(path);
  client.send(...hello(store));
  await client.until(1);
  return client;
}

test('the socket is for its owner only, and goes with the listener', async () => {
  const { path, listener } = await scene();
  expect(statSync(path).mode & 0o777).toBe(0o600);
  listener.close();
  expect(existsSync(path)).toBe(false);
});

test('what a killed process left behind is taken over, what is listened on is not', async () => {
  const { store, far, address } = await scene();
  const path = newSocketPath();
  const code = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 9))`;
  spawnSync(process.execPath, ['-e', code]);
  await listening({ store, fetcher: far, address: `unix:${path}` });
  const again = listening({ store, fetcher: far, address });
  await expect(again).rejects.toMatchObject({ code: 'EADDRINUSE' });
});

test('a socket of another user is not asked', async () => {
  const { path, fetcher, far, pool } = await scene();
  far.takeSome(pool);
  const { uid } = statSync(path);
  const user = vi.spyOn(process, 'geteuid').mockReturnValue(uid + 1);
  onTestFinished(() => user.mockRestore());
  await expect(fetcher.fetch(pool, oid, 1)).rejects.toMatchObject({
    code: 'TMEM_ERR_PEER',
    message: expect.stringContaining(`belongs to user ${uid}`),
  });
});

test('a hello is answered with the version and the store, and then pages are', async () => {
  const { path, store, far, pool } = await scene();
  far.takeSome(pool);
  const client = await greeted(path, store);
  expect(client.frames[0]).toMatchObject({ type: 'hello', isReply: true, status: 'ok', request: 0 });
  expect(decodeFetchHelloReply(client.frames[0]!.body)).toEqual({ protocol: 1, store: store.id });
  far.answer = (handle) => (handle.endsWith('/1') ? 'home' : 'page');
  client.send(...ask(8, pool.id, 1));
  client.send(...ask(9, pool.id, 2));
  await client.until(3);
  const replies = client.frames.slice(1).sort((a, b) => a.request - b.request);
  expect(replies[0]).toMatchObject({ type: 'get', status: 'miss', request: 8 });
  expect(replies[1]).toMatchObject({ type: 'get', status: 'ok', request: 9 });
  expect(Buffer.from(replies[1]!.body)).toEqual(text(2));
});

test('a hello for another store, or of another version, is refused with a reason and closed', async () => {
  const told = refusals();
  const { path, store } = await scene();
  const { store: other } = newPages();
  for (const [parts, reason] of [
    [hello(other), 'another store open'],
    [hello(store, [2, 9]), 'speaks versions 2 to 9'],
  ] as const) {
    const client = new RawClient(path);
    client.send(...parts);
    await until(() => client.isClosed);
    expect(client.frames[0]).toMatchObject({ type: 'hello', status: 'refused' });
    expect(decodeError(client.frames[0]!.body)).toMatchObject({
      code: 'TMEM_ERR_PEER',
      message: expect.stringContaining(reason),
    });
    expect(told.pop()).toContain(reason);
  }
});

const LIES: Record<string, (store: Store) => Uint8Array[]> = {
  'a get before the hello': () => ask(1, 1, 1),
  'a reply': () => frameOf({ type: 'hello', isReply: true }),
  'no frame at all': () => [Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  'a frame of a gigabyte': () => [Buffer.from('0000004001010000', 'hex')],
  'a hello of a peer': () => frameOf({ type: 'hello', body: Buffer.from('80', 'hex') }),
  'hello twice': (store) => [...hello(store), ...hello(store)],
  'a put': (store) => [...hello(store), ...frameOf({ type: 'put', body: new Uint8Array(100) })],
  'a get that is too short': (store) => [...hello(store), ...frameOf({ body: new Uint8Array(31) })],
  'a get with a wrong checksum': (store) => {
    const get = Buffer.concat(ask(1, 1, 1));
    get[20] = get[20]! ^ 1;
    return [...hello(store), get];
  },
};

test.each(Object.keys(LIES))('%s ends that connection, and no other', async (lie) => {
  const { path, store, far, pool, fetcher, listener } = await scene();
  far.takeSome(pool);
  expect(await fetcher.fetch(pool, oid, 1)).toBe('local');
  const client = new RawClient(path);
  client.send(...LIES[lie]!(store));
  await until(() => client.isClosed);
  expect(await fetcher.fetch(pool, oid, 2)).toBe('local');
  await until(() => listener.connections === 1);
});

test('whatever is asked about whichever pool and page, the answer is that it is not away', async () => {
  const { path, store, far, pool } = await scene();
  store.client('gone').pool('gone', { kind: 'ephemeral' }).destroy();
  const client = await greeted(path, store);
  const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
  const poolId = fc.oneof(u32, fc.nat(100), fc.constant(pool.id));
  const oids = fc.uint8Array({ minLength: 24, maxLength: 24 });
  let asked = 1;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(poolId, u32, oids), { maxLength: 20 }), async (handles) => {
      for (const [number, index, bytes] of handles) {
        client.send(...encodeFetch(++asked, { pool: number, index, oid: bytes }));
      }
      await client.until(asked);
      expect(client.frames.length).toBe(asked);
    }),
    { numRuns: 100 },
  );
  expect(new Set(client.frames.slice(1).map(({ status }) => status))).toEqual(new Set(['miss']));
  // The oid that stands for none.
  client.send(...encodeFetch(++asked, { pool: pool.id, index: 0, oid: new Uint8Array(24).fill(255) }));
  await client.until(asked);
  expect(decodeError(client.frames.at(-1)!.body)).toMatchObject({ code: 'TMEM_ERR_OID' });
  expect(pool.pages).toBe(20);
  expect(far.sent).toBe(0);
});

test('any bytes, in any pieces, before and after a hello, harm nobody', async () => {
  const { path, store, far, pool, fetcher, listener } = await scene();
  far.takeSome(pool);
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc.constant(Buffer.concat(ask(1, pool.id, 1))),
    fc.nat(30).map((length) => Buffer.concat(hello(store)).subarray(0, length)),
    fc.tuple(fc.nat(47), fc.integer({ min: 1, max: 255 })).map(([at, bits]) => {
      const get = Buffer.concat(ask(1, pool.id, 1));
      get[at] = get[at]! ^ bits;
      return get;
    }),
  );
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.array(piece, { maxLength: 8 }), async (greets, pieces) => {
      const client = greets ? await greeted(path, store) : new RawClient(path);
      for (const bytes of pieces) client.socket.write(bytes);
      client.socket.end();
      await until(() => client.isClosed);
    }),
    { numRuns: 150 },
  );
  await until(() => listener.connections === 0);
  for (let n = 0; n < 20; n++) {
    expect(await fetcher.fetch(pool, oid, n)).toBe('local');
    expect(pool.get(oid, n, Buffer.alloc(4096))).toBe(text(n).length);
  }
});

test('who does not say hello in time is told so', async () => {
  const told = refusals();
  const { path } = await scene({ handshakeTimeoutMs: 20 });
  const silent = new RawClient(path);
  const half = new RawClient(path);
  half.send(Buffer.from('10000000', 'hex'));
  await until(() => silent.isClosed && half.isClosed);
  expect(told).toEqual(Array(2).fill(expect.stringContaining('sent nothing for 20 ms')));
});

test('connections beyond the most are refused, and let in when there is room', async () => {
  const { path, store, far, pool, listener, address } = await scene({ connectionsMax: 2 });
  far.takeSome(pool);
  const clients = [await greeted(path, store), await greeted(path, store)];
  const third = newFetcher(store, address);
  await expect(third.fetch(pool, oid, 1)).rejects.toMatchObject({
    code: 'TMEM_ERR_PEERS_AWAY',
    message: expect.stringContaining('2 connections'),
  });
  clients[0]!.socket.destroy();
  await until(() => listener.connections === 1);
  expect(await third.fetch(pool, oid, 1)).toBe('local');
});

test('of one client no more than 256 requests are under way, and all are answered in the end', async () => {
  const { path, store, far, pool } = await scene();
  far.answer = () => 'page';
  far.takeSome(pool);
  const gate = Promise.withResolvers<void>();
  far.wait = () => gate.promise;
  const client = await greeted(path, store);
  for (let n = 1; n <= 1000; n++) client.send(...ask(n, pool.id, n % 20));
  await until(() => far.fetched.length === 256);
  // Another one is served all the same, and what it asked came later than the rest.
  far.wait = () => Promise.resolve();
  expect(await newFetcher(store, `unix:${path}`).fetch(pool, oid, 1)).toBeInstanceOf(Uint8Array);
  expect(far.fetched.length).toBe(257);
  gate.resolve();
  await client.until(1001);
  const answered = client.frames.slice(1).map(({ request, body }) => `${request} ${body.length}`);
  expect(answered.sort()).toEqual(
    Array.from({ length: 1000 }, (_, n) => `${n + 1} ${text((n + 1) % 20).length}`).sort(),
  );
});

test('who disappears in the middle takes nothing with it: its pages come home', async () => {
  const { path, store, far, pool, listener } = await scene();
  far.takeSome(pool);
  const gate = Promise.withResolvers<void>();
  far.wait = () => gate.promise;
  const client = await greeted(path, store);
  for (let n = 0; n < 20; n++) client.send(...ask(n + 1, pool.id, n));
  await until(() => far.fetched.length === 20);
  client.socket.destroy();
  await until(() => listener.connections === 0);
  gate.resolve();
  await until(() => pool.remotePages.count === 0);
});

test('who asks and does not read is cut off', async () => {
  const { path, store, far, pool, listener } = await scene();
  far.answer = () => 'page';
  pool.put(oid, 100, Buffer.alloc(4096, 'a page of 4096 bytes '));
  far.takeSome(pool);
  const client = await greeted(path, store);
  client.socket.pause();
  // Sockets have some hundred KiB of room, and each request is answered by a page: a few thousand are enough.
  const requests = Buffer.concat(
    Array.from({ length: 20_000 }, (_, n) => Buffer.concat(ask(n + 1, pool.id, 100))),
  );
  client.socket.write(requests);
  await until(() => listener.connections === 0);
  expect(far.fetched.length).toBeLessThan(20_000);
});
