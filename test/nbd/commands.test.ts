// Every command and every way to get it wrong, in each reply mode.
import { describe, expect, test, vi } from 'vitest';
import { CHUNK, CMD, CMD_FLAG, ERROR } from '../../src/nbd/protocol.ts';
import { newBench, newFile, newFolder } from './bench.ts';
import { Client, type Mode, requestBytes } from './client.ts';

const MiB = 2 ** 20;
const SIZE = 8 * MiB;

function pattern(bytes: number, seed: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + (i >> 8) * seed + seed) & 0xff));
}

describe.each(['simple', 'structured', 'extended'] as const)('in %s mode', (mode: Mode) => {
  const opened = async (options = {}) => {
    const bench = await newBench(options);
    return { ...bench, client: await Client.open(bench.path, 'one', mode) };
  };

  test.each([
    [0, 4096],
    [4096, 65536],
    [512, 512],
    [511, 2],
    [1, 3 * MiB + 17],
    [SIZE - 1, 1],
    [0, SIZE],
  ])('%i, %i bytes are read as they were written', async (position, length) => {
    const { client } = await opened();
    const bytes = pattern(length, 3);
    expect(await client.write(position, bytes)).toBe(0);
    expect((await client.read(position, length)).equals(bytes)).toBe(true);
    const all = await client.read(0, SIZE);
    expect(all.subarray(position, position + length).equals(bytes)).toBe(true);
    expect(all.subarray(0, position).every((byte) => byte === 0)).toBe(true);
    expect(all.subarray(position + length).every((byte) => byte === 0)).toBe(true);
    await client.close();
  });

  test('a request as large as allowed, and one larger', async () => {
    const { client } = await opened({ size: 80 * MiB });
    const bytes = Buffer.alloc(32 * MiB);
    for (let at = 0; at < bytes.length; at += 4096) bytes.writeUInt32BE(at, at);
    expect(await client.write(4096, bytes)).toBe(0);
    expect((await client.read(4096, 32 * MiB)).equals(bytes)).toBe(true);
    expect(await client.write(0, Buffer.alloc(32 * MiB + 1))).toBe(ERROR.EINVAL);
    const tooLong = mode === 'simple' ? ERROR.EINVAL : ERROR.EOVERFLOW;
    expect(await client.command(CMD.READ, 0, 32 * MiB + 1)).toBe(tooLong);
    expect((await client.read(4096, 4096)).equals(bytes.subarray(0, 4096))).toBe(true);
    await client.close();
  });

  test('mistakes are answered, and end nothing', async () => {
    const { client } = await opened();
    await client.write(0, pattern(8192, 1));
    const { READ, FLUSH, TRIM, CACHE, WRITE_ZEROES } = CMD;
    expect(await client.command(READ, SIZE, 1)).toBe(ERROR.EINVAL);
    expect(await client.command(READ, SIZE - 1, 2)).toBe(ERROR.EINVAL);
    expect((await client.send({ type: READ, position: 2n ** 64n - 1n, length: 2 })).error).toBe(ERROR.EINVAL);
    expect((await client.send({ type: READ, position: 2n ** 63n, length: 512 })).error).toBe(ERROR.EINVAL);
    expect(await client.write(SIZE - 1, Buffer.alloc(2))).toBe(ERROR.ENOSPC);
    expect(await client.command(WRITE_ZEROES, SIZE - 1, 2)).toBe(ERROR.ENOSPC);
    expect(await client.command(TRIM, SIZE, 4096)).toBe(ERROR.EINVAL);
    expect(await client.command(CACHE, SIZE, 4096)).toBe(ERROR.EINVAL);
    expect(await client.command(FLUSH, 1, 0)).toBe(ERROR.EINVAL);
    expect(await client.command(77, 0, 512)).toBe(ERROR.EINVAL);
    expect(await client.command(8, 0, 512)).toBe(ERROR.EINVAL);
    expect(await client.command(READ, 0, 512, 0x8000)).toBe(ERROR.EINVAL);
    expect(await client.command(READ, 0, 512, CMD_FLAG.NO_HOLE)).toBe(ERROR.EINVAL);
    expect(await client.write(0, Buffer.alloc(5000), CMD_FLAG.REQ_ONE)).toBe(ERROR.EINVAL);
    expect(await client.command(TRIM, 0, 512, CMD_FLAG.FAST_ZERO)).toBe(ERROR.EINVAL);
    expect(await client.command(FLUSH)).toBe(0);
    expect(await client.command(READ, 0, 0)).toBe(0);
    expect(await client.write(0, Buffer.alloc(0))).toBe(0);
    expect((await client.read(0, 8192)).equals(pattern(8192, 1))).toBe(true);
    await client.close();
  });

  test('FUA is taken with every command', async () => {
    const { client } = await opened();
    expect(await client.write(0, Buffer.alloc(512, 1), CMD_FLAG.FUA)).toBe(0);
    for (const type of [CMD.READ, CMD.TRIM, CMD.WRITE_ZEROES, CMD.CACHE]) {
      expect(await client.command(type, 0, 512, CMD_FLAG.FUA)).toBe(0);
    }
    expect(await client.command(CMD.FLUSH, 0, 0, CMD_FLAG.FUA)).toBe(0);
    await client.close();
  });

  test('zeroes are zeroes, whole pages and parts of them', async () => {
    const { client } = await opened();
    const bytes = pattern(10 * 4096, 9);
    for (const flags of [0, CMD_FLAG.NO_HOLE, CMD_FLAG.FAST_ZERO]) {
      expect(await client.write(0, bytes)).toBe(0);
      expect(await client.command(CMD.WRITE_ZEROES, 5000, 20_000, flags)).toBe(0);
      const expected = Buffer.from(bytes).fill(0, 5000, 25_000);
      expect((await client.read(0, bytes.length)).equals(expected)).toBe(true);
    }
    expect(await client.command(CMD.WRITE_ZEROES, 0, 4096, CMD_FLAG.FAST_ZERO | CMD_FLAG.NO_HOLE)).toBe(
      ERROR.ENOTSUP,
    );
    await client.close();
  });

  test('trimmed pages are zeroes, and pages trimmed in part stay', async () => {
    const { client, export: opened_ } = await opened();
    const bytes = pattern(4 * 4096, 5);
    await client.write(0, bytes);
    expect(await client.command(CMD.TRIM, 4000, 4096 + 200)).toBe(0);
    expect((await client.read(0, bytes.length)).equals(Buffer.from(bytes).fill(0, 4096, 8192))).toBe(true);
    expect(opened_.stats().orig_data_size).toBe(3 * 4096);
    expect(await client.command(CMD.TRIM, 0, SIZE)).toBe(0);
    expect(opened_.stats().orig_data_size).toBe(0);
    await client.close();
  });

  test('a read-only export takes no changes', async () => {
    const file = newFile(newFolder(), SIZE);
    const { client } = await opened({ kind: 'disk', file, readOnly: true });
    expect(client.flags & 2).toBe(2);
    for (const type of [CMD.TRIM, CMD.WRITE_ZEROES]) {
      expect(await client.command(type, 0, 4096)).toBe(ERROR.EPERM);
    }
    expect(await client.write(0, Buffer.alloc(100_000))).toBe(ERROR.EPERM);
    expect(await client.command(CMD.FLUSH)).toBe(0);
    expect((await client.read(0, 4096)).every((byte) => byte === 0)).toBe(true);
    await client.close();
  });

  test('a full export says so, keeps what it has, and the connection lives', async () => {
    const { client, store } = await opened();
    const bytes = pattern(2 * MiB, 7);
    await client.write(0, bytes);
    store.freeze();
    expect(await client.write(0, pattern(2 * MiB, 8))).toBe(ERROR.ENOSPC);
    expect(await client.write(100, pattern(100, 8))).toBe(ERROR.ENOSPC);
    expect(await client.write(3 * MiB, pattern(512, 8))).toBe(ERROR.ENOSPC);
    expect((await client.read(0, 2 * MiB)).equals(bytes)).toBe(true);
    store.thaw();
    expect(await client.write(0, pattern(4096, 8))).toBe(0);
    await client.close();
  });

  test('many requests at once are answered, each with its own', async () => {
    const { client } = await opened();
    const writes = Array.from({ length: 500 }, (_, i) => client.write(i * 4096, Buffer.alloc(4096, i)));
    expect(new Set(await Promise.all(writes))).toEqual(new Set([0]));
    const reads = Array.from({ length: 500 }, (_, i) => client.read(i * 4096, 4096));
    for (const [i, bytes] of (await Promise.all(reads)).entries()) {
      expect(bytes.equals(Buffer.alloc(4096, i))).toBe(true);
    }
    await client.close();
  });

  test('what is no request ends this connection, and no other', async () => {
    const { client, path } = await opened();
    const other = await Client.open(path, 'one', mode);
    client.stream.socket.write(Buffer.alloc(32, 3));
    expect(await client.stream.closed()).toBe(true);
    expect(await other.write(0, Buffer.alloc(512))).toBe(0);
    await other.close();
  });

  test('a request that comes in pieces is served', async () => {
    const { client, path } = await opened();
    const bytes = pattern(5000, 2);
    const flags = mode === 'extended' ? CMD_FLAG.PAYLOAD_LEN : 0;
    const request = requestBytes(mode, 7n, { type: CMD.WRITE, position: 3000, payload: bytes, flags });
    const raw = await Client.open(path, 'one', mode);
    raw.stream.detach(); // its reply is nobody's
    for (let at = 0; at < request.length; ) {
      const piece = at < 40 ? 1 : 997;
      raw.stream.socket.write(request.subarray(at, at + piece));
      at += piece;
      await new Promise(setImmediate);
    }
    await vi.waitFor(async () => expect((await client.read(3000, 5000)).equals(bytes)).toBe(true));
    raw.stream.socket.destroy();
    await client.close();
  });
});

test('data of a structured read comes in chunks that do not overlap, the last one marked', async () => {
  const { path } = await newBench();
  const client = await Client.open(path, 'one', 'structured');
  await client.write(0, pattern(MiB, 4));
  const { chunks } = await client.send({ type: CMD.READ, position: 100, length: MiB - 100 });
  expect(chunks.every(({ type }) => type === CHUNK.OFFSET_DATA)).toBe(true);
  expect(chunks.map(({ flags }) => flags)).toEqual([...chunks.slice(1).map(() => 0), 1]);
  let at = 100;
  for (const { payload } of chunks) {
    expect(Number(payload.readBigUInt64BE(0))).toBe(at);
    at += payload.length - 8;
  }
  expect(at).toBe(MiB);
  await client.close();
});

test('a read that must not be cut is one chunk, or too long', async () => {
  const { path } = await newBench();
  const client = await Client.open(path, 'one', 'structured');
  for (const length of [1, 65_536, 256 * 1024]) {
    const reply = await client.send({ type: CMD.READ, position: 7, length, flags: CMD_FLAG.DF });
    expect([reply.error, reply.chunks.length]).toEqual([0, 1]);
  }
  expect(await client.command(CMD.READ, 0, 256 * 1024 + 1, CMD_FLAG.DF)).toBe(ERROR.EOVERFLOW);
  await client.close();
});

test.each(['structured', 'extended'] as const)('block status tells holes from data: %s', async (mode) => {
  const { path } = await newBench();
  const client = await Client.open(path, 'one', mode);
  await client.write(4096, pattern(8192, 1));
  await client.write(MiB + 100, pattern(10, 1));
  const all: [number, number][] = [
    [4096, 3],
    [8192, 0],
    [MiB - 3 * 4096, 3],
    [4096, 0],
    [7 * MiB - 4096, 3],
  ];
  expect(await client.status(0, SIZE)).toEqual(all);
  expect(await client.status(5000, 10_000)).toEqual([
    [7288, 0],
    [2712, 3],
  ]);
  expect(await client.status(0, SIZE, CMD_FLAG.REQ_ONE)).toEqual([[4096, 3]]);
  expect(await client.status(5000, 100, CMD_FLAG.REQ_ONE)).toEqual([[100, 0]]);
  expect(await client.command(CMD.BLOCK_STATUS, 0, 0)).toBe(ERROR.EINVAL);
  expect(await client.command(CMD.BLOCK_STATUS, SIZE - 1, 2)).toBe(ERROR.EINVAL);
  await client.close();
});

test('block status has to be negotiated', async () => {
  const { path } = await newBench();
  const client = await Client.open(path, 'one', 'simple');
  expect(await client.command(CMD.BLOCK_STATUS, 0, 4096)).toBe(ERROR.EINVAL);
  await client.close();
});

test('in extended mode a payload that does not belong is taken off, and zeroes may be longer than 4 GiB', async () => {
  const { path } = await newBench({ size: 6 * 2 ** 30 });
  const client = await Client.open(path, 'one', 'extended');
  const flags = CMD_FLAG.PAYLOAD_LEN;
  const odd = await client.send({ type: CMD.TRIM, payload: Buffer.alloc(5000), flags });
  expect(odd.error).toBe(ERROR.EINVAL);
  await client.write(5 * 2 ** 30, pattern(4096, 1));
  expect(await client.command(CMD.WRITE_ZEROES, 0, 6 * 2 ** 30)).toBe(0);
  expect(await client.status(0, 6 * 2 ** 30)).toEqual([[6 * 2 ** 30, 3]]);
  await client.close();
});
