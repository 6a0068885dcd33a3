// Pages through a fetch socket: the same answers and errors as the fetcher itself, and an end to every wait.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { AwayPages } from '../../../src/ramster/index.ts';
import { open } from '../../../src/zcache/index.ts';
import { newStoreName } from '../cluster/cluster.ts';
import {
  listening,
  newFetcher,
  newPages,
  newSocketPath,
  newStore,
  oid,
  refusals,
  scene,
  text,
  until,
} from './bench.ts';

const out = Buffer.alloc(4096);
const LONG_MS = 60_000;
const SHORT_MS = 50;

test('pages come home, or as they are', async () => {
  const { far, fetcher, pool } = await scene();
  for (const answer of ['home', 'page'] as const) {
    far.answer = () => answer;
    far.takeSome(pool);
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => fetcher.fetch(pool, oid, n)));
    for (const [n, found] of answers.entries()) {
      if (answer === 'page') expect(Buffer.from(found as Uint8Array)).toEqual(text(n));
      else expect(out.subarray(0, pool.get(oid, n, out))).toEqual(text(n));
    }
  }
});

test('errors keep their codes and messages', async () => {
  const { far, fetcher, pool } = await scene();
  far.takeSome(pool);
  far.answer = () => 'peers away';
  await expect(fetcher.fetch(pool, oid, 1)).rejects.toMatchObject({ code: 'TMEM_ERR_PEERS_AWAY' });
  far.answer = () => 'lost';
  const lost = await fetcher.fetch(pool, oid, 1).catch((error) => error);
  expect(lost).toMatchObject({ name: 'TmemError', code: 'TMEM_ERR_PAGE_LOST', message: 'nobody has it' });
});

test('a pool that is gone is local: whoever asks the store is told', async () => {
  const { far, fetcher, pool } = await scene();
  far.takeSome(pool);
  pool.destroy();
  expect(await fetcher.fetch(pool, oid, 1)).toBe('local');
  expect(far.fetched).toEqual([]);
});

test('more requests than may be under way all get their answers, over one connection', async () => {
  const { far, fetcher, pool, listener } = await scene();
  far.answer = () => 'page';
  far.takeSome(pool);
  far.wait = () => delay(1);
  const asked = Array.from({ length: 1500 }, (_, n) => fetcher.fetch(pool, oid, n % 20));
  for (const [n, found] of (await Promise.all(asked)).entries()) {
    expect(Buffer.from(found as Uint8Array)).toEqual(text(n % 20));
  }
  expect(listener.connections).toBe(1);
});

test('without a node it is said how to start one; when it runs, pages come', async () => {
  const { store, far, pool } = newPages();
  const address = `unix:${newSocketPath()}`;
  const fetcher = newFetcher(store, address);
  far.takeSome(pool);
  const error = await fetcher.fetch(pool, oid, 1).catch((thrown) => thrown);
  expect(error).toMatchObject({ code: 'TMEM_ERR_PEERS_AWAY' });
  expect(error.message).toContain('ENOENT');
  expect(error.message).toContain(
    `start it on this store, by tmem serve or Ramster.open, with fetchListen '${address}'`,
  );
  await listening({ store, fetcher: far, address });
  expect(await fetcher.fetch(pool, oid, 1)).toBe('local');
});

test('a socket that a killed node left behind says the same', async () => {
  const { store, far, pool } = newPages();
  const path = newSocketPath();
  const code = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 9))`;
  spawnSync(process.execPath, ['-e', code]);
  const fetcher = newFetcher(store, `unix:${path}`);
  await expect(fetcher.fetch(pool, oid, 1)).rejects.toMatchObject({ code: 'TMEM_ERR_PEERS_AWAY' });
  await listening({ store, fetcher: far, address: `unix:${path}` });
  expect(await fetcher.fetch(pool, oid, 1)).toBe('local');
});

test('when the node ends, whoever waits is told; when it is there again, the next one is served', async () => {
  const { store, far, fetcher, pool, listener, address } = await scene();
  far.takeSome(pool);
  far.wait = () => new Promise(() => {});
  const waiting = [1, 2, 3].map((n) => fetcher.fetch(pool, oid, n).catch(({ code }) => code));
  await until(() => far.fetched.length === 3);
  listener.close();
  expect(await Promise.all(waiting)).toEqual(Array(3).fill('TMEM_ERR_PEERS_AWAY'));
  far.wait = () => Promise.resolve();
  await listening({ store, fetcher: far, address });
  expect(await fetcher.fetch(pool, oid, 1)).toBe('local');
});

test('a node that was started anew since the last request is asked, on a new connection', async () => {
  const { store, far, fetcher, pool, listener, address } = await scene();
  far.takeSome(pool);
  expect(await fetcher.fetch(pool, oid, 1)).toBe('local');
  listener.close();
  await listening({ store, fetcher: far, address });
  const found = await Promise.all(Array.from({ length: 20 }, (_, n) => fetcher.fetch(pool, oid, n)));
  expect(found).toEqual(Array(20).fill('local'));
});

test('no answer in time is an error, and the late one is dropped', async () => {
  const { far, fetcher, pool } = await scene({ fetching: { answerMs: SHORT_MS } });
  far.takeSome(pool);
  const gate = Promise.withResolvers<void>();
  far.wait = () => gate.promise;
  const late = fetcher.fetch(pool, oid, 1);
  await until(() => far.fetched.length === 1);
  await expect(late).rejects.toMatchObject({
    code: 'TMEM_ERR_PEERS_AWAY',
    message: expect.stringContaining(`${SHORT_MS} ms`),
  });
  gate.resolve();
  await until(() => pool.remotePages.look(oid, 1)?.kind === 'stored');
  expect(pool.get(oid, 1, out)).toBe(text(1).length);
});

test('who accepts and says nothing, or no hello that makes sense, is no node: an end in bounded time', async () => {
  const { store, pool } = newPages();
  for (const says of [undefined, 'HTTP/1.1 400 Bad Request\r\n\r\n', '\0'.repeat(100)]) {
    const path = newSocketPath();
    const server = createServer((socket) => {
      if (says !== undefined) socket.write(says);
      socket.on('error', () => {});
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    onTestFinished(() => void server.close());
    const fetcher = newFetcher(store, `unix:${path}`, { connectMs: says === undefined ? SHORT_MS : LONG_MS });
    await expect(fetcher.fetch(pool, oid, 1)).rejects.toMatchObject({ code: 'TMEM_ERR_PEERS_AWAY' });
    fetcher.close();
  }
});

test('the node of another store is refused, and it says so on both sides', async () => {
  const refused = refusals();
  const { address } = await scene();
  const { store, pool } = newPages();
  const fetcher = newFetcher(store, address);
  const asked = Array.from({ length: 10 }, () => fetcher.fetch(pool, oid, 1).catch((error) => error));
  for (const error of await Promise.all(asked)) {
    expect(error).toMatchObject({ name: 'TmemError', code: 'TMEM_ERR_PEER' });
    expect(error.message).toContain('another store open');
  }
  expect(refused).toEqual([expect.stringContaining('another store open')]);
});

test('whoever was refused is not asked again before some time has passed', async () => {
  const tasks = new Set<() => void>();
  const clock = {
    now: () => 0,
    after: (_: number, task: () => void) => {
      tasks.add(task);
      return { cancel: () => void tasks.delete(task) };
    },
  };
  const refused = refusals();
  const { address } = await scene();
  const { store, pool } = newPages();
  const fetcher = newFetcher(store, address, { clock });
  const ask = () => expect(fetcher.fetch(pool, oid, 1)).rejects.toMatchObject({ code: 'TMEM_ERR_PEER' });
  for (let i = 0; i < 3; i++) await ask();
  expect(refused.length).toBe(1);
  for (const task of [...tasks]) task();
  await ask();
  expect(refused.length).toBe(2);
});

test('a closed fetcher tells whoever waits, and whoever comes after', async () => {
  const { far, fetcher, pool } = await scene();
  far.takeSome(pool);
  far.wait = () => new Promise(() => {});
  const waiting = fetcher.fetch(pool, oid, 1).catch((error) => error);
  await until(() => far.fetched.length === 1);
  fetcher.close();
  fetcher.close();
  for (const error of [await waiting, await fetcher.fetch(pool, oid, 2).catch((thrown) => thrown)]) {
    expect(error).toMatchObject({ code: 'TMEM_ERR_PEERS_AWAY' });
    expect(error.message).toContain('the fetcher was closed');
  }
});

test('a fetcher keeps its process alive while it waits, and only then', async () => {
  const store = open({ memory: '16 MiB', name: newStoreName() });
  onTestFinished(() => store.close());
  const { far, pool } = newPages(store);
  far.takeSome(pool);
  const gate = Promise.withResolvers<void>();
  far.wait = () => gate.promise;
  const address = `unix:${newSocketPath()}`;
  await listening({ store, fetcher: far, address });
  const program = join(import.meta.dirname, 'one-get.ts');
  const child = spawn(process.execPath, [program, store.name!, address, '1'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (more: string) => {
    said += more;
  });
  const ended = once(child, 'close');
  await until(() => far.fetched.length === 1);
  await delay(SHORT_MS);
  gate.resolve();
  expect(await ended).toEqual([0, null]);
  expect(said).toBe(`${text(1).length}\n`);
});

test('an address that is no unix socket is an error at once', async () => {
  const store = newStore();
  for (const address of [
    '',
    'unix:',
    'unix:relative',
    '/run/a.sock',
    '127.0.0.1:1',
    `unix:/${'a'.repeat(200)}`,
  ]) {
    expect(() => newFetcher(store, address)).toThrow(expect.objectContaining({ code: 'TMEM_ERR_SETTING' }));
    const listen = listening({ store, fetcher: { fetch: async () => 'local' }, address });
    await expect(listen).rejects.toMatchObject({ code: 'TMEM_ERR_SETTING' });
  }
});

test('any mix of puts, gets, moves and restarts of the node is what a map would do', async () => {
  const step = fc.record({
    what: fc.constantFrom('put', 'flush', 'send', 'send', 'get', 'getAndKeep', 'getAndFree', 'restart'),
    index: fc.nat(3),
    n: fc.nat(500),
    answer: fc.constantFrom('home' as const, 'page' as const),
  });
  const { store, far, address, pool, ...first } = await scene();
  const pages = new AwayPages(first.fetcher);
  let { listener } = first;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      pool.flush();
      const model = new Map<number, Buffer>();
      for (const { what, index, n, answer } of steps) {
        far.answer = () => answer;
        if (what === 'put') {
          pool.put(oid, index, text(n));
          model.set(index, text(n));
        } else if (what === 'flush') {
          expect(pool.flushPage(oid, index)).toBe(model.delete(index));
        } else if (what === 'send') {
          far.take(pool, oid, index);
        } else if (what === 'restart') {
          listener.close();
          listener = await listening({ store, fetcher: far, address });
        } else {
          const length = await pages[what](pool, oid, index, out);
          expect(out.subarray(0, length)).toEqual(model.get(index) ?? Buffer.alloc(0));
          if (what === 'getAndFree') model.delete(index);
        }
        expect(pool.pages).toBe(model.size);
      }
    }),
    { numRuns: 40 },
  );
});
