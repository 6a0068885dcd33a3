// What a connection costs the server, whatever it leaves unsaid: measured in a server of its own, after collections.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { CMD, OPT } from '../../src/nbd/protocol.ts';
import { newFolder } from './bench.ts';
import { Client, connectTo, nameOf, optionBytes, requestBytes, u16, u32 } from './client.ts';
import type { MemoryReport, ServerArguments } from './server-process.ts';

const CONNECTIONS = 1000;
const GREETING_BYTES = 18;

/** Longer than a slow machine takes for the test. */
const HANDSHAKE_TIMEOUT_MS = 120_000;

/** Objects and buffers of one connection; docs/internals/nbd.md says so. */
const CONNECTION_BYTES_MAX = 8 * 1024;
/** Half of an option's data, or half of a page, is kept until the rest comes. */
const OPTION_BYTES = 60_000;
const PAGE_BYTES = 4096;

const go = optionBytes(OPT.GO, Buffer.concat([nameOf('one'), u16(0)]));
const served = Buffer.concat([u32(3), go]);
const write = requestBytes('simple', 1n, { type: CMD.WRITE, payload: Buffer.alloc(3 * PAGE_BYTES, 1) });
const longOption = optionBytes(OPT.LIST, Buffer.alloc(OPTION_BYTES));

async function startServer(): Promise<{ path: string; child: ChildProcess }> {
  const path = join(newFolder(), 'socket');
  const given: ServerArguments = {
    path,
    store: { memory: '16 MiB', incompressible: 'store' },
    handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS,
    exports: [{ name: 'one', kind: 'ram', size: 8 * 2 ** 20 }],
  };
  const child = fork(join(import.meta.dirname, 'server-process.ts'), [JSON.stringify(given)], {
    execArgv: ['--expose-gc'],
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  await once(child, 'message');
  return { path, child };
}

/** Once the server has so many connections. */
async function memoryOf(child: ChildProcess, connections: number): Promise<MemoryReport> {
  for (;;) {
    child.send('memory');
    const [report] = (await once(child, 'message')) as [MemoryReport];
    if (report.connections === connections) return report;
  }
}

/** A connection that has sent something, and got the first bytes of what the server answers. */
async function connectAndSend(path: string, bytes: Buffer): Promise<Socket> {
  const socket = await connectTo(path);
  socket.on('error', () => {});
  let received = 0;
  socket.write(bytes);
  while (received < GREETING_BYTES) {
    const [piece] = (await once(socket, 'data')) as [Buffer];
    received += piece.length;
  }
  return socket.resume();
}

test.each([
  ['nothing', Buffer.alloc(0), 0],
  ['half of an option header', Buffer.concat([u32(3), go.subarray(0, 9)]), 0],
  ['half of the data of an option', Buffer.concat([u32(3), longOption.subarray(0, 30_000)]), OPTION_BYTES],
  ['its choice of an export', served, 0],
  ['half of a request', Buffer.concat([served, write.subarray(0, 14)]), 0],
  ['half of a payload', Buffer.concat([served, write.subarray(0, 28 + 1.5 * PAGE_BYTES)]), PAGE_BYTES],
])('a connection that has sent %s costs little, and stops nobody', async (_, bytes, keptBytes) => {
  const { path, child } = await startServer();
  // What the server makes once, for whoever comes first.
  const first = await Client.open(path);
  await first.write(0, Buffer.alloc(2 ** 20, 1));
  const before = await memoryOf(child, 1);
  const sockets: Socket[] = [];
  for (let i = 0; i < CONNECTIONS; i++) sockets.push(await connectAndSend(path, bytes));
  const after = await memoryOf(child, CONNECTIONS + 1);
  const used = ({ heapUsed, external }: MemoryReport): number => heapUsed + external;
  expect((used(after) - used(before)) / CONNECTIONS).toBeLessThan(CONNECTION_BYTES_MAX + keptBytes);
  // Others are served.
  for (let i = 0; i < 100; i++) expect(await first.write(i * 4096, Buffer.alloc(4096, i))).toBe(0);
  const second = await Client.open(path);
  expect((await second.read(0, 100 * 4096)).readUInt8(99 * 4096)).toBe(99);
  for (const socket of sockets) socket.destroy();
  await memoryOf(child, 2);
});
