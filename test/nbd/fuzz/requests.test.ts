// Requests of any kind, seeded, on connections without sockets: nothing is thrown, nothing goes past the export's end,
// each request gets one reply and its own data, and nothing is left behind.
import { expect, test } from 'vitest';
import { CHUNK_HEADER_BYTES, type ReplyMode } from '../../../src/nbd/messages.ts';
import { CHUNK, CMD, OPT } from '../../../src/nbd/protocol.ts';
import { nameOf, optionBytes, type Request, requestBytes, u16, u32 } from '../client.ts';
import { randomFrom } from '../rounds.ts';
import { anyRequest, catalogueOf, forSeeds } from './inputs.ts';
import { Line } from './line.ts';
import { CONTENT, FickleVolume, type Random } from './volume.ts';

const TIMEOUT_MS = 240_000;
/** Requests of each connection; of all: 300,000. */
const REQUESTS = 1000;
const BATCH = 100;

const go = optionBytes(OPT.GO, Buffer.concat([nameOf('one'), u16(0)]));
const meta = optionBytes(
  OPT.SET_META_CONTEXT,
  Buffer.concat([nameOf('one'), u32(1), nameOf('base:allocation')]),
);
const modeOption = { structured: OPT.STRUCTURED_REPLY, extended: OPT.EXTENDED_HEADERS } as const;

/** A connection that has got as far as its first request. */
async function openLine(random: Random, mode: ReplyMode, volume: FickleVolume): Promise<Line> {
  const line = new Line(random, catalogueOf(volume));
  const options =
    mode === 'simple' ? [] : [optionBytes(modeOption[mode]), ...(random(2) === 0 ? [meta] : [])];
  await line.feed(Buffer.concat([u32(3), ...options, go]));
  await line.settle();
  line.takeSent();
  expect(line.served).toBe(true);
  return line;
}

/** Takes replies off what was sent. */
class Replies {
  readonly mode: ReplyMode;
  readonly asked = new Map<bigint, Request>();
  readonly answered = new Set<bigint>();
  /** Bytes of writes that succeeded. */
  writtenBytes = 0;

  constructor(mode: ReplyMode) {
    this.mode = mode;
  }

  /** `cut`: the connection ended, maybe in the middle of a reply. */
  take(bytes: Buffer, cut: boolean): void {
    let at = 0;
    while (at < bytes.length) {
      const length = this.mode === 'simple' ? this.#simple(bytes, at) : this.#chunk(bytes, at, this.mode);
      at += length;
    }
    expect(cut ? at >= bytes.length : at === bytes.length).toBe(true);
  }

  #simple(bytes: Buffer, at: number): number {
    expect(bytes.readUInt32BE(at)).toBe(0x67446698);
    const cookie = bytes.readBigUInt64BE(at + 8);
    const request = this.#requestOf(cookie);
    const failed = bytes.readUInt32BE(at + 4) !== 0;
    this.#complete(cookie, failed);
    if (failed || request.type !== CMD.READ) return 16;
    const length = Number(request.length);
    this.#compare(bytes.subarray(at + 16, at + 16 + length), Number(request.position));
    return 16 + length;
  }

  #chunk(bytes: Buffer, at: number, mode: 'structured' | 'extended'): number {
    expect(bytes.readUInt32BE(at)).toBe(mode === 'extended' ? 0x6e8a278c : 0x668e33ef);
    const cookie = bytes.readBigUInt64BE(at + 8);
    const request = this.#requestOf(cookie);
    const type = bytes.readUInt16BE(at + 6);
    const header = CHUNK_HEADER_BYTES[mode];
    const length = mode === 'extended' ? Number(bytes.readBigUInt64BE(at + 24)) : bytes.readUInt32BE(at + 16);
    if (type === CHUNK.OFFSET_DATA) {
      const position = Number(bytes.readBigUInt64BE(at + header));
      this.#compare(bytes.subarray(at + header + 8, at + header + length), position);
      expect(position - Number(request.position)).toBeGreaterThanOrEqual(0);
    }
    if ((bytes.readUInt16BE(at + 4) & 1) !== 0) this.#complete(cookie, type >= 0x8000);
    return header + length;
  }

  #requestOf(cookie: bigint): Request {
    const request = this.asked.get(cookie);
    if (request === undefined || this.answered.has(cookie))
      expect.fail(`a reply to nobody, or a second one: ${cookie}`);
    return request;
  }

  #complete(cookie: bigint, failed: boolean): void {
    this.answered.add(cookie);
    const { type, payload } = this.#requestIn(cookie);
    if (type === CMD.WRITE && !failed) this.writtenBytes += payload?.length ?? 0;
  }

  #requestIn(cookie: bigint): Request {
    return this.asked.get(cookie) as Request;
  }

  #compare(data: Buffer, position: number): void {
    const same = CONTENT.compare(data, 0, data.length, position, position + data.length) === 0;
    if (!same) expect.fail(`other data than there is: ${data.length} bytes at ${position}`);
  }
}

test.each(['simple', 'structured', 'extended'] as const)(
  'each request gets one reply, in %s mode',
  { timeout: TIMEOUT_MS },
  async (mode) => {
    let whole = 0;
    await forSeeds(100, async (random, seed) => {
      const volume = new FickleVolume(random, seed % 4 === 0);
      const line = await openLine(random, mode, volume);
      const replies = new Replies(mode);
      for (let first = 0; first < REQUESTS && !line.over; first += BATCH) {
        const batch = Array.from({ length: BATCH }, (_, i) => {
          const cookie = (BigInt(random(2 ** 32)) << 32n) + BigInt(first + i);
          const request = anyRequest(random, mode);
          replies.asked.set(cookie, request);
          return requestBytes(mode, cookie, request);
        });
        await line.feed(Buffer.concat(batch));
        await line.settle();
        replies.take(line.takeSent(), line.over);
      }
      expect(volume.wrong).toEqual([]);
      expect(volume.calls).toBeGreaterThan(0);
      expect(volume.writtenBytes).toBeGreaterThanOrEqual(replies.writtenBytes);
      if (line.over) {
        // A simple read that fails in the middle has no end.
        expect([mode, line.closed]).toEqual(['simple', 'failed in the middle of a reply']);
      } else {
        whole++;
        expect(replies.answered.size).toBe(replies.asked.size);
        await line.feed(requestBytes(mode, 0n, { type: CMD.DISC }));
        await line.settle();
        expect([line.closed, line.takeSent().length]).toEqual(['disconnected', 0]);
      }
      expect(line.buffersTaken).toBe(0);
    });
    expect(whole).toBeGreaterThan(10);
  },
);

test('after a simple read that fails in the middle nothing is sent that could be taken for its data', async () => {
  const random = randomFrom(1);
  const volume = new FickleVolume(random, false);
  const line = await openLine(random, 'simple', volume);
  const pieceBytes = 256 * 1024;
  let zeroed = (_: boolean): void => {};
  volume.zero = () =>
    new Promise((resolve) => {
      zeroed = resolve;
    });
  volume.readNow = (position, out) => (position === 0 ? out.length : 0);
  volume.read = async () => {
    zeroed(true); // the other request ends while this one is half answered
    await new Promise(setImmediate);
    throw new Error('of the device');
  };
  const zero = requestBytes('simple', 1n, { type: CMD.WRITE_ZEROES, length: 4096 });
  await line.feed(
    Buffer.concat([zero, requestBytes('simple', 2n, { type: CMD.READ, length: pieceBytes + 16 })]),
  );
  await line.settle();
  expect([line.closed, line.takeSent().length]).toEqual(['failed in the middle of a reply', 16 + pieceBytes]);
});

test('clients that vanish at any moment leave nothing behind', { timeout: TIMEOUT_MS }, async () => {
  await forSeeds(1000, async (random) => {
    const mode = (['simple', 'structured', 'extended'] as const)[random(3)]!;
    const volume = new FickleVolume(random, false);
    const line = await openLine(random, mode, volume);
    const requests = Array.from({ length: 20 }, (_, i) =>
      requestBytes(mode, BigInt(i), anyRequest(random, mode)),
    );
    const bytes = Buffer.concat(requests);
    await line.feed(bytes.subarray(0, random(bytes.length)));
    await line.drop();
    expect(volume.wrong).toEqual([]);
    expect(line.buffersTaken).toBe(0);
  });
});

test('any bytes end in errors, an end, or a wait for more', { timeout: TIMEOUT_MS }, async () => {
  await forSeeds(3000, async (random) => {
    const mode = (['simple', 'structured', 'extended'] as const)[random(3)]!;
    const volume = new FickleVolume(random, random(4) === 0);
    const line = await openLine(random, mode, volume);
    const requests = Array.from({ length: 20 }, (_, i) =>
      requestBytes(mode, BigInt(i), anyRequest(random, mode)),
    );
    const bytes = Buffer.concat(requests);
    // Where a payload is changed, what reaches the volume is: its bytes are not compared then.
    for (let i = random(12); i > 0; i--) bytes[random(bytes.length)] = random(256);
    await line.feed(bytes);
    await line.drop();
    expect(volume.wrong.filter((what) => !what.startsWith('other bytes'))).toEqual([]);
    expect(line.buffersTaken).toBe(0);
  });
});
