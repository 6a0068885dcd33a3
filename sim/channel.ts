/**
 * One end of a simulated connection. Frames are copied when they are sent, and overwritten when the call that delivers
 * them is over: who keeps a view of one is found out.
 */

import type { Channel, ChannelEvents } from '../src/ramster/transport/transport.ts';
import type { SimNetwork } from './network.ts';
import type { SimProcess } from './process.ts';

/** Bytes that the systems at both ends take without being read. */
const WINDOW_BYTES = 65_536;
/** What delivered frames are overwritten with. */
const USED = 0xdd;

export class SimChannel implements Channel {
  readonly process: SimProcess;
  readonly peerName: string;
  readonly peerAddress: string;
  /** The other end; set before anybody has this one. */
  other!: SimChannel;
  /** When the last frame to the other end arrives, on connections that keep the order. */
  lastArrivalMs = 0;
  readonly #network: SimNetwork;
  #events: ChannelEvents | undefined;
  #isOpen = true;
  #isPaused = false;
  #travellingBytes = 0;
  #inbox: Uint8Array[] = [];

  constructor(network: SimNetwork, process: SimProcess, peerName: string, peerAddress: string) {
    this.#network = network;
    this.process = process;
    this.peerName = peerName;
    this.peerAddress = peerAddress;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get pendingBytes(): number {
    return Math.max(0, this.#travellingBytes - WINDOW_BYTES);
  }

  send(...parts: Uint8Array[]): void {
    if (!this.#isOpen || this.process.hasEnded) return;
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    const frame = new Uint8Array(bytes);
    let at = 0;
    for (const part of parts) {
      frame.set(part, at);
      at += part.length;
    }
    this.#travellingBytes += bytes;
    this.#network.carry(this, frame);
  }

  /** Bytes that left the way, by arriving or by being lost. */
  settled(bytes: number): void {
    this.#travellingBytes -= bytes;
  }

  listen(events: ChannelEvents): void {
    this.#events = events;
    this.#deliverLater();
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#deliverLater();
  }

  close(reason: string): void {
    if (!this.#isOpen || this.process.hasEnded) return;
    this.#end(reason);
    this.#network.tellClosed(this);
  }

  /** The other end, or the way to it, is gone. */
  broke(reason: string): void {
    if (this.#isOpen) this.#end(reason);
  }

  arrived(frame: Uint8Array): void {
    if (!this.#isOpen) return;
    this.#inbox.push(frame);
    this.#deliver();
  }

  #end(reason: string): void {
    this.#isOpen = false;
    this.#inbox = [];
    this.#network.soon(this.process, () => this.#events?.closed(reason));
  }

  #deliverLater(): void {
    if (this.#inbox.length > 0) this.#network.soon(this.process, () => this.#deliver());
  }

  #deliver(): void {
    while (this.#isOpen && !this.#isPaused && this.#events !== undefined) {
      const frame = this.#inbox.shift();
      if (frame === undefined) return;
      this.other.settled(frame.length);
      this.#events.frame(frame);
      frame.fill(USED);
    }
  }
}
