// NATS without a server: connections to a bus in this process, on a virtual clock.
import type { Msg, Status, Subscription } from '@nats-io/transport-node';
import type { NatsUse } from '../../../src/ramster/membership/nats-settings.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** A message is this long on its way. */
const WAY_MS = 1;

export class FakeBus {
  readonly clock: VirtualClock;
  readonly connections = new Set<FakeConnection>();
  #isUp = true;
  /** Messages that stopped here while the bus stood still. */
  #held: (() => void)[] | undefined;

  constructor(clock: VirtualClock) {
    this.clock = clock;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  connect(): FakeConnection {
    const connection = new FakeConnection(this);
    this.connections.add(connection);
    return connection;
  }

  /** Everybody is cut off, and notices. */
  stop(): void {
    this.#isUp = false;
    for (const connection of this.connections) connection.tell({ type: 'disconnect', server: 'bus' });
  }

  start(): void {
    this.#isUp = true;
    for (const connection of this.connections) connection.tell({ type: 'reconnect', server: 'bus' });
  }

  /** It takes messages and delivers none, and nobody is told. */
  freeze(): void {
    this.#held = [];
  }

  thaw(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const deliver of held) deliver();
  }

  publish(subject: string, data: Uint8Array, reply = ''): void {
    if (!this.#isUp) return;
    const deliver = (): void => {
      for (const connection of this.connections) connection.deliver(subject, data, reply);
    };
    this.clock.after(WAY_MS, () => {
      if (this.#held === undefined) deliver();
      else this.#held.push(deliver);
    });
  }
}

export class FakeConnection implements NatsUse {
  readonly #bus: FakeBus;
  readonly #callbacks = new Map<string, (error: Error | null, message: Msg) => void>();
  readonly #statuses: Status[] = [];
  #wake = (): void => {};
  #isClosed = false;
  #end: (error?: Error) => void = () => {};
  readonly #closed = new Promise<undefined | Error>((resolve) => {
    this.#end = resolve;
  });
  /** Messages delivered so far. */
  received = 0;
  /** What was published on it. */
  readonly published: { readonly subject: string; readonly data: Uint8Array }[] = [];

  constructor(bus: FakeBus) {
    this.#bus = bus;
  }

  publish(subject: string, data: Uint8Array, { reply }: { reply?: string } = {}): void {
    if (this.#isClosed) throw new Error('closed connection');
    this.published.push({ subject, data });
    this.#bus.publish(subject, data, reply);
  }

  subscribe(subject: string, options: { callback?: unknown } = {}): Subscription {
    this.#callbacks.set(subject, options.callback as (error: Error | null, message: Msg) => void);
    const unsubscribe = (): void => {
      this.#callbacks.delete(subject);
    };
    return { unsubscribe, isClosed: () => !this.#callbacks.has(subject) } as Subscription;
  }

  deliver(subject: string, data: Uint8Array, reply: string): void {
    const callback = this.#callbacks.get(subject);
    if (callback === undefined) return;
    this.received++;
    callback(null, { data, reply } as Msg);
  }

  /** NATS takes a subscription back. */
  refuse(subject: string, error: Error): void {
    const callback = this.#callbacks.get(subject);
    this.#callbacks.delete(subject);
    callback?.(error, {} as Msg);
    this.tell({ type: 'error', error });
  }

  tell(status: Status): void {
    this.#statuses.push(status);
    this.#wake();
  }

  async *status(): AsyncGenerator<Status> {
    while (!this.#isClosed) {
      const status = this.#statuses.shift();
      if (status !== undefined) yield status;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  async flush(): Promise<void> {
    if (!this.#bus.isUp) await new Promise<never>(() => {});
  }

  closed(): Promise<undefined | Error> {
    return this.#closed;
  }

  isClosed(): boolean {
    return this.#isClosed;
  }

  async close(error?: Error): Promise<void> {
    this.#isClosed = true;
    this.#callbacks.clear();
    this.#bus.connections.delete(this);
    this.#wake();
    this.#end(error);
  }
}
