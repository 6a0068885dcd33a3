// One connection as a stream of bytes, read to the exact count. It never waits longer than its patience, and it takes
// from the socket only what was asked for, so that a server that sends without end fills no memory.
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { Closed, Silent, Unreachable } from '../protocol/violation.ts';

/** Bytes that are thrown away at most while the suite waits for the end of a connection. */
const DISCARDED_BYTES_MAX = 1024 * 1024;

export interface Ending {
  readonly closed: boolean;
  /** What the server still sent. */
  readonly bytes: Buffer;
}

export class Channel {
  #socket: Socket;
  #over = false;
  #wake: () => void = () => {};
  readonly patienceMs: number;

  private constructor(socket: Socket, patienceMs: number) {
    this.#socket = socket;
    this.patienceMs = patienceMs;
    this.#listen();
  }

  /** Throws Unreachable when nobody listens there. */
  static open(address: NetConnectOpts, patienceMs: number): Promise<Channel> {
    return new Promise((resolve, reject) => {
      const socket = connect({ ...address, noDelay: true } as NetConnectOpts);
      const timer = setTimeout(() => socket.destroy(new Error('no answer')), patienceMs);
      const refuse = (error: Error) => {
        clearTimeout(timer);
        reject(new Unreachable(`cannot connect: ${error.message}`));
      };
      socket.once('error', refuse);
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.off('error', refuse);
        resolve(new Channel(socket, patienceMs));
      });
    });
  }

  #listen(): void {
    const end = () => {
      this.#over = true;
      this.#wake();
    };
    this.#socket.on('readable', () => this.#wake());
    for (const event of ['end', 'close', 'error']) this.#socket.on(event, end);
  }

  /** Resolves when something happened; false when nothing did. */
  #change(waitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (happened: boolean) => {
        clearTimeout(timer);
        this.#wake = () => {};
        resolve(happened);
      };
      const timer = setTimeout(() => settle(false), Math.max(0, waitMs));
      this.#wake = () => settle(true);
    });
  }

  /** @param what - what the bytes are, for the message when they do not come */
  async read(bytes: number, what: string): Promise<Buffer> {
    if (bytes === 0) return Buffer.alloc(0);
    const untilMs = performance.now() + this.patienceMs;
    for (;;) {
      const chunk: Buffer | null = this.#socket.read(bytes);
      if (chunk !== null && chunk.length === bytes) return chunk;
      if (chunk !== null) throw new Closed(`closed the connection within ${what}`);
      if (this.#over) throw new Closed(`closed the connection instead of sending ${what}`);
      if (!(await this.#change(untilMs - performance.now()))) {
        throw new Silent(`sent no ${what} within ${this.patienceMs} ms`);
      }
    }
  }

  /** Waits for the server to close the connection. */
  async ending(): Promise<Ending> {
    const received: Buffer[] = [];
    let receivedBytes = 0;
    const untilMs = performance.now() + this.patienceMs;
    for (;;) {
      const chunk: Buffer | null = this.#socket.read();
      if (chunk !== null) {
        receivedBytes += chunk.length;
        if (receivedBytes <= DISCARDED_BYTES_MAX) received.push(chunk);
        continue;
      }
      const closed = this.#over;
      if (closed || !(await this.#change(untilMs - performance.now()))) {
        return { closed, bytes: Buffer.concat(received) };
      }
    }
  }

  /** Sends without waiting; a server that is gone shows when its answer is read. */
  send(bytes: Uint8Array): void {
    if (!this.#over) this.#socket.write(bytes);
  }

  /** Sends each byte in a packet of its own, as far as the operating system does not join them. */
  async dribble(bytes: Uint8Array): Promise<void> {
    for (const byte of bytes) {
      this.send(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Turns the connection into a TLS one. @returns the version of TLS; throws Closed when the handshake fails. */
  upgrade(options: ConnectionOptions): Promise<string> {
    const raw = this.#socket;
    for (const event of ['readable', 'end', 'close', 'error']) raw.removeAllListeners(event);
    return new Promise((resolve, reject) => {
      const secure = connectTls({ ...options, socket: raw });
      this.#socket = secure;
      const fail = (reason: string) => {
        clearTimeout(timer);
        reject(new Closed(`the TLS handshake failed: ${reason}`));
      };
      const timer = setTimeout(() => fail(`not done within ${this.patienceMs} ms`), this.patienceMs);
      raw.on('error', (error) => fail(error.message));
      secure.once('close', () => fail('the connection ended'));
      secure.on('error', (error) => fail(error.message));
      secure.once('secureConnect', () => {
        clearTimeout(timer);
        resolve(secure.getProtocol() ?? 'unknown');
      });
      this.#listen();
    });
  }

  /** Drops the connection without a word. */
  drop(): void {
    this.#socket.destroy();
    this.#over = true;
    this.#wake();
  }
}
