// Options of any kind, seeded: each is answered, and whatever bytes come, nothing is thrown and nothing is told or
// served before TLS where that is required.
import { expect, test, vi } from 'vitest';
import type { Catalogue } from '../../../src/nbd/negotiation.ts';
import { OPT, REP } from '../../../src/nbd/protocol.ts';
import { newBench } from '../bench.ts';
import { Client, connectTo, nameOf, optionBytes, requestBytes, u16, u32 } from '../client.ts';
import { randomFrom } from '../rounds.ts';
import { anyOption, anyRequest, catalogueOf, forSeeds } from './inputs.ts';
import { Line } from './line.ts';
import { FickleVolume, type Random } from './volume.ts';

const TIMEOUT_MS = 240_000;
const GREETING_BYTES = 18;
const OPTIONS = 8;

interface Reply {
  readonly option: number;
  readonly type: number;
}

const isLast = ({ type }: Reply): boolean => type === REP.ACK || type >= 0x8000_0000;

function repliesIn(bytes: Buffer): Reply[] {
  const replies: Reply[] = [];
  let at = GREETING_BYTES;
  while (at < bytes.length) {
    expect(bytes.readBigUInt64BE(at)).toBe(0x0003e889045565a9n);
    replies.push({ option: bytes.readUInt32BE(at + 8), type: bytes.readUInt32BE(at + 12) });
    at += 20 + bytes.readUInt32BE(at + 16);
  }
  expect(at).toBe(bytes.length);
  return replies;
}

const anyTls = (random: Random): Catalogue['tls'] => (['none', 'offered', 'required'] as const)[random(3)]!;

test('each option is answered, once and in turn', { timeout: TIMEOUT_MS }, async () => {
  let [served, toTls] = [0, 0];
  await forSeeds(10_000, async (random) => {
    const volume = new FickleVolume(random, false);
    const tls = anyTls(random);
    const line = new Line(random, catalogueOf(volume, tls, random(20) === 0));
    const options = Array.from({ length: OPTIONS }, () => anyOption(random));
    const fed = await line.feed(Buffer.concat([u32(random(4)), ...options.map(({ bytes }) => bytes)]));
    await line.settle();
    // After GO the options that are left are no requests; after STARTTLS they are no TLS.
    const replies = repliesIn(line.takeSent());
    const last = replies.filter(isLast).map(({ option }) => option);
    expect(last).toEqual(options.slice(0, last.length).map(({ option }) => option));
    if (fed && !line.served && !line.over) expect(last.length).toBe(OPTIONS);
    if (line.served) served++;
    if (replies.some(({ option, type }) => option === OPT.STARTTLS && type === REP.ACK)) toTls++;
    if (tls === 'required') {
      expect(line.served).toBe(false);
      expect(replies.some(({ type }) => type === REP.SERVER || type === REP.INFO)).toBe(false);
    }
    expect(volume.wrong).toEqual([]);
    await line.drop();
    expect(line.buffersTaken).toBe(0);
  });
  expect([served > 100, toTls > 500]).toEqual([true, true]);
});

test('any bytes end in errors, an end, or a wait for more', { timeout: TIMEOUT_MS }, async () => {
  await forSeeds(8000, async (random) => {
    const volume = new FickleVolume(random, false);
    const tls = anyTls(random);
    const line = new Line(random, catalogueOf(volume, tls, random(20) === 0));
    const ends = [optionBytes(OPT.ABORT), optionBytes(OPT.EXPORT_NAME, Buffer.from('one'))];
    const options = Array.from({ length: OPTIONS }, () =>
      random(6) === 0 ? ends[random(2)]! : anyOption(random).bytes,
    );
    const bytes = Buffer.concat([u32(random(4)), ...options]);
    for (let i = random(4); i > 0; i--) bytes[random(bytes.length)] = random(256);
    await line.feed(bytes);
    await line.settle();
    if (tls === 'required') expect(line.served).toBe(false);
    expect(volume.wrong).toEqual([]);
    await line.drop();
    expect(line.buffersTaken).toBe(0);
  });
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
        random(2) === 0 ? anyOption(random).bytes : requestBytes('simple', 1n, anyRequest(random, 'simple')),
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
