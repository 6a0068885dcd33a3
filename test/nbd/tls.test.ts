// TLS: asked for in the middle of the handshake, version 1.3, client certificates.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import fs from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { NbdServer, TlsOptions } from '../../src/nbd/index.ts';
import { OPT, REP } from '../../src/nbd/protocol.ts';
import { newBench } from './bench.ts';
import { ByteStream, Client, Handshake, nameOf, optionBytes, u16 } from './client.ts';

const pem = (name: string): Buffer =>
  fs.readFileSync(join(import.meta.dirname, 'certificates', `${name}.pem`));

const mutual: TlsOptions = { cert: pem('server-cert'), key: pem('server-key'), ca: pem('ca-cert') };
const known: ConnectionOptions = { cert: pem('client-cert'), key: pem('client-key') };
const goOne = Buffer.concat([nameOf('one'), u16(0)]);

/** What the server said of clients it did not let in. */
function refusals(): string[] {
  const found: string[] = [];
  const note = (event: unknown): void => {
    found.push((event as { reason: string }).reason);
  };
  subscribe('tmem:nbd:refused', note);
  onTestFinished(() => {
    unsubscribe('tmem:nbd:refused', note);
  });
  return found;
}

interface TcpBench {
  readonly server: NbdServer;
  readonly connect: () => Promise<Socket>;
}

async function tcpBench(tls: TlsOptions): Promise<TcpBench> {
  const { server } = await newBench({}, { tls });
  const address = (await server.listen({ port: 0 })) as { port: number };
  return {
    server,
    connect: async () => {
      const socket = createConnection(address.port, '127.0.0.1');
      await once(socket, 'connect');
      return socket;
    },
  };
}

/** Asks for TLS, and begins it. */
async function upgrade(socket: Socket, options: ConnectionOptions): Promise<Handshake> {
  const hand = await Handshake.start(socket);
  expect((await hand.ask(OPT.STARTTLS)).map(({ type }) => type)).toEqual([REP.ACK]);
  hand.stream.detach();
  const secured = connectTls({ socket, ca: pem('ca-cert'), servername: 'localhost', ...options });
  const stream = new ByteStream(secured);
  await new Promise((resolve) => {
    secured.once('secureConnect', resolve);
    secured.once('close', resolve);
  });
  return new Handshake(stream);
}

test.each([true, false])(
  'a client with a certificate is served over TLS 1.3 (required: %s)',
  async (required) => {
    const { connect } = await tcpBench({ ...mutual, required });
    const hand = await upgrade(await connect(), known);
    expect((hand.stream.socket as unknown as { getProtocol(): string }).getProtocol()).toBe('TLSv1.3');
    expect((await hand.ask(OPT.STARTTLS))[0]?.type).toBe(REP.ERR_INVALID);
    const client = await Client.go(hand, 'one', 'extended');
    const bytes = Buffer.alloc(3_000_000, 'tls');
    expect(await client.write(4096, bytes)).toBe(0);
    expect((await client.read(4096, bytes.length)).equals(bytes)).toBe(true);
    const many = Array.from({ length: 300 }, (_, i) => client.write(i * 4096, Buffer.alloc(4096, i)));
    expect(new Set(await Promise.all(many))).toEqual(new Set([0]));
    await client.close();
  },
);

test.each([
  ['of a stranger', { cert: pem('stranger-cert'), key: pem('stranger-key') }],
  ['missing', {}],
])(
  'a client whose certificate is %s is refused, with a reason, and others are served',
  async (_, options) => {
    const found = refusals();
    const { connect } = await tcpBench(mutual);
    const hand = await upgrade(await connect(), options);
    hand.stream.socket.write(optionBytes(OPT.LIST));
    expect(await hand.stream.closed()).toBe(true);
    await vi.waitFor(() => expect(found.length).toBe(1));
    expect(found[0]).toMatch(/certificate/i);
    const good = await upgrade(await connect(), known);
    expect((await good.ask(OPT.INFO, goOne)).at(-1)?.type).toBe(REP.ACK);
    good.stream.socket.destroy();
  },
);

test('an older version of TLS is refused', async () => {
  const found = refusals();
  const { connect } = await tcpBench(mutual);
  const hand = await upgrade(await connect(), { ...known, maxVersion: 'TLSv1.2' });
  expect(await hand.stream.closed()).toBe(true);
  await vi.waitFor(() => expect(found.length).toBe(1));
});

test('a client that does not know fixed newstyle gets no TLS, and the handshake goes on', async () => {
  const { connect } = await tcpBench({ ...mutual, required: false });
  const hand = await Handshake.start(await connect(), 0);
  expect((await hand.ask(OPT.STARTTLS)).map(({ type }) => type)).toEqual([REP.ERR_INVALID]);
  expect((await hand.ask(OPT.INFO, goOne)).at(-1)?.type).toBe(REP.ACK);
  hand.stream.socket.destroy();
});

test('where TLS is required nothing is told without it', async () => {
  const { connect } = await tcpBench(mutual);
  const hand = await Handshake.start(await connect());
  for (const option of [OPT.LIST, OPT.INFO, OPT.GO, OPT.STRUCTURED_REPLY, 99]) {
    const replies = await hand.ask(option, option === OPT.LIST ? undefined : goOne);
    expect(replies.map(({ type }) => type)).toEqual([REP.ERR_TLS_REQD]);
  }
  hand.stream.socket.write(optionBytes(OPT.EXPORT_NAME, Buffer.from('one')));
  expect(await hand.stream.closed()).toBe(true);
});

test('where TLS is offered, clients without it are served', async () => {
  const { connect } = await tcpBench({ ...mutual, required: false });
  const client = await Client.go(await Handshake.start(await connect()), 'one', 'simple');
  expect(await client.write(0, Buffer.alloc(4096))).toBe(0);
  await client.close();
});

test('without an authority any client is served over TLS', async () => {
  const { connect } = await tcpBench({ cert: mutual.cert, key: mutual.key });
  const hand = await upgrade(await connect(), {});
  expect((await hand.ask(OPT.INFO, goOne)).at(-1)?.type).toBe(REP.ACK);
  hand.stream.socket.destroy();
});

test('what was negotiated before TLS is forgotten', async () => {
  const { connect } = await tcpBench({ ...mutual, required: false });
  const socket = await connect();
  const plain = await Handshake.start(socket);
  await plain.ask(OPT.STRUCTURED_REPLY);
  expect((await plain.ask(OPT.STARTTLS))[0]?.type).toBe(REP.ACK);
  plain.stream.detach();
  const secured = connectTls({ socket, ca: pem('ca-cert'), servername: 'localhost', ...known });
  const hand = new Handshake(new ByteStream(secured));
  expect((await hand.ask(OPT.STRUCTURED_REPLY))[0]?.type).toBe(REP.ACK);
  secured.destroy();
});

test('bytes between STARTTLS and TLS end the connection', async () => {
  const { connect } = await tcpBench(mutual);
  const hand = await Handshake.start(await connect());
  hand.stream.socket.write(Buffer.concat([optionBytes(OPT.STARTTLS), optionBytes(OPT.LIST)]));
  await hand.stream.read(20);
  expect(await hand.stream.closed()).toBe(true);
});

test('TLS that takes too long, and TLS that is none, are ended', async () => {
  const found = refusals();
  const { server } = await newBench({}, { tls: mutual, handshakeTimeoutMs: 100 });
  const { port } = (await server.listen({ port: 0 })) as { port: number };
  for (const bytes of [Buffer.alloc(0), Buffer.alloc(100, 3)]) {
    const socket = createConnection(port, '127.0.0.1');
    const hand = await Handshake.start(socket);
    await hand.ask(OPT.STARTTLS);
    socket.write(bytes);
    while (!(await hand.stream.closed()));
  }
  await vi.waitFor(() => expect(server.connections).toBe(0));
  // Each is told of once.
  expect(found.length).toBe(2);
});

test('certificates that cannot be used are an error at once', async () => {
  await expect(newBench({}, { tls: { ...mutual, key: pem('client-key') } })).rejects.toThrow();
});

const { ca: _, ...anyone } = mutual;

/** What a client that has TLS and this certificate is told of the export; undefined if it is not let in. */
async function answer(hand: Handshake): Promise<number | undefined> {
  const replies = await hand.ask(OPT.INFO, goOne);
  hand.stream.socket.destroy();
  return replies.at(-1)?.type;
}

test('an authority that comes with other certificates is asked for from now on, one that went is not', async () => {
  const { connect, server } = await tcpBench(anyone);
  expect(await answer(await upgrade(await connect(), {}))).toBe(REP.ACK);
  server.replaceTls(mutual);
  expect(await answer(await upgrade(await connect(), {}))).toBe(undefined);
  expect(await answer(await upgrade(await connect(), known))).toBe(REP.ACK);
  server.replaceTls({ ...mutual, ca: pem('stranger-cert') });
  expect(await answer(await upgrade(await connect(), known))).toBe(undefined);
  server.replaceTls(anyone);
  expect(await answer(await upgrade(await connect(), {}))).toBe(REP.ACK);
});

test('a session from before an authority came is not resumed', async () => {
  const { connect, server } = await tcpBench(anyone);
  const hand = await upgrade(await connect(), {});
  const secured = hand.stream.socket as TLSSocket;
  const [session] = (await Promise.all([once(secured, 'session'), hand.ask(OPT.LIST)]))[0] as [Buffer];
  secured.destroy();
  server.replaceTls(mutual);
  expect(await answer(await upgrade(await connect(), { session }))).toBe(undefined);
});

test('whether TLS is required can change, for connections that are there, too', async () => {
  const { connect, server } = await tcpBench(mutual);
  const early = await Handshake.start(await connect());
  server.replaceTls({ ...mutual, required: false });
  expect(await answer(await Handshake.start(await connect()))).toBe(REP.ACK);
  expect((await early.ask(OPT.INFO, goOne)).at(-1)?.type).toBe(REP.ACK);
  server.replaceTls(mutual);
  expect(await answer(await Handshake.start(await connect()))).toBe(REP.ERR_TLS_REQD);
  expect(await answer(early)).toBe(REP.ERR_TLS_REQD);
});

test('TLS that was begun before goes on as it was begun', async () => {
  const { connect, server } = await tcpBench(anyone);
  const socket = await connect();
  const hand = await Handshake.start(socket);
  expect((await hand.ask(OPT.STARTTLS))[0]?.type).toBe(REP.ACK);
  server.replaceTls(mutual);
  hand.stream.detach();
  const secured = connectTls({ socket, ca: pem('ca-cert'), servername: 'localhost' });
  expect(await answer(new Handshake(new ByteStream(secured)))).toBe(REP.ACK);
});

test('other certificates that cannot be used are an error, and change nothing', async () => {
  const { connect, server } = await tcpBench(mutual);
  expect(() => server.replaceTls({ ...anyone, key: pem('client-key'), required: false })).toThrow();
  expect(await answer(await Handshake.start(await connect()))).toBe(REP.ERR_TLS_REQD);
  expect(await answer(await upgrade(await connect(), {}))).toBe(undefined);
  expect(await answer(await upgrade(await connect(), known))).toBe(REP.ACK);
});
