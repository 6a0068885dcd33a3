// Gets of pages that are with peers, through any fetcher: what Pool.get and its kin promise, wherever the page is.
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { AwayPages } from '../../../src/ramster/index.ts';
import { Oid, open, type Pool, takeOrphansOf } from '../../../src/zcache/index.ts';
import { FarPages } from '../../zcache/far-pages.ts';

const oid = Oid.fromNumbers(1);
const text = (n: number) => Buffer.alloc(500 + n, `${n} text that compresses `);

function scene() {
  const store = open({ memory: '16 MiB', debug: true });
  onTestFinished(() => store.close());
  const pool = store.client('one').pool('pages', { kind: 'persistent' });
  const far = new FarPages();
  const pages = new AwayPages(far);
  /** Puts a page and sends it away. */
  const send = (index: number, page: Uint8Array = text(index)) => {
    expect(pool.put(oid, index, page)).toBe('stored');
    expect(far.take(pool, oid, index)).toBe(true);
  };
  const orphans = () => takeOrphansOf(store, 1000).length;
  return { store, pool, far, pages, send, orphans };
}

const GETS = ['get', 'getAndKeep', 'getAndFree'] as const;

async function read(pages: AwayPages, pool: Pool, index: number, how: (typeof GETS)[number] = 'get') {
  const out = Buffer.alloc(4096);
  return out.subarray(0, await pages[how](pool, oid, index, out));
}

test.each(GETS)(
  '%s finds a page that comes home, one that does not, and misses what is not there',
  async (how) => {
    const { pool, far, pages, send } = scene();
    for (const answer of ['home', 'page'] as const) {
      far.answer = () => answer;
      send(1);
      expect(await read(pages, pool, 1, how)).toEqual(text(1));
      const keeps = how !== 'getAndFree';
      expect(await read(pages, pool, 1, 'getAndKeep')).toEqual(keeps ? text(1) : Buffer.alloc(0));
    }
    expect((await read(pages, pool, 9, how)).length).toBe(0);
  },
);

test('what is freed without coming home leaves its record with the orphans', async () => {
  const { pool, far, pages, send, orphans } = scene();
  far.answer = () => 'page';
  send(1);
  await read(pages, pool, 1, 'getAndKeep');
  expect(orphans()).toBe(0);
  await read(pages, pool, 1, 'getAndFree');
  expect([orphans(), pool.pages]).toEqual([1, 0]);
});

test('a page that is put while the older one is fetched is what getAndFree gives and frees', async () => {
  const { pool, far, pages, send, orphans } = scene();
  far.answer = () => 'page';
  send(1);
  far.wait = async () => {
    far.wait = () => Promise.resolve();
    pool.put(oid, 1, text(77));
  };
  expect(await read(pages, pool, 1, 'getAndFree')).toEqual(text(77));
  expect([orphans(), pool.pages]).toEqual([1, 0]);
});

test('a page put between the answer and its end is not freed', async () => {
  const { pool, far, send } = scene();
  far.answer = () => 'page';
  send(1);
  const late = new AwayPages({
    fetch: async (...handle) => {
      const found = await far.fetch(...handle);
      if (pool.remotePages.look(oid, 1)?.kind === 'remote') pool.put(oid, 1, text(78));
      return found;
    },
  });
  expect(await read(late, pool, 1, 'getAndFree')).toEqual(text(78));
  expect(pool.pages).toBe(0);
});

test('a buffer that is too short is an error, and nothing is fetched, freed or changed', async () => {
  const { pool, far, pages, send } = scene();
  send(1);
  for (const how of GETS) {
    await expect(pages[how](pool, oid, 1, Buffer.alloc(10))).rejects.toMatchObject({
      code: 'TMEM_ERR_PAGE_LENGTH',
    });
  }
  expect(far.fetched).toEqual([]);
  expect(await read(pages, pool, 1)).toEqual(text(1));
});

test('errors of the fetcher are those of the get, and change nothing', async () => {
  const { pool, far, pages, send } = scene();
  send(1);
  far.answer = () => 'peers away';
  for (const how of GETS) {
    await expect(read(pages, pool, 1, how)).rejects.toMatchObject({ code: 'TMEM_ERR_PEERS_AWAY' });
  }
  far.answer = () => 'home';
  expect(await read(pages, pool, 1)).toEqual(text(1));
});

test('a page that leaves again whenever it has come home ends in an error', async () => {
  const { pool, far, send } = scene();
  send(1);
  const restless = new AwayPages({
    fetch: async (...handle) => {
      const found = await far.fetch(...handle);
      expect(far.take(pool, oid, 1)).toBe(true);
      return found;
    },
  });
  await expect(read(restless, pool, 1)).rejects.toMatchObject({ code: 'TMEM_ERR_BUSY' });
});

test('any mix of puts, gets, flushes and moves is what a map would do', async () => {
  const step = fc.record({
    what: fc.constantFrom('put', 'flush', 'send', ...GETS),
    index: fc.nat(3),
    n: fc.nat(500),
    answer: fc.constantFrom('home' as const, 'page' as const),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { store, pool, far, pages } = scene();
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
        } else {
          expect(await read(pages, pool, index, what)).toEqual(model.get(index) ?? Buffer.alloc(0));
          if (what === 'getAndFree') model.delete(index);
        }
        expect(pool.pages).toBe(model.size);
      }
      store.close();
    }),
    { numRuns: 50 },
  );
});
