// Exports that become smaller while requests are under way: nothing comes to lie behind the end.
import fs from 'node:fs';
import { expect, test, vi } from 'vitest';
import { CMD, CMD_FLAG, ERROR, OPT } from '../../src/nbd/protocol.ts';
import { newBench, newFile, newFolder } from './bench.ts';
import { Client, connectTo, Handshake, nameOf, requestBytes, u16 } from './client.ts';

const MiB = 2 ** 20;
const KiB = 1024;

test.each([
  ['ram', 0],
  ['disk', 0],
  ['disk', CMD_FLAG.FUA],
] as const)(
  'a write whose data comes after the end has moved is refused: %s, flags %d',
  async (kind, flags) => {
    const file = newFile(newFolder(), MiB);
    const bench = await newBench(kind === 'disk' ? { kind, file } : { kind, size: MiB });
    const exported = bench.export;
    const hand = await Handshake.start(await connectTo(bench.path));
    await hand.ask(OPT.GO, Buffer.concat([nameOf('one'), u16(0)]));
    const { socket } = hand.stream;
    const payload = Buffer.alloc(8192, 3);
    const bytes = requestBytes('simple', 1n, { type: CMD.WRITE, position: 512 * KiB, payload, flags });
    socket.write(bytes.subarray(0, 28 + 5000));
    await vi.waitFor(() => expect(exported.stats().written_bytes).toBe(4096));
    await exported.resize(256 * KiB);
    socket.write(bytes.subarray(28 + 5000));
    expect((await hand.stream.read(16))?.readUInt32BE(4)).toBe(ERROR.ENOSPC);
    expect(exported.swap.area.map.pages).toBe(0);
    await exported.resize(MiB);
    const found = Buffer.alloc(MiB, 9);
    await exported.volume.read(0, found);
    // A file keeps what was on it and in the store, as the page that came before the end moved.
    const kept = Buffer.alloc(MiB);
    if (kind === 'disk') kept.fill(3, 512 * KiB, 512 * KiB + 4096);
    expect(found.equals(kept)).toBe(true);
    socket.destroy();
  },
);

test('requests that wait for somebody else while the end moves leave nothing behind it', async () => {
  const file = newFile(newFolder(), MiB);
  const bench = await newBench({ kind: 'disk', file });
  const exported = bench.export;
  const device = exported.swap.device!;
  const { write } = device;
  const gate = Promise.withResolvers<void>();
  let entered = 0;
  device.write = async (position, bytes) => {
    entered++;
    await gate.promise;
    await write.call(device, position, bytes);
  };
  const client = await Client.open(bench.path);
  const page = Buffer.alloc(4096, 7);
  // It holds a region, those after it wait for that, and the last ones have more than one region to do.
  const holder = client.write(512 * KiB, page, CMD_FLAG.FUA);
  await vi.waitFor(() => expect(entered).toBe(1));
  const waiting = [
    client.write(516 * KiB, page),
    client.write(520 * KiB, page, CMD_FLAG.FUA),
    client.command(CMD.WRITE_ZEROES, 524 * KiB, 4096, CMD_FLAG.NO_HOLE),
    client.write(528 * KiB, Buffer.alloc(300 * KiB, 7), CMD_FLAG.FUA),
    client.command(CMD.WRITE_ZEROES, 528 * KiB, 300 * KiB, CMD_FLAG.NO_HOLE),
  ];
  await vi.waitFor(() => expect(exported.stats().zeroes).toBe(2));
  const resized = exported.resize(256 * KiB);
  gate.resolve();
  expect(await holder).toBe(0);
  expect(await Promise.all(waiting)).toEqual(waiting.map(() => ERROR.ENOSPC));
  await resized;
  expect(exported.swap.area.map.pages).toBe(0);
  await exported.resize(MiB);
  const kept = Buffer.alloc(MiB).fill(page, 512 * KiB, 516 * KiB);
  expect((await client.read(0, MiB)).equals(kept)).toBe(true);
  expect(fs.readFileSync(file).equals(kept)).toBe(true);
  await client.close();
});

test('a write up to the new end is served as ever', async () => {
  const bench = await newBench({ kind: 'ram', size: MiB });
  await bench.export.resize(256 * KiB + 1000);
  const client = await Client.open(bench.path);
  const bytes = Buffer.alloc(256 * KiB + 1000, 'content');
  expect(await client.write(0, bytes)).toBe(0);
  expect(await client.command(CMD.WRITE_ZEROES, 256 * KiB, 1000, CMD_FLAG.NO_HOLE)).toBe(0);
  expect((await client.read(0, bytes.length)).equals(bytes.fill(0, 256 * KiB))).toBe(true);
  await client.close();
});

test.each([false, true])(
  'a smaller size leaves the file alone, and one that grows again has it (read-only %s)',
  async (readOnly) => {
    const file = newFile(newFolder(), MiB);
    const content = Buffer.alloc(MiB, 'content');
    fs.writeFileSync(file, content);
    const bench = await newBench({ kind: 'disk', file, readOnly });
    const client = await Client.open(bench.path);
    if (!readOnly) {
      content.fill(7, 600 * KiB, 700 * KiB);
      expect(await client.write(600 * KiB, content.subarray(600 * KiB, 700 * KiB))).toBe(0);
    }
    await bench.export.resize(256 * KiB + 100);
    expect(bench.export.swap.area.map.pages).toBe(0);
    expect(fs.readFileSync(file).equals(content)).toBe(true);
    await bench.export.resize(MiB);
    expect((await client.read(0, MiB)).equals(content)).toBe(true);
    await client.close();
  },
);

test('a size that cannot be made smaller, because the file takes nothing, stays', async () => {
  const file = newFile(newFolder(), MiB);
  const bench = await newBench({ kind: 'disk', file });
  const client = await Client.open(bench.path);
  expect(await client.write(512 * KiB, Buffer.alloc(4096, 7))).toBe(0);
  const device = bench.export.swap.device!;
  const { write } = device;
  device.write = () => Promise.reject(new Error('no space'));
  await expect(bench.export.resize(256 * KiB)).rejects.toThrow('no space');
  expect(bench.export.volume.size).toBe(MiB);
  device.write = write;
  expect((await client.read(512 * KiB, 4096)).equals(Buffer.alloc(4096, 7))).toBe(true);
  await client.close();
});
