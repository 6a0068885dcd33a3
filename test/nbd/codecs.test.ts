// Messages as bytes, against vectors written by hand from the protocol's document.
import { expect, test } from 'vitest';
import { decodeRequest, RequestHeader, writeChunkHeader, writeSimpleReply } from '../../src/nbd/messages.ts';
import {
  decodeGo,
  decodeMeta,
  decodeOptionHeader,
  decodeText,
  encodeExportName,
  encodeGreeting,
  encodeInfoBlockSize,
  encodeInfoExport,
  encodeInfoText,
  encodeMetaContext,
  encodeOptionError,
  encodeOptionReply,
  encodeServer,
} from '../../src/nbd/options.ts';
import { OPT, REP } from '../../src/nbd/protocol.ts';

const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ''), 'hex');
const reply = '0003e889045565a9';

test.each([
  ['greeting', encodeGreeting(), '4e42444d41474943 49484156454f5054 0003'],
  ['ack', encodeOptionReply(OPT.LIST, REP.ACK), `${reply} 00000003 00000001 00000000`],
  ['unsupported', encodeOptionError(99, REP.ERR_UNSUP, 'no'), `${reply} 00000063 80000001 00000002 6e6f`],
  ['server', encodeServer(OPT.LIST, 'ab', 'cde'), `${reply} 00000003 00000002 00000009 00000002 6162 636465`],
  [
    'info export',
    encodeInfoExport(OPT.GO, 0x1_0000_0002, 0x0103),
    `${reply} 00000007 00000003 0000000c 0000 0000000100000002 0103`,
  ],
  ['info description', encodeInfoText(OPT.INFO, 2, 'hi'), `${reply} 00000006 00000003 00000004 0002 6869`],
  [
    'info block size',
    encodeInfoBlockSize(OPT.GO),
    `${reply} 00000007 00000003 0000000e 0003 00000001 00001000 02000000`,
  ],
  [
    'meta context',
    encodeMetaContext(OPT.SET_META_CONTEXT, 1, 'base:allocation'),
    `${reply} 0000000a 00000004 00000013 00000001 ${Buffer.from('base:allocation').toString('hex')}`,
  ],
  ['export name, short', encodeExportName(4096, 0x0101, true), '0000000000001000 0101'],
  ['export name, padded', encodeExportName(4096, 0x0101, false), `0000000000001000 0101 ${'00'.repeat(124)}`],
])('%s is encoded as documented', (_, bytes, expected) => {
  expect(bytes.toString('hex')).toBe(hex(expected).toString('hex'));
});

test('an option header is decoded, and what is none is told', () => {
  expect(decodeOptionHeader(hex('49484156454f5054 00000007 00000102'))).toEqual({ option: 7, length: 258 });
  expect(decodeOptionHeader(hex('49484156454f5055 00000007 00000102'))).toBeUndefined();
});

test('the data of GO is decoded', () => {
  expect(decodeGo(hex('00000002 6162 0002 0001 0003'))).toEqual({ name: 'ab', information: [1, 3] });
  expect(decodeGo(hex('00000000 0000'))).toEqual({ name: '', information: [] });
});

test.each(['', '00000002 61', '00000003 6162 0000', '00000000 0001', '00000000 0000 00', 'ffffffff 0000'])(
  'data that is not of GO is told: %s',
  (text) => {
    expect(decodeGo(hex(text))).toBeUndefined();
  },
);

test('the data of context options is decoded', () => {
  expect(decodeMeta(hex('00000001 61 00000002 00000002 783a 00000000'))).toEqual({
    name: 'a',
    queries: ['x:', ''],
  });
  expect(decodeMeta(hex('00000001 61 00000001'))).toBeUndefined();
  expect(decodeMeta(hex('00000001 61 ffffffff'))).toBeUndefined();
  expect(decodeMeta(hex('00000001 61 00000000 00'))).toBeUndefined();
});

test.each([hex('c3'), hex('6100'), Buffer.alloc(4097, 0x61)])('text that is none is told', (bytes) => {
  expect(decodeText(bytes)).toBeUndefined();
  expect(decodeText(Buffer.from('grün'))).toBe('grün');
});

test('requests are decoded where they lie', () => {
  const into = new RequestHeader();
  const bytes = hex('ff 25609513 0001 0002 0102030405060708 0000000100000200 00001000');
  expect(decodeRequest(bytes, 1, 'structured', into)).toBe(true);
  expect(into).toMatchObject({ flags: 1, type: 2, cookieHigh: 0x01020304, cookieLow: 0x05060708 });
  expect([into.position, into.length]).toEqual([0x1_0000_0200, 4096]);
  expect(decodeRequest(bytes, 1, 'extended', into)).toBe(false);
  const extended = hex('21e41c71 0020 0001 0102030405060708 0000000000000200 0000000100000000');
  expect(decodeRequest(extended, 0, 'extended', into)).toBe(true);
  expect([into.position, into.length, into.flags]).toEqual([512, 2 ** 32, 32]);
  expect(decodeRequest(extended, 0, 'simple', into)).toBe(false);
});

test('replies are written where they go, with what the request said', () => {
  const echo = { cookieHigh: 0x01020304, cookieLow: 0x85060708, positionHigh: 0xffffffff, positionLow: 2 };
  const into = Buffer.alloc(40, 0xee);
  writeSimpleReply(into, 1, 28, echo);
  expect(into.toString('hex', 0, 18)).toBe(`ee${'67446698'}${'0000001c'}${'0102030485060708'}ee`);
  writeChunkHeader(into, 0, 'structured', 1, 0x8001, echo, 6);
  expect(into.toString('hex', 0, 20)).toBe(`668e33ef${'00018001'}${'0102030485060708'}${'00000006'}`);
  writeChunkHeader(into, 2, 'extended', 0, 6, echo, 2 ** 32 + 5);
  const expected = '6e8a278c 0000 0006 0102030485060708 ffffffff00000002 0000000100000005';
  expect(into.toString('hex', 2, 34)).toBe(hex(expected).toString('hex'));
});
