// Reads exact numbers of bytes from a socket, for the server side of these tests.
import type { Socket } from 'node:net';

/** The client closed the connection. */
export class Gone extends Error {}

export class ByteReader {
  readonly #socket: Socket;
  #over = false;
  #wake: () => void = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
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
      if (chunk !== null || this.#over) throw new Gone('the client is gone');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Leaves the socket to somebody else. */
  release(): void {
    for (const event of ['readable', 'end', 'close', 'error']) this.#socket.removeAllListeners(event);
  }
}
