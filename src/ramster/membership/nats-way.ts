/**
 * The way to the others through NATS: a connection that is made again for ever, and two subscriptions on it. It knows
 * what is wrong with the connection, and nothing of what is said on it.
 */

import { connect, type Msg, type NodeConnectionOptions, type Subscription } from '@nats-io/transport-node';
import type { Clock, Timer } from '../clock.ts';
import type { NatsSettings, NatsUse } from './nats-settings.ts';

/** Longest wait for the first attempt to connect; later ones go on behind the start. */
const START_WAIT_MS = 10_000;
/** Between attempts after one has failed. */
const RETRY_MS = 1000;
/** Longest wait for NATS to have taken the last message. */
const FLUSH_WAIT_MS = 1000;

/** How a connection of our own is made, where its owner did not say otherwise. */
const DEFAULTS: NodeConnectionOptions = {
  reconnectTimeWait: 500,
  timeout: 5000,
  // A server that stands still is left after two of them.
  pingInterval: 5000,
  maxPingOut: 2,
};
/** What must not be otherwise: it is for us to know when to give up, which is never. */
const FIXED: NodeConnectionOptions = {
  waitOnFirstConnect: false,
  reconnect: true,
  maxReconnectAttempts: -1,
  ignoreAuthErrorAbort: true,
  noEcho: false,
};

export interface NatsWayEvents {
  /** There is a way, for the first time or again. */
  opened(): void;
  /** `reply`: where an answer is wanted. */
  heard(message: Uint8Array, reply: string | undefined): void;
}

export class NatsWay {
  readonly #settings: NatsSettings;
  readonly #subjects: readonly string[];
  readonly #clock: Clock;
  readonly #events: NatsWayEvents;
  #connection: NatsUse | undefined;
  #subscriptions: Subscription[] = [];
  #isOpen = false;
  #stopped = false;
  #retry: Timer | undefined;
  #problem: string | undefined = 'not connected to NATS yet';

  constructor(settings: NatsSettings, subjects: readonly string[], clock: Clock, events: NatsWayEvents) {
    this.#settings = settings;
    this.#subjects = subjects;
    this.#clock = clock;
    this.#events = events;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Why there is no way, or what NATS has refused last. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Ends after the first attempt to connect, whether it was successful or not. */
  async open(): Promise<void> {
    const { connection } = this.#settings;
    if (connection === undefined) await this.#within(START_WAIT_MS, this.#connect());
    else this.#use(connection);
  }

  /** What was said came back: whatever NATS had refused, it does not any more. */
  proven(): void {
    if (this.#isOpen) this.#problem = undefined;
  }

  /** Says it to everybody who listens; nothing happens while there is no way. */
  publish(subject: string, message: Uint8Array, reply?: string): void {
    if (!this.#isOpen || this.#connection === undefined) return;
    try {
      this.#subscribe(this.#connection);
      this.#connection.publish(subject, message, reply === undefined ? {} : { reply });
    } catch (error) {
      this.#problem = `NATS: ${textOf(error)}`;
    }
  }

  /** Ends when NATS has what was published, or does not take it within a second. */
  async close(): Promise<void> {
    this.#stopped = true;
    this.#retry?.cancel();
    const connection = this.#connection;
    if (connection === undefined) return;
    if (this.#isOpen) await this.#within(FLUSH_WAIT_MS, connection.flush());
    this.#isOpen = false;
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    if (this.#settings.connection === undefined) await this.#within(FLUSH_WAIT_MS, connection.close());
  }

  async #connect(): Promise<void> {
    const { connect: options, name } = this.#settings;
    let connection: NatsUse;
    try {
      connection = await connect({ name: `tmem ${name}`, ...DEFAULTS, ...options, ...FIXED });
    } catch (error) {
      this.#problem = `NATS cannot be reached: ${textOf(error)}`;
      this.#connectLater();
      return;
    }
    if (this.#stopped) await connection.close();
    else this.#use(connection);
  }

  #connectLater(): void {
    if (!this.#stopped) this.#retry = this.#clock.after(RETRY_MS, () => void this.#connect());
  }

  #use(connection: NatsUse): void {
    this.#connection = connection;
    this.#subscriptions = [];
    connection.closed().then((error) => this.#onClosed(connection, error ?? undefined));
    this.#onOpen(connection);
    void this.#follow(connection);
  }

  #onOpen(connection: NatsUse): void {
    if (this.#stopped || connection.isClosed()) return;
    this.#isOpen = true;
    this.#problem = undefined;
    this.#subscribe(connection);
    this.#events.opened();
  }

  #onClosed(connection: NatsUse, error: Error | undefined): void {
    if (this.#stopped || this.#connection !== connection) return;
    this.#isOpen = false;
    this.#connection = undefined;
    this.#problem = `the connection to NATS was closed${error === undefined ? '' : `: ${textOf(error)}`}`;
    if (this.#settings.connection === undefined) this.#connectLater();
  }

  /** What the connection tells of itself; ends with it. */
  async #follow(connection: NatsUse): Promise<void> {
    for await (const status of connection.status()) {
      if (this.#stopped) return;
      if (status.type === 'disconnect') {
        this.#isOpen = false;
        this.#problem = `the connection to NATS at ${status.server} is broken`;
      } else if (status.type === 'reconnect') {
        this.#onOpen(connection);
      } else if (status.type === 'error') {
        this.#problem = `NATS: ${textOf(status.error)}`;
      }
    }
  }

  /** Subscribes to what is not subscribed: at first, and after NATS had refused it. */
  #subscribe(connection: NatsUse): void {
    const callback = (error: Error | null, { data, reply }: Msg): void => {
      if (error !== null) this.#problem = `NATS: ${textOf(error)}`;
      else if (!this.#stopped) this.#events.heard(data, reply || undefined);
    };
    this.#subscriptions = this.#subjects.map((subject, i) => {
      const there = this.#subscriptions[i];
      return there === undefined || there.isClosed() ? connection.subscribe(subject, { callback }) : there;
    });
  }

  /** Ends with `task`, however that ends, and not later than in `timeMs`. */
  async #within(timeMs: number, task: Promise<unknown>): Promise<void> {
    let timer: Timer | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = this.#clock.after(timeMs, resolve);
    });
    await Promise.race([task.catch(() => {}), timeout]);
    timer?.cancel();
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}
