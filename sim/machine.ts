/**
 * A machine: its memory with the stores in it, which outlive its processes, and the node that runs on it. What the node
 * is made of comes from outside (`NodeFactory`).
 */

import type { Clock, Random } from '../src/ramster/clock.ts';
import type { PageRef } from '../src/ramster/local/local-pages.ts';
import { nodeNumber } from '../src/ramster/place.ts';
import type { RemoteState } from '../src/ramster/remote-store/remote-store.ts';
import type { Channel, Transport } from '../src/ramster/transport/transport.ts';
import type { VirtualClock } from './clock.ts';
import { type ForeignLimits, ForeignStore } from './foreign-store.ts';
import { LocalStore, type RecordObserver } from './local-store.ts';
import { PAGE_BYTES, SimMemory } from './memory.ts';
import { addressOf, type SimNetwork } from './network.ts';
import { SimProcess } from './process.ts';
import type { Streams } from './random.ts';
import type { Trace } from './trace.ts';

/** What a node is made from. */
export interface NodeParts {
  readonly name: string;
  readonly address: string;
  /** All the others. */
  readonly peers: readonly { readonly name: string; readonly address: string }[];
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport;
  readonly local: LocalStore;
  readonly foreign: ForeignStore;
  /** Connections that others open go to `accept` from now on. */
  listen(accept: (channel: Channel) => void): void;
  /** The node's membership has another opinion of a peer; undefined: it does not list it any more. */
  observe(peer: string, state: RemoteState | undefined): void;
}

/** A node, as far as the simulator knows it. */
export interface SimNode {
  start(): Promise<void>;
  /** As PageFetcher. */
  fetch(page: PageRef): Promise<'local' | Uint8Array>;
  /** Leaves in order. */
  drain(): Promise<void>;
  stop(): Promise<void>;
  /** Counters of the node, by name. */
  statistics(): Readonly<Record<string, number>>;
}

export type NodeFactory = (parts: NodeParts) => SimNode;

/** The stores of a machine; the planted bugs of the tests are in others. */
export interface Stores {
  local(memory: SimMemory, observe: RecordObserver): LocalStore;
  foreign(memory: SimMemory, limits: ForeignLimits): ForeignStore;
}

export const plainStores: Stores = {
  local: (memory, observe) => new LocalStore(memory, observe),
  foreign: (memory, limits) => new ForeignStore(memory, limits),
};

export interface MachineOptions {
  readonly host: number;
  readonly hosts: number;
  /** Room for this many pages. */
  readonly memoryPages: number;
  readonly clock: VirtualClock;
  readonly trace: Trace;
  readonly streams: Streams;
  readonly network: SimNetwork;
  readonly stores: Stores;
  readonly factory: NodeFactory;
  readonly observeRecord: (machine: Machine, ...change: Parameters<RecordObserver>) => void;
  readonly observePeer: (machine: Machine, peer: string, state: RemoteState | undefined) => void;
}

/** How far clocks disagree: their zeros, and their speeds. */
const CLOCK_ZERO_MOST_MS = 1e9;
const CLOCK_DRIFT_MOST = 0.002;
/** Shares of a memory that are lent to all others, and to each. */
const LENT_SHARE = 1 / 2;
const OWNER_SHARE = 1 / 4;

export function nameOfHost(host: number): string {
  return `n${host}`;
}

export class Machine {
  readonly host: number;
  readonly name: string;
  /** The node's number in places. */
  readonly number: number;
  readonly limits: ForeignLimits;
  memory!: SimMemory;
  local!: LocalStore;
  foreign!: ForeignStore;
  process: SimProcess | undefined;
  node: SimNode | undefined;
  readonly #options: MachineOptions;
  readonly #random: Random;
  #starts = 0;

  constructor(options: MachineOptions) {
    this.#options = options;
    this.host = options.host;
    this.name = nameOfHost(options.host);
    this.number = nodeNumber(this.name);
    this.#random = options.streams(`machine ${this.host}`);
    const pages = (share: number): number => Math.floor(options.memoryPages * share) * PAGE_BYTES;
    this.limits = { lentMostBytes: pages(LENT_SHARE), ownerMostBytes: pages(OWNER_SHARE) };
    this.#newMemory();
  }

  /** A process runs, and is not stopped. */
  get isRunning(): boolean {
    return this.process !== undefined && !this.process.isStopped;
  }

  /** Starts a process with a node. */
  start(): Promise<void> {
    const { clock, trace, streams, network, factory, hosts } = this.#options;
    const process = new SimProcess({
      ...{ name: this.name, host: this.host, clock, trace },
      clockZeroMs: this.#random() * CLOCK_ZERO_MOST_MS,
      clockSpeed: 1 + (2 * this.#random() - 1) * CLOCK_DRIFT_MOST,
    });
    this.process = process;
    this.memory.begin();
    this.node = factory({
      ...{ name: this.name, address: addressOf(this.host), local: this.local, foreign: this.foreign },
      peers: otherHosts(hosts, this.host).map((host) => ({
        name: nameOfHost(host),
        address: addressOf(host),
      })),
      clock: process.clock,
      random: streams(`node ${this.host} ${this.#starts++}`),
      transport: network.transport(process),
      listen: (accept) => network.listen(process, addressOf(this.host), accept),
      observe: (peer, state) => this.#options.observePeer(this, peer, state),
    });
    return this.node.start();
  }

  /** The process ends at once. `silently`: as with the machine's power. */
  end(silently: boolean): void {
    if (this.process === undefined) return;
    this.process.end();
    this.#options.network.ended(this.process, silently);
    this.process = undefined;
    this.node = undefined;
  }

  /** What was in memory is gone; only without a process. */
  loseMemory(): void {
    this.#newMemory();
  }

  #newMemory(): void {
    const { memoryPages, stores, observeRecord } = this.#options;
    this.memory = new SimMemory(this.#random, memoryPages * PAGE_BYTES);
    this.local = stores.local(this.memory, (...change) => observeRecord(this, ...change));
    this.foreign = stores.foreign(this.memory, this.limits);
  }
}

function otherHosts(hosts: number, own: number): number[] {
  return Array.from({ length: hosts }, (_, host) => host).filter((host) => host !== own);
}
