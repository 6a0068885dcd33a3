// What a peer must not send, and what this node must not send, is refused with words that name the field.
import { crc32 } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { decodeFrame, encodeFrame, WireError } from '../../../src/ramster/wire/frame.ts';
import { pack } from '../../../src/ramster/wire/message-pack.ts';
import {
  decodeDestroyPool,
  decodeFree,
  decodeGet,
  decodeGetReply,
  decodeHello,
  decodeHelloReply,
  decodeList,
  decodeListReply,
  decodeNothing,
  decodePing,
  decodePut,
  decodeRefusal,
  encodeFree,
  encodeGet,
  encodeGetReply,
  encodeHello,
  encodeList,
  encodeListReply,
  encodePing,
  encodePut,
  encodeRefusal,
} from '../../../src/ramster/wire/messages.ts';
import { hex, joined, vectors } from './vectors.ts';

function refuses(what: () => unknown, message: string | RegExp): void {
  expect(what).toThrow(WireError);
  expect(what).toThrow(message);
}

const put = vectors.find(({ name }) => name === 'put, persistent')!.bytes;

/** The put with one byte changed. */
function changed(at: number, byte: number): Uint8Array {
  const bytes = put.slice();
  bytes[at] = byte;
  return bytes;
}

describe('a head', () => {
  test.each([
    ['shorter than 16 bytes', put.subarray(0, 15), '15 bytes are no frame'],
    ['of no bytes', new Uint8Array(0), '0 bytes are no frame'],
    ['with a length below that of the head', changed(0, 15), 'a frame of 15 bytes; allowed are 16 to 16384'],
    ['with a length above the longest', changed(2, 1), 'a frame of 65573 bytes; allowed are 16 to 16384'],
    [
      'with a length that is not that of the frame',
      changed(0, 36),
      'a frame of 37 bytes says that it has 36',
    ],
    ['with the length of a longer frame', changed(0, 38), 'a frame of 37 bytes says that it has 38'],
    ['of another version', changed(4, 2), 'frame version 2; this node speaks 1'],
    ['of version 0', changed(4, 0), 'frame version 0'],
    ['of type 0', changed(5, 0), 'unknown message type 0'],
    ['of an unknown type', changed(5, 8), 'unknown message type 8'],
    ['with an unknown flag', changed(6, 2), 'unknown flags 2'],
    ['with a known and an unknown flag', changed(6, 0x81), 'unknown flags 129'],
    ['of a request with a status', changed(7, 1), 'a request with status 1'],
    ['with an unknown status', changed(7, 7), 'unknown status 7'],
    ['with a wrong checksum', changed(12, 0), 'checksum of a frame (put) is wrong'],
    ['of a body that was changed', changed(36, 1), 'checksum of a frame (put) is wrong'],
  ])('%s is refused', (_, bytes, message) => {
    refuses(() => decodeFrame(bytes), message);
  });

  test.each([
    [{ type: 'put', isReply: false, status: 'full', request: 1 }, 'there is no request put with full'],
    [{ type: 'put', isReply: true, status: 'late', request: 1 }, 'there is no reply put with late'],
    [{ type: 'steal', isReply: false, status: 'ok', request: 1 }, 'there is no request steal with ok'],
    [{ type: 'put', isReply: false, status: 'ok', request: 2 ** 32 }, 'request id is 4294967296, no u32'],
    [{ type: 'put', isReply: false, status: 'ok', request: -1 }, 'request id is -1, no u32'],
    [{ type: 'put', isReply: false, status: 'ok', request: 0.5 }, 'request id is 0.5, no u32'],
  ])('of %o is not sent', (head, message) => {
    refuses(() => encodeFrame(head as never), message);
  });

  test('longer than the longest frame is not sent', () => {
    const head = { type: 'list', isReply: true, status: 'ok', request: 1 } as const;
    expect(joined(encodeFrame(head, new Uint8Array(16_368))).length).toBe(16_384);
    refuses(() => encodeFrame(head, new Uint8Array(16_000), new Uint8Array(369)), 'a frame of 16385 bytes');
  });
});

describe('a body', () => {
  const id = '0100000000000000';
  const held = `07000000 ${id}`;
  test.each<[string, (body: Uint8Array) => unknown, string, string | RegExp]>([
    ['ping too short', decodePing, '00'.repeat(15), 'ping: 15 bytes, it must be 16'],
    ['ping too long', decodePing, '00'.repeat(17), 'ping: 17 bytes'],
    [
      'ping of too much',
      decodePing,
      '0000000000002000 00 00000000000000',
      'ping: free bytes is above 2^53 - 1',
    ],
    ['ping half draining', decodePing, `${id} 02 00000000000000`, 'ping: draining: 2, allowed are 0 to 1'],
    ['ping with more', decodePing, `${id} 01 00000000000001`, 'ping: byte 15 is 1; it must be 0'],
    ['put without a page', decodePut, `00000000 00 000000 ${id}`, 'put: bytes of the page: 0'],
    ['put cut', decodePut, '00000000', 'put: bytes of the page: -12, allowed are 1 to 4096'],
    ['put of nothing', decodePut, '', 'put: bytes of the page: -16'],
    ['put too long', decodePut, `00000000 00 000000 ${id} ${'00'.repeat(4097)}`, 'bytes of the page: 4097'],
    ['put of a third kind', decodePut, `00000000 02 000000 ${id} 00`, 'put: there is no kind 2'],
    ['put with more', decodePut, `00000000 01 000100 ${id} 00`, 'put: byte 6 is 1; it must be 0'],
    ['put of page 0', decodePut, `00000000 01 000000 ${'00'.repeat(8)} 00`, 'page id is 0'],
    ['put of page 2^53', decodePut, '00000000 01 000000 0000000000002000 00', 'page id is above 2^53 - 1'],
    [
      'put of the last u64',
      decodePut,
      `00000000 01 000000 ${'ff'.repeat(8)} 00`,
      'page id is above 2^53 - 1',
    ],
    ['get too short', decodeGet, '00'.repeat(15), 'get: 15 bytes, it must be 16'],
    ['get of page 0', decodeGet, '00'.repeat(16), 'page id is 0'],
    ['get that half frees', decodeGet, `00000000 02 000000 ${id}`, 'get: free: 2, allowed are 0 to 1'],
    ['get with more', decodeGet, `00000000 01 000080 ${id}`, 'get: byte 7 is 128; it must be 0'],
    ['page of nothing', decodeGetReply, '', 'reply to get: bytes of the page: 0'],
    ['page too long', decodeGetReply, '00'.repeat(4097), 'reply to get: bytes of the page: 4097'],
    ['free cut', decodeFree, '010000', 'free: 3 bytes, its head has 4'],
    ['free of nothing', decodeFree, '0000 0000', 'free: pages: 0, allowed are 1 to 256'],
    ['free of too many', decodeFree, `0101 0000 ${held.repeat(257)}`, 'free: pages: 257'],
    ['free of more than it has', decodeFree, `0200 0000 ${held}`, 'free: 16 bytes, it must be 28'],
    ['free of less than it has', decodeFree, `0100 0000 ${held} 00`, 'free: 17 bytes, it must be 16'],
    ['free with more', decodeFree, `0100 0100 ${held}`, 'free: byte 2 is 1; it must be 0'],
    ['free of page 0', decodeFree, `0100 0000 ${'00'.repeat(12)}`, 'page id is 0'],
    ['destroyPool too long', decodeDestroyPool, '00'.repeat(5), 'destroyPool: 5 bytes, it must be 4'],
    [
      'list with a long cursor',
      decodeList,
      '00'.repeat(33),
      'list: bytes of the cursor: 33, allowed are 0 to 32',
    ],
    ['list reply cut', decodeListReply, '0000', 'reply to list: 2 bytes, its head has 4'],
    ['list reply of too many', decodeListReply, 'e903 00 00', 'reply to list: pages: 1001'],
    ['list reply, long cursor', decodeListReply, `0000 21 00 ${'00'.repeat(33)}`, 'bytes of the cursor: 33'],
    ['list reply without its cursor', decodeListReply, '0000 01 00', 'reply to list: 4 bytes, it must be 5'],
    [
      'list reply without its page',
      decodeListReply,
      '0100 01 00 00',
      'reply to list: 5 bytes, it must be 17',
    ],
    ['list reply with more', decodeListReply, '0000 00 01', 'reply to list: byte 3 is 1; it must be 0'],
    ['empty reply that is none', decodeNothing, '00', 'empty reply: 1 bytes, it must be 0'],
  ])('%s is refused', (_, decode, text, message) => {
    refuses(() => decode(hex(text)), message);
  });

  const page = { pool: 1, kind: 'persistent', id: 1, bytes: new Uint8Array(1) } as const;
  test.each<[string, () => unknown, string]>([
    [
      'ping of less than nothing',
      () => encodePing(1, { freeBytes: -1, draining: false }),
      'ping: free bytes is -1',
    ],
    ['ping of a part', () => encodePing(1, { freeBytes: 0.5, draining: false }), 'ping: free bytes is 0.5'],
    [
      'put of no bytes',
      () => encodePut(1, { ...page, bytes: new Uint8Array(0) }),
      'put: bytes of the page: 0',
    ],
    [
      'put of two pages',
      () => encodePut(1, { ...page, bytes: new Uint8Array(8192) }),
      'bytes of the page: 8192',
    ],
    [
      'put of a third kind',
      () => encodePut(1, { ...page, kind: 'other' as never }),
      'there is no kind other',
    ],
    ['put of no pool', () => encodePut(1, { ...page, pool: Number.NaN }), 'put: pool is NaN, no u32'],
    ['put of page 0', () => encodePut(1, { ...page, id: 0 }), 'page id: 0, allowed are 1 to'],
    ['put of half a page', () => encodePut(1, { ...page, id: 1.5 }), 'page id is 1.5'],
    [
      'get of page 2^53',
      () => encodeGet(1, { pool: 1, id: 2 ** 53, free: false }),
      'page id: 9007199254740992',
    ],
    ['page of no bytes', () => encodeGetReply(1, new Uint8Array(0)), 'reply to get: bytes of the page: 0'],
    ['free of nothing', () => encodeFree(1, { pages: [] }), 'free: pages: 0, allowed are 1 to 256'],
    ['free of too many', () => encodeFree(1, { pages: Array(257).fill(page) }), 'free: pages: 257'],
    ['list with no cursor', () => encodeList(1, { cursor: new Uint8Array(0) }), 'bytes of the cursor: 0'],
    [
      'list reply of too many',
      () => encodeListReply(1, { pages: Array(1001).fill(page), next: undefined }),
      '1001',
    ],
    [
      'list reply, long cursor',
      () => encodeListReply(1, { pages: [], next: new Uint8Array(33) }),
      'cursor: 33',
    ],
    [
      'refusal without a code',
      () => encodeRefusal('put', 1, { code: '', message: '' }),
      'refusal: code must be',
    ],
  ])('%s is not sent', (_, encode, message) => {
    refuses(encode, message);
  });
});

describe('a greeting', () => {
  const hello = {
    protocols: [1, 1] as const,
    cluster: 'prod',
    name: 'node-1',
    memory: new Uint8Array(16),
    instance: new Uint8Array(8),
  };
  const reply = {
    protocol: 1,
    name: 'node-1',
    memory: 1,
    instance: new Uint8Array(8),
    leaseMs: 1,
    status: { freeBytes: 0, draining: false },
  };
  const long = 'x'.repeat(65);

  test.each<[object, string]>([
    [{ protocols: undefined }, 'hello: protocols must be two numbers'],
    [{ protocols: [1] }, 'hello: protocols.1 must be a whole number'],
    [{ protocols: [1, 2, 3] }, 'hello: protocols'],
    [{ protocols: [2, 1] }, 'hello: protocols must be the lowest and the highest'],
    [{ protocols: [0, 1] }, 'hello: protocols.0 must be a whole number from 1 to 65535'],
    [{ protocols: [1, 65_536] }, 'hello: protocols.1 must be a whole number from 1 to 65535'],
    [{ cluster: '' }, 'hello: cluster must be 1 to 64 characters'],
    [{ cluster: long }, 'hello: cluster must be 1 to 64 characters'],
    [{ cluster: 'a\nb' }, 'hello: cluster must be 1 to 64 characters without control characters'],
    [{ name: '-a' }, 'hello: name must be 1 to 40 letters'],
    [{ name: 'x'.repeat(41) }, 'hello: name must be 1 to 40 letters'],
    [{ name: 7 }, 'hello: name must be 1 to 40 letters'],
    [{ memory: new Uint8Array(15) }, 'hello: memory must be 16 bytes'],
    [{ memory: 'x'.repeat(16) }, 'hello: memory must be 16 bytes'],
    [{ instance: new Uint8Array(9) }, 'hello: instance must be 8 bytes'],
  ])('with %j is refused and not sent', (wrong, message) => {
    const bad = { ...hello, ...wrong };
    refuses(() => encodeHello(1, bad as never), message);
    if (!Object.values(wrong).includes(undefined)) refuses(() => decodeHello(pack(bad)), message);
  });

  test.each(Object.keys(hello))('without %s is refused', (key) => {
    const { [key]: _, ...rest } = hello as Record<string, unknown>;
    refuses(() => decodeHello(pack(rest)), `hello: ${key} is missing`);
  });

  test.each<[object, string]>([
    [{ protocol: 0 }, 'protocol must be a whole number from 1 to 65535'],
    [{ memory: 2 ** 32 }, 'memory must be a whole number from 0 to 4294967295'],
    [{ leaseMs: 0 }, 'leaseMs must be a whole number from 1 to 4294967295'],
    [{ status: 1 }, 'status must be a map'],
    [{ status: {} }, 'status.freeBytes is missing'],
    [{ status: { freeBytes: 1e300, draining: true } }, 'status.freeBytes must be a whole number'],
    [{ status: { freeBytes: 1, draining: 1 } }, 'status.draining must be true or false'],
  ])('answered with %j is refused', (wrong, message) => {
    refuses(() => decodeHelloReply(pack({ ...reply, ...wrong })), `reply to hello: ${message}`);
  });

  test('may have keys that only later versions know, also in its parts', () => {
    const later = { ...hello, zone: 'b', list: [1, { a: new Uint8Array(3) }], nothing: null };
    expect(decodeHello(pack(later))).toEqual(hello);
    const laterReply = { ...reply, more: 1.5, status: { ...reply.status, temperature: -40 } };
    expect(decodeHelloReply(pack(laterReply))).toEqual(reply);
  });

  test('may have numbers in any of the forms of MessagePack', () => {
    const packed = Buffer.from(pack({ ...reply, leaseMs: 5 })).toString('hex');
    const leaseMs = Buffer.from('leaseMs').toString('hex');
    const wide = packed.replace(`${leaseMs}05`, `${leaseMs}cf0000000000000005`);
    expect(wide).not.toBe(packed);
    expect(decodeHelloReply(hex(wide))).toEqual({ ...reply, leaseMs: 5 });
  });

  test.each([
    ['nothing', ''],
    ['no map', 'c0'],
    ['a list', '93010203'],
    ['a map that ends early', '81a161'],
    ['more than one value', '8080'],
    ['a string longer than all', '81a1 61 db ffffffff'],
    ['an array longer than all', 'dd ffffffff'],
    ['a map longer than all', 'df ffffffff'],
    ['a record that would be compiled', 'd4 72 40 91 a1 61 01'],
    ['a reference to itself', 'd6 69 00000001 80'],
    ['a regular expression', 'c7 05 78 92 a1 61 a0'],
    ['a date', 'd6 ff 00000000'],
    ['the token that is not used', 'c1'],
    ['very many nested lists', `${'91'.repeat(4095)}c0`],
    ['more than 4096 bytes', `c5 1000 ${'00'.repeat(4096)}`],
  ])('of %s is refused', (_, text) => {
    expect(() => decodeHello(hex(text))).toThrow(WireError);
    expect(() => decodeHelloReply(hex(text))).toThrow(WireError);
    expect(() => decodeRefusal(hex(text))).toThrow(WireError);
  });

  test('that is a refusal says so in plain characters only', () => {
    const body = (refusal: object) => pack(refusal);
    expect(decodeRefusal(body({ code: 'A_1', message: 'no', more: 1 }))).toEqual({
      code: 'A_1',
      message: 'no',
    });
    refuses(() => decodeRefusal(body({ code: 'a b', message: '' })), 'refusal: code must be');
    refuses(() => decodeRefusal(body({ code: 'A', message: '\x1b[2J' })), 'refusal: message must be');
    refuses(() => decodeRefusal(body({ code: 'A', message: 'x'.repeat(401) })), 'refusal: message must be');
    refuses(() => decodeRefusal(body({ code: 'A' })), 'refusal: message is missing');
  });
});

test('the checksum is the CRC-32 of zlib over the body', () => {
  const head = decodeFrame(put);
  expect(crc32(head.body)).toBe(Buffer.from(put).readUInt32LE(12));
});
