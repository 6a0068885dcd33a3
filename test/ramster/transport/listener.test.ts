// Who is let in, who is not, and that both sides learn why.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { NodeCertificates } from '../../../src/ramster/transport/identity.ts';
import { type Authority, hours, makeAuthority } from '../certificates.ts';
import { bench, connected, frame, Heard, plainSocket, portOf, refusals, transport } from './bench.ts';

const authority = await makeAuthority();
/** Of the same name: only the keys tell them apart. */
const others = await makeAuthority();
const strangers = await makeAuthority('strangers');
const [alpha, beta] = await Promise.all([authority.node('alpha'), authority.node('beta')]);

/** For what happens soon, on however slow a machine. */
const PATIENCE = { timeout: 20_000 };

const ANOTHER_AUTHORITY = 'the certificate was signed by another authority';

/** A certificate of `from`, and trust in `authority`. */
async function trusting(
  from: Authority,
  options?: Parameters<Authority['node']>[1],
): Promise<NodeCertificates> {
  return { ...(await from.node('beta', options)), ca: authority.issued.certificate };
}

test('nodes of one authority get through, and each knows the name of the other', async () => {
  const { listener, next } = bench(alpha);
  const address = await listener.listen('127.0.0.1:0');
  const asking = await connected(beta, address, 'alpha');
  const answering = await next();
  expect([asking.peerName, asking.peerAddress]).toEqual(['alpha', address]);
  expect(answering.peerName).toBe('beta');
  expect(answering.peerAddress).toMatch(/^127\.0\.0\.1:\d+$/);
  expect(listener.connections).toBe(1);
  asking.close('done');
  await new Heard(answering).closed;
  await vi.waitFor(() => expect(listener.connections).toBe(0), PATIENCE);
});

test('two nodes that connect to each other at the same time have two channels', async () => {
  const [a, b] = [bench(alpha), bench(beta)];
  const [toA, toB] = await Promise.all([a.listener.listen('127.0.0.1:0'), b.listener.listen('[::1]:0')]);
  const channels = await Promise.all([
    connected(beta, toA, 'alpha'),
    connected(alpha, toB, 'beta'),
    a.next(),
    b.next(),
  ]);
  expect(channels.map(({ peerName }) => peerName)).toEqual(['alpha', 'beta', 'beta', 'alpha']);
  const heard = channels.map((channel) => new Heard(channel));
  for (const channel of channels) channel.send(...frame(7, Buffer.from(`to ${channel.peerName}`)));
  await Promise.all(heard.map((one) => one.until(1)));
  expect(heard.map(({ frames }) => frames[0]?.subarray(16).toString())).toEqual([
    ...['to beta', 'to alpha', 'to alpha', 'to beta'],
  ]);
});

test.each<[string, () => Promise<NodeCertificates>, string | RegExp]>([
  ['of another authority', () => trusting(strangers), ANOTHER_AUTHORITY],
  ['of another authority of the same name', () => trusting(others), ANOTHER_AUTHORITY],
  [
    'that has expired',
    () => trusting(authority, { validity: hours(-5, -1) }),
    /^the certificate has expired: it was valid until .*GMT$/,
  ],
  [
    'that is not valid yet',
    () => trusting(authority, { validity: hours(1, 2) }),
    /^the certificate is not valid before .*GMT$/,
  ],
])(
  'a certificate %s is refused by the side that listens, and both sides are told why',
  async (_, make, why) => {
    const found = refusals();
    const { listener } = bench(alpha);
    const address = await listener.listen('127.0.0.1:0');
    const asking = new Heard(await connected(await make(), address));
    asking.channel.send(...frame(1));
    const reason = (await asking.closed).replace(/^refused by the other side: /, '');
    expect(reason).toMatch(why);
    expect(found).toEqual([{ peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/), reason }]);
    expect(asking.frames).toEqual([]);
    expect(listener.connections).toBe(0);
  },
);

test.each<[string, () => Promise<NodeCertificates>, string | undefined, string | RegExp]>([
  ['of another authority', () => strangers.node('alpha'), undefined, ANOTHER_AUTHORITY],
  [
    'that has expired',
    () => authority.node('alpha', { validity: hours(-5, -1) }),
    undefined,
    /^the certificate has expired/,
  ],
  [
    'of another node',
    () => authority.node('gamma'),
    'alpha',
    'the certificate is that of node gamma, not of alpha',
  ],
])(
  'a certificate %s is refused by the side that connects, and both sides are told why',
  async (_, make, name, why) => {
    const certificates = await make();
    const { listener, next } = bench({ ...certificates, ca: authority.issued.certificate });
    const address = await listener.listen('127.0.0.1:0');
    const failed = connected(beta, address, name).catch((caught: Error) => caught);
    const answering = new Heard(await next());
    const error = await failed;
    expect(error).toMatchObject({ code: 'TMEM_ERR_PEER' });
    const reason = (error as Error).message.replace(`${address} is refused: `, '');
    expect(reason).toMatch(why);
    expect(await answering.closed).toBe(`refused by the other side: ${reason}`);
  },
);

test('a stranger without a certificate is told so, and let no further', async () => {
  const found = refusals();
  const { listener } = bench(alpha);
  const address = await listener.listen('127.0.0.1:0');
  const socket = connectTls({ port: portOf(address), host: '127.0.0.1', rejectUnauthorized: false });
  onTestFinished(() => void socket.destroy());
  socket.write(Buffer.concat(frame(1, Buffer.alloc(4096))));
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  await once(socket, 'close');
  expect(Buffer.concat(chunks).toString('latin1')).toContain('there is no certificate');
  expect(found.map(({ reason }) => reason)).toEqual(['there is no certificate']);
});

/** Made with openssl: of hosts, not of nodes. */
const ofHosts = (name: string): Buffer =>
  readFileSync(new URL(`../../nbd/certificates/${name}.pem`, import.meta.url));

test('a certificate of the authority that names no node is refused, as the own one, too', async () => {
  const found = refusals();
  const { listener } = bench({ ...alpha, ca: ofHosts('ca-cert') });
  const address = await listener.listen('127.0.0.1:0');
  const known = { cert: ofHosts('client-cert'), key: ofHosts('client-key') };
  const socket = connectTls({
    port: portOf(address),
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ...known,
  });
  onTestFinished(() => void socket.destroy());
  socket.resume();
  await once(socket, 'close');
  const missing = 'has no name of the form URI:tmem:node:NAME';
  expect(found.map(({ reason }) => reason)).toEqual([`the certificate ${missing}`]);
  expect(() => transport({ ...known, ca: ofHosts('ca-cert') })).toThrow(
    `the certificate of the node ${missing}; make one with tmem cert`,
  );
});

test('certificates that do not belong together are a setting that is wrong, and change nothing', async () => {
  const { listener, next } = bench(alpha);
  const address = await listener.listen('127.0.0.1:0');
  const mixed = { ...alpha, key: beta.key };
  const wrong = expect.objectContaining({ code: 'TMEM_ERR_SETTING' });
  expect(() => listener.setCertificates(mixed)).toThrow(wrong);
  const sockets = transport(beta);
  expect(() => sockets.setCertificates({ ...beta, cert: 'none' })).toThrow(wrong);
  expect(() => bench(mixed)).toThrow(wrong);
  const channel = await sockets.connect(address, 20_000, 'alpha');
  channel.close('done');
  await next();
});

test('certificates are renewed without a new start: channels go on, others are judged by the new ones', async () => {
  const { listener, next } = bench(alpha);
  const address = await listener.listen('127.0.0.1:0');
  const sockets = transport(beta);
  const before = await sockets.connect(address, 20_000, 'alpha');
  const there = new Heard(await next());
  listener.setCertificates(await strangers.node('alpha'));
  await expect(sockets.connect(address, 20_000, 'alpha')).rejects.toThrow(ANOTHER_AUTHORITY);
  sockets.setCertificates(await strangers.node('beta'));
  const after = await sockets.connect(address, 20_000, 'alpha');
  expect((await next()).peerName).toBe('beta');
  before.send(...frame(1));
  await there.until(1);
  after.close('done');
  before.close('done');
});

test('a session is never taken up again: each connection shows its certificate', async () => {
  const { listener, next } = bench(alpha);
  const port = portOf(await listener.listen('127.0.0.1:0'));
  const options = {
    port,
    host: '127.0.0.1',
    servername: 'alpha',
    ...beta,
    checkServerIdentity: () => undefined,
  };
  const first = connectTls(options);
  onTestFinished(() => void first.destroy());
  first.resume();
  const [session] = (await once(first, 'session')) as [Buffer];
  const second = connectTls({ ...options, session });
  onTestFinished(() => void second.destroy());
  await once(second, 'secureConnect');
  expect(second.isSessionReused()).toBe(false);
  expect([(await next()).peerName, (await next()).peerName]).toEqual(['beta', 'beta']);
});

const SHORT_MS = 100;
const LONG_MS = 60_000;

test.each([
  ['says nothing', SHORT_MS, Buffer.alloc(0), 'no TLS handshake within 100 ms'],
  [
    'begins TLS and goes on no further',
    SHORT_MS,
    Buffer.from('1603010200010001fc0303', 'hex'),
    'no TLS handshake within 100 ms',
  ],
  ['speaks another protocol', LONG_MS, Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'what it sent is no TLS'],
  ['sends frames without TLS', LONG_MS, Buffer.concat(frame(1, Buffer.alloc(100))), 'what it sent is no TLS'],
])('a stranger that %s is ended', async (_, handshakeTimeoutMs, bytes, reason) => {
  const found = refusals();
  const { listener } = bench(alpha, { handshakeTimeoutMs });
  const socket = await plainSocket(await listener.listen('127.0.0.1:0'));
  socket.resume();
  socket.write(bytes);
  await once(socket, 'close');
  await vi.waitFor(() => expect(found.map((one) => one.reason)).toEqual([reason]), PATIENCE);
});

test('a client without TLS 1.3 is ended', async () => {
  const found = refusals();
  const { listener } = bench(alpha);
  const port = portOf(await listener.listen('127.0.0.1:0'));
  const { ca: _, ...own } = beta;
  const socket = connectTls({
    port,
    host: '127.0.0.1',
    maxVersion: 'TLSv1.2',
    rejectUnauthorized: false,
    ...own,
  });
  onTestFinished(() => void socket.destroy());
  const [error] = (await once(socket, 'error')) as [Error];
  expect(error.message).toMatch(/protocol version/);
  await vi.waitFor(() => expect(found.map(({ reason }) => reason)).toEqual(['it has no TLS 1.3']), PATIENCE);
});

test('a node that is let in and then sends nothing is ended, and told why', async () => {
  const found = refusals();
  const due: (() => void)[] = [];
  const clock = {
    now: () => 0,
    after: (delayMs: number, task: () => void) => {
      if (delayMs === 20_000) due.push(task);
      return { cancel: () => {} };
    },
  };
  const { listener, next } = bench(alpha, { clock, handshakeTimeoutMs: 20_000 });
  const address = await listener.listen('127.0.0.1:0');
  const [silent, busy] = [
    new Heard(await connected(beta, address)),
    new Heard(await connected(beta, address)),
  ];
  busy.channel.send(...frame(1));
  const answering = [new Heard(await next()), new Heard(await next())];
  await answering[1]?.until(1);
  for (const task of due) task();
  expect(await silent.closed).toBe('refused by the other side: it sent nothing for 20000 ms');
  expect(await answering[0]?.closed).toBe('it sent nothing for 20000 ms');
  expect(found.map(({ reason }) => reason)).toEqual(['it sent nothing for 20000 ms']);
  busy.channel.send(...frame(2));
  await answering[1]?.until(2);
});

test('more connections than allowed are refused with a reason; when one ends, there is room', async () => {
  const found = refusals();
  const { listener, next } = bench(alpha, { connectionsMax: 2 });
  const address = await listener.listen('127.0.0.1:0');
  const first = await connected(beta, address);
  await connected(beta, address);
  for (const one of [await next(), await next()]) new Heard(one);
  const third = new Heard(await connected(beta, address));
  const reason = 'there are 2 connections, which is the most';
  expect(await third.closed).toBe(`refused by the other side: ${reason}`);
  expect(found.map((one) => one.reason)).toEqual([reason]);
  first.close('room for others');
  await vi.waitFor(() => expect(listener.connections).toBe(1), PATIENCE);
  new Heard(await connected(beta, address)).channel.send(...frame(1));
  await new Heard(await next()).until(1);
});

test('strangers that only hold their sockets open are bounded', async () => {
  const found = refusals();
  const { listener } = bench(alpha, { connectionsMax: 1, handshakeTimeoutMs: LONG_MS });
  const address = await listener.listen('127.0.0.1:0');
  const sockets = await Promise.all(Array.from({ length: 300 }, () => plainSocket(address)));
  const ended: unknown[] = [];
  for (const socket of sockets) socket.resume().once('close', () => ended.push(socket));
  // One channel, and 256 that are in their handshake.
  await vi.waitFor(() => expect([ended.length, found.length]).toEqual([300 - 257, 300 - 257]), PATIENCE);
  expect(new Set(found.map(({ reason }) => reason))).toEqual(new Set(['there are too many connections']));
});

test('a listener that closes ends its channels and open handshakes, and its port is free', async () => {
  const { listener, next } = bench(alpha);
  const address = await listener.listen('127.0.0.1:0');
  const asking = new Heard(await connected(beta, address));
  const answering = new Heard(await next());
  const stranger = await plainSocket(address);
  stranger.resume();
  listener.close();
  expect(await answering.closed).toBe('this node stops');
  await asking.closed;
  await once(stranger, 'close');
  const again = bench(alpha);
  expect(await again.listener.listen(address)).toBe(address);
});

test('a node that cannot be reached is an error that says why', async () => {
  const { listener } = bench(undefined);
  const address = await listener.listen('127.0.0.1:0');
  listener.close();
  await expect(connected(beta, address)).rejects.toMatchObject({
    code: 'TMEM_ERR_PEER',
    message: expect.stringMatching(/^cannot connect to 127\.0\.0\.1:\d+: connect ECONNREFUSED/),
  });
});

test('a connection that is not there in time, or ends in its handshake, is an error that says why', async () => {
  const mute = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void mute.close());
  await once(mute, 'listening');
  const address = `127.0.0.1:${(mute.address() as AddressInfo).port}`;
  await expect(transport(beta).connect(address, 50)).rejects.toThrow(
    `cannot connect to ${address}: no connection within 50 ms`,
  );
  mute.on('connection', (socket) => socket.destroy());
  await expect(connected(beta, address)).rejects.toThrow(`cannot connect to ${address}: `);
});

test('without certificates TCP is not secured, and nobody is known', async () => {
  const { listener, next } = bench(undefined);
  const address = await listener.listen('127.0.0.1:0');
  const asking = await connected(undefined, address, 'whoever');
  expect([asking.peerName, (await next()).peerName]).toEqual([undefined, undefined]);
  expect(() => listener.setCertificates(alpha)).toThrow(/cannot get any/);
});
