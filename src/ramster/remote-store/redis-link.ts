/**
 * The link to a Redis: connects, looks after it at intervals, and knows which memory it is.
 *
 * Each look at it (survey) asks INFO of all nodes that take writes, and reads the markers: keys with the random id of
 * this memory. A marker that is missing or another one says that pages were lost (FLUSHALL, a server that was
 * replaced, or restarted without its data), and the memory gets a new id. In a cluster there are markers in all parts
 * of its slots, so losing one node is noticed, too.
 *
 *   down --connected, surveyed--> up --a deadline ran out--> suspect --an answer--> up
 *     ^---------- connection ended, or three surveys in a row failed ---------------'
 */

import { randomBytes } from 'node:crypto';
import { TmemError } from '../../zcache/index.ts';
import type { Clock, Timer } from '../clock.ts';
import { memoryNumber } from '../place.ts';
import { type CallLength, Calls } from './calls.ts';
import type { RedisClient, RedisClients } from './redis-connection.ts';
import { type Health, judge, type Needs } from './redis-health.ts';
import { RemoteError, type RemoteState } from './remote-store.ts';

/** Surveys that may fail one after the other until the connection is given up and made anew. */
const FAILURES_MOST = 3;

const MARKER = /^[0-9a-f]{32}$/;

export interface RedisLinkOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly clients: RedisClients;
  /** Keys of the markers. */
  readonly markers: readonly string[];
  readonly needs: Needs;
  /** Whether it may be a Redis that throws pages away when it is full. */
  readonly ephemeralOnly: boolean;
  readonly deadlineMs: number;
  readonly checkIntervalMs: number;
  readonly leaseMs: number;
  /** Called on a new connection: what is known of keys may be out of date. */
  readonly connected: () => void;
  /** Called when the memory is another one, before `memory` says so; removes what may be left. */
  readonly lost: (client: RedisClient) => Promise<void>;
  /** Called after every survey that found all in order. */
  readonly surveyed: () => void;
}

export class RedisLink {
  readonly #options: RedisLinkOptions;
  readonly #calls: Calls;
  #client: RedisClient | undefined;
  #state: RemoteState = 'down';
  #marker: string | undefined;
  #memory: number | undefined;
  #health: Health = { unusable: undefined, forgetful: undefined, freeBytes: 0, unlimited: false };
  #problem: string | undefined;
  #failures = 0;
  #timer: Timer | undefined;
  #checking: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: RedisLinkOptions) {
    this.#options = options;
    const late = (): void => {
      if (this.#state === 'up') this.#state = 'suspect';
    };
    this.#calls = new Calls(options.name, options.clock, options.deadlineMs, late);
  }

  get state(): RemoteState {
    return this.#state;
  }

  get memory(): number | undefined {
    return this.#memory;
  }

  get latencyMs(): number {
    return this.#calls.latencyMs;
  }

  /** What is wrong, in words; undefined: nothing. */
  get problem(): string | undefined {
    return this.#problem ?? (this.#options.ephemeralOnly ? undefined : this.#health.forgetful);
  }

  get keepsPersistent(): boolean {
    return !this.#options.ephemeralOnly && this.#health.forgetful === undefined;
  }

  get freeBytes(): number {
    return this.#health.freeBytes;
  }

  /** Whether a page of so many bytes is more than it may take; a limit of its own it knows best itself. */
  isFullFor(bytes: number): boolean {
    return this.#health.unlimited && this.#health.freeBytes < bytes;
  }

  /** Counts bytes that were put since the last survey. */
  took(bytes: number): void {
    this.#health = { ...this.#health, freeBytes: Math.max(0, this.#health.freeBytes - bytes) };
  }

  /**
   * Connects, if it can be reached, and goes on looking after it.
   *
   * @throws TmemError TMEM_ERR_PEER when it was reached and will not do
   */
  async start(): Promise<void> {
    await this.#check();
    const wrong = this.#health.unusable ?? (this.#options.ephemeralOnly ? undefined : this.#health.forgetful);
    if (wrong !== undefined) {
      await this.close();
      throw new TmemError('TMEM_ERR_PEER', `redis '${this.#options.name}': ${wrong}`);
    }
    this.#checkLater();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    this.#drop('it was closed');
    await this.#checking;
  }

  /**
   * Asks Redis.
   *
   * @throws RemoteError also when the memory changed meanwhile: nobody knows in which one it took effect
   */
  async run<T>(what: string, length: CallLength, work: (client: RedisClient) => Promise<T>): Promise<T> {
    const client = this.#client;
    const memory = this.#memory;
    if (client === undefined || this.#state === 'down') {
      throw new RemoteError(`${this.#options.name}: ${what}: it is down: ${this.problem ?? 'not connected'}`);
    }
    const result = await this.#ask(what, length, () => work(client));
    if (this.#memory !== memory) throw new RemoteError(`${this.#options.name}: ${what}: its memory was lost`);
    if (this.#state === 'suspect') this.#state = 'up';
    return result;
  }

  async #ask<T>(what: string, length: CallLength, work: () => Promise<T>): Promise<T> {
    try {
      return await this.#calls.run(what, length, work);
    } catch (cause) {
      if (cause instanceof RemoteError) throw cause;
      throw new RemoteError(`${this.#options.name}: ${what}: ${(cause as Error).message}`, { cause });
    }
  }

  #checkLater(): void {
    if (this.#closed) return;
    this.#timer = this.#options.clock.after(this.#options.checkIntervalMs, () => {
      this.#checking = this.#check().finally(() => this.#checkLater());
    });
  }

  async #check(): Promise<void> {
    try {
      if (this.#client === undefined) await this.#connect();
      await this.#survey();
      this.#failures = 0;
      this.#problem = this.#health.unusable;
      this.#state = this.#problem === undefined ? 'up' : 'down';
      if (this.#state === 'up') this.#options.surveyed();
    } catch (error) {
      this.#failures++;
      this.#problem = (error as Error).message;
      if (this.#state === 'down' || this.#failures >= FAILURES_MOST) this.#drop(this.#problem);
      else this.#state = 'suspect';
    }
  }

  async #connect(): Promise<void> {
    const client = this.#options.clients.make();
    let reason: string | undefined;
    client.on('error', (error: Error) => {
      reason = error.message;
    });
    client.on('end', () => {
      if (this.#client === client) this.#drop(reason ?? 'the connection ended');
    });
    try {
      await this.#ask('connect', 'several', () => client.connect());
    } catch (cause) {
      client.disconnect();
      // The event says more than the promise: a wrong password, a certificate that is not trusted.
      if (reason === undefined) throw cause;
      throw new RemoteError(`${this.#options.name}: connect: ${reason}`, { cause });
    }
    if (this.#closed) {
      client.disconnect();
      throw new RemoteError(`${this.#options.name}: it was closed`);
    }
    this.#client = client;
    this.#options.connected();
  }

  #drop(reason: string): void {
    const client = this.#client;
    this.#client = undefined;
    this.#state = 'down';
    this.#problem = reason;
    client?.disconnect();
  }

  async #survey(): Promise<void> {
    const client = this.#client;
    if (client === undefined) throw new RemoteError(`${this.#options.name}: the connection ended`);
    const masters = this.#options.clients.masters(client);
    const infos = await this.#ask('info', 'several', () => Promise.all(masters.map((node) => node.info())));
    this.#health = judge(infos, this.#options.needs);
    if (this.#health.unusable !== undefined) return;
    await this.#ask('ping', 'round trip', () => Promise.all(masters.map((node) => node.ping())));
    await this.#ask('marker', 'several', () => this.#recognise(client));
  }

  async #recognise(client: RedisClient): Promise<void> {
    const { markers, leaseMs, lost } = this.#options;
    const [first, ...others] = await Promise.all(markers.map((key) => client.get(key)));
    const isWhole = typeof first === 'string' && MARKER.test(first) && others.every((id) => id === first);
    if (isWhole && first === this.#marker) return;
    if (this.#marker !== undefined) await lost(client);
    const marker = isWhole ? first : randomBytes(16).toString('hex');
    if (!isWhole) await Promise.all(markers.map((key) => client.set(key, marker, 'PX', leaseMs)));
    this.#marker = marker;
    this.#memory = memoryNumber(Buffer.from(marker, 'hex'));
  }
}
