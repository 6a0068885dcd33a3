/**
 * The link to one peer: a connection that this node opened, on which it asks and the peer answers. It connects again
 * whenever it is cut, sends heartbeats, and knows from them how the peer is.
 *
 *   up       heard of within suspectMs, and connected
 *   suspect  heard of within downMs
 *   down     not heard of for longer, or never
 *
 * Whatever arrives proves that the peer is there. What it says is checked: another name, cluster or version, or a frame
 * that makes no sense, cuts the connection, and `problem` says why.
 */

import type { Clock, Random, Timer } from '../clock.ts';
import type { NodeStatus } from '../membership/membership.ts';
import { RemoteError, type RemoteState } from '../remote-store/remote-store.ts';
import type { NodeSettings } from '../settings.ts';
import type { Channel, Transport } from '../transport/transport.ts';
import { decodeFrame, type Frame, type MessageType } from '../wire/frame.ts';
import {
  decodeHelloReply,
  decodePingReply,
  decodeRefusal,
  encodeHello,
  encodePing,
  type HelloReply,
} from '../wire/messages.ts';
import { Requests } from './requests.ts';
import { PROTOCOLS, type Self } from './self.ts';

/** Waits between attempts to connect: doubled from the first up to the last. */
const RETRY_FIRST_MS = 100;
const RETRY_LAST_MS = 3000;
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
  /** When the last message was sent that the peer has answered: its lease for us runs from then at least. */
  #leaseFromMs = Number.NEGATIVE_INFINITY;
  #latencyMs = 0;
  #attempts = 0;
  #stopped = false;
  #beat: Timer | undefined;
  #retry: Timer | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.name = options.name;
    this.address = options.address;
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

  /** What the peer said last of itself. */
  get status(): NodeStatus {
    return this.#status;
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
    if (this.#greeted === undefined) return false;
    return this.#options.clock.now() - this.#leaseFromMs > this.#greeted.leaseMs;
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

  /** The peer has said that it can take less than we thought. */
  tookUp(freeBytes: number): void {
    this.#status = { ...this.#status, freeBytes };
  }

  async #connect(): Promise<void> {
    const { transport, settings, clock } = this.#options;
    let reason: string;
    try {
      const channel = await transport.connect(this.address, settings.requestTimeoutMs, this.name);
      if (this.#stopped) return channel.close('this node ends the link');
      this.#channel = channel;
      channel.listen({
        frame: (bytes) => this.#onFrame(bytes),
        closed: (why) => {
          if (this.#channel !== channel) return;
          // Who was draining has left.
          if (this.#status.draining) this.#heardMs = Number.NEGATIVE_INFINITY;
          this.#cut(why);
        },
      });
      this.#requests.open(channel);
      const greeted = await this.#greet();
      if (this.#channel !== channel) return;
      this.#greeted = greeted;
      this.#ready = true;
      this.#status = greeted.status;
      this.#attempts = 0;
      this.#problem = undefined;
      this.#heardMs = clock.now();
      this.#look(true);
      return;
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
    }
    const channel = this.#channel;
    if (channel === undefined) this.#cut(reason);
    else {
      this.#cut(reason);
      channel.close(reason);
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
    this.#heardMs = this.#options.clock.now();
    let problem: string | undefined;
    try {
      const frame = decodeFrame(bytes);
      if (frame.isReply) this.#requests.answer(frame);
      else problem = 'it asks where it should answer';
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    }
    if (problem !== undefined) {
      const channel = this.#channel;
      this.#cut(problem);
      channel?.close(problem);
    } else if (this.#state !== 'up') this.#look();
  }

  readonly #onBeat = (): void => {
    const { clock, settings, status } = this.#options;
    this.#beat = clock.after(settings.heartbeatMs, this.#onBeat);
    this.#look();
    const channel = this.#channel;
    if (channel === undefined || !this.#ready) return;
    if (this.#state === 'down') {
      this.#cut('it does not answer');
      channel.close('it does not answer');
      return;
    }
    this.ask(
      'ping',
      (request) => encodePing(request, status()),
      (frame) => decodePingReply(frame.body),
    ).then(
      (heard) => {
        const changed =
          heard.draining !== this.#status.draining || heard.freeBytes !== this.#status.freeBytes;
        this.#status = heard;
        if (changed) this.#options.changed(this);
      },
      // Silence is told by the state.
      () => {},
    );
  };

  /** Finds out how the peer is; tells if that has changed, or if `tell`. */
  #look(tell = false): void {
    const { clock, settings } = this.#options;
    const silentMs = clock.now() - this.#heardMs;
    const state: RemoteState =
      silentMs >= settings.downMs || this.#greeted === undefined
        ? 'down'
        : this.#ready && silentMs < settings.suspectMs
          ? 'up'
          : 'suspect';
    if (state === this.#state && !tell) return;
    this.#state = state;
    this.#options.changed(this);
  }
}
