// Bytes of any kind, seeded: nothing is thrown, nothing goes past the export's end, each request gets one reply.
import { expect, test, vi } from 'vitest';
import { CHUNK_HEADER_BYTES, type ReplyMode } from '../../src/nbd/messages.ts';
import { type Catalogue, Negotiation } from '../../src/nbd/negotiation.ts';
import { BufferPool, Output } from '../../src/nbd/output.ts';
import { CMD, CMD_FLAG, OPT } from '../../src/nbd/protocol.ts';
import { Transmission } from '../../src/nbd/transmission.ts';
import type { Volume } from '../../src/nbd/volume.ts';
import { newBench } from './bench.ts';
import { Client, connectTo, nameOf, optionBytes, type Request, requestBytes, u16, u32 } from './client.ts';
import { randomFrom } from './rounds.ts';

type Random = (below: number) => number;

const SIZE = 300_000;

/** A volume of plain bytes that refuses, waits and fails at random, and fails the test when asked past its end. */
class FickleVolume implements Volume {
  readonly size = SIZE;
  readonly readOnly: boolean;
  readonly durable = true;
  readonly zeroesFast = true;
  readonly bytes = Buffer.alloc(SIZE);
  calls = 0;
  readonly #random: Random;

  constructor(random: Random, readOnly: boolean) {
    this.#random = random;
    this.readOnly = readOnly;
  }

  #check(position: number, length: number): void {
    this.calls++;
    if (!Number.isSafeInteger(position) || position < 0 || length <= 0 || position + length > SIZE) {
      throw new RangeError(`asked for ${length} bytes at ${position}`);
    }
  }

  async #wait(): Promise<void> {
    for (let turns = this.#random(4); turns > 0; turns--) await Promise.resolve();
    if (this.#random(40) === 0) throw Object.assign(new Error('fickle'), { code: 'EIO' });
  }

  readNow(position: number, out: Uint8Array): number {
    this.#check(position, out.length);
    const now = this.#random(3) === 0 ? this.#random(out.length + 1) : out.length;
    out.set(this.bytes.subarray(position, position + now));
    return now;
  }

  async read(position: number, out: Uint8Array): Promise<void> {
    this.#check(position, out.length);
    await this.#wait();
    out.set(this.bytes.subarray(position, position + out.length));
  }

  writeNow(position: number, bytes: Uint8Array): number {
    this.#change(position, bytes.length);
    return this.#random(3) === 0 ? this.#random(bytes.length + 1) : bytes.length;
  }

  async write(position: number, bytes: Uint8Array): Promise<boolean> {
    this.#change(position, bytes.length);
    await this.#wait();
    return this.#random(40) !== 0;
  }

  async zero(position: number, length: number): Promise<boolean> {
    this.#change(position, length);
    await this.#wait();
    return true;
  }

  async trim(position: number, length: number): Promise<void> {
    this.#change(position, length);
    await this.#wait();
  }

  async cache(position: number, length: number): Promise<void> {
    this.#check(position, length);
    await this.#wait();
  }

  flush(): Promise<void> {
    return this.#wait();
  }

  sync(): Promise<void> {
    return this.#wait();
  }

  allocation(position: number, length: number, extentsMax: number) {
    this.#check(position, length);
    return extentsMax === 1 || length === 1
      ? [{ bytes: length, hole: true }]
      : [
          { bytes: 1, hole: false },
          { bytes: length - 1, hole: true },
        ];
  }

  #change(position: number, length: number): void {
    this.#check(position, length);
    if (this.readOnly) throw new Error('changed, but read-only');
  }
}

/** Something near a border more often than not. */
function anyPosition(random: Random): bigint {
  const near = [0n, 1n, 4096n, BigInt(SIZE), 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n][random(8)]!;
  const moved = near + BigInt(random(9000)) - 4500n;
  return random(2) === 0 ? BigInt(random(SIZE)) : BigInt.asUintN(64, moved);
}

function anyRequest(random: Random, mode: ReplyMode): Request {
  const type = random(10);
  const flags = random(3) === 0 ? random(64) : 0;
  const position = anyPosition(random);
  const length = [random(10), random(9000), random(SIZE), SIZE, 2 ** 25 + 1, 0xffff_ffff][random(6)]!;
  const carries = type === CMD.WRITE || (mode === 'extended' && (flags & CMD_FLAG.PAYLOAD_LEN) !== 0);
  if (carries) return { type, flags, position, payload: Buffer.alloc([0, 1, 512, 9000, 20_000][random(5)]!) };
  if (mode === 'extended' && random(9) === 0) return { type, flags, position, length: 2n ** 63n + 5n };
  return { type, flags, position, length };
}

/** Takes replies off; the cookies of those that are complete. */
function repliesIn(bytes: Buffer, mode: ReplyMode, lengths: Map<bigint, number>): bigint[] {
  const cookies: bigint[] = [];
  for (let at = 0; at < bytes.length; ) {
    const cookie = bytes.readBigUInt64BE(at + 8);
    expect(lengths.has(cookie), 'a reply to a request').toBe(true);
    if (mode === 'simple') {
      expect(bytes.readUInt32BE(at)).toBe(0x67446698);
      at += 16 + (bytes.readUInt32BE(at + 4) === 0 ? lengths.get(cookie)! : 0);
      cookies.push(cookie);
    } else {
      expect(bytes.readUInt32BE(at)).toBe(mode === 'extended' ? 0x6e8a278c : 0x668e33ef);
      if ((bytes.readUInt16BE(at + 4) & 1) !== 0) cookies.push(cookie);
      const payload =
        mode === 'extended' ? Number(bytes.readBigUInt64BE(at + 24)) : bytes.readUInt32BE(at + 16);
      at += CHUNK_HEADER_BYTES[mode] + payload;
    }
    expect(at).toBeLessThanOrEqual(bytes.length);
  }
  return cookies;
}

interface Line {
  readonly transmission: Transmission;
  readonly sent: Buffer[];
  /** Gives it all of `bytes`, in pieces, waiting where it waits. False when it ended before. */
  feed(bytes: Buffer): Promise<boolean>;
  settle(): Promise<void>;
}

function newLine(random: Random, mode: ReplyMode, volume: Volume): Line {
  const sent: Buffer[] = [];
  const output: Output = new Output(
    new BufferPool(),
    (bytes, done) => {
      sent.push(Buffer.from(bytes));
      if (random(2) === 0) done();
      else queueMicrotask(done);
    },
    () => transmission.roomAgain(),
  );
  const transmission = new Transmission(
    { volume, mode, allocation: mode !== 'simple' && random(2) === 0 },
    output,
    () => {},
  );
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 10_000 && !transmission.idle; turn++) {
      output.flush();
      await new Promise(setImmediate);
    }
    output.flush();
  };
  const feed = async (bytes: Buffer): Promise<boolean> => {
    for (let at = 0; at < bytes.length; ) {
      if (transmission.ending !== undefined) return false;
      const piece = random(3) === 0 ? random(60) : 70_000;
      const taken = transmission.take(bytes.subarray(at, at + piece + 1));
      output.flush();
      at += taken;
      if (taken === 0) await new Promise(setImmediate);
    }
    return true;
  };
  return { transmission, sent, feed, settle };
}

test.each(['simple', 'structured', 'extended'] as const)(
  'requests of any kind get one reply each, in %s mode',
  { timeout: 240_000 },
  async (mode) => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = randomFrom(seed);
      const volume = new FickleVolume(random, seed % 4 === 0);
      const { transmission, sent, feed, settle } = newLine(random, mode, volume);
      const lengths = new Map<bigint, number>();
      const answered: bigint[] = [];
      let alive = true;
      for (let cookie = 1n; alive && cookie <= 1000n; cookie++) {
        const request = anyRequest(random, mode);
        if (request.type === CMD.DISC) continue;
        lengths.set(cookie, request.type === CMD.READ ? Number(request.length ?? 0) : 0);
        // A payload's place is in front of the next header, also where the header lies about a long one.
        alive = await feed(requestBytes(mode, cookie, request));
        if (cookie % 100n === 0n) {
          await settle();
          // A simple read that failed in the middle has no end.
          if (transmission.ending !== undefined) break;
          answered.push(...repliesIn(Buffer.concat(sent.splice(0)), mode, lengths));
        }
      }
      if (transmission.ending === undefined) {
        await settle();
        answered.push(...repliesIn(Buffer.concat(sent), mode, lengths));
        expect(answered.sort()).toEqual([...lengths.keys()].sort());
      } else {
        expect([mode, transmission.ending]).toEqual(['simple', 'failed in the middle of a reply']);
      }
      expect(volume.calls).toBeGreaterThan(0);
    }
  },
);

test('any bytes end in an error, an end, or a wait for more: transmission', {
  timeout: 240_000,
}, async () => {
  for (let seed = 1; seed <= 3000; seed++) {
    const random = randomFrom(seed);
    const mode = (['simple', 'structured', 'extended'] as const)[seed % 3]!;
    const { transmission, feed, settle } = newLine(random, mode, new FickleVolume(random, false));
    const bytes = Buffer.concat(
      Array.from({ length: 20 }, (_, i) => requestBytes(mode, BigInt(i), anyRequest(random, mode))),
    );
    for (let i = random(12); i > 0; i--) bytes[random(bytes.length)] = random(256);
    await feed(bytes);
    if (transmission.ending === undefined) await feed(Buffer.alloc(100));
    await Promise.race([settle(), new Promise(setImmediate)]);
  }
});

function anyOption(random: Random): Buffer {
  const known = Object.values(OPT).filter((option) => option !== OPT.EXPORT_NAME && option !== OPT.ABORT);
  const option = random(6) === 0 ? random(2 ** 32) : known[random(known.length)]!;
  const name = ['one', '', 'two', 'x'.repeat(5000), '\u0000', 'grün'][random(6)]!;
  const data = [
    Buffer.alloc(0),
    Buffer.concat([nameOf(name), u16(2, 1, 3)]),
    Buffer.concat([nameOf(name), u32(2), nameOf('base:allocation'), nameOf('x:')]),
    Buffer.from(Array.from({ length: random(60) }, () => random(256))),
  ][random(4)]!;
  return optionBytes(option, data);
}

test('any options are answered, and any bytes end in an end or a wait for more: handshake', () => {
  let served = 0;
  for (let seed = 1; seed <= 20_000; seed++) {
    const random = randomFrom(seed);
    const volume = new FickleVolume(random, false);
    const one = { name: 'one', description: 'd', volume };
    const catalogue: Catalogue = {
      find: (name) => (name === 'one' || name === '' ? one : undefined),
      list: () => [one],
      tls: (['none', 'offered', 'required'] as const)[random(3)]!,
      stopping: random(20) === 0,
    };
    const sent: Buffer[] = [];
    const negotiation = new Negotiation(catalogue, (bytes) => sent.push(bytes) > 0);
    const bytes = Buffer.concat([u32(random(4)), ...Array.from({ length: 8 }, () => anyOption(random))]);
    for (let i = random(3); i > 0; i--) bytes[random(bytes.length)] = random(256);
    let at = 0;
    while (at < bytes.length && negotiation.outcome === undefined) {
      const taken = negotiation.take(bytes.subarray(at, at + 1 + random(200)));
      expect(taken).toBeGreaterThan(0);
      at += taken;
    }
    expect(
      sent.every((reply, i) => i === 0 || reply.readUInt32BE(0) === 0x0003e889 || reply.length >= 10),
    ).toBe(true);
    if (negotiation.outcome?.next === 'serve') served++;
    if (catalogue.tls === 'required') expect(negotiation.outcome?.next).not.toBe('serve');
  }
  expect(served).toBeGreaterThan(500);
});

test('connections that send anything leave nothing behind, and others are served', async () => {
  const { path, server } = await newBench();
  const good = await Client.open(path);
  await good.write(0, Buffer.alloc(4096, 7));
  for (let seed = 1; seed <= 300; seed++) {
    const random = randomFrom(seed);
    const socket = await connectTo(path);
    socket.on('error', () => {});
    socket.resume();
    const go = optionBytes(OPT.GO, Buffer.concat([nameOf('one'), u16(0)]));
    const parts = [u32(3), ...(random(2) === 0 ? [go] : [])];
    for (let i = 0; i < 5; i++) {
      parts.push(
        random(2) === 0 ? anyOption(random) : requestBytes('simple', 1n, anyRequest(random, 'simple')),
      );
    }
    const bytes = Buffer.concat(parts);
    if (random(2) === 0) bytes[random(bytes.length)] = random(256);
    socket.write(bytes.subarray(0, random(bytes.length)));
    await new Promise(setImmediate);
    if (random(2) === 0) socket.destroy();
    else socket.end();
  }
  await vi.waitFor(() => expect(server.connections).toBe(1), { timeout: 20_000 });
  expect((await good.read(0, 512)).length).toBe(512);
  await good.close();
});
