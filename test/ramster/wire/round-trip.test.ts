// What is encoded is decoded to the same, whatever it is, and page bytes are not copied on the way.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeFrame, FRAME_BYTES_MAX } from '../../../src/ramster/wire/frame.ts';
import {
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
  LIST_MOST,
} from '../../../src/ramster/wire/messages.ts';
import { joined } from './vectors.ts';

const u32 = fc.nat(2 ** 32 - 1);
const id = fc.oneof(
  fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  fc.constantFrom(1, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1),
);
const bytes = (minLength: number, maxLength: number) => fc.uint8Array({ minLength, maxLength });
const page = fc.oneof(bytes(1, 4096), bytes(4096, 4096));
const held = fc.record({ pool: u32, id });
const nodeStatus = fc.record({
  freeBytes: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  draining: fc.boolean(),
});
const name = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$/);

function comesBack<Message>(
  what: string,
  messages: fc.Arbitrary<Message>,
  encode: (request: number, message: Message) => Uint8Array[],
  decode: (body: Uint8Array) => unknown,
  numRuns = 300,
): void {
  test(`${what} comes back as it was sent`, () => {
    fc.assert(
      fc.property(u32, messages, (request, message) => {
        const whole = joined(encode(request, message));
        expect(whole.length).toBeLessThanOrEqual(FRAME_BYTES_MAX);
        const frame = decodeFrame(whole);
        expect(frame.request).toBe(request);
        expect(decode(frame.body)).toEqual(message);
      }),
      { numRuns },
    );
  });
}

comesBack('ping', nodeStatus, encodePing, decodePing);
comesBack(
  'put',
  fc.record({
    pool: u32,
    kind: fc.constantFrom('ephemeral' as const, 'persistent' as const),
    id,
    bytes: page,
  }),
  encodePut,
  decodePut,
);
comesBack('get', fc.record({ pool: u32, id, free: fc.boolean() }), encodeGet, decodeGet);
comesBack('a page', page, encodeGetReply, decodeGetReply);
comesBack(
  'free',
  fc.record({ pages: fc.array(held, { minLength: 1, maxLength: 256, size: 'max' }) }),
  encodeFree,
  decodeFree,
  50,
);
comesBack('list', fc.record({ cursor: fc.option(bytes(1, 32), { nil: undefined }) }), encodeList, decodeList);
comesBack(
  'reply to list',
  fc.record({
    pages: fc.array(held, { maxLength: LIST_MOST, size: 'max' }),
    next: fc.option(bytes(1, 32), { nil: undefined }),
  }),
  encodeListReply,
  decodeListReply,
  30,
);
comesBack(
  'hello',
  fc.record({
    protocols: fc
      .tuple(fc.integer({ min: 1, max: 65_535 }), fc.integer({ min: 1, max: 65_535 }))
      .map(([a, b]): [number, number] => [Math.min(a, b), Math.max(a, b)]),
    cluster: fc
      .string({ unit: 'binary', minLength: 1, maxLength: 64 })
      .filter((text) => !/\p{Cc}/u.test(text)),
    name,
    memory: bytes(16, 16),
    instance: bytes(8, 8),
  }),
  encodeHello,
  decodeHello,
);
comesBack(
  'reply to hello',
  fc.record({
    protocol: fc.integer({ min: 1, max: 65_535 }),
    name,
    memory: u32,
    instance: bytes(8, 8),
    leaseMs: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
    status: nodeStatus,
  }),
  encodeHelloReply,
  decodeHelloReply,
);

test('any message of a refusal can be sent: it is cut and cleaned', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 900, size: 'max' }), (message) => {
      const [head, body] = encodeRefusal('get', 1, { code: 'SOME_CODE', message });
      const refusal = decodeRefusal(decodeFrame(joined([head!, body!])).body);
      expect(refusal.code).toBe('SOME_CODE');
      expect(refusal.message.length).toBeLessThanOrEqual(400);
      expect(refusal.message).not.toMatch(/\p{Cc}/u);
    }),
  );
});

test('the longest of all messages fit into a frame', () => {
  const longest = { pool: 2 ** 32 - 1, id: Number.MAX_SAFE_INTEGER };
  const reply = encodeListReply(1, {
    pages: Array.from({ length: LIST_MOST }, () => longest),
    next: new Uint8Array(32),
  });
  expect(joined(reply).length).toBe(16 + 4 + 12_000 + 32);
  const bytes = new Uint8Array(4096);
  expect(joined(encodePut(1, { ...longest, kind: 'persistent', bytes })).length).toBe(16 + 16 + 4096);
});

test('the bytes of a page are sent and received where they lie', () => {
  const bytes = new Uint8Array(4096).fill(9);
  expect(encodePut(1, { pool: 1, kind: 'persistent', id: 1, bytes })[1]).toBe(bytes);
  expect(encodeGetReply(1, bytes)[1]).toBe(bytes);
  const put = joined(encodePut(1, { pool: 1, kind: 'persistent', id: 1, bytes }));
  const decoded = decodePut(decodeFrame(put).body).bytes;
  expect([decoded.buffer, decoded.byteOffset, decoded.length]).toEqual([put.buffer, 32, 4096]);
  const reply = joined(encodeGetReply(1, bytes));
  const got = decodeGetReply(decodeFrame(reply).body);
  expect([got.buffer, got.byteOffset, got.length]).toEqual([reply.buffer, 16, 4096]);
});

test('a slice of a decoded page is a copy, also when the frame is a Buffer', () => {
  const whole = Buffer.concat(encodeGetReply(1, new Uint8Array([1, 2, 3])));
  const kept = decodeGetReply(decodeFrame(whole).body).slice();
  whole.fill(0);
  expect(kept).toEqual(new Uint8Array([1, 2, 3]));
});

test('what outlives its frame has bytes of its own', () => {
  const memory = new Uint8Array(16).fill(1);
  const instance = new Uint8Array(8).fill(2);
  const hello = joined(encodeHello(1, { protocols: [1, 1], cluster: 'c', name: 'n', memory, instance }));
  const decoded = decodeHello(decodeFrame(hello).body);
  const list = joined(encodeListReply(1, { pages: [], next: new Uint8Array([3]) }));
  const { next } = decodeListReply(decodeFrame(list).body);
  hello.fill(0);
  list.fill(0);
  expect([decoded.memory, decoded.instance, next]).toEqual([memory, instance, new Uint8Array([3])]);
});
