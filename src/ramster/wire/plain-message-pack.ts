/**
 * Whether bytes are exactly one MessagePack value made of maps, arrays, strings, bytes, numbers, true, false and nil.
 *
 * Asked before the MessagePack library is: extension types of its own (records that it compiles, cyclic references,
 * regular expressions) must not come from a stranger, and every length must lie within the bytes. Goes over each byte
 * once at most, without recursion.
 */

/** Tokens followed by a value of fixed length, with that length. */
const FIXED_BYTES = new Map([
  ...[0xc0, 0xc2, 0xc3].map((token) => [token, 0] as const),
  ...[0xcc, 0xd0].map((token) => [token, 1] as const),
  ...[0xcd, 0xd1].map((token) => [token, 2] as const),
  ...[0xca, 0xce, 0xd2].map((token) => [token, 4] as const),
  ...[0xcb, 0xcf, 0xd3].map((token) => [token, 8] as const),
]);

/** Tokens followed by a length: how many bytes it has, and how many values each unit of it stands for (0: bytes). */
const COUNTED = new Map([
  ...[0xc4, 0xd9].map((token) => [token, { width: 1, values: 0 }] as const),
  ...[0xc5, 0xda].map((token) => [token, { width: 2, values: 0 }] as const),
  ...[0xc6, 0xdb].map((token) => [token, { width: 4, values: 0 }] as const),
  [0xdc, { width: 2, values: 1 }],
  [0xdd, { width: 4, values: 1 }],
  [0xde, { width: 2, values: 2 }],
  [0xdf, { width: 4, values: 2 }],
]);

export function isPlainMessagePack(bytes: Uint8Array): boolean {
  let at = 0;
  for (let wanted = 1; wanted > 0; wanted--) {
    const token = bytes[at++];
    if (token === undefined) return false;
    if (token < 0x80 || token >= 0xe0) continue;
    if (token < 0x90) {
      wanted += (token & 0x0f) * 2;
    } else if (token < 0xa0) {
      wanted += token & 0x0f;
    } else if (token < 0xc0) {
      at += token & 0x1f;
    } else if (COUNTED.has(token)) {
      const counted = COUNTED.get(token)!;
      const length = bigEndian(bytes, at, counted.width);
      at += counted.width;
      if (counted.values === 0) at += length;
      else wanted += length * counted.values;
    } else {
      const fixed = FIXED_BYTES.get(token);
      if (fixed === undefined) return false;
      at += fixed;
    }
  }
  return at === bytes.length;
}

/** Bytes behind the end count as 0: whoever asks sees then that `at` is behind it. */
function bigEndian(bytes: Uint8Array, at: number, width: number): number {
  let value = 0;
  for (let i = 0; i < width; i++) value = value * 256 + (bytes[at + i] ?? 0);
  return value;
}
