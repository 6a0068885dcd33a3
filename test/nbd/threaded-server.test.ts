import { once } from 'node:events';
import fs from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type AreaExportOptions, ThreadedNbdServer } from '../../src/nbd/index.ts';
import { CMD, ERROR, OPT, REP } from '../../src/nbd/protocol.ts';
import { open } from '../../src/zcache/index.ts';
import { newFile, newFolder } from './bench.ts';
import { Client, connectTo, Handshake, nameOf, u16 } from './client.ts';
import { Rounds } from './rounds.ts';
import {
  closeAll,
  eventsOf,
  newExport,
  newThreads,
  openClients,
  soon,
  watchWorkers,
} from './threads-bench.ts';

const MiB = 2 ** 20;

const kinds: Record<string, Partial<AreaExportOptions>> = {
  ram: { kind: 'ram' },
  'a disk with little memory': { kind: 'disk', memoryMax: MiB },
};

test.each(Object.keys(kinds))(
  'overlapping requests of all threads read what was written last: %s',
  async (kind) => {
    const bytes = 2 * MiB;
    const options = kinds[kind]!;
    const file = options.kind === 'disk' ? newFile(newFolder(), bytes) : undefined;
    const {
      path,
      server,
      export: exported,
    } = await newThreads({
      ...options,
      ...(file === undefined ? { size: bytes } : { file }),
    });
    const clients = await openClients(path, 6);
    expect(server.connectionsByThread).toEqual([3, 3]);
    const work = new Rounds(clients, bytes, {
      ...{ rounds: 40, width: 30, seed: 11 },
      meanwhile: async (random) => {
        if (file !== undefined && random(3) === 0) await exported.swap.shrink(random(300));
      },
    });
    await work.run();
    if (file !== undefined) {
      expect(await clients[3]!.command(CMD.FLUSH)).toBe(0);
      expect(fs.readFileSync(file).equals(work.image())).toBe(true);
    }
    await closeAll(clients);
  },
);

test('a client comes to the thread with the fewest connections, and one that left counts no longer', async () => {
  const { path, server } = await newThreads({}, { threads: 3 });
  const clients = await openClients(path, 5);
  expect(server.connectionsByThread).toEqual([2, 2, 1]);
  expect(server.connections).toBe(5);
  await clients[1]!.close();
  await clients[4]!.close();
  await soon(() => expect(server.connectionsByThread).toEqual([2, 0, 1]));
  const more = await openClients(path, 2);
  expect(server.connectionsByThread).toEqual([2, 2, 1]);
  await closeAll([...clients, ...more]);
  await soon(() => expect(server.connections).toBe(0));
});

test('the socket is for its owner only', async () => {
  const { path } = await newThreads();
  expect(fs.statSync(path).mode & 0o777).toBe(0o600);
});

test('the counters of an export are those of all threads, also of threads that left it', async () => {
  const { path, server, export: exported } = await newThreads({ memoryMax: MiB });
  const clients = await openClients(path, 4);
  for (const client of clients) {
    expect(await client.write(0, Buffer.alloc(8192, 1))).toBe(0);
    await client.read(4096, 4096);
    expect(await client.command(CMD.TRIM, 0, 4096)).toBe(0);
  }
  const counted = { writes: 4, written_bytes: 4 * 8192, reads: 4, read_bytes: 4 * 4096, trims: 4 };
  expect(exported.stats()).toMatchObject({ ...counted, refused_pages: 0 });
  const random = crypto.getRandomValues(new Uint8Array(65_536));
  for (let at = 0; at < 2 * MiB; at += random.length) await clients[at % 2]!.write(at, random);
  expect(exported.stats().refused_pages).toBeGreaterThan(0);
  await closeAll(clients);
  await server.removeExport('one');
  await server.addExport(exported);
  const [again] = await openClients(path, 1);
  await again!.read(4096, 4096);
  expect(exported.stats().reads).toBe(5);
  await again!.close();
});

test('an export comes and goes in all threads while clients of another one are served', async () => {
  const { path, server, store } = await newThreads();
  const clients = await openClients(path, 2);
  const writing = clients.map(async (client, i) => {
    for (let n = 0; n < 200; n++) {
      expect(await client.write((2 * n + i) * 4096, Buffer.alloc(4096, n))).toBe(0);
    }
  });
  const two = await newExport(store, { name: 'two', kind: 'disk', file: newFile(newFolder(), MiB) });
  for (let round = 1; round < 4; round++) {
    await server.addExport(two);
    await expect(server.addExport(two)).rejects.toMatchObject({ code: 'TMEM_ERR_SETTING' });
    const others = await openClients(path, 2, 'two');
    for (const [i, client] of others.entries()) {
      expect((await client.read(i * 4096, 4096)).equals(Buffer.alloc(4096, round - 1))).toBe(true);
      expect(await client.write(i * 4096, Buffer.alloc(4096, round))).toBe(0);
    }
    await server.removeExport('two');
    await soon(() => expect(others.map(({ ended }) => ended)).toEqual([true, true]));
    for (const client of clients) {
      const hand = await Handshake.start(await connectTo(path));
      const replies = await hand.ask(OPT.GO, Buffer.concat([nameOf('two'), u16(0)]));
      expect(replies.map(({ type }) => type)).toEqual([REP.ERR_UNKNOWN]);
      hand.stream.socket.destroy();
      expect(client.ended).toBe(false);
    }
  }
  await server.removeExport('two');
  await two.close();
  await Promise.all(writing);
  await closeAll(clients);
});

test('what a client had under way on a removed export has ended when it is removed', async () => {
  const { path, server, store } = await newThreads();
  const file = newFile(newFolder(), 8 * MiB);
  const two = await newExport(store, { kind: 'disk', file, writethrough: true });
  await server.addExport(two);
  const clients = await openClients(path, 2, 'two');
  for (const client of clients)
    for (let n = 0; n < 32; n++) void client.write(n * 65_536, Buffer.alloc(65_536, 7));
  await server.removeExport('two');
  const before = fs.readFileSync(file);
  await two.close();
  expect(fs.readFileSync(file).equals(before)).toBe(true);
});

test('an export that one thread cannot open is offered by none', async () => {
  const { path, server, store } = await newThreads();
  const folder = newFolder();
  const file = newFile(folder, MiB);
  const two = await newExport(store, { kind: 'swap', file });
  fs.renameSync(file, join(folder, 'elsewhere'));
  newFile(folder, MiB);
  await expect(server.addExport(two)).rejects.toMatchObject({ code: 'ENOENT' });
  fs.renameSync(join(folder, 'image-1'), file);
  await expect(server.addExport(two)).rejects.toMatchObject({ code: 'TMEM_ERR_BACKING_FILE' });
  fs.renameSync(join(folder, 'elsewhere'), file);
  await server.addExport(two);
  await closeAll(await openClients(path, 2, 'two'));
});

test('another size is seen in all threads', async () => {
  const { path, export: exported } = await newThreads({ size: MiB, sizeMax: 4 * MiB });
  const clients = await openClients(path, 2);
  await exported.resize(2 * MiB);
  for (const client of clients) expect(await client.write(MiB, Buffer.alloc(4096, 1))).toBe(0);
  await exported.resize(MiB);
  for (const client of clients) {
    expect(await client.write(MiB, Buffer.alloc(4096))).toBe(ERROR.ENOSPC);
  }
  const more = await openClients(path, 2);
  expect(more.map(({ size }) => size)).toEqual([MiB, MiB]);
  await closeAll([...clients, ...more]);
});

test('no more connections than allowed are let in over all threads, and each one refused is told', async () => {
  const refused = eventsOf<{ reason: string }>('tmem:nbd:refused');
  const { path, server } = await newThreads({}, { connectionsMax: 3 });
  const clients = await openClients(path, 3);
  await expect(Client.open(path, 'one')).rejects.toThrow();
  expect(refused.map(({ reason }) => reason)).toEqual(['3 connections are open']);
  expect(server.connections).toBe(3);
  await clients[0]!.close();
  await soon(() => expect(server.connections).toBe(2));
  const [again] = await openClients(path, 1);
  await closeAll([...clients, again!]);
});

test('what the threads have to tell is published where they were started', async () => {
  const serving = eventsOf('tmem:nbd:serving');
  const closed = eventsOf('tmem:nbd:closed');
  const { path, server } = await newThreads();
  await closeAll(await openClients(path, 2));
  await soon(() => expect(server.connections).toBe(0));
  const about = { export: 'one', peer: '' };
  expect(serving).toEqual([0, 1].map(() => ({ ...about, secured: false })));
  expect(closed).toEqual([0, 1].map(() => ({ ...about, reason: 'disconnected' })));
});

test('clients that break off at any moment end no thread', async () => {
  const { server, failures } = await newThreads();
  const { port } = (await server.listen({ port: 0 })) as { port: number };
  for (let round = 0; round < 20; round++) {
    const sockets = Array.from({ length: 20 }, () => createConnection(port, '127.0.0.1'));
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    for (const [i, socket] of sockets.entries()) {
      socket.on('error', () => undefined);
      if (i % 3 === 0) socket.write('neither flags nor an option');
      if (i % 2 === 0) socket.resetAndDestroy();
      else socket.destroy();
    }
  }
  await soon(() => expect(server.connections).toBe(0));
  const hand = await Handshake.start(createConnection(port, '127.0.0.1'));
  await (await Client.go(hand, 'one', 'simple')).close();
  expect(failures).toEqual([]);
});

test('a server that stops answers what is under way in all threads, and leaves the store', async () => {
  const file = newFile(newFolder(), 8 * MiB);
  const bench = await newThreads({ kind: 'disk', file }, { threads: 4 });
  const { path, server, store, workers, export: exported } = bench;
  const clients = await openClients(path, 4);
  const flags = 1; // FUA: each has to wait for the file
  const writes = clients.map((client, i) => client.write(i * MiB, Buffer.alloc(MiB, i + 1), flags));
  for (const client of clients) await client.read(0, 512);
  const greeting = (await connectTo(path)).resume();
  const exits = workers.map((worker) => once(worker, 'exit'));
  const stopped = server.stop(10_000);
  expect(await Promise.all(writes)).toEqual([0, 0, 0, 0]);
  await stopped;
  expect((await Promise.all(exits)).flat()).toEqual([0, 0, 0, 0]);
  expect(bench.failures).toEqual([]);
  expect(greeting.closed || (await once(greeting, 'close'))).toBeTruthy();
  await soon(() => expect(clients.every(({ ended }) => ended)).toBe(true));
  await expect(connectTo(path)).rejects.toThrow();
  await server.stop();
  await server.removeExport('one');
  await expect(server.addExport(exported)).rejects.toMatchObject({ code: 'TMEM_ERR_CLOSED' });
  await exported.close();
  const content = fs.readFileSync(file);
  expect([0, 1, 2, 3].map((i) => content[i * MiB + 77])).toEqual([1, 2, 3, 4]);
  expect(store.stats().store.threads_attached).toBe(1);
});

test('a thread that dies is told at once, and nothing waits for it', async () => {
  const { path, server, store, workers, failures } = await newThreads();
  const clients = await openClients(path, 2);
  const two = await newExport(store, {});
  expect(failures).toEqual([]);
  await workers[1]!.terminate();
  await soon(() => expect(failures).toHaveLength(1));
  expect(failures[0]).toMatchObject({ code: 'TMEM_ERR_THREAD_DIED' });
  await expect(connectTo(path)).rejects.toThrow();
  await expect(server.addExport(two)).rejects.toBe(failures[0]);
  await expect(server.removeExport('one')).rejects.toBe(failures[0]);
  await expect(server.stop(0)).rejects.toBe(failures[0]);
  await soon(() => expect(clients.map(({ ended }) => ended)).toEqual([true, true]));
  expect(failures).toHaveLength(1);
});

test('a server that cannot start says why, and leaves no thread', async () => {
  const store = open({ memory: '16 MiB', incompressible: 'store', threads: 2 });
  onTestFinished(() => store.close());
  const workers = watchWorkers();
  const onFailed = (): void => expect.fail('it did not start');
  for (const threads of [0, 65, 1.5]) {
    await expect(ThreadedNbdServer.start(store, { threads, onFailed })).rejects.toMatchObject({
      code: 'TMEM_ERR_SETTING',
    });
  }
  expect(workers).toEqual([]);
  await expect(ThreadedNbdServer.start(store, { threads: 2, onFailed })).rejects.toMatchObject({
    code: 'TMEM_ERR_TOO_MANY_THREADS',
  });
  expect(workers.map(({ threadId }) => threadId)).toEqual([-1, -1]);
  const server = await ThreadedNbdServer.start(store, { threads: 1, onFailed });
  await server.stop(0);
});
