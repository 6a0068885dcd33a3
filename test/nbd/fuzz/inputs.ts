// Requests and options of any kind, and how the tests run through seeds.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'vitest';
import type { ReplyMode } from '../../../src/nbd/messages.ts';
import type { Catalogue } from '../../../src/nbd/negotiation.ts';
import { CMD, CMD_FLAG, OPT } from '../../../src/nbd/protocol.ts';
import type { Volume } from '../../../src/nbd/volume.ts';
import { nameOf, optionBytes, type Request, u16, u32 } from '../client.ts';
import { randomFrom } from '../rounds.ts';
import { CONTENT, type Random, SIZE } from './volume.ts';

/** Memory of the process that may be more after all seeds than after the first tenth. */
const GROWTH_BYTES_MAX = 2 * 2 ** 20;

const COLLECTIONS = 4;

/** Runs seeds 1 to `count`; what fails says with which one. Memory does not grow with their number. */
export async function forSeeds(
  count: number,
  work: (random: Random, seed: number) => void | Promise<void>,
): Promise<void> {
  let before = 0;
  for (let seed = 1; seed <= count; seed++) {
    try {
      await work(randomFrom(seed), seed);
    } catch (error) {
      if (error instanceof Error) error.message = `seed ${seed}: ${error.message}`;
      throw error;
    }
    if (seed === Math.ceil(count / 10)) before = await usedBytes();
  }
  expect((await usedBytes()) - before).toBeLessThan(GROWTH_BYTES_MAX);
}

/** Memory in use after garbage collections: buffers are given back some time after what had them. */
async function usedBytes(): Promise<number> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let i = 0; i < COLLECTIONS; i++) {
    collect();
    await new Promise(setImmediate);
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const PAYLOADS = [0, 1, 512, 9000, 20_000] as const;
const TOO_LONG = [2 ** 25 + 1, 0xffff_ffff] as const;

/** Somewhere in the export, or near a place where numbers end. */
function anyPosition(random: Random): bigint {
  const near = [0n, 1n, 4096n, BigInt(SIZE), 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n][random(8)]!;
  const moved = near + BigInt(random(9000)) - 4500n;
  return random(2) === 0 ? BigInt(random(SIZE)) : BigInt.asUintN(64, moved);
}

/** A request of any kind, with the payload that its header announces; none that ends the connection. */
export function anyRequest(random: Random, mode: ReplyMode): Request {
  const type = random(9);
  if (type === CMD.DISC) return { type: 9 + random(60_000), length: random(4096) };
  const flags = random(3) === 0 ? random(64) : 0;
  const carries = type === CMD.WRITE || (mode === 'extended' && (flags & CMD_FLAG.PAYLOAD_LEN) !== 0);
  const lengths = carries
    ? PAYLOADS
    : [random(10), random(9000), random(9000), random(SIZE), SIZE, ...TOO_LONG];
  const length = lengths[random(lengths.length)]!;
  const atEnd = random(4) === 0 && length <= SIZE - 2;
  const position = atEnd ? BigInt(SIZE - length - 2 + random(5)) : anyPosition(random);
  if (carries) return { type, flags, position, payload: contentAt(position, length) };
  if (mode === 'extended' && random(9) === 0) return { type, flags, position, length: 2n ** 63n + 5n };
  return { type, flags, position, length };
}

/** What belongs there; zeroes where that is past the end. */
function contentAt(position: bigint, length: number): Buffer {
  const end = position + BigInt(length);
  return end <= BigInt(SIZE) ? CONTENT.subarray(Number(position), Number(end)) : Buffer.alloc(length);
}

const LONG_NAME = 'x'.repeat(5000);

export interface Option {
  readonly option: number;
  readonly bytes: Buffer;
}

/** An option of any kind, but not one that ends the handshake without an answer of its own. */
export function anyOption(random: Random): Option {
  const known = Object.values(OPT).filter((option) => option !== OPT.EXPORT_NAME && option !== OPT.ABORT);
  const option = random(6) === 0 ? 100 + random(2 ** 31) : known[random(known.length)]!;
  const name = ['one', '', 'two', random(20) === 0 ? LONG_NAME : 'y', '\u0000', 'grün'][random(6)]!;
  const data = [
    Buffer.alloc(0),
    Buffer.concat([nameOf(name), u16(2, 1, 3)]),
    Buffer.concat([nameOf(name), u32(2), nameOf('base:allocation'), nameOf('x:')]),
    Buffer.from(Array.from({ length: random(60) }, () => random(256))),
    Buffer.alloc(random(30) === 0 ? 70_000 : 3),
  ][random(5)]!;
  return { option, bytes: optionBytes(option, data) };
}

/** A server with one export. */
export function catalogueOf(volume: Volume, tls: Catalogue['tls'] = 'none', stopping = false): Catalogue {
  const one = { name: 'one', description: 'd', volume };
  return {
    find: (name) => (name === 'one' || name === '' ? one : undefined),
    list: () => [one],
    ...{ tls, stopping },
  };
}
