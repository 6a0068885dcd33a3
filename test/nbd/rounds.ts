// Random requests against a model, in rounds: those of one round run at one time, on several connections, and overlap.
//
// The model knows, for each block of 512 bytes, which contents it may have: after a round the one before it if nothing
// touched the block, else what one of the round's requests left there. What a read finds once all is quiet is what
// every later one has to find.

import { expect } from 'vitest';
import { CMD, CMD_FLAG, ERROR } from '../../src/nbd/protocol.ts';
import type { Client } from './client.ts';

export const BLOCK = 512;
/** Content of a block that holds zeroes, or was never written. */
export const ZERO = 0;

export function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const noise = Buffer.alloc(64 * 1024);
const noiseRandom = randomFrom(1);
for (let at = 0; at < noise.length; at += 4) noise.writeUInt32BE(noiseRandom(2 ** 32), at);

/** Block `block` as write `id` writes it: some compress, some do not. */
export function contentOf(id: number, block: number): Buffer {
  const bytes = Buffer.alloc(BLOCK, id & 0xff);
  if (id === ZERO) return bytes;
  if (id % 3 !== 0) {
    const from = randomFrom(id * 7919 + block)(noise.length - BLOCK);
    noise.copy(bytes, 0, from, from + BLOCK);
  }
  bytes.writeUInt32BE(id, 0);
  bytes.writeUInt32BE(block, 4);
  return bytes;
}

/** Which write a block holds; undefined: none of this block, or several. */
export function idIn(bytes: Buffer, block: number): number | undefined {
  const id = bytes.readUInt32BE(4) === block ? bytes.readUInt32BE(0) : ZERO;
  return bytes.equals(contentOf(id, block)) ? id : undefined;
}

interface Touch {
  readonly first: number;
  readonly end: number;
  readonly id: number;
  /** It may also have left things as they were. */
  perhaps: boolean;
}

export interface RoundOptions {
  readonly rounds: number;
  /** Requests of one round. */
  readonly width: number;
  readonly seed: number;
  /** Whether the export may be full. */
  readonly mayBeFull?: boolean;
  /** Something else to do while a round's requests run. */
  readonly meanwhile?: (random: (below: number) => number) => Promise<unknown>;
}

export class Rounds {
  readonly clients: readonly Client[];
  readonly blocks: number;
  /** What each block may hold. */
  readonly model: Set<number>[];
  readonly #options: RoundOptions;
  readonly #random: (below: number) => number;
  #id = 0;

  constructor(clients: readonly Client[], bytes: number, options: RoundOptions) {
    this.clients = clients;
    this.blocks = bytes / BLOCK;
    this.model = Array.from({ length: this.blocks }, () => new Set([ZERO]));
    this.#options = options;
    this.#random = randomFrom(options.seed);
  }

  async run(): Promise<void> {
    for (let round = 0; round < this.#options.rounds; round++) {
      await this.#round();
      if (round % 10 === 9) await this.settle();
    }
    await this.settle();
  }

  /** Reads everything while nothing runs: that is what it holds from now on. */
  async settle(): Promise<void> {
    const step = 512;
    for (let first = 0; first < this.blocks; first += step) {
      const count = Math.min(step, this.blocks - first);
      const client = this.clients[this.#random(this.clients.length)]!;
      this.#look(await client.read(first * BLOCK, count * BLOCK), first, [], true);
    }
  }

  /** What the whole export should look like, once settled. */
  image(): Buffer {
    return Buffer.concat(this.model.map((held, block) => contentOf([...held][0]!, block)));
  }

  async #round(): Promise<void> {
    const touches: Touch[] = [];
    const reads: { first: number; bytes: Promise<Buffer> }[] = [];
    const running: Promise<unknown>[] = [];
    for (let i = 0; i < this.#options.width; i++) {
      const client = this.clients[this.#random(this.clients.length)]!;
      const first = this.#random(this.blocks);
      const longest = [1, 8, 24, 200, 700][this.#random(5)]!;
      const count = Math.min(1 + this.#random(longest), this.blocks - first);
      if (this.#random(3) === 0) {
        reads.push({ first, bytes: client.read(first * BLOCK, count * BLOCK) });
      } else {
        running.push(this.#change(client, first, count, touches));
      }
    }
    if (this.#options.meanwhile) running.push(this.#options.meanwhile(this.#random));
    await Promise.all(running);
    for (const { first, bytes } of reads) this.#look(await bytes, first, touches, false);
    this.#apply(touches);
  }

  async #change(client: Client, first: number, count: number, touches: Touch[]): Promise<void> {
    const kind = this.#random(8);
    const fua = this.#random(10) === 0 ? CMD_FLAG.FUA : 0;
    const position = first * BLOCK;
    const length = count * BLOCK;
    const end = first + count;
    let error: number;
    if (kind < 5) {
      const id = ++this.#id;
      const touch = { first, end, id, perhaps: false };
      touches.push(touch);
      const blocks = Array.from({ length: count }, (_, i) => contentOf(id, first + i));
      error = await client.write(position, Buffer.concat(blocks), fua);
      touch.perhaps = error !== 0;
    } else if (kind === 5) {
      const touch = { first, end, id: ZERO, perhaps: false };
      touches.push(touch);
      const noHole = this.#random(2) === 0 ? CMD_FLAG.NO_HOLE : 0;
      error = await client.command(CMD.WRITE_ZEROES, position, length, fua | noHole);
      touch.perhaps = error !== 0;
    } else if (kind === 6) {
      // A trim may do nothing.
      touches.push({ first, end, id: ZERO, perhaps: true });
      error = await client.command(CMD.TRIM, position, length, fua);
    } else {
      error = await client.command(this.#random(2) === 0 ? CMD.FLUSH : CMD.CACHE);
    }
    expect(error === 0 || (this.#options.mayBeFull === true && error === ERROR.ENOSPC)).toBe(true);
  }

  /** `bytes`, read from block `first` on, may only hold what the model or one of the touches allows. */
  #look(bytes: Buffer, first: number, touches: readonly Touch[], settles: boolean): void {
    for (let at = 0; at < bytes.length; at += BLOCK) {
      const block = first + at / BLOCK;
      const found = bytes.subarray(at, at + BLOCK);
      const id = idIn(found, block);
      if (id === undefined) expect.fail(`block ${block} is torn or of another place`);
      const allowed = this.model[block]!;
      const touched = touches.some((touch) => touch.id === id && touch.first <= block && block < touch.end);
      if (!allowed.has(id) && !touched) {
        expect.fail(`block ${block} holds write ${id}, allowed are ${[...allowed].join(', ')}`);
      }
      if (settles) this.model[block] = new Set([id]);
    }
  }

  #apply(touches: readonly Touch[]): void {
    for (const { first, end, perhaps } of touches) {
      if (perhaps) continue;
      // Whatever was there before the round is gone for sure.
      for (let block = first; block < end; block++) this.model[block] = new Set();
    }
    for (const { first, end, id } of touches) {
      for (let block = first; block < end; block++) this.model[block]!.add(id);
    }
  }
}
