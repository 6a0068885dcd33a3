// The bytes on a fetch socket: as docs/formats/ramster.md says, and nothing else is understood.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeError,
  decodeFetch,
  decodeFetchHello,
  decodeFetchHelloReply,
  encodeError,
  encodeFetch,
  encodeFetchHello,
  encodeFetchHelloReply,
} from '../../../src/ramster/fetch-socket/messages.ts';
import { decodeFrame } from '../../../src/ramster/wire/frame.ts';
import { WireError } from '../../../src/ramster/wire/wire-error.ts';
import { ERROR_CODES, TmemError, type TmemErrorCode } from '../../../src/zcache/index.ts';

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const bodyOf = (parts: Uint8Array[]) => decodeFrame(Buffer.concat(parts)).body;

test('a get has its fields in their places', () => {
  const oid = Uint8Array.from({ length: 24 }, (_, i) => 0xa0 + i);
  const frame = Buffer.concat(encodeFetch(7, { pool: 0x01020304, index: 0x05060708, oid }));
  expect(frame.toString('hex')).toBe(
    ['30000000', '01040000', '07000000', 'e42dcef1', '04030201', '08070605'].join('') +
      Buffer.from(oid).toString('hex'),
  );
});

test('a hello is a map, and so is its reply', () => {
  const store = new Uint8Array(16).fill(0x5a);
  const asked = bodyOf(encodeFetchHello(1, { protocols: [1, 2], store }));
  const id = `c410${'5a'.repeat(16)}`;
  const text = (key: string) => (0xa0 + key.length).toString(16) + Buffer.from(key).toString('hex');
  expect(Buffer.from(asked).toString('hex')).toBe(`82${text('protocols')}920102${text('store')}${id}`);
  const answered = bodyOf(encodeFetchHelloReply(1, { protocol: 1, store }));
  expect(Buffer.from(answered).toString('hex')).toBe(`82${text('protocol')}01${text('store')}${id}`);
});

test('whatever is encoded is decoded to the same', () => {
  fc.assert(
    fc.property(u32, u32, bytes(24), u32, (pool, index, oid, request) => {
      const frame = decodeFrame(Buffer.concat(encodeFetch(request, { pool, index, oid })));
      expect(frame).toMatchObject({ type: 'get', isReply: false, status: 'ok', request });
      expect(decodeFetch(frame.body)).toEqual({ pool, index, oid });
    }),
  );
  fc.assert(
    fc.property(bytes(16), fc.integer({ min: 1, max: 65_535 }), (store, protocol) => {
      const hello = { protocols: [1, protocol] as const, store };
      expect(decodeFetchHello(bodyOf(encodeFetchHello(1, hello)))).toEqual(hello);
      const reply = { protocol, store };
      expect(decodeFetchHelloReply(bodyOf(encodeFetchHelloReply(1, reply)))).toEqual(reply);
    }),
  );
});

test('errors keep code and message, whichever they are', () => {
  const codes = Object.keys(ERROR_CODES) as TmemErrorCode[];
  fc.assert(
    fc.property(fc.constantFrom(...codes), fc.string({ unit: 'binary', maxLength: 500 }), (code, message) => {
      const received = decodeError(bodyOf(encodeError('get', 1, new TmemError(code, message))));
      expect(received).toMatchObject({ name: 'TmemError', code });
      const clean = message.replace(/\p{Cc}/gu, ' ').slice(0, 400);
      expect(received.message).toBe(clean.toWellFormed());
    }),
  );
  const plain = decodeError(bodyOf(encodeError('get', 1, new RangeError('too far'))));
  expect([plain.message, 'code' in plain, TmemError.is(plain)]).toEqual(['too far', false, false]);
  const ofSystem = Object.assign(new Error('no'), { code: 'EIO' });
  expect(decodeError(bodyOf(encodeError('get', 1, ofSystem)))).toMatchObject({ code: 'EIO', message: 'no' });
  expect(decodeError(bodyOf(encodeError('get', 1, 'a text'))).message).toBe('a text');
});

test('any other bytes are a WireError', () => {
  const decoders = [decodeFetch, decodeFetchHello, decodeFetchHelloReply, decodeError];
  fc.assert(
    fc.property(fc.constantFrom(...decoders), fc.uint8Array({ maxLength: 60 }), (decode, body) => {
      try {
        decode(body);
      } catch (error) {
        expect(error).toBeInstanceOf(WireError);
      }
    }),
    { numRuns: 3000 },
  );
  for (const length of [0, 31, 33]) expect(() => decodeFetch(new Uint8Array(length))).toThrow(WireError);
});
