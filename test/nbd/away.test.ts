// Exports whose pages are with peers: clients see no difference, and an error where nobody has a page.
import fs from 'node:fs';
import { expect, test } from 'vitest';
import { AreaExport, type AreaExportOptions } from '../../src/nbd/index.ts';
import { CMD, CMD_FLAG, ERROR } from '../../src/nbd/protocol.ts';
import type { Oid, Pool, Store } from '../../src/zcache/index.ts';
import { FarPages } from '../zcache/far-pages.ts';
import { newBench, newFile, newFolder, newStore } from './bench.ts';
import { Client } from './client.ts';
import { contentOf, type RoundOptions, Rounds, randomFrom } from './rounds.ts';
import { closeAll, newThreads, openClients } from './threads-bench.ts';

const MiB = 2 ** 20;

const poolOf = (store: Store): Pool => store.client('nbd:one').pool('area-0', { kind: 'persistent' });

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Pages that go away now and then while requests run, and come back late or are given as they are. */
function roaming(far: FarPages, pool: () => Pool): NonNullable<RoundOptions['meanwhile']> {
  const random = randomFrom(5);
  far.answer = () => (random(3) === 0 ? 'page' : 'home');
  far.wait = async () => {
    for (let turns = random(4); turns > 1; turns--) await turn();
  };
  return async () => {
    for (let i = 0; i < 3; i++) {
      far.takeSome(pool(), () => random(4) === 0);
      await turn();
    }
  };
}

const kinds: Record<string, Partial<AreaExportOptions>> = {
  ram: { kind: 'ram' },
  'swap on a file, with little memory': { kind: 'swap', memoryMax: MiB },
  'a disk with little memory and a cache': { kind: 'disk', memoryMax: MiB, cache: true },
  'a disk written through': { kind: 'disk', writethrough: true },
};

test.each(Object.keys(kinds))('%s: reads find what was written last, wherever pages are', async (kind) => {
  const options = kinds[kind]!;
  const bytes = 2 * MiB;
  const far = new FarPages();
  const file = options.kind === 'ram' ? undefined : newFile(newFolder(), bytes);
  const where = file === undefined ? { size: bytes } : { file };
  const { path, store, export: exported } = await newBench({ ...options, ...where, fetcher: far });
  const clients = await openClients(path, 3);
  const roam = roaming(far, () => poolOf(store));
  const work = new Rounds(clients, bytes, {
    ...{ rounds: 40, width: 24, seed: 3 },
    meanwhile: async (random) => {
      await roam(random);
      if (file !== undefined && random(3) === 0) await exported.swap.shrink(random(300));
    },
  });
  await work.run();
  far.takeSome(poolOf(store));
  await work.settle();
  far.takeSome(poolOf(store));
  if (options.kind === 'disk') {
    expect(await clients[0]!.command(CMD.FLUSH)).toBe(0);
    expect(fs.readFileSync(file!).equals(work.image())).toBe(true);
  }
  expect(far.fetched.length).toBeGreaterThan(0);
  await closeAll(clients);
});

test.each(['ram', 'a disk with little memory and a cache'])(
  '%s, served by threads: they fetch through the one that has the fetcher',
  async (kind) => {
    const options = kinds[kind]!;
    const bytes = 2 * MiB;
    const far = new FarPages();
    const file = options.kind === 'ram' ? undefined : newFile(newFolder(), bytes);
    const where = file === undefined ? { size: bytes } : { file };
    const bench = await newThreads({ ...options, ...where, fetcher: far }, { fetcher: far });
    const clients = await openClients(bench.path, 4);
    const roam = roaming(far, () => poolOf(bench.store));
    const work = new Rounds(clients, bytes, {
      ...{ rounds: 30, width: 24, seed: 8 },
      meanwhile: async (random) => {
        await roam(random);
        if (file !== undefined && random(3) === 0) await bench.export.swap.shrink(random(300));
      },
    });
    await work.run();
    far.takeSome(poolOf(bench.store));
    await work.settle();
    expect(far.fetched.length).toBeGreaterThan(0);
    await closeAll(clients);
    expect(bench.failures).toEqual([]);
  },
);

const page = (id: number) => Buffer.concat(Array.from({ length: 8 }, (_, i) => contentOf(id, i)));

/** Where a slot's page is in the store. */
function handleOf(pool: Pool, slot: number): { oid: Oid; index: number } {
  return [...pool.walk()].find(({ oid, index }) => index * 16 + (oid.w0 % 16) === slot)!;
}

test.each([1, 2])('what cannot be had is EIO, in %i threads, and nothing else is', async (threads) => {
  const far = new FarPages();
  const file = newFile(newFolder(), MiB);
  const options = { kind: 'disk', file, fetcher: far } as const;
  const { path, store } =
    threads === 1 ? await newBench(options) : await newThreads(options, { threads, fetcher: far });
  const client = await Client.open(path, 'one');
  for (let slot = 0; slot < 4; slot++) expect(await client.write(slot * 4096, page(slot + 1))).toBe(0);
  const { oid, index } = handleOf(poolOf(store), 1);
  expect(far.take(poolOf(store), oid, index)).toBe(true);
  for (const answer of ['peers away', 'lost'] as const) {
    far.answer = () => answer;
    await expect(client.read(4096, 4096)).rejects.toThrow(`read: error ${ERROR.EIO}`);
    await expect(client.read(0, MiB)).rejects.toThrow(`read: error ${ERROR.EIO}`);
    expect(await client.write(4096 + 512, contentOf(9, 1))).toBe(ERROR.EIO);
    expect(await client.write(4096 + 512, contentOf(9, 1), CMD_FLAG.FUA)).toBe(ERROR.EIO);
    expect(await client.command(CMD.FLUSH)).toBe(ERROR.EIO);
    for (const slot of [0, 2, 3]) {
      expect((await client.read(slot * 4096, 4096)).equals(page(slot + 1))).toBe(true);
      // A disk has it all the same.
      expect(
        fs
          .readFileSync(file)
          .subarray(slot * 4096, (slot + 1) * 4096)
          .equals(page(slot + 1)),
      ).toBe(true);
    }
  }
  far.answer = () => 'home';
  expect((await client.read(4096, 4096)).equals(page(2))).toBe(true);
  expect(far.take(poolOf(store), oid, index)).toBe(true);
  far.answer = () => 'lost';
  expect(await client.write(4096, page(7))).toBe(0);
  expect((await client.read(0, 8192)).equals(Buffer.concat([page(1), page(7)]))).toBe(true);
  expect(await client.command(CMD.FLUSH)).toBe(0);
  await client.close();
});

test('without a fetcher a page that is away is EIO', async () => {
  const { path, store } = await newBench();
  const client = await Client.open(path, 'one');
  expect(await client.write(0, page(1))).toBe(0);
  expect(new FarPages().takeSome(poolOf(store))).toBe(1);
  await expect(client.read(0, 4096)).rejects.toThrow(`read: error ${ERROR.EIO}`);
  expect(await client.write(0, page(2))).toBe(0);
  expect((await client.read(0, 4096)).equals(page(2))).toBe(true);
  await client.close();
});

test('a disk that is closed has all its pages in the file, wherever they were', async () => {
  const store = newStore();
  const far = new FarPages();
  const file = newFile(newFolder(), MiB);
  const exported = await AreaExport.open(store, { name: 'one', kind: 'disk', file, fetcher: far });
  for (let slot = 0; slot < 40; slot++) exported.volume.writeNow(slot * 4096, page(slot + 1));
  const random = randomFrom(1);
  expect(far.takeSome(poolOf(store), () => random(2) === 0)).toBeGreaterThan(0);
  far.answer = () => (random(2) === 0 ? 'home' : 'page');
  await exported.close();
  const content = fs.readFileSync(file);
  for (let slot = 0; slot < 40; slot++)
    expect(content.subarray(slot * 4096, (slot + 1) * 4096).equals(page(slot + 1))).toBe(true);
});

test('pages that are away count for nothing where cold pages move out', async () => {
  const store = newStore();
  const far = new FarPages();
  const file = newFile(newFolder(), 2 * MiB);
  const exported = await AreaExport.open(store, { name: 'one', kind: 'swap', file, fetcher: far });
  for (let slot = 0; slot < 300; slot++) exported.volume.writeNow(slot * 4096, page(slot + 1));
  const taken = far.takeSome(poolOf(store), () => far.sent < 200);
  expect(exported.pagesAway).toBe(taken);
  expect(await exported.swap.shrink(taken + 50)).toBe(taken + 50);
  expect(exported.pagesAway).toBe(taken);
  expect(far.fetched).toEqual([]);
  await exported.remove();
});
