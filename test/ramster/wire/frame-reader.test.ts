// However a stream is cut into chunks, the same frames come out of it, and no more than one is kept.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FRAME_BYTES_MAX, FrameReader, WireError } from '../../../src/ramster/wire/frame.ts';
import { encodeGetReply, encodeListReply } from '../../../src/ramster/wire/messages.ts';
import { hex, joined, vectors } from './vectors.ts';

const longest = joined([hex('00400000'), new Uint8Array(FRAME_BYTES_MAX - 4).fill(5)]);
const frames = [
  ...vectors.map(({ bytes }) => bytes),
  joined(encodeGetReply(1, new Uint8Array(4096).fill(3))),
  joined(
    encodeListReply(2, { pages: Array.from({ length: 1000 }, () => ({ pool: 1, id: 1 })), next: undefined }),
  ),
  longest,
];
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** What a new reader delivers for these chunks, copied. */
function read(chunks: readonly Uint8Array[]): string[] {
  const reader = new FrameReader();
  const found: string[] = [];
  for (const chunk of chunks) reader.push(chunk, (frame) => found.push(hexOf(frame)));
  return found;
}

function cut(stream: Uint8Array, places: readonly number[]): Uint8Array[] {
  const ends = [...places, stream.length].sort((a, b) => a - b);
  return ends.map((end, i) => stream.slice(i === 0 ? 0 : ends[i - 1], end));
}

describe('a stream', () => {
  const few = vectors.map(({ bytes }) => bytes);
  const stream = joined(few);

  test('comes out whole when it comes in one chunk, or byte by byte', () => {
    expect(read([stream])).toEqual(few.map(hexOf));
    expect(read(Array.from(stream, (byte) => new Uint8Array([byte])))).toEqual(few.map(hexOf));
  });

  test('may be cut at any byte', () => {
    const expected = few.map(hexOf);
    for (let at = 0; at <= stream.length; at++) expect(read(cut(stream, [at]))).toEqual(expected);
  });

  test('may be cut in any way, with frames of any length', () => {
    const sequences = fc.array(fc.constantFrom(...frames), { minLength: 1, maxLength: 12 });
    const cuts = fc.array(fc.nat(2 ** 30), { maxLength: 30 });
    fc.assert(
      fc.property(sequences, cuts, (sequence, places) => {
        const bytes = joined(sequence);
        const chunks = cut(
          bytes,
          places.map((place) => place % (bytes.length + 1)),
        );
        expect(read(chunks)).toEqual(sequence.map(hexOf));
      }),
      { numRuns: 300 },
    );
  });

  test('delivers nothing of a frame that is not complete', () => {
    for (let length = 0; length < longest.length; length += 97) {
      expect(read([longest.subarray(0, length)])).toEqual([]);
    }
  });
});

describe('frames that lie whole in a chunk', () => {
  test('are views of it', () => {
    const chunk = joined(frames);
    const reader = new FrameReader();
    const places: unknown[] = [];
    reader.push(chunk, ({ buffer, byteOffset }) => places.push([buffer === chunk.buffer, byteOffset]));
    let at = 0;
    const expected = frames.map(({ length }) => {
      at += length;
      return [true, at - length];
    });
    expect(places).toEqual(expected);
  });
});

describe('frames that do not', () => {
  test('are collected in one buffer of the longest frame, used again and again', () => {
    const reader = new FrameReader();
    const buffers = new Set<ArrayBufferLike>();
    for (let i = 0; i < 100; i++) {
      for (const chunk of cut(longest, [1 + i, 9000 + i]))
        reader.push(chunk, ({ buffer }) => buffers.add(buffer));
    }
    expect([...buffers].map(({ byteLength }) => byteLength)).toEqual([FRAME_BYTES_MAX]);
  });
});

describe('an impossible length', () => {
  const impossible = ['00000000', '01000000', '0f000000', '01400000', 'ffffffff', '00000080', '47455420'];

  test.each(impossible)('of %s is refused as soon as it is known, wherever it is cut', (text) => {
    for (let at = 0; at < 4; at++) {
      const reader = new FrameReader();
      const chunks = cut(hex(text), [at]);
      expect(() => {
        for (const chunk of chunks) reader.push(chunk, () => expect.unreachable());
      }).toThrow(WireError);
    }
  });

  test('ends the stream: what comes after is not taken for frames, what came before is delivered', () => {
    const reader = new FrameReader();
    const found: string[] = [];
    const deliver = (frame: Uint8Array) => void found.push(hexOf(frame));
    const good = vectors[0]!.bytes;
    expect(() => reader.push(joined([good, hex('00000000'), good]), deliver)).toThrow(
      'a frame of 0 bytes; allowed are 16 to 16384',
    );
    expect(() => reader.push(good, deliver)).toThrow(WireError);
    expect(found).toEqual([hexOf(good)]);
  });
});

test('an error of who takes the frames ends the stream, too', () => {
  const reader = new FrameReader();
  const good = vectors[0]!.bytes;
  const failing = () => {
    throw new Error('of the taker');
  };
  expect(() => reader.push(good, failing)).toThrow('of the taker');
  expect(() => reader.push(good, () => expect.unreachable())).toThrow(WireError);
});
