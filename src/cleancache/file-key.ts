/**
 * The key of one state of a file: 24 bytes made of device, inode, size, mtime and ctime (nanoseconds).
 *
 *   0        8          16                    24
 *   | inode  | ctime ns | mix of the others   |
 *
 * Two files of a device differ in the inode, two states of a file in ctime, which no program can set: both are kept
 * whole. The rest is mixed into 64 bits. A cryptographic hash of everything says no more here, and costs 2 to 7 µs
 * for each file opened, as much as reading a small one.
 */

import type { BigIntStats } from 'node:fs';
import { Oid } from '../zcache/index.ts';

/** Inode and ctime, as 64-bit words and as halves: the words of an oid. */
const whole = new BigUint64Array(2);
const words = new Uint32Array(whole.buffer);

/** dev, size and mtime, as 64-bit words and as the halves that are mixed. */
const rest = new BigUint64Array(3);
const halves = new Uint32Array(rest.buffer);

export function fileKey({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): Oid {
  whole[0] = ino;
  whole[1] = ctimeNs;
  rest[0] = dev;
  rest[1] = size;
  rest[2] = mtimeNs;
  return Oid.fromWords([words[0]!, words[1]!, words[2]!, words[3]!, mix(0x9e3779b9), mix(0x7f4a7c15)]);
}

/** Multiply, rotate and add each half, then let the high bits reach the low ones. `seed`: any odd number. */
function mix(seed: number): number {
  let sum = seed;
  for (const half of halves) {
    sum = Math.imul(sum ^ half, 0x85ebca6b);
    sum = Math.imul((sum << 13) | (sum >>> 19), 5) + seed;
  }
  sum = Math.imul(sum ^ (sum >>> 16), 0xc2b2ae35);
  return (sum ^ (sum >>> 15)) >>> 0;
}
