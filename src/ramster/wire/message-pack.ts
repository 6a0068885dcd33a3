/**
 * MessagePack of what others send: plain values only (maps, lists, text, bytes, numbers, true, false and nil), and no
 * more of them than the messages of this protocol need.
 */

import { decode, encode } from '@msgpack/msgpack';

/** Far more than any message has: bounds what a stranger can make a node allocate. */
const ITEMS_MAX = 256;
const BYTES_MAX = 65_536;

/** Extension types, times among them, are no values of a message. */
const extensionCodec = {
  tryToEncode: () => null,
  decode: (_bytes: Uint8Array, type: number): never => {
    throw new Error(`extension type ${type}`);
  },
};

export function pack(value: unknown): Uint8Array {
  return encode(value);
}

/** @throws an Error if it is not exactly one plain value */
export function unpack(bytes: Uint8Array): unknown {
  return decode(bytes, {
    extensionCodec,
    ...{ maxArrayLength: ITEMS_MAX, maxMapLength: ITEMS_MAX, maxExtLength: 0 },
    ...{ maxStrLength: BYTES_MAX, maxBinLength: BYTES_MAX },
  });
}
