// Every message and reply with its bytes, written from the protocol's document by a program of its own (struct and zlib
// of Python), not by the code that is tested.
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
  decodePingReply,
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
  encodePingReply,
  encodePut,
  encodeRefusal,
  encodeStatus,
} from '../../../src/ramster/wire/messages.ts';

export const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replace(/\s/g, ''), 'hex'));
export const joined = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

export interface Vector {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly encode: () => Uint8Array[];
  readonly decode: (body: Uint8Array) => unknown;
  /** What `decode` gives. */
  readonly message: unknown;
}

const R = 0x01020304;
const memory = hex('000102030405060708090a0b0c0d0e0f');
const instance = hex('a0a1a2a3a4a5a6a7');
const page = hex('deadbeef00');

function vector<Message>(
  name: string,
  text: string,
  encode: (request: number, message: Message) => Uint8Array[],
  decode: (body: Uint8Array) => unknown,
  message: Message,
  request = R,
): Vector {
  return { name, bytes: hex(text), encode: () => encode(request, message), decode, message };
}

const status = (
  name: Parameters<typeof encodeStatus>[2],
  type: Parameters<typeof encodeStatus>[0],
  text: string,
) => ({
  name: `status ${name} to ${type}`,
  bytes: hex(text),
  encode: () => encodeStatus(type, R, name),
  decode: decodeNothing,
  message: undefined,
});

const refusal = { code: 'TMEM_ERR_PEER', message: "another cluster: 'test'" };
const refusalBody = `82 a4 636f6465 ad 544d454d5f4552525f50454552
  a7 6d657373616765 b7 616e6f7468657220636c75737465723a20277465737427`;

export const vectors: readonly Vector[] = [
  vector(
    'hello',
    `63000000 01 01 00 00 04030201 e951fa72
     85 a9 70726f746f636f6c73 92 01 03 a7 636c7573746572 a4 70726f64 a4 6e616d65 a6 6e6f64652d31
     a6 6d656d6f7279 c4 10 000102030405060708090a0b0c0d0e0f a8 696e7374616e6365 c4 08 a0a1a2a3a4a5a6a7`,
    encodeHello,
    decodeHello,
    { protocols: [1, 3], cluster: 'prod', name: 'node-1', memory, instance },
  ),
  vector(
    'reply to hello',
    `76000000 01 01 01 00 04030201 f17482d4
     86 a8 70726f746f636f6c 01 a4 6e616d65 a6 6e6f64652d32 a6 6d656d6f7279 ce fffefdfc
     a8 696e7374616e6365 c4 08 a0a1a2a3a4a5a6a7 a7 6c656173654d73 cd 7530
     a6 737461747573 82 a9 667265654279746573 cf 0000000200000000 a8 647261696e696e67 c2`,
    encodeHelloReply,
    decodeHelloReply,
    {
      protocol: 1,
      name: 'node-2',
      memory: 0xfffefdfc,
      instance,
      leaseMs: 30_000,
      status: { freeBytes: 2 ** 33, draining: false },
    },
  ),
  vector(
    'refusal of hello',
    `44000000 01 01 01 04 04030201 78e9e9e9 ${refusalBody}`,
    (request, message: typeof refusal) => encodeRefusal('hello', request, message),
    decodeRefusal,
    refusal,
  ),
  vector(
    'refusal of put',
    `44000000 01 03 01 04 04030201 78e9e9e9 ${refusalBody}`,
    (request, message: typeof refusal) => encodeRefusal('put', request, message),
    decodeRefusal,
    refusal,
  ),
  vector(
    'ping',
    '20000000 01 02 00 00 00000000 f92057c8 0300000000010000 01 00000000000000',
    encodePing,
    decodePing,
    { freeBytes: 2 ** 40 + 3, draining: true },
    0,
  ),
  vector(
    'reply to ping',
    '20000000 01 02 01 00 00000000 554bbbec 0000000000000000 00 00000000000000',
    encodePingReply,
    decodePingReply,
    { freeBytes: 0, draining: false },
    0,
  ),
  vector(
    'put, persistent',
    '25000000 01 03 00 00 ffffffff 763ac493 14131211 01 000000 0500000000001000 deadbeef00',
    encodePut,
    decodePut,
    { pool: 0x11121314, kind: 'persistent', id: 2 ** 52 + 5, bytes: page },
    0xffffffff,
  ),
  vector(
    'put, ephemeral',
    '21000000 01 03 00 00 04030201 53892e1e 00000000 00 000000 0100000000000000 7f',
    encodePut,
    decodePut,
    { pool: 0, kind: 'ephemeral', id: 1, bytes: hex('7f') },
  ),
  status('ok', 'put', '10000000 01 03 01 00 04030201 00000000'),
  status('miss', 'get', '10000000 01 04 01 01 04030201 00000000'),
  status('full', 'put', '10000000 01 03 01 02 04030201 00000000'),
  status('kind', 'put', '10000000 01 03 01 03 04030201 00000000'),
  status('busy', 'put', '10000000 01 03 01 05 04030201 00000000'),
  status('draining', 'put', '10000000 01 03 01 06 04030201 00000000'),
  status('ok', 'free', '10000000 01 05 01 00 04030201 00000000'),
  status('ok', 'destroyPool', '10000000 01 06 01 00 04030201 00000000'),
  vector(
    'get and free',
    '20000000 01 04 00 00 04030201 9f1b40c9 14131211 01 000000 ffffffffffff1f00',
    encodeGet,
    decodeGet,
    { pool: 0x11121314, id: Number.MAX_SAFE_INTEGER, free: true },
  ),
  vector(
    'get',
    '20000000 01 04 00 00 04030201 9a984347 ffffffff 00 000000 0000000001000000',
    encodeGet,
    decodeGet,
    { pool: 0xffffffff, id: 2 ** 32, free: false },
  ),
  vector(
    'reply to get',
    '15000000 01 04 01 00 04030201 c4cbc059 deadbeef00',
    encodeGetReply,
    decodeGetReply,
    page,
  ),
  vector(
    'free',
    `2c000000 01 05 00 00 04030201 f7353cca
     0200 0000 07000000 0100000001000000 ffffffff ffffffffffff1f00`,
    encodeFree,
    decodeFree,
    {
      pages: [
        { pool: 7, id: 2 ** 32 + 1 },
        { pool: 0xffffffff, id: Number.MAX_SAFE_INTEGER },
      ],
    },
  ),
  vector(
    'destroyPool',
    '14000000 01 06 00 00 04030201 b249c4df 24232221',
    encodeDestroyPool,
    decodeDestroyPool,
    {
      pool: 0x21222324,
    },
  ),
  vector('list from the start', '10000000 01 07 00 00 04030201 00000000', encodeList, decodeList, {
    cursor: undefined,
  }),
  vector('list from a cursor', '13000000 01 07 00 00 04030201 5f7d78ba c0ffee', encodeList, decodeList, {
    cursor: hex('c0ffee'),
  }),
  vector(
    'reply to list',
    `2f000000 01 07 01 00 04030201 3b6c77be
     0200 03 00 07000000 0100000001000000 08000000 0900000000000000 c0ffee`,
    encodeListReply,
    decodeListReply,
    {
      pages: [
        { pool: 7, id: 2 ** 32 + 1 },
        { pool: 8, id: 9 },
      ],
      next: hex('c0ffee'),
    },
  ),
  vector(
    'last reply to list',
    '14000000 01 07 01 00 04030201 1cdf4421 0000 00 00',
    encodeListReply,
    decodeListReply,
    { pages: [], next: undefined },
  ),
];
