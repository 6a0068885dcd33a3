// Cleancache in front of an image: read from the file once, given away when memory is short, never stale.
import fs from 'node:fs';
import { expect, test, vi } from 'vitest';
import { AreaExport } from '../../src/nbd/index.ts';
import { CMD, ERROR } from '../../src/nbd/protocol.ts';
import { newBench, newFile, newFolder, newStore } from './bench.ts';
import { Client } from './client.ts';

const MiB = 2 ** 20;

function newImage(): { file: string; content: Buffer } {
  const file = newFile(newFolder(), MiB);
  const content = Buffer.from(Uint8Array.from({ length: MiB }, (_, i) => (i >> 12) + (i % 7)));
  fs.writeFileSync(file, content);
  return { file, content };
}

test('what was read once is not read from the file again, aligned or not', async () => {
  const { file, content } = newImage();
  const bench = await newBench({ kind: 'disk', file, readOnly: true, cache: true }, { memory: '16 MiB' });
  const client = await Client.open(bench.path);
  expect((await client.read(0, MiB)).equals(content)).toBe(true);
  bench.export.swap.device!.read = () => Promise.reject(new Error('read again'));
  expect((await client.read(0, MiB)).equals(content)).toBe(true);
  expect((await client.read(1000, 10_000)).equals(content.subarray(1000, 11_000))).toBe(true);
  await client.close();
});

test('its pages give way, and are read again', async () => {
  const { file, content } = newImage();
  const bench = await newBench({ kind: 'disk', file, readOnly: true, cache: true }, { memory: '16 MiB' });
  const client = await Client.open(bench.path);
  await client.read(777, MiB - 777);
  expect(bench.store.stats().index.curr_eph_pampd_count).toBeGreaterThan(200);
  bench.store.shrink(100_000);
  expect(bench.store.stats().index.curr_eph_pampd_count).toBe(0);
  expect((await client.read(0, MiB)).equals(content)).toBe(true);
  await client.close();
});

test('a page that is being read while it is written is not kept', async () => {
  const { file, content } = newImage();
  const bench = await newBench({ kind: 'disk', file, writethrough: true, cache: true }, { memory: '16 MiB' });
  const { swap } = bench.export;
  const device = swap.device!;
  const { read } = device;
  let go = (): void => {};
  const waits = new Promise<void>((resolve) => {
    go = resolve;
  });
  device.read = async (position, out) => {
    await read.call(device, position, out);
    await waits;
  };
  const old = Buffer.alloc(8192);
  const reading = swap.read(4096, old);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(await swap.write(4096, Buffer.alloc(4096, 0xee))).toBe(true);
  go();
  await reading;
  expect(old.equals(content.subarray(4096, 4096 + 8192))).toBe(true);
  await swap.shrink(0);
  const now = Buffer.alloc(8192);
  await swap.read(4096, now);
  expect(now.subarray(0, 4096).equals(Buffer.alloc(4096, 0xee))).toBe(true);
});

test('a cache from before is not believed when the export is opened again', async () => {
  const { file, content } = newImage();
  const bench = await newBench({ kind: 'disk', file, readOnly: true, cache: true }, { memory: '16 MiB' });
  const client = await Client.open(bench.path);
  await client.read(0, MiB);
  await client.close();
  await bench.export.detach();
  fs.writeFileSync(file, content.fill(9, 5000, 6000));
  const again = await AreaExport.open(bench.store, {
    ...{ name: 'one', kind: 'disk', file, readOnly: true, cache: true },
  });
  const out = Buffer.alloc(MiB);
  await again.swap.read(0, out);
  expect(out.equals(content)).toBe(true);
  await again.close();
});

test('a read-only image that somebody else changes is soon read as it is then, filled holes, too', async () => {
  const { file, content } = newImage();
  fs.truncateSync(file, 2 * MiB);
  const bench = await newBench({ kind: 'disk', file, readOnly: true, cache: true }, { memory: '16 MiB' });
  const client = await Client.open(bench.path);
  expect((await client.read(0, 2 * MiB)).equals(Buffer.concat([content, Buffer.alloc(MiB)]))).toBe(true);
  const changed = Buffer.alloc(2 * MiB, 'changed');
  fs.writeFileSync(file, changed, { flag: 'r+' });
  await vi.waitFor(async () => expect((await client.read(0, 2 * MiB)).equals(changed)).toBe(true), {
    timeout: 30_000,
    interval: 100,
  });
  await client.close();
});

test('a removed export leaves nothing of its cache', async () => {
  const { file } = newImage();
  const store = newStore('16 MiB');
  const exported = await AreaExport.open(store, {
    name: 'one',
    kind: 'disk',
    file,
    readOnly: true,
    cache: true,
  });
  const out = Buffer.alloc(MiB);
  await exported.swap.read(0, out);
  expect(store.stats().index.curr_eph_pampd_count).toBeGreaterThan(200);
  await exported.remove();
  expect(store.stats().clients).toEqual([]);
  expect(store.stats().index.curr_eph_pampd_count).toBe(0);
});

test('CACHE keeps what will be read, and reads nothing that is kept or in the store already', async () => {
  const { file, content } = newImage();
  const bench = await newBench({ kind: 'disk', file, cache: true }, { memory: '16 MiB' });
  const client = await Client.open(bench.path);
  const device = bench.export.swap.device!;
  const { read } = device;
  const pages = new Map<number, number>();
  device.read = async (position, out) => {
    for (let at = position; at < position + out.length; at += 4096) pages.set(at, (pages.get(at) ?? 0) + 1);
    await read.call(device, position, out);
  };
  expect(await client.write(20 * 4096, Buffer.alloc(3 * 4096, 0xaa))).toBe(0);
  await client.read(100 * 4096, 8192);
  expect(await client.command(CMD.CACHE, 5000, MiB - 10_000)).toBe(0);
  expect([...pages.keys()].sort((a, b) => a - b)).toEqual(
    Array.from({ length: 254 }, (_, i) => (i + 1) * 4096).filter((at) => at < 20 * 4096 || at > 22 * 4096),
  );
  expect(new Set(pages.values())).toEqual(new Set([1]));
  device.read = () => Promise.reject(new Error('read again'));
  expect(await client.command(CMD.CACHE, 5000, MiB - 10_000)).toBe(0);
  const known = Buffer.from(content)
    .fill(0xaa, 20 * 4096, 23 * 4096)
    .subarray(5000, MiB - 5000);
  expect((await client.read(5000, known.length)).equals(known)).toBe(true);
  device.read = read;
  await client.close();
});

test('CACHE of a file that cannot be read is an error, and the connection lives', async () => {
  const { file } = newImage();
  const bench = await newBench({ kind: 'disk', file }, { memory: '16 MiB' });
  const client = await Client.open(bench.path);
  fs.truncateSync(file, 8192);
  expect(await client.command(CMD.CACHE, 0, 8192)).toBe(0);
  expect(await client.command(CMD.CACHE, 0, MiB)).toBe(ERROR.EIO);
  await expect(client.read(MiB - 4096, 4096)).rejects.toThrow(`error ${ERROR.EIO}`);
  expect(await client.write(0, Buffer.alloc(4096))).toBe(0);
  await client.close();
});
