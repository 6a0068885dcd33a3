// Pages of the cache that are with peers: files read as they are, and what was missed stays missed.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import {
  Cleancache,
  PageCache,
  type PageCacheOptions,
  ZcacheCleancacheBackend,
} from '../../src/cleancache/index.ts';
import { Oid, open, type Pool, type Store } from '../../src/zcache/index.ts';
import { type Answer, FarPages } from '../zcache/far-pages.ts';

const PAGES = 12;

function newStore(): Store {
  const store = open({ memory: '16 MiB', incompressible: 'store', debug: true });
  onTestFinished(() => store.close());
  return store;
}

/** A file, and the pools that have its pages: the hot one is too small for all. */
function bench(isFetched: boolean, options: PageCacheOptions = {}) {
  const folder = fs.mkdtempSync(join(tmpdir(), 'tmem-away-'));
  onTestFinished(() => fs.rmSync(folder, { recursive: true }));
  const path = join(folder, 'file');
  const bytes = Buffer.from(Array.from({ length: PAGES * 4096 - 77 }, (_, i) => (i * 7 + (i >> 8)) & 0xff));
  fs.writeFileSync(path, bytes);
  const store = newStore();
  const far = new FarPages();
  const cache = new PageCache({
    ...{ store, hotPages: 4, admit: 'first-read', now: () => Date.now() + 60_000 },
    ...(isFetched ? { fetcher: far } : {}),
    ...options,
  });
  const client = store.client('cleancache');
  const pools: Pool[] = [
    client.pool('files-cold', { kind: 'ephemeral' }),
    client.pool('files-hot', { kind: 'ephemeral', pam: 'raw' }),
  ];
  const sendAway = (wanted?: () => boolean): number =>
    pools.reduce((sum, pool) => sum + far.takeSome(pool, wanted), 0);
  return { path, bytes, far, cache, pools, sendAway };
}

async function opened({ cache, path }: { cache: PageCache; path: string }) {
  const file = await cache.open(path, { readaheadBytes: 0 });
  const read = async (position: number, length: number): Promise<Buffer> => {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, position);
    return buffer.subarray(0, bytesRead);
  };
  return { file, read };
}

test('pages that are away are fetched, not read from the file', async () => {
  const here = bench(true);
  const { file, read } = await opened(here);
  expect(await read(0, here.bytes.length)).toEqual(here.bytes);
  const before = here.cache.stats();
  for (const answer of ['home', 'page'] as const) {
    here.far.answer = () => answer;
    expect(here.sendAway()).toBe(PAGES);
    expect(await read(0, here.bytes.length)).toEqual(here.bytes);
  }
  const { source_reads, hot, cold } = here.cache.stats();
  expect(source_reads).toBe(before.source_reads);
  expect(hot.succ_gets + cold.succ_gets).toBe(before.hot.succ_gets + before.cold.succ_gets + 2 * PAGES);
  await file.close();
});

test('without a fetcher they are missed, read from the file, and stay missed', async () => {
  const here = bench(false);
  const { file, read } = await opened(here);
  await read(0, here.bytes.length);
  expect(here.sendAway()).toBe(PAGES);
  expect(await read(100, here.bytes.length)).toEqual(here.bytes.subarray(100));
  expect(here.cache.stats().source_reads).toBe(2);
  for (const pool of here.pools) expect(pool.stats().content).toMatchObject({ remote_pages: 0 });
  // What was read is kept anew.
  expect(await read(0, here.bytes.length)).toEqual(here.bytes);
  expect(here.cache.stats().source_reads).toBe(2);
  await file.close();
});

test('what cannot be fetched is read from the file, and forgotten', async () => {
  const here = bench(true);
  const { file, read } = await opened(here);
  await read(0, here.bytes.length);
  for (const answer of ['peers away', 'lost'] as const) {
    here.far.answer = () => answer;
    const { source_reads } = here.cache.stats();
    expect(here.sendAway()).toBe(PAGES);
    expect(await read(0, here.bytes.length)).toEqual(here.bytes);
    expect(here.cache.stats().source_reads).toBe(source_reads + 1);
    for (const pool of here.pools) expect(pool.stats().content).toMatchObject({ remote_pages: 0 });
  }
  await file.close();
});

test('whatever is read while pages go and come, it is what the file has', async () => {
  const reads = fc.array(
    fc.record({
      from: fc.nat(PAGES * 4096),
      length: fc.integer({ min: 1, max: 20_000 }),
      wait: fc.boolean(),
    }),
    { maxLength: 40 },
  );
  const answers = fc.infiniteStream(fc.constantFrom<Answer>('home', 'home', 'page', 'peers away'));
  const streams = [answers, fc.infiniteStream(fc.boolean()), fc.infiniteStream(fc.nat(4))] as const;
  await fc.assert(
    fc.asyncProperty(reads, ...streams, async (todo, answer, coins, delays) => {
      const here = bench(true);
      here.far.answer = () => answer.next().value;
      here.far.wait = async () => {
        for (let turns = delays.next().value; turns > 0; turns--) await Promise.resolve();
      };
      const { file, read } = await opened(here);
      const running: Promise<unknown>[] = [];
      for (const { from, length, wait } of todo) {
        here.sendAway(() => coins.next().value);
        const want = here.bytes.subarray(from, from + length);
        running.push(read(from, length).then((got) => expect(got.equals(want)).toBe(true)));
        if (wait) await Promise.all(running.splice(0));
      }
      await Promise.all(running);
      await file.close();
    }),
    { numRuns: 40 },
  );
});

test('who cannot wait misses a page that is away, and goes on missing it', () => {
  const store = newStore();
  const far = new FarPages();
  const shim = new Cleancache();
  shim.register(new ZcacheCleancacheBackend(store, undefined, far));
  const source = shim.initFs('files');
  const pool = store.client('cleancache').pool('files', { kind: 'ephemeral' });
  const key = Oid.fromNumbers(3);
  const page = (n: number) => Buffer.alloc(4096, `${n} text that compresses `);
  for (let n = 0; n < 4; n++) source.putPage(key, n, page(n));
  far.takeSome(pool, () => far.sent === 0 || far.sent === 1);
  const away = [0, 1, 2, 3].filter((n) => pool.remotePages.look(key, n)?.kind === 'remote');
  expect(away).toHaveLength(2);
  const out = Buffer.alloc(4 * 4096);
  const lengths: number[] = [];
  expect(source.getPage(key, away[0]!, out)).toBe(0);
  expect(source.getPages(key, 0, out, lengths)).toBe(2);
  for (const [n, length] of lengths.entries()) {
    expect(length).toBe(away.includes(n) ? 0 : 4096);
    if (length > 0) expect(out.subarray(n * 4096, (n + 1) * 4096)).toEqual(page(n));
  }
  expect(pool.stats().content).toMatchObject({ remote_pages: 0 });
  expect(far.fetched).toEqual([]);
  expect(source.stats).toMatchObject({ succ_gets: 2, failed_gets: 3 });
});

test('a fetcher without a store is refused', () => {
  expect(() => new PageCache({ fetcher: new FarPages() })).toThrow(
    expect.objectContaining({ code: 'TMEM_ERR_SETTING' }),
  );
});
