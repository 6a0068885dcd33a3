/**
 * Frames: what travels between nodes, a head of 16 bytes and a body. Little-endian.
 *
 *   0   u32  length of the whole frame, 16 to 16384
 *   4   u8   version of the frame, 1
 *   5   u8   type of the message, the same in a request and its reply
 *   6   u8   flags: bit 0 = reply, the others 0
 *   7   u8   status, 0 in requests
 *   8   u32  request id, the same in a request and its reply
 *   12  u32  CRC-32 of the body
 *   16       body (messages.ts)
 *
 * Rule: whatever arrives is either a frame as above or a WireError, and never more is kept than one frame.
 * docs/formats/ramster.md describes all of it.
 */

import { crc32 } from 'node:zlib';
import { readU32, writeU32 } from './fields.ts';
import { WireError } from './wire-error.ts';

export { WireError } from './wire-error.ts';

export const HEAD_BYTES = 16;
/** Longest frame: four pages, more than the longest list of pages needs. */
export const FRAME_BYTES_MAX = 16_384;
export const BODY_BYTES_MAX = FRAME_BYTES_MAX - HEAD_BYTES;

const VERSION = 1;
const REPLY_FLAG = 1;
const LENGTH_BYTES = 4;

/** By their number on the wire. */
const TYPES = [undefined, 'hello', 'ping', 'put', 'get', 'free', 'destroyPool', 'list'] as const;
const STATUSES = ['ok', 'miss', 'full', 'kind', 'refused', 'busy', 'draining'] as const;

export type MessageType = NonNullable<(typeof TYPES)[number]>;
export type Status = (typeof STATUSES)[number];

export interface FrameHead {
  readonly type: MessageType;
  readonly isReply: boolean;
  /** Of a request always 'ok'. */
  readonly status: Status;
  /** u32 that the requester chose. */
  readonly request: number;
}

export interface Frame extends FrameHead {
  /** 0 to 16368 bytes; decoded, a view of the frame. */
  readonly body: Uint8Array;
}

const NUMBER_OF_TYPE = numbersOf<MessageType>(TYPES);
const NUMBER_OF_STATUS = numbersOf<Status>(STATUSES);

function numbersOf<Word extends string>(words: readonly (Word | undefined)[]) {
  return Object.fromEntries(words.map((word, number) => [word, number])) as Record<Word, number>;
}

/**
 * A frame as the parts to send one behind the other: its head, then `body` as it is, not copied.
 *
 * @throws WireError when the frame would be too long or the head is impossible
 */
export function encodeFrame(head: FrameHead, ...body: Uint8Array[]): Uint8Array[] {
  return encodeAfter(head, newHead(0), ...body);
}

/** Room for a head and `bytes` first bytes of the body behind it; all of it is to be written. */
export function newHead(bytes: number): Buffer {
  return Buffer.allocUnsafe(HEAD_BYTES + bytes);
}

/** Like `encodeFrame`, with the first bytes of the body behind the room for the head, in one buffer (`newHead`). */
export function encodeAfter(head: FrameHead, first: Buffer, ...rest: Uint8Array[]): Uint8Array[] {
  let length = first.length;
  let crc = first.length > HEAD_BYTES ? crc32(first.subarray(HEAD_BYTES)) : 0;
  for (const part of rest) {
    length += part.length;
    crc = crc32(part, crc);
  }
  if (length > FRAME_BYTES_MAX) {
    throw new WireError(`a frame of ${length} bytes; the longest has ${FRAME_BYTES_MAX}`);
  }
  const type = NUMBER_OF_TYPE[head.type];
  const status = NUMBER_OF_STATUS[head.status];
  if (type === undefined || status === undefined || (status !== 0 && !head.isReply)) {
    throw new WireError(`there is no ${head.isReply ? 'reply' : 'request'} ${head.type} with ${head.status}`);
  }
  first.writeUInt32LE(length, 0);
  first[4] = VERSION;
  first[5] = type;
  first[6] = head.isReply ? REPLY_FLAG : 0;
  first[7] = status;
  writeU32(first, 8, head.request, 'request id');
  first.writeUInt32LE(crc, 12);
  return [first, ...rest];
}

/**
 * Reads one whole frame; its body is a view of `bytes`.
 *
 * @throws WireError when it is no frame of this version
 */
export function decodeFrame(bytes: Uint8Array): Frame {
  if (bytes.length < HEAD_BYTES) throw new WireError(`${bytes.length} bytes are no frame: its head has 16`);
  const length = lengthAt(bytes, 0);
  if (length !== bytes.length) {
    throw new WireError(`a frame of ${bytes.length} bytes says that it has ${length}`);
  }
  if (bytes[4] !== VERSION) throw new WireError(`frame version ${bytes[4]}; this node speaks ${VERSION}`);
  const type = TYPES[bytes[5]!];
  if (type === undefined) throw new WireError(`unknown message type ${bytes[5]}`);
  const flags = bytes[6]!;
  if ((flags & ~REPLY_FLAG) !== 0) throw new WireError(`unknown flags ${flags}`);
  const isReply = flags === REPLY_FLAG;
  const status = STATUSES[bytes[7]!];
  if (status === undefined) throw new WireError(`unknown status ${bytes[7]}`);
  if (!isReply && status !== 'ok') throw new WireError(`a request with status ${bytes[7]}; it must be 0`);
  // Never a Buffer, whose slice would not copy.
  const body = new Uint8Array(bytes.buffer, bytes.byteOffset + HEAD_BYTES, length - HEAD_BYTES);
  if (crc32(body) !== readU32(bytes, 12)) throw new WireError(`checksum of a frame (${type}) is wrong`);
  return { type, isReply, status, request: readU32(bytes, 8), body };
}

/** The length of the frame that begins at `at`, 16 to 16384. */
function lengthAt(bytes: Uint8Array, at: number): number {
  const length = readU32(bytes, at);
  if (length < HEAD_BYTES || length > FRAME_BYTES_MAX) {
    throw new WireError(`a frame of ${length} bytes; allowed are ${HEAD_BYTES} to ${FRAME_BYTES_MAX}`);
  }
  return length;
}

/**
 * Cuts a stream of bytes into frames. Those that lie whole in a chunk are delivered as views of it; of one that does
 * not, the parts are collected in one buffer, which the next such frame uses again.
 */
export class FrameReader {
  /** Made when the first frame is divided between chunks. */
  #part: Uint8Array | undefined;
  /** Bytes of a frame that lie in #part. */
  #partBytes = 0;
  #stopped = false;

  /**
   * Takes the next bytes of the stream and calls `deliver` for every frame that they complete, in order. A frame is
   * valid during that call only. Its length is right; everything else is for `decodeFrame` to check.
   *
   * @throws WireError when a frame's length is impossible. After that, or after an error of `deliver`, nothing more can
   *   be read: where the next frame begins is unknown
   */
  push(chunk: Uint8Array, deliver: (frame: Uint8Array) => void): void {
    if (this.#stopped) throw new WireError('the stream had an error: nothing more can be read from it');
    this.#stopped = true;
    let at = this.#partBytes > 0 ? this.#complete(this.#part!, chunk, deliver) : 0;
    while (chunk.length - at >= LENGTH_BYTES) {
      const end = at + lengthAt(chunk, at);
      if (end > chunk.length) break;
      deliver(chunk.subarray(at, end));
      at = end;
    }
    if (at < chunk.length) {
      this.#part ??= new Uint8Array(FRAME_BYTES_MAX);
      this.#part.set(at === 0 ? chunk : chunk.subarray(at));
      this.#partBytes = chunk.length - at;
    }
    this.#stopped = false;
  }

  /** Goes on with the frame of which `part` has the beginning; returns how many bytes of `chunk` it took. */
  #complete(part: Uint8Array, chunk: Uint8Array, deliver: (frame: Uint8Array) => void): number {
    const start = this.#partBytes;
    if (start < LENGTH_BYTES) this.#collect(part, chunk, 0, LENGTH_BYTES);
    if (this.#partBytes < LENGTH_BYTES) return chunk.length;
    const length = lengthAt(part, 0);
    this.#collect(part, chunk, this.#partBytes - start, length);
    const taken = this.#partBytes - start;
    if (this.#partBytes === length) {
      this.#partBytes = 0;
      deliver(part.subarray(0, length));
    }
    return taken;
  }

  /** Copies from `chunk`, beginning at `at`, until `part` has `wanted` bytes or the chunk ends. */
  #collect(part: Uint8Array, chunk: Uint8Array, at: number, wanted: number): void {
    const end = Math.min(chunk.length, at + wanted - this.#partBytes);
    part.set(chunk.subarray(at, end), this.#partBytes);
    this.#partBytes += end - at;
  }
}
