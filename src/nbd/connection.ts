/**
 * One connection: a socket, and the phase it is in. Bytes go from the socket to the phase; what the phase cannot take
 * yet is kept, and the socket is not read until it can.
 *
 *   negotiation -> (TLS -> negotiation) -> transmission -> closed
 *
 * Memory: what one read of the socket gave, at most, beside what the phases keep.
 */

import type { Socket } from 'node:net';
import { type Catalogue, Negotiation, type Outcome } from './negotiation.ts';
import { type BufferPool, Output } from './output.ts';
import { Transmission } from './transmission.ts';
import type { NbdExport } from './volume.ts';

/** Replies to options that the client does not read: above this it is not treated any better. */
const UNREAD_OPTION_BYTES_MAX = 2 ** 20;

const CLIENT_GONE = 'the client is gone';

/** What a connection tells the server that has it. */
export interface ConnectionEvents {
  /** The client chose an export. */
  serving(chosen: NbdExport): void;
  /** The client wants TLS, and was told to begin. The socket is left alone from now on. */
  startTls(noZeroes: boolean): void;
  /** The socket is closed, and nothing of its requests is under way any more. */
  closed(reason: string): void;
}

export class Connection {
  readonly #socket: Socket;
  readonly #events: ConnectionEvents;
  readonly #pool: BufferPool;
  #negotiation: Negotiation | undefined;
  #transmission: Transmission | undefined;
  /** To options; those that come together are answered in one write. */
  #replies: Buffer[] = [];
  #replyBytes = 0;
  #output: Output | undefined;
  /** Input that has to wait. */
  #held: Buffer | undefined;
  #turnIsDue = false;
  #reason: string | undefined;
  #left = false;
  /** The client sends nothing more, and may still read. */
  #inputEnded = false;
  #socketClosed = false;
  #toldClosed = false;

  /** `secured`: the socket is on TLS, after a handshake that got so far before. */
  constructor(
    socket: Socket,
    catalogue: Catalogue,
    pool: BufferPool,
    events: ConnectionEvents,
    secured?: { readonly noZeroes: boolean },
  ) {
    this.#socket = socket;
    this.#pool = pool;
    this.#events = events;
    // A client that has closed its side gets the replies to what it asked before.
    socket.allowHalfOpen = true;
    socket.on('end', this.#onEnd);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
    this.#negotiation = new Negotiation(catalogue, (bytes) => this.#addReply(bytes), secured);
    this.#sendReplies();
  }

  /** Input from the socket. The bytes may be overwritten after. */
  receive(bytes: Buffer): void {
    if (this.#left || this.#reason !== undefined) return;
    const rest = this.#take(bytes);
    if (rest.length > 0 && this.#reason === undefined && !this.#left) {
      this.#held = Buffer.from(rest);
      this.#socket.pause();
    }
    this.#output?.flush();
    this.#endIfDone();
  }

  /** From now on requests are refused; those under way go on. */
  stop(): void {
    if (this.#transmission === undefined) this.end('the server is stopping');
    else this.#transmission.stop();
  }

  /** Nothing is under way, and all replies have been sent. */
  get quiet(): boolean {
    const { idle = true } = this.#transmission ?? {};
    return idle && this.#held === undefined && (this.#output?.unsentBytes ?? 0) === 0;
  }

  /** Ends at once, whatever is under way. */
  end(reason: string): void {
    this.#reason ??= reason;
    this.#socket.destroy();
  }

  /** Input goes to the phases in turn; what is left over. */
  #take(bytes: Buffer): Buffer {
    let rest = bytes;
    if (this.#negotiation !== undefined) {
      rest = rest.subarray(this.#negotiation.take(rest));
      this.#sendReplies();
      const { outcome, noZeroes } = this.#negotiation;
      if (outcome === undefined) return rest;
      this.#negotiation = undefined;
      this.#leaveNegotiation(outcome, noZeroes, rest);
    }
    return this.#transmission === undefined ? rest : rest.subarray(this.#transmission.take(rest));
  }

  #leaveNegotiation(outcome: Outcome, noZeroes: boolean, rest: Buffer): void {
    if (outcome.next === 'close') {
      this.finish(outcome.reason);
    } else if (outcome.next === 'tls') {
      // Somebody in between may have sent it.
      if (rest.length > 0) this.end('bytes between STARTTLS and TLS');
      else this.#leave(noZeroes);
    } else {
      this.#output = new Output(this.#pool, this.#sink, this.#onRoom);
      this.#transmission = new Transmission(outcome.session, this.#output, this.#turnSoon);
      this.#events.serving(outcome.export);
    }
  }

  #leave(noZeroes: boolean): void {
    this.#left = true;
    this.#socket.allowHalfOpen = false;
    this.#socket.off('end', this.#onEnd);
    this.#socket.off('error', this.#onError);
    this.#socket.off('close', this.#onClose);
    this.#events.startTls(noZeroes);
  }

  readonly #onRoom = (): void => {
    this.#transmission?.roomAgain();
    this.#turnSoon();
  };

  /** Things that ended at one time are answered in one write. */
  readonly #turnSoon = (): void => {
    if (this.#turnIsDue) return;
    this.#turnIsDue = true;
    queueMicrotask(() => {
      this.#turnIsDue = false;
      this.#turn();
    });
  };

  #turn(): void {
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) this.receive(held);
    else this.#output?.flush();
    if (held !== undefined && this.#held === undefined) this.#socket.resume();
    this.#endIfDone();
    this.#tellClosed();
  }

  #endIfDone(): void {
    const { ending, idle = true, settled = true } = this.#transmission ?? {};
    if (ending !== undefined && idle) {
      this.#output?.flush();
      if (ending === 'disconnect') this.finish('disconnected');
      else this.end(ending);
    } else if (this.#inputEnded && settled && this.#held === undefined) {
      this.#output?.flush();
      this.finish(CLIENT_GONE);
    }
  }

  /** Ends once everything has been sent. */
  finish(reason: string): void {
    this.#reason ??= reason;
    this.#socket.destroySoon();
  }

  #addReply(bytes: Buffer): boolean {
    if (!this.#socket.writable) return false;
    this.#replies.push(bytes);
    this.#replyBytes += bytes.length;
    if (this.#replyBytes + this.#socket.writableLength <= UNREAD_OPTION_BYTES_MAX) return true;
    this.end('replies to options are not read');
    return false;
  }

  #sendReplies(): void {
    if (this.#replyBytes > 0 && this.#socket.writable) this.#socket.write(Buffer.concat(this.#replies));
    this.#replies = [];
    this.#replyBytes = 0;
  }

  readonly #sink = (bytes: Buffer, sent: () => void): void => {
    if (this.#socket.writable) this.#socket.write(bytes, sent);
    else sent();
  };

  readonly #onEnd = (): void => {
    this.#inputEnded = true;
    this.#endIfDone();
  };

  readonly #onError = (error: Error): void => {
    this.#reason ??= error.message;
  };

  readonly #onClose = (): void => {
    this.#held = undefined;
    this.#socketClosed = true;
    this.#tellClosed();
  };

  /** What its requests do on a device may take longer than their client is there. */
  #tellClosed(): void {
    if (!this.#socketClosed || this.#toldClosed || this.#transmission?.settled === false) return;
    this.#toldClosed = true;
    this.#events.closed(this.#reason ?? CLIENT_GONE);
  }
}
