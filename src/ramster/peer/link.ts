/**
 * The link to one peer: a connection that this node opened, on which it asks and the peer answers. It connects again
 * whenever it is cut, sends heartbeats, and knows from them how the peer is.
 *
 *   up       heard of within suspectMs, and connected
 *   suspect  heard of within downMs
 *   down     not heard of for longer, or never
 *
 * Only an answer to what was asked proves that the peer is there, and only after a hello that fits. What it says is
 * checked: another name, cluster or version, or a frame that makes no sense, cuts the connection, and `problem` says
 * why.
 */

import type { Clock, Random, Timer } from '../clock.ts';
import type { NodeStatus } from '../membership/membership.ts';
import { RemoteError, type RemoteState } from '../remote-store/remote-store.ts';
import type { NodeSettings } from '../settings.ts';
import type { Channel, Transport } from '../transport/transport.ts';
import { decodeFrame, type Frame, type MessageType } from '../wire/frame.ts';
import {
  decodeHelloReply,
  decodeNothing,
  decodePingReply,
  decodeRefusal,
  encodeHello,
  encodePing,
  type HelloReply,
} from '../wire/messages.ts';
import { WireError } from '../wire/wire-error.ts';
import { Requests } from './requests.ts';
import { PROTOCOLS, type Self } from './self.ts';

/** Waits between attempts to connect: doubled from the first up to the last. */
const RETRY_FIRST_MS = 100;
const RETRY_LAST_MS = 3000;
/** How long a peer that refused a page for want of room is asked for no other. */
const FULL_MS = 2000;
/** Share of the latest round trip in the mean that is kept. */
const LATENCY_WEIGHT = 1 / 8;

export interface LinkOptions {
  readonly self: Self;
  readonly name: string;
  readonly address: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport;
  readonly settings: NodeSettings;
  readonly status: () => NodeStatus;
  /** Something about the peer changed: state, status, memory or problem. */
  readonly changed: (link: Link) => void;
  /** A page is about to be put there: from now on the peer may hold some. */
  readonly putting: () => void;
}

export class Link {
  readonly name: string;
  readonly address: string;
  readonly #options: LinkOptions;
  readonly #requests: Requests;
  #channel: Channel | undefined;
  /** What the peer said when it was reached last. */
  #greeted: HelloReply | undefined;
  /** It said so on the connection that is open now. */
  #ready = false;
  #status: NodeStatus = { freeBytes: 0, draining: false };
  #state: RemoteState = 'down';
  #problem: string | undefined;
  #heardMs = Number.NEGATIVE_INFINITY;
  #isFull = false;
  #fullUntilMs = Number.NEGATIVE_INFINITY;
  /** When the last message was sent that the peer has answered: its lease for us runs from then at least. */
  #leaseFromMs: number;
  /** When a page was put there last. */
  #putMs = Number.NEGATIVE_INFINITY;
  #latencyMs = 0;
  /** To connect, since it answered anything but a hello. */
  #attempts = 0;
  #stopped = false;
  #beat: Timer | undefined;
  #retry: Timer | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.name = options.name;
    this.address = options.address;
    this.#leaseFromMs = options.clock.now();
    this.#requests = new Requests(options.clock, options.settings.requestTimeoutMs, (roundTripMs) => {
      this.#leaseFromMs = Math.max(this.#leaseFromMs, options.clock.now() - roundTripMs);
      this.#latencyMs += (roundTripMs - this.#latencyMs) * (this.#latencyMs === 0 ? 1 : LATENCY_WEIGHT);
    });
  }

  start(): void {
    void this.#connect();
    this.#beat = this.#options.clock.after(this.#options.settings.heartbeatMs, this.#onBeat);
  }

  stop(): void {
    this.#stopped = true;
    this.#beat?.cancel();
    this.#retry?.cancel();
    this.#channel?.close('this node ends the link');
    this.#cut('this node ended the link');
  }

  get state(): RemoteState {
    return this.#state;
  }

  /** What the peer said last of itself; for a while after it refused a page for want of room, it has none for us. */
  get status(): NodeStatus {
    return this.#isFull ? { ...this.#status, freeBytes: 0 } : this.#status;
  }

  /** Number of the memory in which the peer keeps our pages; undefined: never reached. */
  get memory(): number | undefined {
    return this.#greeted?.memory;
  }

  /** Why the peer could not be used the last time; undefined: nothing is wrong. */
  get problem(): string | undefined {
    return this.#problem;
  }

  get latencyMs(): number {
    return this.#latencyMs;
  }

  /** Whether the peer may have dropped our pages because it has not heard of us for so long. */
  get isLeaseOver(): boolean {
    const { clock, settings } = this.#options;
    return clock.now() - this.#leaseFromMs > (this.#greeted?.leaseMs ?? settings.leaseMs);
  }

  /** When a page was put there last, in the time of the clock. */
  get putMs(): number {
    return this.#putMs;
  }

  /** A page is about to be put there. */
  putting(): void {
    this.#putMs = this.#options.clock.now();
    this.#options.putting();
  }

  /** As Requests.ask. */
  ask<Result>(
    type: MessageType,
    encode: (request: number) => Uint8Array[],
    receive: (frame: Frame) => Result,
  ): Promise<Result> {
    if (!this.#ready)
      return Promise.reject(new RemoteError(`${this.name}: ${this.#problem ?? 'not connected'}`));
    return this.#requests.ask(type, encode, receive);
  }

  /** The peer has taken so many bytes. */
  took(bytes: number): void {
    const { freeBytes } = this.#status;
    this.#status = { ...this.#status, freeBytes: Math.max(0, freeBytes - bytes) };
  }

  /** The peer took a page no more. It may have room for others: what it gives one owner is limited. */
  refusedForRoom(): void {
    this.#fullUntilMs = this.#options.clock.now() + FULL_MS;
    if (this.#isFull) return;
    this.#isFull = true;
    this.#options.changed(this);
  }

  async #connect(): Promise<void> {
    const { transport, settings, clock } = this.#options;
    let channel: Channel | undefined;
    try {
      const opened = await transport.connect(this.address, settings.requestTimeoutMs, this.name);
      if (this.#stopped) return opened.close('this node ends the link');
      channel = opened;
      this.#channel = opened;
      opened.listen({
        frame: (bytes) => this.#onFrame(bytes),
        closed: (why) => {
          if (this.#channel === opened) this.#cut(why);
        },
      });
      this.#requests.open(opened);
      const greeted = await this.#greet();
      if (this.#channel !== opened) return;
      this.#greeted = greeted;
      this.#ready = true;
      this.#status = greeted.status;
      this.#problem = undefined;
      this.#heardMs = clock.now();
      this.#look(true);
    } catch (error) {
      // Else it was cut meanwhile.
      if (this.#channel === channel) this.#end(messageOf(error));
    }
  }

  async #greet(): Promise<HelloReply> {
    const { self } = this.#options;
    const reply = await this.#requests.ask(
      'hello',
      (request) => encodeHello(request, { protocols: PROTOCOLS, ...self }),
      (frame): HelloReply => {
        if (frame.status === 'ok') return decodeHelloReply(frame.body);
        const { message } = decodeRefusal(frame.body);
        throw new Error(`refused: ${message}`);
      },
    );
    if (reply.name !== this.name) throw new Error(`expected node '${this.name}', found '${reply.name}'`);
    const [lowest, highest] = PROTOCOLS;
    if (reply.protocol < lowest || reply.protocol > highest) {
      throw new Error(`it answers in version ${reply.protocol} of the protocol`);
    }
    return reply;
  }

  /** Closes the connection, if there is one, and tries again later. */
  #end(reason: string): void {
    const channel = this.#channel;
    this.#cut(reason);
    channel?.close(reason);
  }

  /** The connection is gone, or of no use: tries again later. */
  #cut(reason: string): void {
    this.#channel = undefined;
    this.#ready = false;
    this.#problem = reason;
    this.#requests.close(`${this.name}: ${reason}`);
    this.#look(true);
    if (this.#stopped) return;
    const waitMs = Math.min(RETRY_LAST_MS, RETRY_FIRST_MS * 2 ** Math.min(this.#attempts++, 10));
    this.#retry?.cancel();
    this.#retry = this.#options.clock.after(waitMs * (0.5 + this.#options.random() / 2), () => {
      void this.#connect();
    });
  }

  #onFrame(bytes: Uint8Array): void {
    try {
      const frame = decodeFrame(bytes);
      if (!frame.isReply) throw new WireError('it asks where it should answer');
      if (frame.status !== 'ok' && frame.status !== 'refused') decodeNothing(frame.body);
      if (!this.#requests.answer(frame) || !this.#ready) return;
    } catch (error) {
      this.#end(messageOf(error));
      return;
    }
    this.#heardMs = this.#options.clock.now();
    this.#attempts = 0;
    if (this.#state !== 'up') this.#look();
  }

  readonly #onBeat = (): void => {
    const { clock, settings, status } = this.#options;
    this.#beat = clock.after(settings.heartbeatMs, this.#onBeat);
    this.#look();
    if (!this.#ready) return;
    if (this.#state === 'down') {
      this.#end('it does not answer');
      return;
    }
    this.ask(
      'ping',
      (request) => encodePing(request, status()),
      (frame) => {
        if (frame.status !== 'ok') throw new RemoteError(`it answers '${frame.status}'`);
        return decodePingReply(frame.body);
      },
    ).then(
      (heard) => {
        const changed =
          heard.draining !== this.#status.draining || heard.freeBytes !== this.#status.freeBytes;
        this.#status = heard;
        const hasRoomAgain = this.#isFull && this.#options.clock.now() >= this.#fullUntilMs;
        if (hasRoomAgain) this.#isFull = false;
        if (changed || hasRoomAgain) this.#options.changed(this);
      },
      // Silence is told by the state.
      () => {},
    );
  };

  /** Finds out how the peer is; tells if that has changed, or if `tell`. */
  #look(tell = false): void {
    const { clock, settings } = this.#options;
    const silentMs = clock.now() - this.#heardMs;
    // Who was leaving and is not connected has left.
    const hasLeft = this.#status.draining && !this.#ready;
    const state: RemoteState =
      silentMs >= settings.downMs || this.#greeted === undefined || hasLeft
        ? 'down'
        : this.#ready && silentMs < settings.suspectMs
          ? 'up'
          : 'suspect';
    if (state === this.#state && !tell) return;
    this.#state = state;
    this.#options.changed(this);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
