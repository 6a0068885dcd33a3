// A connection on a socket that is none: what it is sent comes in pieces, what it sends is taken at random times.
// Buffers of its pool are counted.

import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { Connection } from '../../../src/nbd/connection.ts';
import type { Catalogue } from '../../../src/nbd/negotiation.ts';
import { BufferPool } from '../../../src/nbd/output.ts';
import type { Random } from './volume.ts';

/** Turns of the event loop in which everything that waits has to come to an end. */
const TURNS_MAX = 10_000;

const PIECE_BYTES_MAX = 70_000;

/** As the server's: one for all that comes in. */
const received = Buffer.alloc(PIECE_BYTES_MAX);

class CountingPool extends BufferPool {
  taken = 0;

  override take(): Buffer {
    this.taken++;
    return super.take();
  }

  override give(buffer: Buffer): void {
    this.taken--;
    buffer.fill(0xdd); // nobody may use it any more
    super.give(buffer);
  }
}

class NoSocket extends Duplex {
  sent: Buffer[] = [];
  readonly #random: Random;

  constructor(random: Random) {
    super({ allowHalfOpen: true });
    this.#random = random;
  }

  override _read(): void {}

  override _write(chunk: Buffer, _: unknown, done: () => void): void {
    const take = (): void => {
      this.sent.push(Buffer.from(chunk));
      done();
    };
    if (this.#random(2) === 0) take();
    else queueMicrotask(take);
  }

  /** As that of a net.Socket. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }
}

export class Line {
  readonly connection: Connection;
  /** Buffers that did not come back to the pool. */
  get buffersTaken(): number {
    return this.#pool.taken;
  }
  /** Why it ended. */
  closed: string | undefined;
  /** It was handed over to TLS. */
  left = false;
  served = false;
  readonly #pool = new CountingPool();
  readonly #socket: NoSocket;
  readonly #random: Random;

  constructor(random: Random, catalogue: Catalogue) {
    this.#random = random;
    this.#socket = new NoSocket(random);
    this.connection = new Connection(this.#socket as unknown as Socket, catalogue, this.#pool, {
      serving: () => {
        this.served = true;
      },
      startTls: () => {
        this.left = true;
      },
      closed: (reason) => {
        if (this.closed !== undefined) throw new Error(`closed twice: ${this.closed}, ${reason}`);
        this.closed = reason;
      },
    });
  }

  /** Nothing more can be sent. */
  get over(): boolean {
    return this.left || this.#socket.destroyed || this.#socket.writableEnded;
  }

  /** What was sent since the last call. */
  takeSent(): Buffer {
    return Buffer.concat(this.#socket.sent.splice(0));
  }

  /** Gives it all bytes, in pieces, and waits where it waits. False: it ended before. */
  async feed(bytes: Buffer): Promise<boolean> {
    for (let at = 0; at < bytes.length; ) {
      await this.#until(() => this.over || !this.#socket.isPaused());
      if (this.over) return false;
      const most = this.#random(4) === 0 ? this.#random(60) + 1 : PIECE_BYTES_MAX;
      const length = bytes.copy(received, 0, at, at + most);
      this.connection.receive(received.subarray(0, length));
      received.fill(0xee, 0, length); // overwritten by the next one that is received
      at += length;
    }
    return true;
  }

  /** Waits until nothing is under way. */
  async settle(): Promise<void> {
    await this.#until(() => this.over || this.connection.quiet);
    if (this.#socket.writableEnded || this.#socket.destroyed)
      await this.#until(() => this.closed !== undefined);
  }

  /** The client is gone. */
  async drop(): Promise<void> {
    this.#socket.destroy();
    if (!this.left) await this.#until(() => this.closed !== undefined);
  }

  async #until(done: () => boolean): Promise<void> {
    for (let turn = 0; !done(); turn++) {
      if (turn === TURNS_MAX) throw new Error('it hangs');
      await new Promise(setImmediate);
    }
  }
}
