// What a connection does beside its protocol: clients that say no more, that vanish, and that ask without end.
import { once } from 'node:events';
import fs from 'node:fs';
import { createConnection } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { describe, expect, test, vi } from 'vitest';
import { type Catalogue, Negotiation } from '../../src/nbd/negotiation.ts';
import { CMD, CMD_FLAG, OPT, REP } from '../../src/nbd/protocol.ts';
import { newBench, newFile, newFolder } from './bench.ts';
import { ByteStream, connectTo, Handshake, nameOf, optionBytes, requestBytes, u16, u32 } from './client.ts';

const MiB = 2 ** 20;
const goOne = Buffer.concat([nameOf('one'), u16(0)]);

const pem = (name: string): Buffer => fs.readFileSync(`${import.meta.dirname}/certificates/${name}.pem`);
const tls = { cert: pem('server-cert'), key: pem('server-key') };

describe('a client that has closed its side', () => {
  const last = [
    requestBytes('simple', 1n, { type: CMD.WRITE, payload: Buffer.alloc(4096, 1), flags: CMD_FLAG.FUA }),
    requestBytes('simple', 2n, { type: CMD.FLUSH }),
    requestBytes('simple', 3n, { type: CMD.READ, position: MiB, length: 3 * MiB }),
  ];

  test.each(['plain', 'TLS'])('gets the replies to what it asked before: %s', async (kind) => {
    const file = newFile(newFolder(), 8 * MiB);
    const bench = await newBench({ kind: 'disk', file }, kind === 'TLS' ? { tls } : {});
    let hand = await Handshake.start(await connectTo(bench.path));
    if (kind === 'TLS') {
      await hand.ask(OPT.STARTTLS);
      const { socket } = hand.stream;
      hand.stream.detach();
      const secured = connectTls({ socket, ca: pem('ca-cert'), servername: 'localhost' });
      hand = new Handshake(new ByteStream(secured));
    }
    await hand.ask(OPT.GO, goOne);
    hand.stream.socket.end(Buffer.concat(last));
    const replies = await hand.stream.read(3 * 16 + 3 * MiB);
    expect(replies?.length).toBe(3 * 16 + 3 * MiB);
    expect(await hand.stream.closed()).toBe(true);
    await vi.waitFor(() => expect(bench.server.connections).toBe(0));
    expect(fs.readFileSync(file)[4095]).toBe(1);
  });

  test('is gone when nothing is left to answer, whatever it left unsaid', async () => {
    const { path, server } = await newBench({}, { handshakeTimeoutMs: 60_000 });
    const starts = [
      Buffer.alloc(0),
      u32(3).subarray(0, 2),
      Buffer.concat([u32(3), optionBytes(OPT.GO, goOne).subarray(0, 20)]),
      Buffer.concat([u32(3), optionBytes(OPT.GO, goOne)]),
      Buffer.concat([u32(3), optionBytes(OPT.GO, goOne), last[0]!.subarray(0, 20)]),
      Buffer.concat([u32(3), optionBytes(OPT.GO, goOne), last[0]!.subarray(0, 2000)]),
    ];
    for (const bytes of starts) {
      const socket = await connectTo(path);
      socket.resume().end(bytes);
      await once(socket, 'close');
    }
    await vi.waitFor(() => expect(server.connections).toBe(0));
  });

  test('gets the replies to its options', async () => {
    const { path } = await newBench();
    const hand = await Handshake.start(await connectTo(path));
    hand.stream.socket.end(optionBytes(OPT.LIST));
    expect((await hand.stream.read(20))?.readUInt32BE(12)).toBe(REP.SERVER);
  });

  test('in the middle of TLS is gone at once', async () => {
    const { path, server } = await newBench({}, { tls, handshakeTimeoutMs: 60_000 });
    const hand = await Handshake.start(await connectTo(path));
    await hand.ask(OPT.STARTTLS);
    hand.stream.socket.end();
    expect(await hand.stream.closed()).toBe(true);
    await vi.waitFor(() => expect(server.connections).toBe(0));
  });
});

/** Whether the system asks the other ends of established connections of a port whether they are there. */
function probedConnections(port: number): boolean[] {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = fs.readFileSync('/proc/net/tcp', 'utf8').split('\n');
  const fields = rows.map((row) => row.trim().split(/\s+/));
  const established = fields.filter(([, address, , state]) => address?.endsWith(local) && state === '01');
  return established.map(([, , , , , timer]) => timer?.startsWith('02') === true);
}

test.each(['plain', 'TLS'])('TCP clients that vanish without a word are noticed: %s', async (kind) => {
  const { server } = await newBench({}, kind === 'TLS' ? { tls } : {});
  const { port } = (await server.listen({ port: 0 })) as { port: number };
  const hand = await Handshake.start(createConnection(port, '127.0.0.1'));
  await vi.waitFor(() => expect(probedConnections(port)).toEqual([true]));
  hand.stream.socket.destroy();
});

test('once replies to options cannot be sent, no more options are answered', () => {
  let sent = 0;
  const exports = Array.from({ length: 100 }, (_, i) => ({ name: `${i}`, description: '' }));
  const catalogue = { find: () => undefined, list: () => exports, tls: 'none', stopping: false };
  const negotiation = new Negotiation(catalogue as unknown as Catalogue, () => ++sent < 1000);
  const lists = Array.from({ length: 10_000 }, () => optionBytes(OPT.LIST));
  negotiation.take(Buffer.concat([u32(3), ...lists]));
  expect(negotiation.outcome?.next).toBe('close');
  expect(sent).toBe(1000);
});

test('a packet full of LIST is not answered beyond what a client may leave unread', async () => {
  const { path, server, export: one } = await newBench({}, { handshakeTimeoutMs: 60_000 });
  let listed = 0;
  const counted = {
    volume: one.volume,
    name: 'counted',
    get description() {
      listed++;
      return 'd'.repeat(1000);
    },
  };
  await server.addExport(counted);
  const before = listed;
  const socket = await connectTo(path);
  socket.on('error', () => {});
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.write(Buffer.concat([u32(3), ...Array.from({ length: 15_000 }, () => optionBytes(OPT.LIST))]));
  socket.resume();
  await closed;
  expect(listed - before).toBeLessThan(15_000);
});
