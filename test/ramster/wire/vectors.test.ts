// Bytes of the protocol: whoever changes one of them speaks another protocol.
import { expect, test } from 'vitest';
import { decodeFrame } from '../../../src/ramster/wire/frame.ts';
import { joined, vectors } from './vectors.ts';

const named = vectors.map((vector) => [vector.name, vector] as const);

test.each(named)('%s is encoded as documented', (_, { bytes, encode }) => {
  expect(Buffer.from(joined(encode())).toString('hex')).toBe(Buffer.from(bytes).toString('hex'));
});

test.each(named)('%s is decoded from the documented bytes', (_, { bytes, decode, message }) => {
  expect(decode(decodeFrame(bytes).body)).toEqual(message);
});

test('the head says type, direction, status and request', () => {
  const heads = vectors.map(({ bytes }) => decodeFrame(bytes));
  expect(new Set(heads.map(({ type }) => type))).toEqual(
    new Set(['hello', 'ping', 'put', 'get', 'free', 'destroyPool', 'list']),
  );
  expect(new Set(heads.map(({ status }) => status))).toEqual(
    new Set(['ok', 'miss', 'full', 'kind', 'refused', 'busy', 'draining']),
  );
  expect(heads.map(({ isReply }) => isReply)).toEqual(vectors.map(({ bytes }) => bytes[6] === 1));
  expect(new Set(heads.map(({ request }) => request))).toEqual(new Set([0x01020304, 0, 0xffffffff]));
});
