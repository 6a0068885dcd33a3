/**
 * A channel over a socket, secured or not.
 *
 * What arrives is cut into frames where it lies; what is sent is gathered until the running task ends and then handed
 * to the system in one call. Rules: no frame comes after `closed`, nor while paused; and no more than `pendingBytesMax`
 * wait to be sent: a peer that reads slower than it asks is left.
 */

import type { Socket } from 'node:net';
import type { Clock } from '../clock.ts';
import { FrameReader, WireError } from '../wire/frame.ts';
import { endSoon, refusalIn, refuse } from './refusal.ts';
import type { Channel, ChannelEvents, FrameBytes } from './transport.ts';

/** Gathered bytes that are handed over before the task ends: what is copied together stays in the processor's cache. */
const GATHERED_BYTES_MAX = 64 * 1024;

/** About 2,000 pages: far more than two nodes have on their way at a time. */
export const PENDING_BYTES_MAX = 8 * 1024 * 1024;

export interface SocketChannelOptions {
  readonly clock: Clock;
  readonly peerName: string | undefined;
  readonly peerAddress: string;
  readonly pendingBytesMax?: number | undefined;
}

export class SocketChannel implements Channel {
  readonly peerName: string | undefined;
  readonly peerAddress: string;
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #pendingBytesMax: number;
  readonly #reader = new FrameReader();
  #events: ChannelEvents | undefined;
  /** Frames of the chunk during which it was paused. */
  #waiting: FrameBytes[] = [];
  #isPaused = false;
  /** What the running task has sent. */
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  #hasReceived = false;
  #closed: string | undefined;

  constructor(socket: Socket, { clock, peerName, peerAddress, pendingBytesMax }: SocketChannelOptions) {
    this.peerName = peerName;
    this.peerAddress = peerAddress;
    this.#socket = socket;
    this.#clock = clock;
    this.#pendingBytesMax = pendingBytesMax ?? PENDING_BYTES_MAX;
    socket.setNoDelay(true);
    socket.on('error', (error) => this.#abandon(error.message));
    socket.on('end', () => this.#abandon('closed by the other side'));
    socket.on('close', () => this.#abandon('closed by the other side'));
  }

  get pendingBytes(): number {
    return this.#closed === undefined ? this.#socket.writableLength + this.#gatheredBytes : 0;
  }

  /** Whether a whole frame has arrived, ever. */
  get hasReceived(): boolean {
    return this.#hasReceived;
  }

  listen(events: ChannelEvents): void {
    this.#events = events;
    if (this.#closed !== undefined) this.#tellClosed(this.#closed);
    else this.#socket.on('data', (chunk: Buffer) => this.#guarded(() => this.#read(chunk)));
  }

  send(...parts: Uint8Array[]): void {
    if (this.#closed !== undefined) return;
    if (this.#gathered.length === 0) process.nextTick(this.#handOver);
    for (const part of parts) {
      this.#gathered.push(part);
      this.#gatheredBytes += part.length;
    }
    if (this.#gatheredBytes > GATHERED_BYTES_MAX) this.#handOver();
  }

  /** In one piece: copying a few pages costs less than handing over many parts. */
  readonly #handOver = (): void => {
    const parts = this.#gathered;
    if (parts.length === 0) return;
    this.#gathered = [];
    const bytes = parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts, this.#gatheredBytes);
    this.#gatheredBytes = 0;
    const socket = this.#socket;
    socket.write(bytes);
    if (socket.writableLength > this.#pendingBytesMax) {
      this.#abandon(`it does not read: ${socket.writableLength} bytes wait to be sent`);
    }
  };

  /** Whether the process goes on for as long as this is open; at first it does. */
  holdProcess(isHeld: boolean): void {
    if (isHeld) this.#socket.ref();
    else this.#socket.unref();
  }

  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    process.nextTick(() => this.#guarded(() => this.#goOn()));
  }

  close(reason: string): void {
    if (!this.#end(reason)) return;
    this.#handOver();
    endSoon(this.#socket, this.#clock);
  }

  /** Closes, and tells the other side why. Only before anything was sent. */
  refuse(reason: string): void {
    if (this.#end(reason)) refuse(this.#socket, reason, this.#clock);
  }

  /** Closes without a thought for what is pending. */
  #abandon(reason: string): void {
    if (!this.#end(reason)) return;
    this.#gathered = [];
    this.#socket.destroy();
  }

  /** False if it had ended before. */
  #end(reason: string): boolean {
    if (this.#closed !== undefined) return false;
    this.#closed = reason;
    this.#waiting = [];
    if (this.#events !== undefined) this.#tellClosed(reason);
    return true;
  }

  /** Later: whoever closes it is not called back while it does so. */
  #tellClosed(reason: string): void {
    queueMicrotask(() => this.#events?.closed(reason));
  }

  #read(chunk: Buffer): void {
    this.#reader.push(chunk, (frame) => {
      if (this.#closed !== undefined) return;
      if (!this.#hasReceived && this.#isRefusal(frame)) return;
      // A frame that was put together of several chunks is the first of its chunk, and never waits.
      if (this.#isPaused || this.#waiting.length > 0) this.#waiting.push(frame);
      else this.#events?.frame(frame);
    });
  }

  #isRefusal(first: FrameBytes): boolean {
    this.#hasReceived = true;
    const refusal = refusalIn(first);
    if (refusal === undefined) return false;
    this.#abandon(`refused by the other side: ${refusal}`);
    return true;
  }

  /** Delivers what waits, and then what comes. */
  #goOn(): void {
    while (!this.#isPaused && this.#closed === undefined) {
      const frame = this.#waiting.shift();
      if (frame === undefined) {
        this.#socket.resume();
        return;
      }
      this.#events?.frame(frame);
    }
  }

  /** What is no frame, or no message to whoever listens, ends the connection. */
  #guarded(task: () => void): void {
    try {
      task();
    } catch (error) {
      this.#abandon(`what arrived is not what it should be: ${(error as Error).message}`);
      if (!(error instanceof WireError)) throw error;
    }
  }
}
