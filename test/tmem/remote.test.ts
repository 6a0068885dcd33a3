// Remote pages: a record takes a page's place and gives it back, and whatever happens to the handle meanwhile wins.
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Look } from '../../src/tmem/index.ts';
import { takeOrphans } from '../../src/tmem/index.ts';
import { Oid, open, type Pool, type StoreOptions } from '../../src/zcache/index.ts';
import { arenasOf } from '../../src/zcache/store.ts';

type Stored = Extract<Look, { kind: 'stored' }>;
type Remote = Extract<Look, { kind: 'remote' }>;

const oid = Oid.fromNumbers(5);
const out = Buffer.alloc(4096);
const text = (n: number) => Buffer.alloc(100 + ((n * 37) % 3900), `${n} text that compresses `);
const record = (n: number) => Buffer.from(`record ${n}`);

function newPool(settings: Partial<StoreOptions> = {}, kind: 'persistent' | 'ephemeral' = 'persistent') {
  const store = open({ memory: '8 MiB', debug: true, ...settings });
  onTestFinished(() => store.close());
  const pool = store.client('one').pool('pages', { kind });
  const orphans = () => takeOrphans(arenasOf(store), 1000).map((each) => Buffer.from(each).toString());
  const used = () => {
    const { frames_total, frames_free } = store.stats().store;
    return frames_total - frames_free;
  };
  return { store, pool, remote: pool.remotePages, orphans, used };
}

/** Sends a page away and gives what was stored. */
function sendAway(pool: Pool, index: number, n: number): Stored {
  const found = pool.remotePages.look(oid, index) as Stored;
  expect(found.kind).toBe('stored');
  expect(pool.remotePages.sendAway(oid, index, found, record(n))).toBe('stored');
  return found;
}

test.each(['lz4', 'lzo'] as const)('a page goes away and comes home as it was (%s)', (codec) => {
  const { pool, remote, orphans } = newPool({ codec });
  for (let n = 0; n < 50; n++) pool.put(oid, n, text(n));
  const away = Array.from({ length: 50 }, (_, n) => sendAway(pool, n, n));
  expect(pool.stats().content).toMatchObject({ remote_pages: 50 });
  for (let n = 0; n < 50; n++) {
    const found = remote.look(oid, n) as Remote;
    expect(found).toMatchObject({ kind: 'remote', length: text(n).length, checksum: away[n]!.checksum });
    expect(Buffer.from(found.record)).toEqual(record(n));
    expect(remote.bringHome(oid, n, found, away[n]!)).toBe('stored');
    expect(out.subarray(0, pool.get(oid, n, out))).toEqual(text(n));
  }
  expect(pool.stats().content).toMatchObject({ remote_pages: 0 });
  expect(orphans()).toEqual([]);
});

test('who cannot wait is told so, and changes nothing', () => {
  const { pool, remote } = newPool();
  pool.put(oid, 1, text(1));
  const { traffic } = pool.stats();
  sendAway(pool, 1, 1);
  const isRemote = expect.objectContaining({ code: 'TMEM_ERR_REMOTE' });
  expect(() => pool.get(oid, 1, out)).toThrow(isRemote);
  expect(() => pool.getAndFree(oid, 1, out)).toThrow(isRemote);
  expect(() => pool.peek(oid, 1, out)).toThrow(isRemote);
  expect(() => pool.readAt(oid, 1, 0, out)).toThrow(isRemote);
  expect(() => pool.writeAt(oid, 1, 0, text(2))).toThrow(isRemote);
  expect(() => pool.exchange(oid, 1, text(2), out)).toThrow(isRemote);
  expect(remote.look(oid, 1)?.kind).toBe('remote');
  expect(pool.stats().traffic).toEqual(traffic);
});

describe('what happens meanwhile wins', () => {
  const changes: Record<string, (pool: Pool) => void> = {
    'a put': (pool) => expect(pool.put(oid, 1, text(9))).toBe('stored'),
    'a replace': (pool) => expect(pool.replace(oid, 1, text(9))).toBe('stored'),
    'a flush of the page': (pool) => expect(pool.flushPage(oid, 1)).toBe(true),
    'a flush of the object': (pool) => expect(pool.flushObject(oid)).toBe(1),
    'a flush of the pool': (pool) => expect(pool.flush()).toBe(1),
  };
  test.each(Object.keys(changes))('%s', (what) => {
    const { pool, remote, orphans } = newPool();
    pool.put(oid, 1, text(1));
    const before = remote.look(oid, 1) as Stored;
    changes[what]!(pool);
    expect(remote.sendAway(oid, 1, before, record(1))).toBe('gone');
    expect(orphans()).toEqual([]);
    pool.put(oid, 1, text(1));
    const away = sendAway(pool, 1, 1);
    const found = remote.look(oid, 1) as Remote;
    changes[what]!(pool);
    expect(orphans()).toEqual(['record 1']);
    expect(remote.bringHome(oid, 1, found, away)).toBe('gone');
    expect(remote.sendAway(oid, 1, found, record(2))).toBe('gone');
    expect(remote.forget(oid, 1, found)).toBe(false);
    expect(remote.abandon(oid, 1, found)).toBe(false);
    expect(orphans()).toEqual([]);
  });

  test('the same page put again is another one', () => {
    const { pool, remote } = newPool();
    pool.put(oid, 1, text(1));
    const before = remote.look(oid, 1) as Stored;
    pool.flushPage(oid, 1);
    pool.put(oid, 1, text(1));
    expect(remote.sendAway(oid, 1, before, record(1))).toBe('gone');
    expect(out.subarray(0, pool.get(oid, 1, out))).toEqual(text(1));
  });
});

test('a destroyed pool leaves its records with the orphans, and the store as it was', () => {
  const { store, pool, remote, orphans } = newPool();
  for (let n = 0; n < 300; n++) pool.put(oid, n, text(n));
  for (let n = 0; n < 300; n++) sendAway(pool, n, n);
  const kept = remote.look(oid, 7) as Remote;
  expect(remote.forget(oid, 7, kept)).toBe(true);
  store.client('one').remove();
  const expected = Array.from({ length: 300 }, (_, n) => `record ${n}`).filter((each) => each !== 'record 7');
  expect(orphans().sort()).toEqual(expected.sort());
});

test('more orphans than fit are counted, and harm nothing', () => {
  const { store, pool, orphans } = newPool();
  const [arena] = arenasOf(store).all;
  for (let n = 0; n < 600; n++) pool.put(oid, n, text(n));
  for (let n = 0; n < 600; n++) sendAway(pool, n, n);
  expect(pool.flush()).toBe(600);
  expect(arena.word(arena.layout.H_ORPHANS_LOST)).toBe(600 - 512);
  expect(orphans().length).toBe(512);
  expect(orphans()).toEqual([]);
});

test('bytes that are not the page are refused', () => {
  const { pool, remote } = newPool();
  pool.put(oid, 1, text(1));
  const away = sendAway(pool, 1, 1);
  const found = remote.look(oid, 1) as Remote;
  const wrong = [
    { codec: 'lz4' as const, bytes: randomBytes(50) },
    { codec: 'lzo' as const, bytes: away.bytes },
    { codec: 'raw' as const, bytes: text(2).subarray(0, found.length) },
    { codec: 'lz4' as const, bytes: new Uint8Array(0) },
    { codec: 'lz4' as const, bytes: new Uint8Array(5000) },
    ...Array.from(away.bytes, (_, at) => ({
      codec: 'lz4' as const,
      bytes: Uint8Array.from(away.bytes, (byte, i) => (i === at ? byte ^ 0x10 : byte)),
    })),
  ];
  for (const page of wrong) expect(remote.bringHome(oid, 1, found, page)).toBe('damaged');
  expect(remote.bringHome(oid, 1, found, away)).toBe('stored');
});

test('a recovery counts remote pages as they are, and keeps them', () => {
  const { store, pool, remote, used } = newPool();
  for (let n = 0; n < 100; n++) pool.put(oid, n, text(n));
  for (let n = 0; n < 100; n += 2) sendAway(pool, n, n);
  const before = { used: used(), stats: pool.stats() };
  const [arena] = arenasOf(store).all;
  arena.wasm.recoverNow(1, 1000);
  expect({ used: used(), stats: pool.stats() }).toEqual(before);
  for (let n = 0; n < 100; n++) expect(remote.look(oid, n)?.kind).toBe(n % 2 === 0 ? 'remote' : 'stored');
});

test('an ephemeral record that is evicted is a miss, and an orphan', () => {
  const { store, pool, remote, orphans } = newPool({ ephemeralPam: 'zv' }, 'ephemeral');
  for (let n = 0; n < 10; n++) pool.put(oid, n, text(n));
  for (let n = 0; n < 10; n++) sendAway(pool, n, n);
  store.shrink(1000);
  expect(remote.look(oid, 3)).toBeUndefined();
  expect(pool.get(oid, 3, out)).toBe(0);
  expect(orphans().length).toBe(10);
});

test('the limit of persistent pages counts a page once, wherever it is', () => {
  const { store, pool, remote } = newPool({ persistentLimitPercent: 1 });
  const most = Math.floor(store.settings.memory / 4096 / 100);
  const fill = () => {
    let stored = 0;
    while (pool.put(oid, stored, text(stored)) === 'stored') stored++;
    return stored;
  };
  const pages = fill();
  expect(pages).toBeLessThanOrEqual(most + 1);
  for (let round = 0; round < 2 * pages; round++) {
    const away = sendAway(pool, round % pages, round);
    expect(pool.put(oid, 5000, text(1))).toBe('over-limit');
    expect(remote.bringHome(oid, round % pages, remote.look(oid, round % pages) as Remote, away)).toBe(
      'stored',
    );
    expect(pool.put(oid, 5000, text(1))).toBe('over-limit');
  }
  expect(pool.flush()).toBe(pages);
  expect(fill()).toBe(pages);
});

test('any mix of all that is what a map and a set of copies far away would do', () => {
  const operation = fc.record({
    what: fc.constantFrom('put', 'flush', 'send', 'home', 'forget', 'abandon', 'again', 'get'),
    index: fc.nat(5),
    n: fc.nat(1000),
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 80 }), (operations) => {
      const { store, pool, remote, orphans } = newPool({ memory: '8 MiB' });
      const local = new Map<number, number>();
      const away = new Map<number, { n: number; id: number; page: Stored }>();
      const far = new Set<string>();
      let ids = 0;
      for (const { what, index, n } of operations) {
        const found = remote.look(oid, index);
        expect(found?.kind).toBe(local.has(index) ? 'stored' : away.has(index) ? 'remote' : undefined);
        if (what === 'put') {
          expect(pool.put(oid, index, text(n))).toBe('stored');
          local.set(index, n);
          away.delete(index);
        } else if (what === 'flush') {
          expect(pool.flushPage(oid, index)).toBe(found !== undefined);
          local.delete(index);
          away.delete(index);
        } else if (found?.kind === 'stored') {
          if (what === 'get')
            expect(out.subarray(0, pool.get(oid, index, out))).toEqual(text(local.get(index)!));
          if (what !== 'send') continue;
          const id = ++ids;
          expect(remote.sendAway(oid, index, found, record(id))).toBe('stored');
          far.add(`record ${id}`);
          away.set(index, { n: local.get(index)!, id, page: found });
          local.delete(index);
        } else if (found?.kind === 'remote') {
          const { n: kept, id, page } = away.get(index)!;
          expect(Buffer.from(found.record)).toEqual(record(id));
          if (what === 'home') {
            expect(remote.bringHome(oid, index, found, page)).toBe('stored');
            local.set(index, kept);
            away.delete(index);
            far.delete(`record ${id}`);
          } else if (what === 'forget') {
            expect(remote.forget(oid, index, found)).toBe(true);
            away.delete(index);
            far.delete(`record ${id}`);
          } else if (what === 'abandon') {
            expect(remote.abandon(oid, index, found)).toBe(true);
            away.delete(index);
          } else if (what === 'again') {
            const next = ++ids;
            expect(remote.sendAway(oid, index, found, record(next))).toBe('stored');
            far.delete(`record ${id}`);
            far.add(`record ${next}`);
            away.set(index, { n: kept, id: next, page });
          }
        }
        for (const orphan of orphans()) expect(far.delete(orphan)).toBe(true);
      }
      expect([...far].sort()).toEqual([...away.values()].map(({ id }) => `record ${id}`).sort());
      expect(pool.stats().content).toMatchObject({ remote_pages: away.size });
      store.close();
    }),
    { numRuns: 60 },
  );
});
