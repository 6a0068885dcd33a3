/**
 * Replies, as the connection's mode wants them: simple, structured or extended.
 */

import type { Extent } from '../frontswap/index.ts';
import {
  CHUNK_HEADER_BYTES,
  type Echo,
  type ReplyMode,
  SIMPLE_REPLY_BYTES,
  writeChunkHeader,
  writeSimpleReply,
  writeU64,
} from './messages.ts';
import type { Output } from './output.ts';
import { ALLOCATION_ID, CHUNK, REPLY_DONE, STATE_HOLE, STATE_ZERO } from './protocol.ts';

/** Extents of one reply; with more a client asks again. */
export const EXTENTS_MAX = 8192;

/** What begins a chunk of data, beside its header: u64 position. */
const OFFSET_BYTES = 8;

export class Replies {
  readonly mode: ReplyMode;
  readonly output: Output;

  constructor(mode: ReplyMode, output: Output) {
    this.mode = mode;
    this.output = output;
  }

  /** A reply without data; `error` 0 is success. */
  plain(request: Echo, error: number): void {
    if (this.mode === 'simple') {
      const at = this.output.reserve(SIMPLE_REPLY_BYTES);
      writeSimpleReply(this.output.buffer, at, error, request);
    } else if (error === 0) {
      this.#chunk(this.mode, request, REPLY_DONE, CHUNK.NONE, 0);
    } else {
      const at = this.#chunk(this.mode, request, REPLY_DONE, CHUNK.ERROR, 6);
      this.output.buffer.writeUInt32BE(error, at);
      this.output.buffer.writeUInt16BE(0, at + 4);
    }
  }

  /** The last chunk of a read that failed from `position` on. Not in simple mode. */
  failedAt(request: Echo, error: number, position: number): void {
    if (this.mode === 'simple') return;
    const at = this.#chunk(this.mode, request, REPLY_DONE, CHUNK.ERROR_OFFSET, 14);
    this.output.buffer.writeUInt32BE(error, at);
    this.output.buffer.writeUInt16BE(0, at + 4);
    writeU64(this.output.buffer, at + 6, position);
  }

  /**
   * The beginning of a reply with data: room for `length` bytes (at most 256 KiB), which begins at the index returned
   * in `output.buffer`. In simple mode only the first piece of a reply has a header.
   */
  data(request: Echo, position: number, length: number, isFirst: boolean, isLast: boolean): number {
    if (this.mode === 'simple') {
      const header = isFirst ? SIMPLE_REPLY_BYTES : 0;
      const at = this.output.reserve(header + length);
      if (isFirst) writeSimpleReply(this.output.buffer, at, 0, request);
      return at + header;
    }
    const flags = isLast ? REPLY_DONE : 0;
    const at = this.#chunk(this.mode, request, flags, CHUNK.OFFSET_DATA, OFFSET_BYTES + length);
    writeU64(this.output.buffer, at, position);
    return at + OFFSET_BYTES;
  }

  /** Takes back what `data` has just reserved. */
  noData(length: number, isFirst: boolean): void {
    let header = isFirst ? SIMPLE_REPLY_BYTES : 0;
    if (this.mode !== 'simple') header = CHUNK_HEADER_BYTES[this.mode] + OFFSET_BYTES;
    this.output.unreserve(header + length);
  }

  /** The status of blocks, at most `EXTENTS_MAX` extents. Not in simple mode. */
  allocation(request: Echo, extents: readonly Extent[]): void {
    if (this.mode === 'simple') return;
    const extended = this.mode === 'extended';
    const type = extended ? CHUNK.BLOCK_STATUS_EXT : CHUNK.BLOCK_STATUS;
    const bytes = extended ? 8 + 16 * extents.length : 4 + 8 * extents.length;
    let at = this.#chunk(this.mode, request, REPLY_DONE, type, bytes);
    const { buffer } = this.output;
    buffer.writeUInt32BE(ALLOCATION_ID, at);
    at += 4;
    if (extended) {
      buffer.writeUInt32BE(extents.length, at);
      at += 4;
    }
    for (const { bytes: length, hole } of extents) {
      const state = hole ? STATE_HOLE | STATE_ZERO : 0;
      if (extended) {
        writeU64(buffer, at, length);
        writeU64(buffer, at + 8, state);
        at += 16;
      } else {
        buffer.writeUInt32BE(length, at);
        buffer.writeUInt32BE(state, at + 4);
        at += 8;
      }
    }
  }

  #chunk(
    mode: 'structured' | 'extended',
    request: Echo,
    flags: number,
    type: number,
    payload: number,
  ): number {
    const header = CHUNK_HEADER_BYTES[mode];
    const at = this.output.reserve(header + payload);
    writeChunkHeader(this.output.buffer, at, mode, flags, type, request, payload);
    return at + header;
  }
}
