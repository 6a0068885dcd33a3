// The connection of an owner, as a holder has it; a test speaks for the owner.
import type { Channel, ChannelEvents } from '../../../src/ramster/transport/transport.ts';
import { decodeFrame, type Frame } from '../../../src/ramster/wire/frame.ts';

export class OwnerEnd implements Channel {
  readonly peerName: string | undefined;
  readonly peerAddress = 'test:1';
  readonly pendingBytes = 0;
  readonly replies: Frame[] = [];
  closed: string | undefined;
  #events: ChannelEvents | undefined;
  constructor(peerName?: string) {
    this.peerName = peerName;
  }
  send(...parts: Uint8Array[]): void {
    if (this.closed === undefined) this.replies.push(decodeFrame(Uint8Array.from(Buffer.concat(parts))));
  }
  listen(events: ChannelEvents): void {
    this.#events = events;
  }
  pause(): void {}
  resume(): void {}
  close(reason: string): void {
    if (this.closed !== undefined) return;
    this.closed = reason;
    this.#events?.closed(reason);
  }
  /** Says something; what was answered, if anything. */
  say(parts: Uint8Array[]): Frame | undefined {
    const bytes = Uint8Array.from(Buffer.concat(parts));
    const before = this.replies.length;
    if (this.closed === undefined) this.#events?.frame(bytes);
    bytes.fill(0xdd);
    return this.replies.at(before);
  }
}
