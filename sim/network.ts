/**
 * The simulated network: connections that carry frames between processes, with everything that can happen to them.
 *
 *   profile    delay, jitter, loss, duplication, reordering: the weather, for all ways alike
 *   blocked    a way (from one machine to another, one direction) that lets nothing through
 *   slow       a machine that everything takes longer to and from
 *
 * 'stream' connections behave like TCP: a lost frame comes later, and everything behind it, too. The others lose,
 * double and overtake frames, which no real transport does: nothing above may rely on the network for correctness.
 *
 * What meets a blocked way waits for its end, as if sent again, or is lost; a process that ended tells its peers, or
 * does not, as when the machine loses its power.
 */

import type { Random } from '../src/ramster/clock.ts';
import type { Channel, Transport } from '../src/ramster/transport/transport.ts';
import { SimChannel } from './channel.ts';
import type { VirtualClock } from './clock.ts';
import type { SimProcess } from './process.ts';
import type { Streams } from './random.ts';
import type { Trace } from './trace.ts';

export interface Profile {
  readonly delayMs: number;
  /** Added on average; some are several times as late. */
  readonly jitterMs: number;
  /** Shares of frames, 0 to 1. */
  readonly loss: number;
  readonly duplicates: number;
  readonly overtaking: number;
  readonly stream: boolean;
  /** Share of what meets a blocked way that is lost, and does not wait. */
  readonly lostAtBlocks: number;
}

export interface NetworkOptions {
  readonly clock: VirtualClock;
  readonly trace: Trace;
  readonly streams: Streams;
  readonly profile: Profile;
  /** Sees, and may change, every frame on its way. */
  readonly tap?: ((from: SimProcess, to: SimProcess, frame: Uint8Array) => void) | undefined;
}

/** How often a lost frame of a stream is sent again. */
const RESEND_MS = 200;
/** What waits at a blocked way; what comes then is lost. */
const WAITING_MOST = 256;
/** Sets machines apart in the number of a way. */
const HOSTS_MAX = 4096;

interface Listener {
  readonly process: SimProcess;
  readonly accept: (channel: Channel) => void;
}

/** What waits at a blocked way, for as long as there is somebody to send it again. */
interface Waiting {
  readonly sender: SimProcess;
  readonly task: () => void;
}

/** What a machine has sent. */
export interface Traffic {
  frames: number;
  bytes: number;
}

export class SimNetwork {
  #profile: Profile;
  /** When the profile changed last. */
  #changedMs = 0;
  readonly #clock: VirtualClock;
  readonly #trace: Trace;
  readonly #streams: Streams;
  readonly #tap: NetworkOptions['tap'];
  readonly #listeners = new Map<string, Listener>();
  readonly #channels = new Map<SimProcess, Set<SimChannel>>();
  readonly #randoms = new Map<number, Random>();
  readonly #blocked = new Map<number, Waiting[]>();
  readonly #unblockedMs = new Map<number, number>();
  readonly #slowMs = new Map<number, number>();
  readonly #silent = new Set<number>();
  readonly #traffic = new Map<number, Traffic>();

  constructor({ clock, trace, streams, profile, tap }: NetworkOptions) {
    this.#clock = clock;
    this.#trace = trace;
    this.#streams = streams;
    this.#profile = profile;
    this.#tap = tap;
  }

  get profile(): Profile {
    return this.#profile;
  }

  /** The weather changes. */
  set profile(profile: Profile) {
    this.#profile = profile;
    this.#changedMs = this.#clock.now();
  }

  /** The transport of a process. */
  transport(process: SimProcess): Transport {
    return { connect: (address, timeoutMs) => this.#connect(process, address, timeoutMs) };
  }

  listen(process: SimProcess, address: string, accept: (channel: Channel) => void): void {
    this.#listeners.set(address, { process, accept });
    this.#silent.delete(process.host);
  }

  /**
   * A process has ended. `silently`: nobody is told, and nobody is refused a connection, until its machine runs
   * another one.
   */
  ended(process: SimProcess, silently: boolean): void {
    for (const [address, listener] of this.#listeners) {
      if (listener.process === process) this.#listeners.delete(address);
    }
    if (silently) this.#silent.add(process.host);
    else
      for (const channel of this.#channels.get(process) ?? []) if (channel.isOpen) this.tellClosed(channel);
    this.#channels.delete(process);
  }

  block(from: number, to: number): void {
    const way = wayOf(from, to);
    if (!this.#blocked.has(way)) this.#blocked.set(way, []);
  }

  /** What waits at the way goes on. */
  unblock(from: number, to: number): void {
    const way = wayOf(from, to);
    const waiting = this.#blocked.get(way) ?? [];
    if (this.#blocked.delete(way)) this.#unblockedMs.set(way, this.#clock.now());
    for (const { sender, task } of waiting) if (!sender.hasEnded) this.#clock.after(0, task);
  }

  isBlocked(from: number, to: number): boolean {
    return this.#blocked.has(wayOf(from, to));
  }

  /** Whether everything sent since then gets there, in time and once. */
  isFree(from: number, to: number, sinceMs: number): boolean {
    const way = wayOf(from, to);
    const isCertain = this.#profile.stream && this.#changedMs <= sinceMs;
    return isCertain && !this.#blocked.has(way) && (this.#unblockedMs.get(way) ?? 0) <= sinceMs;
  }

  /** Everything from and to a machine takes this much longer; 0: no longer than elsewhere. */
  slow(host: number, extraMs: number): void {
    this.#slowMs.set(host, extraMs);
  }

  heal(): void {
    for (const way of [...this.#blocked.keys()]) this.unblock(Math.floor(way / HOSTS_MAX), way % HOSTS_MAX);
    this.#slowMs.clear();
  }

  /** What a machine has sent since the beginning. */
  trafficOf(host: number): Readonly<Traffic> {
    return this.#traffic.get(host) ?? { frames: 0, bytes: 0 };
  }

  /** Runs in a moment, not before the caller is done. */
  soon(process: SimProcess, task: () => void): void {
    this.#clock.after(0, () => process.run(task));
  }

  carry(channel: SimChannel, frame: Uint8Array): void {
    const from = channel.process;
    const to = channel.other.process;
    this.#count(from.host, frame.length);
    this.#tap?.(from, to, frame);
    const random = this.#random(from.host);
    const { loss, duplicates, overtaking, stream } = this.#profile;
    let delayMs = this.#delayMs(from.host, to.host);
    if (stream) {
      while (loss > 0 && random() < loss) delayMs += RESEND_MS;
      const atMs = Math.max(channel.lastArrivalMs, this.#clock.now() + delayMs);
      channel.lastArrivalMs = atMs;
      this.#arrive(channel, frame, atMs - this.#clock.now());
      return;
    }
    if (random() < loss) {
      channel.settled(frame.length);
      return;
    }
    if (random() < duplicates) this.#arrive(channel, frame.slice(), delayMs * (1 + 4 * random()), true);
    if (random() < overtaking) delayMs *= 1 + 8 * random();
    this.#arrive(channel, frame, delayMs);
  }

  /** The end of a connection closes: the other one learns of it, if the way is free. */
  tellClosed(channel: SimChannel): void {
    const { process, other } = channel;
    this.#forget(channel);
    const atMs = Math.max(
      channel.lastArrivalMs,
      this.#clock.now() + this.#delayMs(process.host, other.process.host),
    );
    this.#clock.after(atMs - this.#clock.now(), () =>
      this.#pass(process, other.process.host, () => this.#break(other, 'closed by the peer')),
    );
  }

  #arrive(channel: SimChannel, frame: Uint8Array, delayMs: number, isCopy = false): void {
    const { process, other } = channel;
    this.#clock.after(delayMs, () => {
      this.#trace.mix(2 + process.host * HOSTS_MAX, other.process.host, frame.length, headOf(frame));
      const passes = this.#pass(process, other.process.host, () => {
        if (isCopy) channel.settled(-frame.length);
        if (other.isOpen && !other.process.hasEnded) other.process.run(() => other.arrived(frame));
        else this.#refuse(channel, frame);
      });
      if (!passes && !isCopy) channel.settled(frame.length);
    });
  }

  /** A frame for an end that is no more: its sender is told, unless nothing is there to tell it. */
  #refuse(channel: SimChannel, frame: Uint8Array): void {
    const { process, other } = channel;
    channel.settled(frame.length);
    if (this.#silent.has(other.process.host)) return;
    this.#clock.after(this.#delayMs(other.process.host, process.host), () =>
      this.#pass(other.process, process.host, () => this.#break(channel, 'reset by the peer')),
    );
  }

  #break(channel: SimChannel, reason: string): void {
    this.#forget(channel);
    channel.process.run(() => channel.broke(reason));
  }

  /** Runs `task` if the way is free, or when it is free again. False: it is lost. */
  #pass(sender: SimProcess, to: number, task: () => void): boolean {
    const waiting = this.#blocked.get(wayOf(sender.host, to));
    if (waiting === undefined) task();
    else if (waiting.length >= WAITING_MOST || this.#random(sender.host)() < this.#profile.lostAtBlocks)
      return false;
    else waiting.push({ sender, task });
    return true;
  }

  #connect(process: SimProcess, address: string, timeoutMs: number): Promise<Channel> {
    return new Promise((resolve, reject) => {
      const listener = this.#listeners.get(address);
      const host = listener?.process.host ?? hostOf(address);
      let isOver = false;
      let near: SimChannel | undefined;
      const end = (task: () => void): void => {
        if (isOver) return;
        isOver = true;
        timer.cancel();
        task();
      };
      const fail = (words: string): void =>
        end(() => {
          near?.close('given up');
          reject(new Error(`${address}: ${words}`));
        });
      const timer = process.clock.after(timeoutMs, () => fail(`no connection within ${timeoutMs} ms`));
      const answer = (delayMs: number, task: () => void): void => {
        this.#clock.after(delayMs, () => {
          if (!this.isBlocked(host, process.host)) process.run(task);
        });
      };
      const toMs = this.#delayMs(process.host, host) + this.#resendMs(process.host);
      this.#clock.after(toMs, () => {
        this.#trace.mix(3, process.host, host);
        if (this.isBlocked(process.host, host) || this.#silent.has(host)) return;
        const backMs = this.#delayMs(host, process.host);
        const now = this.#listeners.get(address);
        if (now === undefined) return answer(backMs, () => fail('connection refused'));
        const made = this.#pair(process, now.process, address);
        near = made;
        if (isOver) made.close('given up');
        now.process.run(() => now.accept(made.other));
        answer(backMs, () => end(() => resolve(made)));
      });
    });
  }

  /** Two ends of a new connection; the one of `process`. */
  #pair(process: SimProcess, target: SimProcess, address: string): SimChannel {
    const near = new SimChannel(this, process, target.name, address);
    const far = new SimChannel(this, target, process.name, `${process.name}:client`);
    near.other = far;
    far.other = near;
    for (const channel of [near, far]) {
      const channels = this.#channels.get(channel.process) ?? new Set();
      this.#channels.set(channel.process, channels.add(channel));
    }
    return near;
  }

  #forget(channel: SimChannel): void {
    this.#channels.get(channel.process)?.delete(channel);
  }

  #delayMs(from: number, to: number): number {
    const { delayMs, jitterMs } = this.#profile;
    const random = this.#random(from);
    const late = -Math.log(1 - random()) * jitterMs;
    return delayMs + late + (this.#slowMs.get(from) ?? 0) + (this.#slowMs.get(to) ?? 0);
  }

  /** A connection whose first packet is lost is late. */
  #resendMs(host: number): number {
    return this.#profile.loss > 0 && this.#random(host)() < this.#profile.loss ? 1000 : 0;
  }

  #random(host: number): Random {
    let random = this.#randoms.get(host);
    if (random === undefined) {
      random = this.#streams(`network ${host}`);
      this.#randoms.set(host, random);
    }
    return random;
  }

  #count(host: number, bytes: number): void {
    const traffic = this.#traffic.get(host) ?? { frames: 0, bytes: 0 };
    this.#traffic.set(host, traffic);
    traffic.frames++;
    traffic.bytes += bytes;
  }
}

/** Address of a machine: its number is in it. */
export function addressOf(host: number): string {
  return `host${host}:7000`;
}

function hostOf(address: string): number {
  return Number.parseInt(address.slice('host'.length), 10);
}

function wayOf(from: number, to: number): number {
  return from * HOSTS_MAX + to;
}

/** What a frame's head says of it, as one number: type, request id and checksum are in its first 16 bytes. */
function headOf(frame: Uint8Array): number {
  let word = 0;
  const bytes = Math.min(16, frame.length);
  for (let i = 4; i < bytes; i++) word = (Math.imul(word, 31) + (frame[i] as number)) | 0;
  return word;
}
