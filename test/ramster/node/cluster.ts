// Whole nodes on a virtual network, each on a machine of its own.

import { VirtualClock } from '../../../sim/clock.ts';
import { Machine, nameOfHost, plainStores } from '../../../sim/machine.ts';
import { addressOf, SimNetwork } from '../../../sim/network.ts';
import { SimProcess } from '../../../sim/process.ts';
import { streamsOf } from '../../../sim/random.ts';
import { Trace } from '../../../sim/trace.ts';
import type { PageRef } from '../../../src/ramster/local/local-pages.ts';
import type { Membership } from '../../../src/ramster/membership/membership.ts';
import { StaticMembership } from '../../../src/ramster/membership/static.ts';
import { type NodeEvents, RamsterNode } from '../../../src/ramster/node.ts';
import { decodeRecord, type RemoteRecord } from '../../../src/ramster/record.ts';
import type { NodeSettingsInput } from '../../../src/ramster/settings.ts';
import { decodeFrame } from '../../../src/ramster/wire/frame.ts';
import { contentOf, OBJECT, settle } from './scene.ts';
import type { Script } from './scripted-peer.ts';

export interface ClusterOptions {
  readonly nodes: number;
  /** Of the first machine; the others have many. */
  readonly memoryPages?: number;
  readonly settings?: NodeSettingsInput;
  readonly seed?: number;
  /** In the place of the static list, on the first machine. */
  readonly membership?: Membership;
}

export class Cluster {
  readonly clock = new VirtualClock();
  readonly network: SimNetwork;
  readonly machines: readonly Machine[];
  /** Nodes that run, by host. */
  readonly nodes: (RamsterNode | undefined)[] = [];
  /** What nodes told, by host. */
  readonly told: string[][];
  readonly #trace = new Trace();
  readonly #pools = new Map<number, number>();

  constructor({ nodes, memoryPages = 64, settings = {}, seed = 1, membership }: ClusterOptions) {
    const { clock } = this;
    const trace = this.#trace;
    trace.follow(clock);
    const streams = streamsOf(seed);
    const profile = {
      ...{ delayMs: 1, jitterMs: 1, loss: 0, duplicates: 0, overtaking: 0, stream: true, lostAtBlocks: 0 },
    };
    this.network = new SimNetwork({ clock, trace, streams, profile });
    this.told = Array.from({ length: nodes }, () => []);
    let starts = 0;
    this.machines = Array.from(
      { length: nodes },
      (_, host) =>
        new Machine({
          ...{ host, hosts: nodes, clock, trace, streams, network: this.network, stores: plainStores },
          memoryPages: host === 0 ? memoryPages : 1000,
          observeRecord: () => {},
          observePeer: () => {},
          factory: (parts) => {
            const tell = (text: string): void => void this.told[host]?.push(text);
            const events: NodeEvents = {
              peer: (name, state) => tell(`${name} is ${state}`),
              lost: ({ index }) => tell(`page ${index} is lost`),
              refused: (peer, reason) => tell(`refused ${peer}: ${reason}`),
              leaseEnded: ({ name }) => tell(`lease of ${name}`),
            };
            const { name, peers, clock: own } = parts;
            const node = new RamsterNode({
              ...{ name, clock: own, random: parts.random, transport: parts.transport, events, settings },
              ...{
                local: parts.local,
                foreign: parts.foreign,
                instance: Uint8Array.of(0, 0, 0, 0, 0, 0, host, ++starts),
              },
              membership: (links) =>
                (host === 0 ? membership : undefined) ??
                new StaticMembership({ name, peers: [...peers], detectionMs: 3500 }, links, own),
            });
            this.nodes[host] = node;
            parts.listen((channel) => node.accept(channel));
            return {
              start: () => node.start(),
              fetch: (page) => node.fetch(page),
              drain: async () => void (await node.drain(1)),
              stop: () => node.stop(),
              statistics: () => ({ ...node.statistics() }),
            };
          },
        }),
    );
  }

  /** Starts these machines, or all; a second later their nodes know each other. */
  async start(...hosts: number[]): Promise<void> {
    for (const machine of this.machines) {
      if (hosts.length === 0 || hosts.includes(machine.host)) await machine.start();
    }
    await this.run(2000);
  }

  /** In the place of the node of a machine there is one that follows a script. */
  impostor(host: number, script: Script): void {
    const { clock } = this;
    const process = new SimProcess({
      ...{ name: nameOfHost(host), host, clock, trace: this.#trace, clockZeroMs: 0, clockSpeed: 1 },
    });
    this.network.listen(process, addressOf(host), (channel) => {
      let isOpen = true;
      const end = {
        isOpen: () => isOpen,
        send: (...parts: Uint8Array[]) => channel.send(...parts),
        close: (reason: string) => channel.close(reason),
      };
      channel.listen({
        frame: (bytes) => script(decodeFrame(Uint8Array.from(bytes)), end),
        closed: () => {
          isOpen = false;
        },
      });
    });
  }

  run(ms: number): Promise<void> {
    return this.clock.run(this.clock.now() + ms);
  }

  until<Result>(promise: Promise<Result>, mostMs = 60_000): Promise<Result> {
    return settle(this.clock, promise, mostMs);
  }

  machine(host: number): Machine {
    return this.machines[host] as Machine;
  }

  node(host: number): RamsterNode {
    return this.nodes[host] as RamsterNode;
  }

  /** A page of the first machine. */
  page(index: number, host = 0): PageRef {
    let pool = this.#pools.get(host);
    if (pool === undefined) {
      pool = this.machine(host).local.createPool('persistent');
      this.#pools.set(host, pool);
    }
    return { pool, oid: OBJECT, index };
  }

  /** Puts pages on a machine, slowly enough for its node; those that were taken. */
  async put(count: number, host = 0): Promise<number[]> {
    const taken: number[] = [];
    for (let i = 0; i < count; i++) {
      if (this.machine(host).local.put(this.page(i, host), contentOf(i)) === 'stored') taken.push(i);
      await this.run(20);
    }
    return taken;
  }

  /** As a front end reads. */
  async read(index: number, host = 0): Promise<Uint8Array | undefined> {
    const { local } = this.machine(host);
    for (let i = 0; i < 4; i++) {
      const got = local.get(this.page(index, host));
      if (got !== 'remote') return got;
      const fetched = await this.until(this.node(host).fetch(this.page(index, host)));
      if (fetched !== 'local') return fetched;
    }
    throw new Error('a page went away again and again');
  }

  records(host = 0): RemoteRecord[] {
    return this.machine(host)
      .local.records(undefined, 1e9)
      .pages.map(({ record }) => decodeRecord(record) as RemoteRecord);
  }

  /** Copies that machines hold for others, by host. */
  lent(): number[] {
    return this.machines.map(({ foreign }) =>
      foreign.owners().reduce((sum, owner) => {
        const { persistentPages, ephemeralPages } = foreign.counts(owner);
        return sum + persistentPages + ephemeralPages;
      }, 0),
    );
  }
}
