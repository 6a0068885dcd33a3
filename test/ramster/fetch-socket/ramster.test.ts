// A node with a fetch socket: its setting, and that the socket comes and goes with the node.
import { existsSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { AwayPages, Ramster } from '../../../src/ramster/index.ts';
import { serveSettings } from '../../../src/serve/settings.ts';
import { PAGE_BYTES } from '../../../src/zcache/index.ts';
import { listening, newFetcher, newPages, newSocketPath, newStore, oid, text } from './bench.ts';

const TIMES = { heartbeatMs: 50, suspectMs: 500, downMs: 1000, tickMs: 10, leaseMs: 600_000 };

test('a node serves its fetch socket from open to close', async () => {
  const [path, peer] = [newSocketPath(), newSocketPath()];
  const lender = await Ramster.open(newStore(), { name: 'b', listen: [`unix:${peer}`], ...TIMES });
  onTestFinished(() => lender.close());
  const { store, pool } = newPages();
  const node = await Ramster.open(store, {
    ...{ name: 'a', peers: [{ name: 'b', address: `unix:${peer}` }], clients: ['one'] },
    ...{ fetchListen: `unix:${path}`, replicas: 1, ...TIMES },
  });
  onTestFinished(() => node.close());
  const pages = new AwayPages(newFetcher(store, `unix:${path}`));
  const out = Buffer.alloc(PAGE_BYTES);
  await expect.poll(() => node.send(pool, oid, 1), { timeout: 20_000 }).toBe('sent');
  expect(pool.remotePages.count).toBe(1);
  expect(out.subarray(0, await pages.getAndFree(pool, oid, 1, out))).toEqual(text(1));
  expect(pool.remotePages.count).toBe(0);
  await expect.poll(() => node.send(pool, oid, 2), { timeout: 20_000 }).toBe('sent');
  await node.close();
  expect(existsSync(path)).toBe(false);
  await expect(pages.get(pool, oid, 2, out)).rejects.toMatchObject({ code: 'TMEM_ERR_PEERS_AWAY' });
});

test('a fetch socket that cannot be listened on is an error, and the store is free for another node', async () => {
  const { store, far } = newPages();
  const address = `unix:${newSocketPath()}`;
  const before = await listening({ store, fetcher: far, address });
  const options = { name: 'a', fetchListen: address };
  await expect(Ramster.open(store, options)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  before.close();
  const node = await Ramster.open(store, options);
  await node.close();
});

test('the setting is a unix socket, for a node and for the daemon', async () => {
  const store = newStore();
  for (const fetchListen of [
    '10.0.0.1:7300',
    'unix:relative',
    '/run/fetch.sock',
    7300 as unknown as string,
  ]) {
    const opened = Ramster.open(store, { name: 'a', fetchListen });
    await expect(opened).rejects.toMatchObject({
      code: 'TMEM_ERR_SETTING',
      message: expect.stringContaining('fetchListen: got'),
    });
  }
  const ramster = { name: 'a', fetchListen: 'unix:/run/tmem/fetch.sock' };
  const settings = serveSettings({ store: { memory: '64 MiB' }, ramster });
  expect(settings.ramster).toMatchObject(ramster);
});
