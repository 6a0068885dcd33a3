// Frames of any kind, seeded: what a peer sends is either read exactly or a WireError, nothing outside its frame is
// looked at or changed, and nothing large is made of something small.
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeFrame, FrameReader, WireError } from '../../../src/ramster/wire/frame.ts';
import {
  decodeDestroyPool,
  decodeFree,
  decodeGet,
  decodeGetReply,
  decodeHello,
  decodeHelloReply,
  decodeList,
  decodeListReply,
  decodePing,
  decodePut,
  decodeRefusal,
  encodeDestroyPool,
  encodeFree,
  encodeGet,
  encodeGetReply,
  encodeHello,
  encodeHelloReply,
  encodeList,
  encodeListReply,
  encodePing,
  encodePut,
  encodeRefusal,
} from '../../../src/ramster/wire/messages.ts';
import { forSeeds } from '../../nbd/fuzz/inputs.ts';
import type { Random } from '../../nbd/fuzz/volume.ts';
import { joined, vectors } from './vectors.ts';

const HEAD_BYTES = 16;
/** Bytes around each frame that must stay what they are. */
const MARGIN_BYTES = 64;
const MARGIN = 0xa5;

// Most of the time would go into the stacks of expected errors.
const { stackTraceLimit } = Error;
beforeAll(() => {
  Error.stackTraceLimit = 0;
});
afterAll(() => {
  Error.stackTraceLimit = stackTraceLimit;
});

interface Message {
  readonly decode: (body: Uint8Array) => unknown;
  readonly encode: (request: number, message: never) => Uint8Array[];
}

/** Of these there is one form only: what was read is written as the same bytes. */
const exactMessages: readonly Message[] = [
  { decode: decodePing, encode: encodePing },
  { decode: decodePut, encode: encodePut },
  { decode: decodeGet, encode: encodeGet },
  { decode: decodeGetReply, encode: encodeGetReply },
  { decode: decodeFree, encode: encodeFree },
  { decode: decodeDestroyPool, encode: encodeDestroyPool },
  { decode: decodeList, encode: encodeList },
  { decode: decodeListReply, encode: encodeListReply },
];

/** Of these there are many forms. */
const looseMessages: readonly Message[] = [
  { decode: decodeHello, encode: encodeHello },
  { decode: decodeHelloReply, encode: encodeHelloReply },
  {
    decode: decodeRefusal,
    encode: (request, refusal) => encodeRefusal('get', request, refusal),
  },
];

/** What `work` returns, undefined if it throws a WireError; any other error fails the test. */
function readOrRefused<Value>(work: () => Value): Value | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

const originals = vectors.map(({ bytes }) => bytes);
const pick = <Value>(random: Random, values: readonly Value[]): Value => values[random(values.length)]!;
const someBytes = (random: Random, length: number) => Uint8Array.from({ length }, () => random(256));
/** Numbers at which something ends or begins. */
const EDGES = [0, 1, 2, 3, 4, 16, 32, 33, 127, 128, 200, 255] as const;

/** Changes bytes, removes some, adds some, or joins two messages. */
function mutate(random: Random, bytes: Uint8Array): Uint8Array {
  let result: Uint8Array = bytes.slice();
  for (let changes = 1 + random(3); changes > 0; changes--) {
    const at = random(result.length + 1);
    const kind = random(6);
    if (kind <= 1 && at < result.length) result[at] = kind === 0 ? random(256) : pick(random, EDGES);
    else if (kind === 2) result = result.slice(0, at);
    else if (kind === 3)
      result = joined([result.subarray(0, at), someBytes(random, 1 + random(20)), result.subarray(at)]);
    else if (kind === 4)
      result = joined([result.subarray(0, at), pick(random, originals).subarray(random(40))]);
    else if (at < result.length) result[at] = result[at]! ^ (1 << random(8));
  }
  return result.length <= 16_384 ? result : result.slice(0, 16_384);
}

/** Makes length and checksum right, so that what is behind them is looked at. */
function mend(bytes: Uint8Array): void {
  if (bytes.length < HEAD_BYTES) return;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(0, bytes.length, true);
  bytes[4] = 1;
  view.setUint32(12, crc32(bytes.subarray(HEAD_BYTES)), true);
}

function anyFrame(random: Random): Uint8Array {
  const kind = random(10);
  if (kind === 0) return someBytes(random, random(80));
  const bytes = mutate(random, pick(random, originals));
  if (kind > 1) mend(bytes);
  return bytes;
}

/** `bytes` between margins, and whether they are as they were. */
function fenced(bytes: Uint8Array): { frame: Uint8Array; isWhole: () => boolean } {
  const room = new Uint8Array(bytes.length + 2 * MARGIN_BYTES).fill(MARGIN);
  const frame = room.subarray(MARGIN_BYTES, MARGIN_BYTES + bytes.length);
  frame.set(bytes);
  const before = crc32(room);
  return { frame, isWhole: () => crc32(room) === before };
}

/** Views in a message must lie in the frame; what is no view must be small. */
function expectWithin(value: unknown, frame: Uint8Array): void {
  if (value instanceof Uint8Array) {
    const isView = value.buffer === frame.buffer;
    const start = value.byteOffset - frame.byteOffset;
    if (isView && (start < 0 || start + value.length > frame.length))
      expect.unreachable('a view leaves its frame');
    if (!isView && value.buffer.byteLength > 32) expect.unreachable('more bytes than were to be kept');
  } else if (Array.isArray(value)) {
    if (value.length > frame.length / 12 && value.length !== 2)
      expect.unreachable('a list longer than its bytes');
    for (const each of value) expectWithin(each, frame);
  } else if (typeof value === 'object' && value !== null) {
    for (const each of Object.values(value)) expectWithin(each, frame);
  } else if (typeof value === 'string' && value.length > 400)
    expect.unreachable('a text longer than allowed');
}

function bodyOf(parts: readonly Uint8Array[]): Buffer {
  return Buffer.from(joined(parts).subarray(HEAD_BYTES));
}

test('frames of any kind are read exactly, or refused', async () => {
  const FRAMES = 2000;
  const counts = { frames: 0, read: 0 };
  await forSeeds(100, (random) => {
    for (let i = 0; i < FRAMES; i++) {
      const { frame, isWhole } = fenced(anyFrame(random));
      counts.frames++;
      const decoded = readOrRefused(() => decodeFrame(frame));
      if (decoded !== undefined) {
        expectWithin(decoded.body, frame);
        for (const { decode, encode } of exactMessages) {
          const message = readOrRefused(() => decode(decoded.body));
          if (message === undefined) continue;
          counts.read++;
          expectWithin(message, frame);
          if (bodyOf(encode(1, message as never)).compare(decoded.body) !== 0) {
            expect.unreachable(`${decode.name} read what ${encode.name} does not write`);
          }
        }
      }
      if (!isWhole()) expect.unreachable('bytes were changed');
    }
  });
  expect(counts.frames).toBe(200_000);
  expect(counts.read).toBeGreaterThan(20_000);
}, 240_000);

/** A MessagePack value of any kind, also of kinds that must be refused, with lengths that need not be right. */
function anyPacked(random: Random, depth: number): Buffer {
  const text = pick(random, [
    'name',
    'memory',
    'status',
    'protocols',
    'code',
    '__proto__',
    'constructor',
    '\u{1f600}',
    '',
  ]);
  const length = Buffer.byteLength(text);
  switch (depth > 3 ? random(5) : random(9)) {
    case 0:
      return Buffer.concat([Buffer.from([0xa0 + length + (random(20) === 0 ? 1 : 0)]), Buffer.from(text)]);
    case 1:
      return Buffer.from([random(256)]);
    case 2:
      return Buffer.from([
        pick(random, [0xcc, 0xcd, 0xce, 0xcf, 0xca, 0xcb, 0xd0, 0xd3]),
        ...someBytes(random, 1 << random(4)),
      ]);
    case 3:
      return Buffer.from([0xc4, 8 * random(3), ...someBytes(random, 8 * random(3))]);
    case 4:
      return Buffer.from([
        pick(random, [0xd4, 0xd6, 0xc7, 0xc8]),
        pick(random, [0x72, 0x69, 0x78, 0x70, 0xff]),
        random(256),
      ]);
    default: {
      const isMap = random(2) === 0;
      const count = random(6);
      const head = random(4) === 0 ? [isMap ? 0xde : 0xdc, 0, count] : [(isMap ? 0x80 : 0x90) + count];
      const values = Array.from({ length: isMap ? 2 * count : count }, () => anyPacked(random, depth + 1));
      return Buffer.concat([Buffer.from(head), ...values]);
    }
  }
}

test('greetings and refusals of any kind are understood, or refused', async () => {
  const BODIES = 500;
  const bodies = vectors
    .filter(({ name }) => /hello/.test(name))
    .map(({ bytes }) => bytes.subarray(HEAD_BYTES));
  const counts = { bodies: 0, read: 0 };
  await forSeeds(200, (random) => {
    for (let i = 0; i < BODIES; i++) {
      const kind = random(4);
      const bytes =
        kind === 0
          ? anyPacked(random, 0)
          : kind === 1
            ? pick(random, bodies)
            : mutate(random, pick(random, bodies));
      const { frame, isWhole } = fenced(bytes);
      counts.bodies++;
      for (const { decode, encode } of looseMessages) {
        const message = readOrRefused(() => decode(frame));
        if (message === undefined) continue;
        counts.read++;
        expectWithin(message, frame);
        const body = bodyOf(encode(1, message as never));
        if (bodyOf(encode(1, decode(body) as never)).compare(body) !== 0) {
          expect.unreachable(`${decode.name} does not read what ${encode.name} writes`);
        }
      }
      if (!isWhole()) expect.unreachable('bytes were changed');
    }
  });
  expect(counts.bodies).toBe(100_000);
  expect(counts.read).toBeGreaterThan(10_000);
}, 240_000);

test('streams of any kind are cut into frames, or refused', async () => {
  const counts = { delivered: 0, refused: 0 };
  await forSeeds(2000, (random) => {
    const spoilt = random(2) === 0 ? random(20) : undefined;
    const parts = Array.from({ length: 20 }, (_, i) => {
      const bytes = pick(random, originals);
      return i === spoilt ? mutate(random, bytes) : bytes;
    });
    const stream = joined(parts);
    const reader = new FrameReader();
    let deliveredBytes = 0;
    for (let at = 0; at < stream.length; ) {
      const chunk = stream.slice(at, at + 1 + random(300));
      at += chunk.length;
      const went = readOrRefused(() => {
        reader.push(chunk, (frame) => {
          const length = Buffer.from(frame.buffer, frame.byteOffset, 4).readUInt32LE();
          if (length !== frame.length) expect.unreachable('a frame of another length than it says');
          const place = stream.subarray(deliveredBytes, deliveredBytes + length);
          if (Buffer.compare(place, frame) !== 0) expect.unreachable('a frame that was not sent');
          deliveredBytes += length;
          counts.delivered++;
        });
        return true;
      });
      if (went === undefined) {
        counts.refused++;
        return;
      }
      if (deliveredBytes > at) expect.unreachable('more than was sent');
    }
    if (spoilt === undefined && deliveredBytes !== stream.length) expect.unreachable('a frame was lost');
  });
  expect(counts.delivered).toBeGreaterThan(20_000);
  expect(counts.refused).toBeGreaterThan(100);
}, 240_000);
