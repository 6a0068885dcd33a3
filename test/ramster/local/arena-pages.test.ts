// The node's own pages in a store: they leave and come home, and the store remembers who it is in the cluster.
import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ArenaForeignPages } from '../../../src/ramster/local/arena-foreign.ts';
import { ArenaLocalPages } from '../../../src/ramster/local/arena-pages.ts';
import type { PageRef, RemoteLook, StoredLook } from '../../../src/ramster/local/local-pages.ts';
import { INCARNATION_MAX } from '../../../src/ramster/page-id.ts';
import { CLUSTER_CLIENT, Oid, type Pool, type Store } from '../../../src/zcache/index.ts';
import { arenasOf } from '../../../src/zcache/store.ts';
import { seededRandom } from '../../codec/sample-pages.ts';
import { numbered } from '../../tmem/page-content.ts';
import { namedStore, press, privateStore } from './local-stores.ts';

const MIB = 2 ** 20;
const oid = Oid.fromNumbers(21, 22, 23);
const out = Buffer.alloc(4096);
const all = () => true;
const coded = (code: string) => expect.objectContaining({ code });

function fill(pool: Pool, count: number): void {
  for (let i = 0; i < count; i++)
    expect(pool.put(oid, i * 97, numbered(i, 500 + (i % 7) * 300))).toBe('stored');
}

function sendAway(local: ArenaLocalPages, page: PageRef, record: string): StoredLook {
  const found = local.look(page) as StoredLook;
  expect(found.kind).toBe('stored');
  expect(local.sendAway(page, found, Buffer.from(record))).toBe('stored');
  return found;
}

const nameOf = ({ pool, oid, index }: PageRef) => `${pool}/${oid}/${index}`;

/** All records, a few at a time. */
function recordsOf(local: ArenaLocalPages, most = 20): Map<string, string> {
  const records = new Map<string, string>();
  let cursor: unknown;
  do {
    const { pages, next } = local.records(cursor, most);
    for (const { page, record } of pages) {
      expect(records.has(nameOf(page))).toBe(false);
      records.set(nameOf(page), Buffer.from(record).toString());
    }
    cursor = next;
  } while (cursor !== undefined);
  return records;
}

describe('pages', () => {
  test.each([1, 3])('go away, are found, and come home (%i arenas)', (arenas) => {
    const store = privateStore({ memory: '32 MiB', arenas });
    const local = new ArenaLocalPages(store, { clients: ['c'] });
    const client = store.client('c');
    const pools = [
      client.pool('a', { kind: 'persistent' }),
      client.pool('b', { kind: 'ephemeral' }),
      client.pool('c', { kind: 'persistent', codec: 'none' }),
    ];
    for (const pool of pools) fill(pool, 100);
    const away = new Map<string, { page: PageRef; record: string; found: StoredLook }>();
    for (const kind of ['persistent', 'ephemeral'] as const) {
      for (const page of local.coldest(kind, 150)) {
        expect(local.kindOf(page.pool)).toBe(kind);
        const record = `record ${away.size}`;
        away.set(nameOf(page), { page, record, found: sendAway(local, page, record) });
      }
    }
    expect(away.size).toBe(250);
    const expected = new Map([...away].map(([name, { record }]) => [name, record]));
    expect(recordsOf(local)).toEqual(expected);
    expect(recordsOf(local, 1000)).toEqual(expected);
    for (const { page, found } of away.values()) {
      const remote = local.look(page) as RemoteLook;
      const bytes = Buffer.from(local.decode(remote, found)!);
      const damaged = Uint8Array.from(found.bytes, (byte, i) => (i === 5 ? byte ^ 1 : byte));
      expect(local.decode(remote, { ...found, bytes: damaged })).toBeUndefined();
      expect(local.bringHome(page, remote, { ...found, bytes: damaged })).toBe('damaged');
      expect(local.bringHome(page, remote, found)).toBe('stored');
      expect(local.bringHome(page, remote, found)).toBe('gone');
      const pool = pools.find(({ id }) => id === page.pool)!;
      expect(out.subarray(0, pool.getAndKeep(page.oid, page.index, out))).toEqual(bytes);
      expect(bytes).toEqual(Buffer.from(numbered(page.index / 97, 500 + ((page.index / 97) % 7) * 300)));
    }
    expect(recordsOf(local).size).toBe(0);
    expect(local.takeOrphans(100)).toEqual([]);
  });

  test('of clients that were not named, of others, and of the node itself stay', () => {
    const store = privateStore();
    const local = new ArenaLocalPages(store, { clients: all });
    const foreign = new ArenaForeignPages(store, { capBytes: 4 * MIB, lendBytes: 4 * MIB });
    for (let id = 1; id < 50; id++)
      foreign.put({ name: 'b', memory: 1 }, 1, 'persistent', id, numbered(id, 900));
    expect(local.coldest('persistent', 1000)).toEqual([]);
    fill(store.client('c').pool('p', { kind: 'persistent' }), 30);
    expect(local.coldest('persistent', 1000).length).toBe(30);
    local.close();
    expect(new ArenaLocalPages(store, { clients: ['d'] }).coldest('persistent', 10)).toEqual([]);
  });

  test('whose handle has changed are left alone, and a record that goes is an orphan', () => {
    const store = privateStore();
    const local = new ArenaLocalPages(store, { clients: all });
    const pool = store.client('c').pool('p', { kind: 'persistent' });
    fill(pool, 3);
    const page = local.refOf(pool, oid, 97);
    const before = local.look(page) as StoredLook;
    pool.put(oid, 97, numbered(9, 500));
    expect(local.sendAway(page, before, Buffer.from('late'))).toBe('gone');
    sendAway(local, page, 'first');
    const remote = local.look(page) as RemoteLook;
    expect(local.sendAway(page, remote, Buffer.from('moved'))).toBe('stored');
    expect(local.forget(page, remote)).toBe(false);
    pool.flushPage(oid, 97);
    expect(local.takeOrphans(10).map((each) => Buffer.from(each).toString())).toEqual(['moved']);
    expect(local.look(page)).toBeUndefined();
    expect(local.orphansLost).toBe(0);
  });

  test('come home only where there is room', () => {
    const store = privateStore();
    const local = new ArenaLocalPages(store, { clients: all });
    const pool = store.client('c').pool('p', { kind: 'persistent' });
    fill(pool, 1);
    const page = local.refOf(pool, oid, 0);
    const found = sendAway(local, page, 'away');
    store.freeze();
    expect(local.bringHome(page, local.look(page) as RemoteLook, found)).toBe('refused');
    store.thaw();
    expect(local.bringHome(page, local.look(page) as RemoteLook, found)).toBe('stored');
  });
});

test('a destroyed pool is told once, whoever destroyed it, and its number is not used again', () => {
  const store = privateStore();
  const local = new ArenaLocalPages(store, { clients: all });
  const client = store.client('c');
  const numbers = new Set<number>();
  for (let n = 0; n < 20; n++) {
    const pool = client.pool('p', { kind: n % 2 === 0 ? 'persistent' : 'ephemeral' });
    expect(numbers.has(pool.id)).toBe(false);
    numbers.add(pool.id);
    pool.put(oid, 1, numbered(1, 700));
    const page = local.refOf(pool, oid, 1);
    sendAway(local, page, `record ${n}`);
    expect(local.describe(pool.id)).toEqual({ client: 'c', pool: 'p' });
    expect(local.takeDestroyedPools()).toEqual([]);
    if (n === 10) client.remove();
    else pool.destroy();
    expect(local.kindOf(pool.id)).toBeUndefined();
    expect(local.takeDestroyedPools()).toEqual([pool.id]);
    expect(local.takeDestroyedPools()).toEqual([]);
    expect(local.look(page)).toBeUndefined();
    if (n === 10) break;
  }
  expect(local.kindOf(12_345_678)).toBeUndefined();
});

test('room is what can be had without anything giving way', () => {
  const store = privateStore();
  const local = new ArenaLocalPages(store, { clients: all });
  const { totalBytes, freeBytes, pressed } = local.room();
  expect(totalBytes).toBe(16 * MIB);
  expect(pressed).toBe(false);
  const pool = store.client('c').pool('p', { kind: 'ephemeral', pam: 'raw' });
  const page = Buffer.alloc(4096, 'any');
  for (let i = 0; i < 1000; i++) pool.put(oid, i, page);
  expect(local.room().freeBytes).toBeLessThanOrEqual(freeBytes - 1000 * 4096);
  press(store, true);
  expect(local.room().pressed).toBe(true);
  press(store, false);
});

describe('the identity', () => {
  const identityOf = (store: Store) => new ArenaLocalPages(store, { clients: [] }).identity();
  const identityPool = (store: Store) =>
    store.client(CLUSTER_CLIENT).pool('identity', { kind: 'persistent', codec: 'none' });
  const PAGE = Oid.fromString('identity');

  test('stays with a named store, and each start is another incarnation', () => {
    const { open } = namedStore();
    const seen = Array.from({ length: 4 }, () => {
      const store = open();
      const { memory, key, incarnation } = identityOf(store);
      store.close();
      return { memory: Buffer.from(memory), key: Buffer.from(key), incarnation };
    });
    expect(seen.map(({ incarnation }) => incarnation)).toEqual([1, 2, 3, 4]);
    for (const { memory, key } of seen) {
      expect([memory.length, key.length]).toEqual([16, 32]);
      expect({ memory, key }).toEqual({ memory: seen[0]!.memory, key: seen[0]!.key });
    }
  });

  test('of two stores is not the same', () => {
    const [a, b] = [identityOf(privateStore()), identityOf(privateStore())];
    expect(Buffer.from(a.memory).equals(b.memory)).toBe(false);
    expect(Buffer.from(a.key).equals(b.key)).toBe(false);
  });

  test('in a copy of the store is another, so that no page id is given twice', () => {
    const [from, to] = [privateStore(), privateStore()];
    const original = identityOf(from);
    const length = identityPool(from).getAndKeep(PAGE, 0, out);
    expect(identityPool(to).put(PAGE, 0, out.subarray(0, length))).toBe('stored');
    const copied = identityOf(to);
    expect(Buffer.from(copied.memory).equals(original.memory)).toBe(false);
    expect(copied.incarnation).toBe(1);
  });

  test('belongs to one node at a time', () => {
    const store = privateStore();
    const first = new ArenaLocalPages(store, { clients: [] });
    expect(() => new ArenaLocalPages(store, { clients: [] })).toThrow(coded('TMEM_ERR_BUSY'));
    first.close();
    expect(identityOf(store).incarnation).toBe(2);
  });

  test('that is damaged is an error that says so, and leaves the store to others', () => {
    const { open } = namedStore();
    const damages: ((page: Buffer) => Buffer)[] = [
      (page) => page.subarray(0, 79),
      (page) => Buffer.concat([page, page]),
      (page) => page.fill(0, 0, 4),
      (page) => page.fill(9, 4, 5),
      (page) => page.fill(0, 8, 12),
      (page) => {
        page.writeUInt32LE(INCARNATION_MAX + 1, 8);
        return page;
      },
      (page) => {
        page.writeUInt32LE(INCARNATION_MAX, 8);
        return page;
      },
    ];
    const store = open();
    identityOf(store);
    const length = identityPool(store).getAndKeep(PAGE, 0, out);
    const good = Buffer.from(out.subarray(0, length));
    store.close();
    for (const damage of damages) {
      const damaged = open();
      identityPool(damaged).put(PAGE, 0, damage(Buffer.from(good)));
      for (let n = 0; n < 2; n++) {
        expect(() => identityOf(damaged)).toThrow(coded('TMEM_ERR_DAMAGED'));
        expect(() => identityOf(damaged)).toThrow(/identity of the node/);
      }
      damaged.close();
    }
    const mended = open();
    mended.client(CLUSTER_CLIENT).remove();
    expect(identityOf(mended).incarnation).toBe(1);
  });

  test('whose bytes were overwritten in the memory is one, too', () => {
    const store = privateStore();
    const local = new ArenaLocalPages(store, { clients: [] });
    local.close();
    const { bytes } = arenasOf(store).all[0];
    const memory = Buffer.from(bytes.buffer as unknown as ArrayBuffer);
    const { key } = local.identity();
    // Where it is kept, and where it may have been put together.
    const places: number[] = [];
    for (let at = memory.indexOf(key); at >= 0; at = memory.indexOf(key, at + 1)) places.push(at);
    expect(places.length).toBeGreaterThan(0);
    for (const at of places) bytes[at + 3] = bytes[at + 3]! ^ 1;
    expect(() => identityOf(store)).toThrow(coded('TMEM_ERR_DAMAGED'));
  });

  test('is not begun in a store that is frozen', () => {
    const store = privateStore();
    store.freeze();
    expect(() => identityOf(store)).toThrow(coded('TMEM_ERR_BUSY'));
    store.thaw();
    expect(identityOf(store).incarnation).toBe(1);
  });
});

test('while another thread changes everything, what is named and moved is never a wrong page', async () => {
  const store = privateStore({ memory: '8 MiB', incompressible: 'store' });
  const local = new ArenaLocalPages(store, { clients: ['churned'] });
  const worker = new Worker(new URL('./churn-worker.ts', import.meta.url), {
    workerData: { token: store.share(), rounds: 5000, seed: 5 },
  });
  onTestFinished(async () => void (await worker.terminate()));
  const random = seededRandom(6);
  const away = new Map<string, StoredLook>();
  let done = false;
  let moved = 0;
  const ended = once(worker, 'exit').finally(() => {
    done = true;
  });
  for (let n = 0; !done || n < 50; n++) {
    const kind = random(2) === 0 ? 'ephemeral' : 'persistent';
    for (const page of local.coldest(kind, 20)) {
      const found = local.look(page);
      if (found?.kind !== 'stored') continue;
      const record = `record ${n} ${moved}`;
      if (local.sendAway(page, found, Buffer.from(record)) !== 'stored') continue;
      away.set(record, found);
      moved++;
    }
    const { pages } = local.records(undefined, 30);
    for (const { page, record } of pages) {
      const found = local.look(page);
      if (found?.kind !== 'remote' || !Buffer.from(found.record).equals(record)) continue;
      const stored = away.get(Buffer.from(record).toString())!;
      const bytes = local.decode(found, stored)!;
      expect(Buffer.compare(bytes.subarray(0, 4), numbered(page.index, 200).subarray(0, 4))).toBe(0);
      if (random(2) === 0)
        expect(['stored', 'gone', 'refused']).toContain(local.bringHome(page, found, stored));
      else local.forget(page, found);
    }
    local.takeOrphans(100);
    local.takeDestroyedPools();
    await turn();
  }
  await ended;
  expect(moved).toBeGreaterThan(100);
  for (const arena of arenasOf(store).all) arena.wasm.drainSteps(1_000_000);
  const before = store.stats().frames;
  for (const arena of arenasOf(store).all) arena.wasm.recoverNow(1, 1000);
  expect(store.stats().frames).toEqual(before);
});
