// Stores saved and filled again: everything that was in one is in the other, and a failed save leaves nothing.
import { createHash } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Oid, open, type Pool, type Store } from '../../src/zcache/index.ts';
import { fillStore } from '../../src/zcache/save/fill-store.ts';
import { inventoryOf } from '../../src/zcache/save/inventory.ts';
import { SavedStoreReader } from '../../src/zcache/save/reader.ts';
import { saveStore, writeStore } from '../../src/zcache/save/save-store.ts';
import { BufferSource, readAll } from './saved-bytes.ts';

let scratch = '';
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'tmem-save-'));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const swapPages = readFileSync(new URL('../fixtures/pages.bin', import.meta.url));
const swapPageCount = swapPages.length / 4096;
const uuid = 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6';

/** Page i: real ones, short ones, one that does not compress among them. */
function pageOf(i: number): Buffer {
  const at = (i % swapPageCount) * 4096;
  const whole = swapPages.subarray(at, at + 4096);
  return i % 5 === 0 ? whole.subarray(0, 1 + (i % 4096)) : whole;
}

function putPages(pool: Pool, count: number, object = 1): number {
  let stored = 0;
  for (let i = 0; i < count; i++) {
    if (pool.put(Oid.fromNumbers(object, i % 7), i * 3, pageOf(i)) === 'stored') stored++;
  }
  return stored;
}

async function bytesOf(store: Store, ephemeral: boolean): Promise<Buffer> {
  const parts: Buffer[] = [];
  const sink = { write: async (bytes: Uint8Array) => void parts.push(Buffer.from(bytes)) };
  await writeStore(store, sink, { ephemeral });
  return Buffer.concat(parts);
}

/** Fills a new store of other settings, perhaps, from a saved one. */
async function filled(file: Buffer, options: Record<string, unknown> = {}) {
  const { store: saved, pages } = await readAll(new BufferSource(file));
  const counts = saved.pools.map((_, i) => pages.filter(({ pool }) => pool === i).length);
  const store = open({ memory: 0, ...saved.settings, ...options });
  const reader = new SavedStoreReader(new BufferSource(file));
  try {
    const result = await fillStore(store, saved, counts, reader.pages(await reader.begin()));
    return { store, ...result };
  } catch (error) {
    store.close();
    throw error;
  }
}

/** Every page of a store, as text. */
function contentOf(store: Store): string[] {
  const out = Buffer.alloc(4096);
  return inventoryOf(store)
    .pools.flatMap(({ about, pool }, i) =>
      [...pool.walk()].map(({ oid, index }) => {
        const length = pool.peek(oid, index, out);
        return `${i} ${about.name} ${oid} ${index} ${out.toString('base64', 0, length)}`;
      }),
    )
    .sort();
}

const describeAll = (store: Store) => ({
  ...inventoryOf(store),
  pools: inventoryOf(store).pools.map(({ about }) => about),
});

/** Clients and pools of every kind. */
function fullStore(options: Record<string, unknown> = {}): Store {
  const store = open({ memory: '16 MiB', threads: 2, codec: 'lzo', incompressible: 'store', ...options });
  const a = store.client('a', { weight: 7 });
  const b = store.client('b', { cap: '4 MiB' });
  const cold = b.pool('cold', { kind: 'ephemeral', pam: 'zv' });
  const hot = b.pool('hot', { kind: 'ephemeral', pam: 'raw', limit: 20, demoteTo: cold });
  const spill = a.pool('spill', { kind: 'persistent', codec: 'lz4' });
  const shared = a.pool('shared', { kind: 'persistent', shared: uuid });
  const bare = a.pool('bare', { kind: 'ephemeral', pam: 'raw', limit: 16 });
  shared.grant(b);
  const opaque = a.pool('opaque', { kind: 'persistent', codec: 'none' });
  a.pool('empty', { kind: 'ephemeral' });
  putPages(spill, 300);
  putPages(shared, 50, 2);
  putPages(opaque, 40, 5);
  putPages(cold, 100, 3);
  putPages(hot, 30, 4);
  putPages(bare, 16);
  b.freeze();
  return store;
}

test.each([1, 2])(
  'a store of %i arenas comes back with all clients, pools, settings and pages',
  async (arenas) => {
    using store = fullStore({ arenas, memory: '32 MiB' });
    const { store: again, dropped, pages } = await filled(await bytesOf(store, true));
    using _ = again;
    expect(describeAll(again)).toEqual(describeAll(store));
    expect(again.settings).toEqual(store.settings);
    expect(contentOf(again)).toEqual(contentOf(store));
    expect({ dropped, pages }).toEqual({ dropped: 0, pages: contentOf(store).length });
  },
);

test('without ephemeral pages their pools come back empty', async () => {
  using store = fullStore();
  const { store: again, pages } = await filled(await bytesOf(store, false));
  using _ = again;
  expect(describeAll(again)).toEqual(describeAll(store));
  const persistent = contentOf(store).filter((line) => / (spill|shared|opaque) /.test(line));
  expect(contentOf(again)).toEqual(persistent);
  expect(pages).toBe(persistent.length);
});

test('a store with persistent pages at peers is not saved, and is told how many there are', async () => {
  using store = open({ memory: '16 MiB', threads: 2 });
  const kept = store.client('a').pool('kept', { kind: 'persistent' });
  const cache = store.client('a').pool('cache', { kind: 'ephemeral' });
  const sendAway = (pool: Pool, index: number) => {
    const found = pool.remotePages.look(Oid.fromNumbers(1, 0), index);
    if (found?.kind !== 'stored') throw new Error('no page');
    pool.remotePages.sendAway(Oid.fromNumbers(1, 0), index, found, Buffer.from('record'));
    return found;
  };
  for (const pool of [kept, cache]) {
    for (let i = 0; i < 20; i++)
      pool.put(Oid.fromNumbers(1, 0), i, swapPages.subarray(i * 4096, i * 4096 + 4000));
  }
  const file = join(scratch, 'away');
  const away = [3, 4, 5].map((index) => [index, sendAway(kept, index)] as const);
  await expect(saveStore(store, file)).rejects.toMatchObject({
    ...{ code: 'TMEM_ERR_REMOTE', message: expect.stringContaining('3 persistent pages') },
  });
  expect(readdirSync(scratch).filter((name) => name.includes('away') || name.startsWith('.tmem'))).toEqual(
    [],
  );
  for (const [index, page] of away) {
    const found = kept.remotePages.look(Oid.fromNumbers(1, 0), index);
    if (found?.kind === 'remote') kept.remotePages.bringHome(Oid.fromNumbers(1, 0), index, found, page);
  }
  for (const index of [7, 8]) sendAway(cache, index);
  expect((await saveStore(store, file, { ephemeral: true })).pages).toBe(kept.pages + cache.pages - 2);
});

test("a store's part in a cluster stays with it", async () => {
  using store = fullStore();
  const clients = describeAll(store).clients;
  for (const name of ['ramster', 'ramster/b/00000001']) {
    putPages(store.client(name).pool('p', { kind: 'persistent', codec: 'none' }), 20);
  }
  store.client('ramsters');
  const { store: again } = await filled(await bytesOf(store, true));
  using _ = again;
  expect(again.clients().map(({ name }) => name)).toEqual([...clients.map(({ name }) => name), 'ramsters']);
});

test('saving changes neither pages nor their order of use', async () => {
  using store = fullStore();
  const before = contentOf(store);
  const counters = () => store.stats().traffic;
  const counted = counters();
  await bytesOf(store, true);
  expect(counters()).toEqual(counted);
  expect(contentOf(store)).toEqual(before);
});

test('a frozen store comes back frozen, and thaws', async () => {
  using store = fullStore();
  store.freeze();
  const { store: again } = await filled(await bytesOf(store, true));
  using _ = again;
  const pool = again.client('a').pool('spill', { kind: 'persistent' });
  expect(pool.put(Oid.fromNumbers(99), 0, pageOf(1))).toBe('frozen');
  again.thaw();
  expect(pool.put(Oid.fromNumbers(99), 0, pageOf(1))).toBe('stored');
  expect(contentOf(again).length).toBe(contentOf(store).length + 1);
});

test('pages that only their neighbours made acceptable are taken again', async () => {
  using store = open({ memory: '16 MiB', zvMaxPageBytes: 3000, zvMaxMeanBytes: 1000 });
  const pool = store.client('a').pool('p', { kind: 'persistent', codec: 'lz4' });
  // Enough small ones that the running mean stays low; then large ones, which come first in the order of the walk.
  for (let i = 0; i < 1000; i++) pool.put(Oid.fromNumbers(1), 1000 + i, Buffer.from(`${i} small`.repeat(20)));
  const random = createHash('shake256', { outputLength: 2500 }).update('no pattern').digest();
  let large = 0;
  for (let i = 0; i < 100; i++) {
    random.writeUInt32LE(i);
    if (pool.put(Oid.fromNumbers(1), i, random) === 'stored') large++;
  }
  expect(large).toBe(100);
  const { store: again } = await filled(await bytesOf(store, false));
  using _ = again;
  expect(contentOf(again)).toEqual(contentOf(store));
  expect(again.settings).toEqual(store.settings);
});

test('too little memory for persistent pages is an error that says how much is enough', async () => {
  using store = open({ memory: '64 MiB', threads: 2 });
  const stored = putPages(store.client('a').pool('p', { kind: 'persistent' }), 20_000);
  const file = await bytesOf(store, false);
  const error = await filled(file, { memory: '16 MiB', arenas: 1, stagingPages: 8 }).then(
    () => undefined,
    (error) => error,
  );
  expect(error).toMatchObject({ code: 'TMEM_ERR_RESTORE' });
  const [, needed] = /about (\d+(?:\.\d+)? MiB)/.exec(error.message) ?? [];
  const { store: again, pages } = await filled(file, { memory: needed, arenas: 1, stagingPages: 8 });
  using _ = again;
  expect(pages).toBe(stored);
  expect(contentOf(again)).toEqual(contentOf(store));
});

test('a limit of persistent pages that smaller memory brings is an error that says how much is needed', async () => {
  using store = open({ memory: '32 MiB', threads: 2, persistentLimitPercent: 50 });
  const stored = putPages(store.client('a').pool('p', { kind: 'persistent' }), 3000);
  const file = await bytesOf(store, false);
  const error = await filled(file, { memory: '16 MiB', stagingPages: 8 }).then(
    () => undefined,
    (error) => error,
  );
  expect(error).toMatchObject({ code: 'TMEM_ERR_RESTORE', message: expect.stringContaining('over-limit') });
  const [, needed] = /about (\d+(?:\.\d+)? MiB)/.exec(error.message) ?? [];
  const { store: again, pages } = await filled(file, { memory: needed, stagingPages: 8 });
  using _ = again;
  expect(pages).toBe(stored);
});

test('ephemeral pages that find no room are dropped and counted; persistent ones stay', async () => {
  using store = open({ memory: '64 MiB', threads: 2 });
  const client = store.client('a');
  const cached = putPages(client.pool('cache', { kind: 'ephemeral' }), 20_000);
  const kept = putPages(client.pool('kept', { kind: 'persistent' }), 2000);
  const file = await bytesOf(store, true);
  const result = await filled(file, { memory: '16 MiB', arenas: 1, stagingPages: 8 });
  using again = result.store;
  expect(result.dropped).toBeGreaterThan(0);
  expect(result.pages + result.dropped).toBe(cached + kept);
  expect(contentOf(again).filter((line) => line.includes(' kept '))).toEqual(
    contentOf(store).filter((line) => line.includes(' kept ')),
  );
});

test('a hot page is not replaced by the older one behind it', async () => {
  using store = open({ memory: '16 MiB' });
  const client = store.client('a');
  const cold = client.pool('z cold', { kind: 'ephemeral' });
  const hot = client.pool('a hot', { kind: 'ephemeral', pam: 'raw', limit: 64, demoteTo: cold });
  for (let i = 0; i < 64; i++) cold.put(Oid.fromNumbers(1), i, Buffer.from(`old ${i}`));
  for (let i = 0; i < 64; i++) hot.put(Oid.fromNumbers(1), i, Buffer.from(`new ${i}`));
  const file = await bytesOf(store, true);
  // With half the limit, half of the hot pages are demoted while the store is filled.
  const { store: saved } = await readAll(new BufferSource(file));
  const again = open({ memory: 0, ...saved.settings });
  using _ = again;
  const halved = {
    ...saved,
    pools: saved.pools.map((pool) => ({ ...pool, limitPages: pool.limitPages && 32 })),
  };
  const reader = new SavedStoreReader(new BufferSource(file));
  await reader.begin();
  await fillStore(again, halved, [64, 64], reader.pages(saved));
  const levels = ['a hot', 'z cold'].map((name) =>
    inventoryOf(again).pools.find(({ about }) => about.name === name),
  );
  const out = Buffer.alloc(4096);
  for (let i = 0; i < 64; i++) {
    const lengths = levels.map((level) => level?.pool.getAndKeep(Oid.fromNumbers(1), i, out) ?? 0);
    // Read again from the first level that has it.
    const first = levels[lengths[0] > 0 ? 0 : 1];
    const length = first?.pool.getAndKeep(Oid.fromNumbers(1), i, out) ?? 0;
    expect(out.toString('utf8', 0, length)).toBe(`new ${i}`);
  }
});

test('pages put, replaced and flushed while a save runs are in it as they were at some moment, or not', async () => {
  using store = open({ memory: '32 MiB' });
  const pool = store.client('a').pool('p', { kind: 'persistent' });
  const version = (i: number, v: number) => Buffer.from(`page ${i} version ${v} `.repeat(150));
  const oid = Oid.fromNumbers(1);
  for (let i = 0; i < 3000; i++) pool.put(oid, i, version(i, 0));
  let round = 0;
  const sink: Buffer[] = [];
  await writeStore(
    store,
    {
      // Between two blocks, as another thread would.
      async write(bytes) {
        sink.push(Buffer.from(bytes));
        round++;
        for (let i = round; i < 3000; i += 7) pool.put(oid, i, version(i, round));
        for (let i = round; i < 3000; i += 97) pool.flushPage(oid, 3000 - i);
      },
    },
    {},
  );
  const { pages } = await readAll(new BufferSource(Buffer.concat(sink)));
  expect(round).toBeGreaterThan(5);
  expect(new Set(pages.map(({ index }) => index)).size).toBe(pages.length);
  for (const { index, bytes } of pages) {
    const text = Buffer.from(bytes).toString();
    const v = Number(/version (\d+)/.exec(text)?.[1]);
    expect(text).toBe(version(index, v).toString());
  }
});

test('a saved file is complete, of mode 0600, and replaces an older one', async () => {
  using store = fullStore();
  const directory = join(scratch, 'complete');
  mkdirSync(directory);
  const path = join(directory, 'store.tmem');
  writeFileSync(path, 'older', { mode: 0o644 });
  const result = await saveStore(store, path, { ephemeral: true });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(directory)).toEqual(['store.tmem']);
  const file = readFileSync(path);
  const { store: saved, pages } = await readAll(new BufferSource(file));
  expect(result).toEqual({
    ...{ clients: 2, pools: saved.pools.length, pages: pages.length, fileBytes: file.length },
    pageBytes: pages.reduce((sum, { bytes }) => sum + bytes.length, 0),
  });
});

test('a save that is ended or fails leaves the older file and nothing else', async () => {
  using store = fullStore();
  const directory = join(scratch, 'failed');
  mkdirSync(directory);
  const path = join(directory, 'store.tmem');
  writeFileSync(path, 'older');
  const ended = AbortSignal.abort();
  await expect(saveStore(store, path, { signal: ended })).rejects.toThrow(/aborted/);
  expect(readdirSync(directory)).toEqual(['store.tmem']);
  expect(readFileSync(path, 'utf8')).toBe('older');
  const saving = saveStore(store, path);
  store.close();
  await expect(saving).rejects.toMatchObject({ code: 'TMEM_ERR_CLOSED' });
  expect(readdirSync(directory)).toEqual(['store.tmem']);
  expect(readFileSync(path, 'utf8')).toBe('older');
});

test('saves at the same time, and names left by a process that was killed, are in nobody’s way', async () => {
  using store = fullStore();
  const directory = join(scratch, 'several');
  mkdirSync(directory);
  writeFileSync(join(directory, `.tmem-save.${process.pid}.0.0`), 'left');
  const paths = ['a', 'b', 'c'].map((name) => join(directory, name));
  await Promise.all(paths.map((path) => saveStore(store, path)));
  const [first, ...others] = paths.map((path) => readFileSync(path));
  expect(others.every((file) => file.equals(first))).toBe(true);
  expect(readdirSync(directory).length).toBe(4);
});

test('nothing but a file is replaced', async () => {
  using store = fullStore();
  const directory = join(scratch, 'others');
  mkdirSync(directory);
  symlinkSync('/dev/null', join(directory, 'link'));
  for (const path of [directory, join(directory, 'link'), '/dev/null']) {
    await expect(saveStore(store, path)).rejects.toMatchObject({ code: 'TMEM_ERR_SAVED_FILE' });
  }
  await expect(saveStore(store, join(directory, 'none', 'file'))).rejects.toMatchObject({ code: 'ENOENT' });
  expect(readdirSync(directory)).toEqual(['link']);
});
