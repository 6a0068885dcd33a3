/**
 * Requests to one peer: numbered, many under way at a time, each with an end. A request that is not answered within the
 * deadline fails, also one that had to wait for its turn; an answer that comes later is nobody's and is dropped.
 *
 * All have the same time to live, so the first that was asked is the first to expire.
 */

import type { Clock, Timer } from '../clock.ts';
import { RemoteError } from '../remote-store/remote-store.ts';
import type { Channel } from '../transport/transport.ts';
import type { Frame, MessageType } from '../wire/frame.ts';
import { WireError } from '../wire/wire-error.ts';

/** Under way at a time: 256 pages are 1 MiB at most, which bounds what either side has to buffer. */
const UNDER_WAY_MAX = 256;
/** Waiting for their turn; more are told at once that the peer is too slow. */
const WAITING_MAX = 4096;
/** The number above is for refusals that answer no request. */
const REQUEST_MAX = 0xffff_fffe;

interface Pending {
  readonly request: number;
  readonly type: MessageType;
  isSent: boolean;
  readonly askedMs: number;
  readonly encode: (request: number) => Uint8Array[];
  readonly receive: (frame: Frame) => void;
  readonly fail: (error: unknown) => void;
}

export class Requests {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #answered: (roundTripMs: number) => void;
  /** By number, in the order asked. */
  readonly #pending = new Map<number, Pending>();
  readonly #waiting: Pending[] = [];
  #underWay = 0;
  #last = 0;
  #channel: Channel | undefined;
  #timer: Timer | undefined;

  constructor(clock: Clock, timeoutMs: number, answered: (roundTripMs: number) => void = () => {}) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#answered = answered;
  }

  /** Asks on this channel from now on. */
  open(channel: Channel): void {
    this.#channel = channel;
  }

  /** Fails what is under way; nothing can be asked until the next `open`. */
  close(reason: string): void {
    this.#channel = undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
    const failed = [...this.#pending.values()];
    this.#pending.clear();
    this.#waiting.length = 0;
    this.#underWay = 0;
    for (const { fail } of failed) fail(new RemoteError(reason));
  }

  /**
   * Asks. `receive` sees the answer while it is valid, and makes of it what the promise resolves to.
   *
   * @throws RemoteError (as a rejection): not connected, too many waiting, no answer in time, or an unreadable one
   */
  ask<Result>(
    type: MessageType,
    encode: (request: number) => Uint8Array[],
    receive: (frame: Frame) => Result,
  ): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.#channel === undefined) return reject(new RemoteError('not connected'));
      if (this.#waiting.length >= WAITING_MAX)
        return reject(new RemoteError('too many requests are waiting'));
      const pending: Pending = {
        request: this.#number(),
        type,
        isSent: false,
        askedMs: this.#clock.now(),
        encode,
        receive: (frame) => {
          try {
            resolve(receive(frame));
          } catch (error) {
            if (!(error instanceof WireError)) return reject(error);
            reject(new RemoteError(error.message));
            throw error;
          }
        },
        fail: reject,
      };
      this.#pending.set(pending.request, pending);
      if (this.#underWay < UNDER_WAY_MAX) this.#send(pending);
      else this.#waiting.push(pending);
      this.#timer ??= this.#clock.after(this.#timeoutMs, this.#expire);
    });
  }

  /**
   * Gives an answer to who waits for it. False: nobody does (any more).
   *
   * @throws WireError if it is the answer to something else, or cannot be read
   */
  answer(frame: Frame): boolean {
    const pending = this.#pending.get(frame.request);
    if (pending === undefined) return false;
    if (pending.type !== frame.type || !pending.isSent) {
      throw new WireError(`reply to ${frame.type}: request ${frame.request} is another one`);
    }
    this.#pending.delete(frame.request);
    this.#underWay--;
    this.#answered(this.#clock.now() - pending.askedMs);
    pending.receive(frame);
    this.#sendWaiting();
    return true;
  }

  #number(): number {
    do this.#last = this.#last === REQUEST_MAX ? 1 : this.#last + 1;
    while (this.#pending.has(this.#last));
    return this.#last;
  }

  #send(pending: Pending): void {
    let frame: Uint8Array[];
    try {
      frame = pending.encode(pending.request);
    } catch (error) {
      this.#pending.delete(pending.request);
      pending.fail(error);
      return;
    }
    pending.isSent = true;
    this.#underWay++;
    this.#channel?.send(...frame);
  }

  #sendWaiting(): void {
    while (this.#underWay < UNDER_WAY_MAX) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      if (this.#pending.has(next.request)) this.#send(next);
    }
  }

  readonly #expire = (): void => {
    this.#timer = undefined;
    const now = this.#clock.now();
    const late: Pending[] = [];
    for (const pending of this.#pending.values()) {
      if (now - pending.askedMs < this.#timeoutMs) break;
      late.push(pending);
    }
    for (const pending of late) {
      this.#pending.delete(pending.request);
      if (pending.isSent) this.#underWay--;
    }
    const first = this.#pending.values().next().value;
    if (first !== undefined) {
      this.#timer = this.#clock.after(Math.max(1, first.askedMs + this.#timeoutMs - now), this.#expire);
    }
    for (const { fail } of late) fail(new RemoteError(`no answer within ${this.#timeoutMs} ms`));
    this.#sendWaiting();
  };
}
