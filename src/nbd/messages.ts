/**
 * The transmission phase's messages as bytes: requests decoded where they lie, replies written where they go.
 *
 *   request            u32 magic, u16 flags, u16 type, u64 cookie, u64 offset, u32 length                  28 bytes
 *   extended request   the same with u64 length                                                           32 bytes
 *   simple reply       u32 magic, u32 error, u64 cookie                                                    16 bytes
 *   structured chunk   u32 magic, u16 flags, u16 type, u64 cookie, u32 length                              20 bytes
 *   extended chunk     u32 magic, u16 flags, u16 type, u64 cookie, u64 offset, u64 length                  32 bytes
 *
 * Offsets and lengths become numbers. Above 2^53 they lose their last digits, which does no harm: no export is that
 * large.
 */

import {
  EXTENDED_REPLY_MAGIC,
  EXTENDED_REQUEST_MAGIC,
  REQUEST_MAGIC,
  SIMPLE_REPLY_MAGIC,
  STRUCTURED_REPLY_MAGIC,
} from './protocol.ts';

/** How replies look on a connection: what was negotiated last of the three. */
export type ReplyMode = 'simple' | 'structured' | 'extended';

export const REQUEST_BYTES = { simple: 28, structured: 28, extended: 32 } as const;
export const SIMPLE_REPLY_BYTES = 16;
export const CHUNK_HEADER_BYTES = { structured: 20, extended: 32 } as const;

/** What replies repeat of their request, as it came: halves of 64-bit fields. */
export interface Echo {
  readonly cookieHigh: number;
  readonly cookieLow: number;
  readonly positionHigh: number;
  readonly positionLow: number;
}

/** A request's fields. One object is used over and over: who needs it later makes a copy. */
export class RequestHeader implements Echo {
  flags = 0;
  type = 0;
  cookieHigh = 0;
  cookieLow = 0;
  positionHigh = 0;
  positionLow = 0;
  /** Bytes. */
  length = 0;

  get position(): number {
    return this.positionHigh * 2 ** 32 + this.positionLow;
  }

  copy(): RequestHeader {
    const copy = new RequestHeader();
    copy.flags = this.flags;
    copy.type = this.type;
    copy.cookieHigh = this.cookieHigh;
    copy.cookieLow = this.cookieLow;
    copy.positionHigh = this.positionHigh;
    copy.positionLow = this.positionLow;
    copy.length = this.length;
    return copy;
  }
}

/** Reads a request; false if none begins here. */
export function decodeRequest(bytes: Buffer, at: number, mode: ReplyMode, into: RequestHeader): boolean {
  const extended = mode === 'extended';
  if (bytes.readUInt32BE(at) !== (extended ? EXTENDED_REQUEST_MAGIC : REQUEST_MAGIC)) return false;
  into.flags = bytes.readUInt16BE(at + 4);
  into.type = bytes.readUInt16BE(at + 6);
  into.cookieHigh = bytes.readUInt32BE(at + 8);
  into.cookieLow = bytes.readUInt32BE(at + 12);
  into.positionHigh = bytes.readUInt32BE(at + 16);
  into.positionLow = bytes.readUInt32BE(at + 20);
  into.length = extended ? readU64(bytes, at + 24) : bytes.readUInt32BE(at + 24);
  return true;
}

export function writeSimpleReply(into: Buffer, at: number, error: number, request: Echo): void {
  into.writeUInt32BE(SIMPLE_REPLY_MAGIC, at);
  into.writeUInt32BE(error, at + 4);
  into.writeUInt32BE(request.cookieHigh, at + 8);
  into.writeUInt32BE(request.cookieLow, at + 12);
}

/** Writes the header of a chunk with `length` bytes of payload. */
export function writeChunkHeader(
  into: Buffer,
  at: number,
  mode: 'structured' | 'extended',
  flags: number,
  type: number,
  request: Echo,
  length: number,
): void {
  const extended = mode === 'extended';
  into.writeUInt32BE(extended ? EXTENDED_REPLY_MAGIC : STRUCTURED_REPLY_MAGIC, at);
  into.writeUInt16BE(flags, at + 4);
  into.writeUInt16BE(type, at + 6);
  into.writeUInt32BE(request.cookieHigh, at + 8);
  into.writeUInt32BE(request.cookieLow, at + 12);
  if (extended) {
    into.writeUInt32BE(request.positionHigh, at + 16);
    into.writeUInt32BE(request.positionLow, at + 20);
    writeU64(into, at + 24, length);
  } else {
    into.writeUInt32BE(length, at + 16);
  }
}

function readU64(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4);
}

export function writeU64(into: Buffer, at: number, value: number): void {
  into.writeUInt32BE(Math.floor(value / 2 ** 32), at);
  into.writeUInt32BE(value % 2 ** 32, at + 4);
}
