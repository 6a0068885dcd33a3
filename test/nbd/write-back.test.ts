// Cold pages move to the file while memory is short; what is in use stays.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { expect, onTestFinished, test, vi } from 'vitest';
import { AreaExport } from '../../src/nbd/index.ts';
import { WriteBack } from '../../src/nbd/write-back.ts';
import { Oid, open, type Store, type StoreOptions } from '../../src/zcache/index.ts';
import { arenasOf } from '../../src/zcache/store.ts';
import { type Bench, newBench, newFile, newFolder } from './bench.ts';
import { Client } from './client.ts';
import { randomFrom } from './rounds.ts';

const MiB = 2 ** 20;

function noise(seed: number): Buffer {
  const random = randomFrom(seed);
  return Buffer.from(Uint32Array.from({ length: 1024 }, () => random(2 ** 32)).buffer);
}

function policyOf({ store, export: exported }: Bench, errors: unknown[] = []): WriteBack {
  return new WriteBack(
    store,
    () => [exported],
    (_, error) => errors.push(error),
  );
}

async function fill(client: Client, pages: number): Promise<void> {
  for (let i = 0; i < pages; i++) expect(await client.write(i * 4096, noise(i))).toBe(0);
}

test.each([
  ['of the export', { memoryMax: 2 * MiB }, '16 MiB'],
  ['of the store', {}, '8 MiB'],
])('near the limit %s cold pages move out, and nothing is lost', async (_, options, memory) => {
  const file = newFile(newFolder(), 8 * MiB);
  const bench = await newBench({ kind: 'swap', file, ...options }, { memory });
  const { area } = bench.export.swap;
  const client = await Client.open(bench.path);
  await fill(client, 2048);
  const refused = area.stats().failed_stores;
  expect(refused).toBeGreaterThan(0);
  const held = area.map.pages;
  const policy = policyOf(bench);
  await policy.step();
  expect(area.map.pages).toBeLessThan(held);
  expect(area.map.pages).toBeGreaterThan(held / 2);
  // There is room for new pages.
  for (let i = 0; i < 10; i++) expect(await client.write(i * 4096, noise(5000 + i))).toBe(0);
  expect(area.stats().failed_stores).toBe(refused);
  for (let i = 0; i < 2048; i++) {
    expect((await client.read(i * 4096, 4096)).equals(noise(i < 10 ? 5000 + i : i))).toBe(true);
  }
  await client.close();
});

/** A swap export of a store that is made for it, without a server. */
async function newSwap(settings: Partial<StoreOptions>): Promise<{ store: Store; exported: AreaExport }> {
  const file = newFile(newFolder(), 32 * MiB);
  const store = open({ memory: '8 MiB', incompressible: 'store', ...settings });
  const exported = await AreaExport.open(store, { name: 'one', kind: 'swap', file });
  onTestFinished(async () => {
    if (!store.closed) await exported.close();
    store.close();
  });
  return { store, exported };
}

/** Writes pages until one is refused; how many the store took. */
function fillStore({ volume }: AreaExport, first = 0): number {
  let pages = first;
  while (volume.writeNow(pages * 4096, noise(pages)) === 4096) pages++;
  return pages - first;
}

test('while the store must not grow pages move out of what it has', async () => {
  const { store, exported } = await newSwap({ memory: '64 MiB' });
  for (let i = 0; i < 200; i++) exported.volume.writeNow(i * 4096, noise(i));
  const [arena] = arenasOf(store).all;
  arena.setWord(arena.layout.H_GROWTH_STOPPED, 1);
  const pages = 200 + fillStore(exported, 200);
  const policy = new WriteBack(
    store,
    () => [exported],
    () => {},
  );
  await policy.step();
  expect(exported.swap.area.map.pages).toBeLessThan(pages);
  expect(fillStore(exported, pages)).toBeGreaterThan(0);
});

test('persistent pages count as such, whatever memory they are in', async () => {
  const { store, exported } = await newSwap({ persistentPam: 'zbud', incompressible: 'refuse' });
  const text = (i: number) => Buffer.alloc(4096, `${i} text that compresses `);
  let pages = 0;
  while (exported.volume.writeNow(pages * 4096, text(pages)) === 4096) pages++;
  const policy = new WriteBack(
    store,
    () => [exported],
    () => {},
  );
  await policy.step();
  expect(exported.swap.area.map.pages).toBeLessThan(pages);
});

test('ephemeral pages count as room, raw ones, too', async () => {
  const { store, exported } = await newSwap({});
  for (let i = 0; i < 100; i++) exported.volume.writeNow(i * 4096, noise(i));
  const cache = store.client('cache').pool('hot', { kind: 'ephemeral', pam: 'raw' });
  for (let i = 0; i < 3000; i++) cache.put(Oid.fromNumbers(1), i, noise(i));
  expect(store.stats().store.frames_free).toBeLessThan(100);
  const policy = new WriteBack(
    store,
    () => [exported],
    () => {},
  );
  await policy.step();
  expect(exported.swap.area.map.pages).toBe(100);
});

test('a step that fails as a whole is told, and the policy goes on', async () => {
  const { store, exported } = await newSwap({});
  const failures: unknown[] = [];
  const listen = (event: unknown) => failures.push(event);
  subscribe('tmem:nbd:write-back-failed', listen);
  onTestFinished(() => void unsubscribe('tmem:nbd:write-back-failed', listen));
  let looks = 0;
  const policy = new WriteBack(
    store,
    () => {
      if (++looks === 1) throw new Error('once');
      return [exported];
    },
    () => {},
  );
  policy.start();
  await vi.waitFor(() => expect(looks).toBeGreaterThan(1), 20_000);
  expect(failures).toMatchObject([{ error: { message: 'once' } }]);
  store.close();
  await policy.stop();
});

test('who stops it waits for one export, not for those after it', async () => {
  const store = open({ memory: '8 MiB', incompressible: 'store' });
  const exports: AreaExport[] = [];
  for (const name of ['first', 'second']) {
    const file = newFile(newFolder(), 8 * MiB);
    exports.push(await AreaExport.open(store, { name, kind: 'swap', file }));
  }
  const [first, second] = exports as [AreaExport, AreaExport];
  onTestFinished(async () => {
    for (const exported of exports) await exported.close();
    store.close();
  });
  for (let i = 0; i < 200; i++) second.volume.writeNow(i * 4096, noise(i));
  fillStore(first);
  const gate = Promise.withResolvers<void>();
  const device = first.swap.device!;
  const write = device.write.bind(device);
  const writes = vi.fn(async (...given: Parameters<typeof write>) => {
    await gate.promise;
    return write(...given);
  });
  device.write = writes;
  const policy = new WriteBack(
    store,
    () => exports,
    () => {},
  );
  policy.start();
  await vi.waitFor(() => expect(writes).toHaveBeenCalled(), 20_000);
  const stopped = policy.stop();
  gate.resolve();
  await stopped;
  expect(second.swap.area.map.pages).toBe(200);
});

test('with room nothing moves', async () => {
  const file = newFile(newFolder(), 8 * MiB);
  const bench = await newBench({ kind: 'swap', file }, { memory: '16 MiB' });
  const client = await Client.open(bench.path);
  await fill(client, 200);
  await policyOf(bench).step();
  expect(bench.export.swap.area.map.pages).toBe(200);
  await client.close();
});

test('a file that cannot be written to is told of, and its pages stay', async () => {
  const file = newFile(newFolder(), 8 * MiB);
  const bench = await newBench({ kind: 'swap', file, memoryMax: 2 * MiB }, { memory: '16 MiB' });
  const client = await Client.open(bench.path);
  await fill(client, 400);
  let pages = 400;
  while (bench.export.swap.area.stats().failed_stores === 0) await client.write(pages * 4096, noise(pages++));
  const device = bench.export.swap.device!;
  const { write } = device;
  device.write = () => Promise.reject(Object.assign(new Error('full'), { code: 'ENOSPC' }));
  const errors: unknown[] = [];
  const held = bench.export.swap.area.map.pages;
  await policyOf(bench, errors).step();
  expect(errors.length).toBe(1);
  expect(bench.export.swap.area.map.pages).toBe(held);
  device.write = write;
  for (let i = 0; i < 400; i++) expect((await client.read(i * 4096, 4096)).equals(noise(i))).toBe(true);
  await client.close();
});
