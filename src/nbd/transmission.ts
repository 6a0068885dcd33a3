/**
 * The transmission phase of one connection: requests in, replies out, on whatever carries the bytes.
 *
 *   header -> payload of a write -> header ...         parsed in place, as the bytes come
 *      |         `- whole pages are stored at once     write-request.ts
 *      |- answered at once, if nothing has to wait
 *      |- or when what it waits for has ended          waiting.ts
 *      `- a read too large for one buffer              long-read.ts
 *
 * Rules it keeps:
 * - each request gets exactly one reply, and nothing is sent between the pieces of one;
 * - memory is bounded: no more input is taken while a long read is sent, while the client does not read what it asked
 *   for, or while too many requests wait;
 * - what is no request ends the connection; any other mistake is answered, and ends nothing.
 */

import { errorOf } from './failures.ts';
import { LongRead } from './long-read.ts';
import { decodeRequest, REQUEST_BYTES, type ReplyMode, RequestHeader } from './messages.ts';
import type { Output } from './output.ts';
import { CMD, CMD_FLAG, ERROR, UNFRAGMENTED_BYTES_MAX } from './protocol.ts';
import { EXTENTS_MAX, Replies } from './replies.ts';
import { payloadBytes, refusal } from './request-rules.ts';
import { CACHE_HELD_BYTES_MAX, type Volume } from './volume.ts';
import { Waiting } from './waiting.ts';
import { WriteRequest } from './write-request.ts';

/** An extent's length has 32 bits in structured replies. */
const STATUS_BYTES_MAX = 0xffff_f000;

export interface Session {
  readonly volume: Volume;
  readonly mode: ReplyMode;
  /** Whether base:allocation was negotiated. */
  readonly allocation: boolean;
}

/** Why a connection ends. */
export type Ending = 'disconnect' | 'not a request' | 'failed in the middle of a reply';

export class Transmission {
  readonly #session: Session;
  readonly #volume: Volume;
  readonly #output: Output;
  readonly #replies: Replies;
  readonly #waiting: Waiting;
  readonly #onChange: () => void;
  readonly #request = new RequestHeader();
  readonly #header: Buffer;
  #headerBytes = 0;
  #write: WriteRequest | undefined;
  /** Payload that nobody wants; when it is over, its request is answered with this error. */
  #skipBytes = 0;
  #skipError = 0;
  #read: LongRead | undefined;
  #ending: Ending | undefined;
  #stopping = false;

  /** `onChange`: something ended that had to wait; there may be output to flush and more input can be taken. */
  constructor(session: Session, output: Output, onChange: () => void) {
    this.#session = session;
    this.#volume = session.volume;
    this.#output = output;
    this.#replies = new Replies(session.mode, output);
    this.#waiting = new Waiting(onChange);
    this.#onChange = onChange;
    this.#header = Buffer.alloc(REQUEST_BYTES[session.mode]);
  }

  /** Set when no more requests are taken; the connection ends when it is idle. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  /** The volume has nothing to do for any request. */
  get settled(): boolean {
    return this.#waiting.none && this.#read === undefined;
  }

  /** No request waits for anything, its data included. */
  get idle(): boolean {
    return this.settled && this.#write === undefined;
  }

  /** From now on requests are answered with ESHUTDOWN. */
  stop(): void {
    this.#stopping = true;
  }

  /** The output, which was full, has room again. */
  roomAgain(): void {
    this.#read?.go();
  }

  /** Takes input, and answers what can be answered at once. How many bytes: not all when something has to wait. */
  take(bytes: Buffer): number {
    let at = 0;
    while (at < bytes.length && !this.#isBlocked()) {
      if (this.#write !== undefined) {
        at += this.#write.take(bytes, at);
        if (this.#write.complete) this.#write = undefined;
      } else if (this.#skipBytes > 0) {
        at += this.#skip(bytes.length - at);
      } else {
        at += this.#takeHeader(bytes, at);
      }
    }
    return at;
  }

  #isBlocked(): boolean {
    const busy = this.#ending !== undefined || this.#read !== undefined;
    return busy || this.#output.full || this.#waiting.full;
  }

  #takeHeader(bytes: Buffer, at: number): number {
    const need = this.#header.length;
    if (this.#headerBytes === 0 && bytes.length - at >= need) {
      this.#begin(bytes, at);
      return need;
    }
    const copied = bytes.copy(this.#header, this.#headerBytes, at, at + need - this.#headerBytes);
    this.#headerBytes += copied;
    if (this.#headerBytes === need) {
      this.#headerBytes = 0;
      this.#begin(this.#header, 0);
    }
    return copied;
  }

  #skip(available: number): number {
    const skipped = Math.min(this.#skipBytes, available);
    this.#skipBytes -= skipped;
    if (this.#skipBytes === 0) this.#replies.plain(this.#request, this.#skipError);
    return skipped;
  }

  #begin(bytes: Buffer, at: number): void {
    const request = this.#request;
    const { mode, allocation } = this.#session;
    if (!decodeRequest(bytes, at, mode, request)) {
      this.#ending = 'not a request';
      return;
    }
    if (request.type === CMD.DISC) {
      this.#ending = 'disconnect';
      return;
    }
    const error = this.#stopping ? ERROR.ESHUTDOWN : refusal(request, this.#volume, mode, allocation);
    const payload = payloadBytes(request, mode);
    if (error !== 0 && payload > 0) {
      this.#skipBytes = payload;
      this.#skipError = error;
    } else if (error !== 0 || (request.length === 0 && request.type !== CMD.FLUSH)) {
      this.#replies.plain(request, error);
    } else {
      this.#do(request);
    }
  }

  #do(request: RequestHeader): void {
    const { position, length, flags } = request;
    const volume = this.#volume;
    const lasting = volume.durable && (flags & CMD_FLAG.FUA) !== 0;
    switch (request.type) {
      case CMD.READ:
        if (length > UNFRAGMENTED_BYTES_MAX) this.#readLong(request);
        else this.#readShort(request, position, length);
        break;
      case CMD.WRITE: {
        const echo = request.copy();
        this.#write = new WriteRequest(request, volume, lasting, this.#waiting, (error) =>
          this.#replies.plain(echo, error),
        );
        break;
      }
      case CMD.FLUSH:
        if (volume.durable) this.#answer(request, volume.flush());
        else this.#replies.plain(request, 0);
        break;
      case CMD.TRIM:
        this.#answer(request, followed(volume.trim(position, length), lasting, volume));
        break;
      case CMD.WRITE_ZEROES:
        this.#zero(request, lasting);
        break;
      case CMD.CACHE:
        this.#answer(request, volume.cache(position, length), Math.min(length, CACHE_HELD_BYTES_MAX));
        break;
      case CMD.BLOCK_STATUS: {
        const extents = (flags & CMD_FLAG.REQ_ONE) !== 0 ? 1 : EXTENTS_MAX;
        const asked = this.#session.mode === 'extended' ? length : Math.min(length, STATUS_BYTES_MAX);
        this.#replies.allocation(request, volume.allocation(position, asked, extents));
        break;
      }
    }
  }

  /** Replies when `work` has ended, which holds so many bytes. */
  #answer(request: RequestHeader, work: Promise<unknown>, bytes = 0): void {
    const echo = request.copy();
    this.#waiting.add(bytes, work, (error) => this.#replies.plain(echo, error));
  }

  #zero(request: RequestHeader, lasting: boolean): void {
    const { position, length, flags } = request;
    const hole = (flags & CMD_FLAG.NO_HOLE) === 0;
    if ((flags & CMD_FLAG.FAST_ZERO) !== 0 && !(hole && this.#volume.zeroesFast)) {
      this.#replies.plain(request, ERROR.ENOTSUP);
      return;
    }
    const zeroed = this.#volume.zero(position, length, hole, lasting);
    this.#answer(request, followed(zeroed, lasting, this.#volume));
  }

  #readShort(request: RequestHeader, position: number, length: number): void {
    const at = this.#replies.data(request, position, length, true, true);
    const room = this.#output.buffer.subarray(at, at + length);
    let done: number;
    try {
      done = this.#volume.readNow(position, room);
    } catch (thrown) {
      this.#replies.noData(length, true);
      this.#replies.plain(request, errorOf(thrown));
      return;
    }
    if (done === length) return;
    const bytes = Buffer.allocUnsafe(length);
    room.copy(bytes, 0, 0, done);
    this.#replies.noData(length, true);
    const echo = request.copy();
    this.#waiting.add(length, this.#volume.read(position + done, bytes.subarray(done)), (error) => {
      if (error !== 0) {
        this.#replies.plain(echo, error);
        return;
      }
      const to = this.#replies.data(echo, position, length, true, true);
      bytes.copy(this.#output.buffer, to);
    });
  }

  #readLong(request: RequestHeader): void {
    this.#waiting.holdBack();
    const read = new LongRead(request.copy(), this.#volume, this.#replies, (end) => {
      this.#read = undefined;
      // Whatever came after it would be taken for its data.
      if (end === 'broken') this.#ending = 'failed in the middle of a reply';
      else this.#waiting.goOn();
      this.#onChange();
    });
    this.#read = read;
    read.go();
  }
}

/** `work`, and after it what makes it last. */
async function followed(work: Promise<unknown>, lasting: boolean, volume: Volume): Promise<unknown> {
  const result = await work;
  if (lasting && result !== false) await volume.sync();
  return result;
}
