// Links without connections: heartbeats between nodes of one process, on a virtual clock.
import type { Timer } from '../../../src/ramster/clock.ts';
import type { LinkLiveness, Liveness } from '../../../src/ramster/membership/liveness.ts';
import type { Member, NodeStatus } from '../../../src/ramster/membership/membership.ts';
import { StaticMembership, type StaticMembershipOptions } from '../../../src/ramster/membership/static.ts';
import type { VirtualClock } from './virtual-clock.ts';

export const HEARTBEAT_MS = 500;
const SUSPECT_MS = 1500;
const DOWN_MS = 3000;
/** The links look at silence with each heartbeat. */
export const DETECTION_MS = DOWN_MS + HEARTBEAT_MS;

/** What is said to whoever asks; undefined: nobody is there. 'left': it has closed its connections in order. */
type Running = (() => NodeStatus) | 'left' | undefined;

/** The nodes that there are, and whether they run. */
export class FakeNetwork {
  readonly clock: VirtualClock;
  readonly running = new Map<string, Running>();
  readonly links = new Map<string, FakeLinks>();
  /** Heartbeats sent, by the node that sent them. */
  readonly sent = new Map<string, number>();

  constructor(clock: VirtualClock) {
    this.clock = clock;
  }

  kill(name: string): void {
    this.running.delete(name);
    this.links.get(name)?.stop();
  }
}

interface Watched {
  heardMs: number;
  told: string;
}

export class FakeLinks implements LinkLiveness {
  readonly watched = new Map<string, Watched>();
  /** Peers that have pages of this node. */
  readonly holders = new Set<string>();
  readonly #network: FakeNetwork;
  readonly #name: string;
  #listener: (name: string, liveness: Liveness) => void = () => {};
  #beat: Timer;

  constructor(network: FakeNetwork, name: string) {
    this.#network = network;
    this.#name = name;
    this.#beat = network.clock.after(HEARTBEAT_MS, this.#onBeat);
    network.links.set(name, this);
  }

  watch(name: string): void {
    if (this.watched.has(name)) throw new Error(`${name} is watched twice`);
    this.watched.set(name, { heardMs: this.#network.clock.now(), told: '' });
  }

  unwatch(name: string): void {
    if (!this.watched.delete(name)) throw new Error(`${name} is not watched`);
  }

  holdsPages(name: string): boolean {
    return this.holders.has(name);
  }

  onChange(listener: (name: string, liveness: Liveness) => void): void {
    this.#listener = listener;
  }

  stop(): void {
    this.#beat.cancel();
  }

  readonly #onBeat = (): void => {
    const { clock, running, sent } = this.#network;
    this.#beat = clock.after(HEARTBEAT_MS, this.#onBeat);
    sent.set(this.#name, (sent.get(this.#name) ?? 0) + this.watched.size);
    for (const [name, watched] of this.watched) {
      const peer = running.get(name);
      const status = typeof peer === 'function' ? peer() : { freeBytes: 0, draining: false };
      if (typeof peer === 'function') watched.heardMs = clock.now();
      const silentMs = clock.now() - watched.heardMs;
      const state =
        peer === 'left' || silentMs >= DOWN_MS ? 'down' : silentMs >= SUSPECT_MS ? 'suspect' : 'up';
      const liveness = { state, ...status } as const;
      const told = JSON.stringify(liveness);
      if (told !== watched.told) this.#listener(name, liveness);
      watched.told = told;
    }
  };
}

/** A node's membership with its links: they tell and close what a node would. */
export class StaticNode extends StaticMembership {
  readonly links: FakeLinks;
  readonly #network: FakeNetwork;
  readonly #name: string;

  constructor(network: FakeNetwork, options: Omit<StaticMembershipOptions, 'detectionMs'>) {
    const links = new FakeLinks(network, options.name);
    super({ ...options, detectionMs: DETECTION_MS }, links, network.clock);
    this.links = links;
    this.#network = network;
    this.#name = options.name;
  }

  override async start(
    status: () => NodeStatus,
    changed: (members: readonly Member[]) => void,
  ): Promise<void> {
    this.#network.running.set(this.#name, status);
    await super.start(status, changed);
  }

  override async stop(): Promise<void> {
    await super.stop();
    this.links.stop();
    if (this.#network.running.has(this.#name)) this.#network.running.set(this.#name, 'left');
  }
}
