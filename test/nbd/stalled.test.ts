// Clients that do not read, vanish or lie do not stop the others; what waits for them is bounded.
import { once } from 'node:events';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Volume } from '../../src/nbd/index.ts';
import { NbdServer } from '../../src/nbd/index.ts';
import { CMD } from '../../src/nbd/protocol.ts';
import { CACHE_HELD_BYTES_MAX } from '../../src/nbd/volume.ts';
import { newBench, newFolder } from './bench.ts';
import { Client, connectTo, Handshake, requestBytes } from './client.ts';

const MiB = 2 ** 20;

/** A volume that waits until it is told to go on, and counts. */
class SlowVolume implements Volume {
  readonly size = 1024 * MiB;
  readonly readOnly = false;
  readonly durable = true;
  readonly zeroesFast = true;
  readBytes = 0;
  waitingBytes = 0;
  waitingBytesMax = 0;
  go = (): void => {};
  readonly #gate = new Promise<void>((resolve) => {
    this.go = resolve;
  });

  readNow(_: number, out: Uint8Array): number {
    this.readBytes += out.length;
    return out.length;
  }

  writeNow(): number {
    return 0;
  }

  async write(_: number, bytes: Uint8Array): Promise<boolean> {
    this.waitingBytes += bytes.length;
    this.waitingBytesMax = Math.max(this.waitingBytesMax, this.waitingBytes);
    await this.#gate;
    this.waitingBytes -= bytes.length;
    return true;
  }

  async read(): Promise<void> {}

  async zero(): Promise<boolean> {
    await this.#gate;
    return true;
  }

  async trim(): Promise<void> {}
  async cache(_: number, length: number): Promise<void> {
    await this.write(0, new Uint8Array(Math.min(length, CACHE_HELD_BYTES_MAX)));
  }

  async flush(): Promise<void> {}
  async sync(): Promise<void> {}

  allocation() {
    return [{ bytes: 1, hole: false }];
  }
}

async function slowBench(): Promise<{ path: string; volume: SlowVolume }> {
  const volume = new SlowVolume();
  const server = new NbdServer();
  server.addExport({ name: 'one', description: '', volume });
  const path = `${newFolder()}/socket`;
  await server.listen({ path });
  onTestFinished(() => server.stop(0));
  return { path, volume };
}

test('a client that does not read what it asked for is served no more than fits', async () => {
  const { path, volume } = await slowBench();
  for (const length of [4096, 128 * 1024, 32 * MiB]) {
    const client = await Client.open(path);
    const { socket } = client.stream;
    const before = volume.readBytes;
    socket.pause();
    const asked = 256 * MiB;
    for (let at = 0; at < asked; at += length) {
      socket.write(requestBytes('structured', BigInt(at), { type: CMD.READ, position: at, length }));
    }
    let seen = -1;
    while (seen !== volume.readBytes) {
      seen = volume.readBytes;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(volume.readBytes - before).toBeLessThan(4 * MiB);
    socket.destroy();
  }
  const other = await Client.open(path);
  expect((await other.read(0, MiB)).length).toBe(MiB);
  await other.close();
});

test('writes that have to wait hold a bounded amount of memory, and are all answered in the end', async () => {
  const { path, volume } = await slowBench();
  const client = await Client.open(path);
  const bytes = Buffer.alloc(MiB, 1);
  const writes = Array.from({ length: 64 }, (_, i) => client.write(i * MiB, bytes));
  const zeroes = Array.from({ length: 2000 }, () => client.command(CMD.WRITE_ZEROES, 0, 4096));
  await vi.waitFor(() => expect(volume.waitingBytes).toBeGreaterThan(7 * MiB));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(volume.waitingBytesMax).toBeLessThan(10 * MiB);
  // Another connection is not held up by that one.
  const other = await Client.open(path);
  expect((await other.read(0, 4096)).length).toBe(4096);
  await other.close();
  volume.go();
  expect(new Set(await Promise.all([...writes, ...zeroes]))).toEqual(new Set([0]));
  await client.close();
});

test('what CACHE holds while it reads is counted, too', async () => {
  const { path, volume } = await slowBench();
  const client = await Client.open(path);
  const asked = Array.from({ length: 256 }, () => client.command(CMD.CACHE, 0, 32 * MiB));
  await vi.waitFor(() => expect(volume.waitingBytes).toBeGreaterThan(7 * MiB));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(volume.waitingBytesMax).toBeLessThan(10 * MiB);
  volume.go();
  expect(new Set(await Promise.all(asked))).toEqual(new Set([0]));
  await client.close();
});

test('a client that goes away in the middle of a write leaves a server that works', async () => {
  const { path, server } = await newBench();
  for (let i = 0; i < 20; i++) {
    const client = await Client.open(path);
    const request = requestBytes('structured', 1n, { type: CMD.WRITE, payload: Buffer.alloc(MiB) });
    client.stream.socket.write(request.subarray(0, 28 + i * 50_000));
    if (i % 2 === 0) client.stream.socket.destroy();
    else client.stream.socket.end();
  }
  await vi.waitFor(() => expect(server.connections).toBe(0));
  const client = await Client.open(path);
  expect(await client.write(0, Buffer.alloc(4096))).toBe(0);
  await client.close();
});

test('a client that asks for lists and does not read them is cut off', async () => {
  const { path } = await newBench({ description: 'x'.repeat(4000) });
  const hand = await Handshake.start(await connectTo(path));
  const { socket } = hand.stream;
  socket.pause();
  const list = Buffer.from('IHAVEOPT\0\0\0\u0003\0\0\0\0', 'latin1');
  const closed = once(socket, 'close');
  socket.write(Buffer.concat(Array.from({ length: 4000 }, () => list)));
  socket.on('error', () => {});
  await new Promise((resolve) => setTimeout(resolve, 100));
  socket.resume();
  await closed;
});
