// A peer that says what a test tells it to say: the other end of a link, without a node behind it.

import type { VirtualClock } from '../../../sim/clock.ts';
import type { Channel, ChannelEvents, Transport } from '../../../src/ramster/transport/transport.ts';
import { decodeFrame, encodeFrame, type Frame } from '../../../src/ramster/wire/frame.ts';
import {
  encodeHelloReply,
  encodePingReply,
  encodeRefusal,
  type HelloReply,
} from '../../../src/ramster/wire/messages.ts';

/** One way of a line, in virtual milliseconds. */
const WAY_MS = 1;

/** The peer's end of a connection. */
export interface PeerEnd {
  send(...parts: Uint8Array[]): void;
  close(reason: string): void;
  isOpen(): boolean;
}

export type Script = (frame: Frame, end: PeerEnd) => void;

export class ScriptedPeer implements Transport {
  readonly clock: VirtualClock;
  script: Script;
  /** Attempts to connect, and when. */
  readonly connects: number[] = [];
  /** What the other side gave as reasons for closing. */
  readonly reasons: string[] = [];
  readonly frames: Frame[] = [];
  ends: PeerEnd[] = [];
  /** 'yes', refused at once, or silent until the timeout. */
  connectable: 'yes' | 'refused' | 'silent' = 'yes';

  constructor(clock: VirtualClock, script: Script) {
    this.clock = clock;
    this.script = script;
  }

  connect(_address: string, timeoutMs: number): Promise<Channel> {
    this.connects.push(this.clock.now());
    return new Promise((resolve, reject) => {
      if (this.connectable === 'yes') this.clock.after(WAY_MS, () => resolve(this.#open()));
      else {
        const delayMs = this.connectable === 'refused' ? WAY_MS : timeoutMs;
        this.clock.after(delayMs, () => reject(new Error(`connection ${this.connectable}`)));
      }
    });
  }

  get openEnds(): PeerEnd[] {
    return this.ends.filter((end) => end.isOpen());
  }

  #open(): Channel {
    let events: ChannelEvents | undefined;
    let isOpen = true;
    const close = (reason: string): void => {
      if (!isOpen) return;
      isOpen = false;
      queueMicrotask(() => events?.closed(reason));
    };
    const end: PeerEnd = {
      isOpen: () => isOpen,
      send: (...parts) => {
        const frame = Uint8Array.from(Buffer.concat(parts));
        this.clock.after(WAY_MS, () => {
          if (isOpen) events?.frame(frame);
          frame.fill(0xdd);
        });
      },
      close: (reason) => {
        this.clock.after(WAY_MS, () => close(reason));
      },
    };
    this.ends.push(end);
    return {
      peerName: undefined,
      peerAddress: 'scripted',
      pendingBytes: 0,
      send: (...parts) => {
        if (!isOpen) return;
        const frame = decodeFrame(Uint8Array.from(Buffer.concat(parts)));
        this.clock.after(WAY_MS, () => {
          if (!isOpen) return;
          this.frames.push(frame);
          this.script(frame, end);
        });
      },
      listen: (given) => {
        events = given;
      },
      pause: () => {},
      resume: () => {},
      close: (reason) => {
        this.reasons.push(reason);
        close(reason);
      },
    };
  }
}

export const STATUS = { freeBytes: 5_000_000, draining: false };

export function greeting(name: string, changes: Partial<HelloReply> = {}): HelloReply {
  return {
    ...{ protocol: 1, name, memory: 77, instance: new Uint8Array(8), leaseMs: 60_000, status: STATUS },
    ...changes,
  };
}

/** Answers as a peer does that has nothing. */
export function polite(name: string, changes: Partial<HelloReply> = {}): Script {
  return ({ type, request }, end) => {
    if (type === 'hello') end.send(...encodeHelloReply(request, greeting(name, changes)));
    else if (type === 'ping') end.send(...encodePingReply(request, changes.status ?? STATUS));
    else if (type === 'get') end.send(...encodeFrame({ type, isReply: true, status: 'miss', request }));
    else end.send(...encodeFrame({ type, isReply: true, status: 'ok', request }));
  };
}

/** Refuses every hello. */
export const refusing: Script = ({ type, request }, end) => {
  end.send(...encodeRefusal(type, request, { code: 'cluster', message: 'this is another cluster' }));
  end.close('refused');
};
