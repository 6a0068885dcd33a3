/**
 * What a connection has to send: many replies in one buffer, one write for each event.
 *
 * Buffers come from a pool that all connections of a thread share. One that was handed to the socket goes back to the
 * pool when the callback of that very write has come. A few bytes are copied, so that an idle connection keeps no
 * buffer, and one whose client does not read keeps few.
 */

import { UNFRAGMENTED_BYTES_MAX } from './protocol.ts';

/** Room for the largest piece of data and its headers. */
const BUFFER_BYTES = UNFRAGMENTED_BYTES_MAX + 4096;

/** Up to here bytes are copied rather than their buffer given away. */
const COPY_BYTES_MAX = 2048;

/** Bytes on their way to a client above which no more requests are taken from it. */
const UNSENT_BYTES_MAX = 4 * BUFFER_BYTES;

const NOTHING = Buffer.alloc(0);

/** Buffers kept for reuse by one thread: 4 MiB. */
const POOLED_MAX = 16;

export class BufferPool {
  readonly #free: Buffer[] = [];

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
  }

  give(buffer: Buffer): void {
    if (this.#free.length < POOLED_MAX) this.#free.push(buffer);
  }
}

/** Sends bytes; calls back when they may be overwritten. */
export type Sink = (bytes: Buffer, sent: () => void) => void;

export class Output {
  /** Where the last `reserve` gave room. */
  buffer: Buffer = NOTHING;
  readonly #pool: BufferPool;
  readonly #sink: Sink;
  readonly #onRoom: () => void;
  #end = 0;
  #unsentBytes = 0;
  #held: Buffer | undefined;

  /** `onRoom` is called when it was full and is not any more. */
  constructor(pool: BufferPool, sink: Sink, onRoom: () => void) {
    this.#pool = pool;
    this.#sink = sink;
    this.#onRoom = onRoom;
  }

  /** Room for `bytes` bytes, at most 256 KiB and a header: where it begins in `buffer`. */
  reserve(bytes: number): number {
    if (this.#held !== undefined && this.#end + bytes > BUFFER_BYTES) this.flush();
    if (this.#held === undefined) {
      this.#held = this.#pool.take();
      this.buffer = this.#held;
    }
    const at = this.#end;
    this.#end += bytes;
    return at;
  }

  /** Gives back the end of what was reserved last. */
  unreserve(bytes: number): void {
    this.#end -= bytes;
  }

  /** Whether the client should read before it is asked for more. */
  get full(): boolean {
    return this.#unsentBytes >= UNSENT_BYTES_MAX;
  }

  /** Bytes handed over and not sent yet. */
  get unsentBytes(): number {
    return this.#unsentBytes;
  }

  /** Hands over what there is. */
  flush(): void {
    const buffer = this.#held;
    const bytes = this.#end;
    if (buffer === undefined) return;
    this.#end = 0;
    this.#held = undefined;
    if (bytes <= COPY_BYTES_MAX) {
      if (bytes > 0) this.#send(Buffer.from(buffer.subarray(0, bytes)), undefined);
      this.#pool.give(buffer);
    } else {
      this.#send(buffer.subarray(0, bytes), buffer);
    }
  }

  #send(bytes: Buffer, from: Buffer | undefined): void {
    this.#unsentBytes += bytes.length;
    this.#sink(bytes, () => {
      const wasFull = this.full;
      this.#unsentBytes -= bytes.length;
      if (from !== undefined) this.#pool.give(from);
      if (wasFull && !this.full) this.#onRoom();
    });
  }
}
