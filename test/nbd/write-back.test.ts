// Cold pages move to the file while memory is short; what is in use stays.
import { expect, test } from 'vitest';
import { WriteBack } from '../../src/nbd/write-back.ts';
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
