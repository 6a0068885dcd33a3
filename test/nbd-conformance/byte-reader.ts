// Reads exact numbers of bytes from a socket, for the server side of these tests.
import type { Socket } from 'node:net';

/** The client closed the connection. */
export class Gone extends Error {
  /** In the middle of something. */
  readonly within: boolean;

  constructor(within: boolean) {
    super('the client is gone');
    this.within = within;
  }
}

export class ByteReader {
  readonly #socket: Socket;
  #over = false;
  #wake: () => void = () => {};
  /** Called when only a part of what is read has come. */
  readonly #onPart: () => void;

  constructor(socket: Socket, onPart: () => void = () => {}) {
    this.#socket = socket;
    this.#onPart = onPart;
    const end = () => {
      this.#over = true;
      this.#wake();
    };
    for (const event of ['end', 'close', 'error']) socket.on(event, end);
    socket.on('readable', () => this.#wake());
  }

  async read(bytes: number): Promise<Buffer> {
    if (bytes === 0) return Buffer.alloc(0);
    for (;;) {
      const chunk: Buffer | null = this.#socket.read(bytes);
      if (chunk !== null && chunk.length === bytes) return chunk;
      if (chunk !== null || this.#over) throw new Gone(chunk !== null);
      if (this.#socket.readableLength > 0) this.#onPart();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Whether so many bytes have come already. */
  has(bytes: number): boolean {
    return this.#socket.readableLength >= bytes;
  }

  /** Leaves the socket to somebody else. */
  release(): void {
    for (const event of ['readable', 'end', 'close', 'error']) this.#socket.removeAllListeners(event);
  }
}
