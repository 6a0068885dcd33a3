// Channels over real sockets: frames whole and in order, bounds, and how they end.
import { once } from 'node:events';
import type { Socket } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import type { NodeCertificates } from '../../../src/ramster/transport/identity.ts';
import { FRAME_BYTES_MAX, HEAD_BYTES, WireError } from '../../../src/ramster/wire/frame.ts';
import { makeAuthority } from '../certificates.ts';
import { bench, connected, frame, Heard, plainSocket } from './bench.ts';

const BODY_BYTES_MAX = FRAME_BYTES_MAX - HEAD_BYTES;

const authority = await makeAuthority();
const [alpha, beta] = await Promise.all([authority.node('alpha'), authority.node('beta')]);

/** Both ends of a channel. */
async function pair(secured: boolean, options: { pendingBytesMax?: number } = {}) {
  const { listener, next } = bench(secured ? alpha : undefined, options);
  const address = await listener.listen('127.0.0.1:0');
  const asking = await connected(secured ? beta : undefined, address, undefined, options);
  return { asking, answering: await next(), listener };
}

/** A channel whose other end is a socket of the test. */
async function halfPair(tls?: NodeCertificates) {
  const { listener, next } = bench(tls);
  const socket = await plainSocket(await listener.listen('127.0.0.1:0'));
  return { socket, heard: new Heard(await next()) };
}

function bytesOf(...frames: Uint8Array[][]): Buffer {
  return Buffer.concat(frames.flat());
}

describe.each([
  ['plain', false],
  ['over TLS', true],
] as const)('a channel %s', (_, secured) => {
  test('delivers all frames whole and in order, in both directions at the same time', async () => {
    const { asking, answering } = await pair(secured);
    const sent = Array.from({ length: 1500 }, (_, i) => frame(i, Buffer.alloc((i * 37) % 4096, i)));
    const [there, back] = [new Heard(answering), new Heard(asking)];
    for (const parts of sent) {
      asking.send(...parts);
      answering.send(...parts);
    }
    await Promise.all([there.until(sent.length), back.until(sent.length)]);
    const wanted = sent.map((parts) => bytesOf(parts));
    expect(there.frames).toEqual(wanted);
    expect(back.frames).toEqual(wanted);
  });

  test('delivers the longest and the shortest frame', async () => {
    const { asking, answering } = await pair(secured);
    const there = new Heard(answering);
    const longest = frame(1, Buffer.alloc(BODY_BYTES_MAX, 5));
    for (const parts of [longest, frame(2), longest, frame(3, Buffer.alloc(0))]) asking.send(...parts);
    await there.until(4);
    expect(there.frames.map(({ length }) => length)).toEqual([16_384, 16, 16_384, 16]);
  });

  test('delivers a frame that is sent as many parts', async () => {
    const { asking, answering } = await pair(secured);
    const there = new Heard(answering);
    const parts = frame(1, ...Array.from({ length: 500 }, (_, i) => Buffer.alloc(1 + (i % 9), i)));
    asking.send(...parts);
    await there.until(1);
    expect(there.frames).toEqual([bytesOf(parts)]);
  });

  test('counts what is pending, and gets rid of it', async () => {
    const { asking, answering } = await pair(secured, { pendingBytesMax: 64 * 2 ** 20 });
    answering.pause();
    const there = new Heard(answering);
    const body = Buffer.alloc(4096, 9);
    // The system takes some megabytes itself; it cannot take as many.
    const frames = 10_000;
    for (let i = 0; i < frames; i++) asking.send(...frame(i, body));
    expect(asking.pendingBytes).toBeGreaterThan(2 ** 20);
    answering.resume();
    await there.until(frames);
    await vi.waitFor(() => expect(asking.pendingBytes).toBe(0), { timeout: 20_000 });
  });

  test('closes when the other side does not read, and says why', async () => {
    const { asking, answering } = await pair(secured, { pendingBytesMax: 100_000 });
    answering.pause();
    new Heard(answering);
    const sender = new Heard(asking);
    const body = Buffer.alloc(4096);
    let sent = 0;
    let isClosed = false;
    sender.closed.then(() => {
      isClosed = true;
    });
    // The system takes some megabytes itself; it cannot take a hundred.
    for (; sent < 25_000 && !isClosed; sent++) {
      asking.send(...frame(sent, body));
      if (sent % 10 === 0) await new Promise(setImmediate);
    }
    expect(await sender.closed).toMatch(/^it does not read: 1\d{5} bytes wait to be sent$/);
    expect(asking.pendingBytes).toBe(0);
  });

  test('delivers nothing while it is paused, from the next frame on, and loses nothing', async () => {
    const { asking, answering } = await pair(secured);
    const seen: number[] = [];
    const { promise: paused, resolve: isPaused } = Promise.withResolvers<void>();
    const { promise: done, resolve: isDone } = Promise.withResolvers<void>();
    answering.listen({
      frame: (bytes) => {
        const request = Buffer.from(bytes).readUInt32LE(8);
        seen.push(request);
        if (request % 7 === 3) {
          answering.pause();
          isPaused();
        }
        if (request === 299) isDone();
      },
      closed: () => {},
    });
    for (let i = 0; i < 300; i++) asking.send(...frame(i, Buffer.alloc(i)));
    await paused;
    for (let last = 3; last < 299; last += 7) {
      await vi.waitFor(() => expect(seen.at(-1)).toBe(last), { timeout: 20_000, interval: 1 });
      for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
      expect(seen.at(-1)).toBe(last);
      answering.resume();
    }
    await done;
    expect(seen).toEqual(Array.from({ length: 300 }, (_, i) => i));
  });

  test('that is closed tells both sides, the other one after what was sent before', async () => {
    const { asking, answering } = await pair(secured);
    const [there, back] = [new Heard(answering), new Heard(asking)];
    asking.send(...frame(1));
    await there.until(1);
    answering.send(...frame(1, Buffer.from('last')));
    answering.close('enough');
    expect(await there.closed).toBe('enough');
    expect(await back.closed).toBe('closed by the other side');
    expect(back.frames).toEqual([bytesOf(frame(1, Buffer.from('last')))]);
  });

  test('delivers nothing once it is closed, not even the rest of what had arrived', async () => {
    const { asking, answering } = await pair(secured);
    let frames = 0;
    const reasons: string[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    answering.listen({
      frame: () => {
        frames++;
        answering.close('one is enough');
        answering.close('again');
        answering.send(...frame(1));
      },
      closed: (reason) => {
        reasons.push(reason);
        resolve();
      },
    });
    for (let i = 0; i < 50; i++) asking.send(...frame(i));
    await promise;
    await new Heard(asking).closed;
    expect(frames).toBe(1);
    expect(reasons).toEqual(['one is enough']);
  });

  test('tells whoever listens only after its end that it has ended', async () => {
    const { asking, answering } = await pair(secured);
    asking.close('done before');
    expect(await new Heard(asking).closed).toBe('done before');
    expect(await new Heard(answering).closed).toBe('closed by the other side');
  });

  test('ends, with the reason in words, when a listener finds that a frame is no message', async () => {
    const { asking, answering } = await pair(secured);
    const { promise, resolve } = Promise.withResolvers<string>();
    answering.listen({
      frame: () => {
        throw new WireError('unknown message type 99');
      },
      closed: resolve,
    });
    asking.send(...frame(1));
    asking.send(...frame(2));
    expect(await promise).toBe('what arrived is not what it should be: unknown message type 99');
    expect(await new Heard(asking).closed).toBeTypeOf('string');
  });
});

/** Hands bytes to a socket in pieces that the system sends one by one. */
async function writePieces(socket: Socket, bytes: Buffer, ends: readonly number[]): Promise<void> {
  let at = 0;
  for (const end of [...ends, bytes.length].sort((a, b) => a - b)) {
    if (end > at) await new Promise((resolve) => socket.write(bytes.subarray(at, end), resolve));
    at = Math.max(at, end);
  }
}

test('frames arrive whole and in order wherever the stream is cut', async () => {
  const { socket, heard } = await halfPair();
  socket.setNoDelay(true);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(fc.nat(40), fc.nat(BODY_BYTES_MAX)), { minLength: 1, maxLength: 8 }),
      fc.array(fc.nat(40_000), { maxLength: 12 }),
      async (lengths, cuts) => {
        const sent = lengths.map((length, i) => bytesOf(frame(i, Buffer.alloc(length, i + 1))));
        const bytes = Buffer.concat(sent);
        await writePieces(
          socket,
          bytes,
          cuts.map((cut) => cut % bytes.length),
        );
        await heard.until(sent.length);
        expect(heard.frames.splice(0)).toEqual(sent);
      },
    ),
    { numRuns: 60 },
  );
});

test('a frame of which only a part came is not delivered', async () => {
  const { socket, heard } = await halfPair();
  const whole = bytesOf(frame(1, Buffer.alloc(100, 1)));
  socket.write(Buffer.concat([whole, whole.subarray(0, whole.length - 1)]));
  await heard.until(1);
  socket.end();
  expect(await heard.closed).toBe('closed by the other side');
  expect(heard.frames).toEqual([whole]);
});

test('bytes that are no frame end the connection, with the reason in words', async () => {
  const { socket, heard } = await halfPair();
  socket.write(Buffer.concat([bytesOf(frame(1)), Buffer.alloc(64, 0xff)]));
  expect(await heard.closed).toMatch(/^what arrived is not what it should be: a frame of \d+ bytes/);
  expect(heard.frames.length).toBe(1);
  await once(socket, 'close');
});

test('a reset is an end with a reason', async () => {
  const { socket, heard } = await halfPair();
  socket.write(bytesOf(frame(1)));
  await heard.until(1);
  socket.resetAndDestroy();
  expect(await heard.closed).toMatch(/ECONNRESET|closed by the other side/);
});
