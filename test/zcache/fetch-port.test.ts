// A fetcher through a port: the same answers and errors as the fetcher itself, and an end to every wait.
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { FetchServer, Oid, open, PortFetcher, type Store } from '../../src/zcache/index.ts';
import { FarPages } from './far-pages.ts';

const oid = Oid.fromWords([1, 2, 3, 4, 5, 6]);
const out = Buffer.alloc(4096);
const text = (n: number) => Buffer.alloc(1000 + n, `${n} text that compresses `);

function bench(options: { arenas?: number; answerMs?: number } = {}) {
  const { arenas = 1, answerMs } = options;
  const store: Store = open({ memory: '16 MiB', arenas, debug: true });
  const far = new FarPages();
  const server = new FetchServer(store, far);
  const fetcher = new PortFetcher(server.newPort(), answerMs);
  onTestFinished(() => {
    fetcher.close();
    server.close();
    store.close();
  });
  const pool = store.client('one').pool('pages', { kind: 'persistent' });
  for (let n = 0; n < 20; n++) pool.put(oid, n, text(n));
  return { store, far, server, fetcher, pool };
}

test.each([1, 2])('pages come home, or as they are, in %i arenas', async (arenas) => {
  const { far, fetcher, pool } = bench({ arenas });
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

test('errors keep their codes', async () => {
  const { far, fetcher, pool } = bench();
  far.takeSome(pool);
  far.answer = () => 'peers away';
  await expect(fetcher.fetch(pool, oid, 1)).rejects.toMatchObject({ code: 'TMEM_ERR_PEERS_AWAY' });
  far.answer = () => 'lost';
  const lost = await fetcher.fetch(pool, oid, 1).catch((error) => error);
  expect(lost).toMatchObject({ name: 'TmemError', code: 'TMEM_ERR_PAGE_LOST', message: 'nobody has it' });
});

test('a pool that is gone, or was made anew, is local: whoever asks the store is told', async () => {
  const { store, far, fetcher, pool } = bench();
  far.takeSome(pool);
  pool.destroy();
  const again = store.client('one').pool('pages', { kind: 'persistent' });
  again.put(oid, 1, text(1));
  far.takeSome(again);
  expect(await fetcher.fetch(pool, oid, 1)).toBe('local');
  expect(far.fetched).toEqual([]);
  expect(await fetcher.fetch(again, oid, 1)).toBe('local');
  expect(again.get(oid, 1, out)).toBe(text(1).length);
  store.client('one').remove();
  expect(await fetcher.fetch(again, oid, 1)).toBe('local');
});

test('no answer in time is an error, and the late one is dropped', async () => {
  const { far, fetcher, pool } = bench({ answerMs: 20 });
  far.takeSome(pool);
  const gate = Promise.withResolvers<void>();
  far.wait = () => gate.promise;
  await expect(fetcher.fetch(pool, oid, 1)).rejects.toMatchObject({ code: 'TMEM_ERR_PEERS_AWAY' });
  gate.resolve();
  await delay(1);
  expect(pool.get(oid, 1, out)).toBe(text(1).length);
});

test('when the other side ends, whoever waits is told, and whoever comes after', async () => {
  const { far, server, fetcher, pool } = bench();
  far.takeSome(pool);
  far.wait = () => new Promise(() => {});
  const waiting = [1, 2, 3].map((n) => fetcher.fetch(pool, oid, n).catch(({ code }) => code));
  server.close();
  expect(await Promise.all(waiting)).toEqual(Array(3).fill('TMEM_ERR_PEERS_AWAY'));
  await expect(fetcher.fetch(pool, oid, 1)).rejects.toMatchObject({ code: 'TMEM_ERR_PEERS_AWAY' });
});

test('a thread that ends, in whichever way, is served no more, and others are', async () => {
  const { far, server, fetcher, pool } = bench();
  far.takeSome(pool);
  const port = server.newPort();
  const worker = new Worker('setInterval(() => {}, 1000)', {
    eval: true,
    workerData: port,
    transferList: [port],
  });
  await worker.terminate();
  expect(await fetcher.fetch(pool, oid, 1)).toBe('local');
});
