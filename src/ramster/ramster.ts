/**
 * RAMster on a store: a node whose memory is the store, whose peers are reached over sockets. Started whole or not at
 * all.
 *
 *   const options = { name: 'a', listen: ['10.0.0.1:7300'], tls, peers, clients: ['cache'] };
 *   const ramster = await Ramster.open(store, options);
 *   const length = await ramster.get(pool, oid, index, out);      // wherever the page is
 *   await ramster.drain(60_000);
 *   await ramster.close();
 *
 * The store stays open when the node closes. Pages that are with peers then stay there, with the records in the store.
 */

import { randomBytes, randomInt } from 'node:crypto';
import { type Oid, type PageFetcher, type Pool, publish, type Store } from '../zcache/index.ts';
import { AwayPages } from './away-pages.ts';
import { type Clock, systemClock } from './clock.ts';
import { FetchListener } from './fetch-socket/fetch-listener.ts';
import { ArenaForeignPages } from './local/arena-foreign.ts';
import { ArenaLocalPages } from './local/arena-pages.ts';
import type { Owner } from './local/foreign-pages.ts';
import type { LinkLiveness } from './membership/liveness.ts';
import type { Membership } from './membership/membership.ts';
import { StaticMembership } from './membership/static.ts';
import { type Drained, type PeerView, RamsterNode } from './node.ts';
import { type CheckedRamsterSettings, type RamsterSettings, ramsterSettings } from './options.ts';
import { memoryNumber } from './place.ts';
import type { RemoteStore } from './remote-store/remote-store.ts';
import { type NodeSettingsInput, nodeSettingsEntries } from './settings.ts';
import type { RamsterStatistics } from './statistics.ts';
import type { NodeCertificates } from './transport/identity.ts';
import { ChannelListener } from './transport/listener.ts';
import { SocketTransport } from './transport/socket-transport.ts';

/** What this node is for the membership. */
export interface MembershipContext {
  readonly name: string;
  /** Where peers connect, with the ports that were chosen. */
  readonly addresses: readonly string[];
  readonly links: LinkLiveness;
  readonly clock: Clock;
}

export interface RamsterOptions extends RamsterSettings {
  /** Who is there, such as `NatsMembership`; the static list `peers` without it. */
  readonly membership?: (context: MembershipContext) => Membership;
  /** Whether pages of a client may be sent that is not among `clients`; asked again whenever pages are sent. */
  readonly sendsFrom?: (client: string) => boolean;
  /**
   * Opens stores that are no peers, such as a RedisStore or a DiskStore, for the pages of `owner`: this node. They are
   * the caller's to close, after the node.
   */
  readonly engines?: (owner: Owner) => Promise<readonly RemoteStore[]>;
}

/** Randomness of a number from 0 to 1: 47 bits. */
const RANDOM_STEPS = 2 ** 47;

export class Ramster {
  /** For front ends that may wait: SwapDevice, exports, page caches. */
  readonly fetcher: PageFetcher;
  readonly #node: RamsterNode;
  readonly #local: ArenaLocalPages;
  readonly #listener: ChannelListener;
  readonly #transport: SocketTransport;
  readonly #addresses: readonly string[];
  readonly #pages: AwayPages;
  #fetches: FetchListener | undefined;
  #closed: Promise<void> | undefined;

  private constructor(parts: {
    readonly node: RamsterNode;
    readonly local: ArenaLocalPages;
    readonly listener: ChannelListener;
    readonly transport: SocketTransport;
    readonly addresses: readonly string[];
  }) {
    this.#node = parts.node;
    this.#local = parts.local;
    this.#listener = parts.listener;
    this.#transport = parts.transport;
    this.#addresses = parts.addresses;
    this.fetcher = {
      fetch: (pool, oid, index) => parts.node.fetch(parts.local.refOf(pool, oid, index)),
    };
    this.#pages = new AwayPages(this.fetcher);
  }

  /**
   * Starts a node on a store. One at a time may run on it.
   *
   * @throws TmemError TMEM_ERR_SETTING naming every mistake; TMEM_ERR_DAMAGED if what the store keeps of the node
   *   cannot be read; the error of node:net that names an address
   */
  static async open(store: Store, options: RamsterOptions): Promise<Ramster> {
    const { membership, sendsFrom = () => false, engines, ...input } = options;
    const settings = ramsterSettings(input);
    const clock = systemClock;
    const undo: (() => void | Promise<void>)[] = [];
    try {
      const named = new Set(settings.clients);
      const clients = (name: string): boolean => named.has(name) || sendsFrom(name);
      const local = new ArenaLocalPages(store, { clients });
      undo.push(() => local.close());
      const memoryBytes = local.room().totalBytes;
      const foreign = new ArenaForeignPages(store, {
        lendBytes: settings.lendBytes ?? Math.floor(memoryBytes / 2),
        capBytes: settings.capBytes ?? Math.floor(memoryBytes / 4),
      });
      const own = { name: settings.name, memory: memoryNumber(local.identity().memory) };
      const opened = (await engines?.(own)) ?? [];
      const transport = new SocketTransport({ clock, tls: settings.tls });
      let node: RamsterNode | undefined;
      const listener = new ChannelListener({
        ...{ clock, tls: settings.tls },
        accepted: (channel) => {
          if (node === undefined) channel.close('this node is starting');
          else node.accept(channel);
        },
      });
      undo.push(() => listener.close());
      const addresses: string[] = [];
      for (const address of settings.listen) addresses.push(await listener.listen(address));
      node = new RamsterNode({
        ...{ name: settings.name, clock, transport, local, foreign, engines: opened },
        instance: randomBytes(8),
        random: () => randomInt(RANDOM_STEPS) / RANDOM_STEPS,
        membership: (links) =>
          (membership ?? staticMembership(settings))({ name: settings.name, addresses, links, clock }),
        settings: nodeSettingsOf(settings),
        events: {
          peer: (name, state, problem) => publish('tmem:ramster:peer', () => ({ name, state, problem })),
          lost: ({ pool, oid, index }) =>
            publish('tmem:ramster:lost', () => ({ ...local.describe(pool), oid: oid.toString(), index })),
          refused: (peer, reason) => publish('tmem:ramster:refused', () => ({ peer, reason })),
          leaseEnded: ({ name }) => publish('tmem:ramster:lease-ended', () => ({ owner: name })),
        },
      });
      const started = node;
      undo.push(() => started.stop());
      await node.start();
      const ramster = new Ramster({ node, local, listener, transport, addresses });
      const { fetchListen: address } = settings;
      if (address !== undefined) {
        ramster.#fetches = await FetchListener.open({ store, fetcher: ramster.fetcher, address, clock });
      }
      return ramster;
    } catch (error) {
      for (const step of undo.reverse())
        await Promise.resolve()
          .then(step)
          .catch(() => {});
      throw error;
    }
  }

  /** Where peers connect, with the ports that were chosen. */
  get addresses(): readonly string[] {
    return this.#addresses;
  }

  /** As Pool.get, wherever the page is. */
  get(pool: Pool, oid: Oid, index: number, out: Uint8Array): Promise<number> {
    return this.#pages.get(pool, oid, index, out);
  }

  /** As Pool.getAndKeep, wherever the page is. */
  getAndKeep(pool: Pool, oid: Oid, index: number, out: Uint8Array): Promise<number> {
    return this.#pages.getAndKeep(pool, oid, index, out);
  }

  /** As Pool.getAndFree, wherever the page is. */
  getAndFree(pool: Pool, oid: Oid, index: number, out: Uint8Array): Promise<number> {
    return this.#pages.getAndFree(pool, oid, index, out);
  }

  /** Sends a page away now, whether memory is short or not; its client must be one of those named. */
  send(pool: Pool, oid: Oid, index: number): Promise<'sent' | 'stays'> {
    return this.#node.send(this.#local.refOf(pool, oid, index));
  }

  peers(): PeerView[] {
    return this.#node.peers();
  }

  /** Copies of this node's pages at a store that is no peer, by its number; as of the last look through all records. */
  borrowedPages(node: number): number {
    return this.#node.borrowedPages(node);
  }

  /** Looks through all records, so that `peers` and `statistics` are as of now; ends within `mostMs` in any case. */
  count(mostMs: number): Promise<void> {
    return this.#node.count(mostMs);
  }

  statistics(): RamsterStatistics {
    return this.#node.statistics();
  }

  /** What is wrong with the membership, in words; undefined: nothing. */
  get problem(): string | undefined {
    return this.#node.problem;
  }

  /**
   * Certificates for connections from now on.
   *
   * @throws TmemError TMEM_ERR_SETTING if they cannot be used; then the older ones stay
   */
  setCertificates(tls: NodeCertificates): void {
    this.#transport.setCertificates(tls);
    this.#listener.setCertificates(tls);
  }

  /**
   * Leaves in order, within `timeoutMs`: brings its pages home, and lets owners move theirs. What is left afterwards.
   */
  drain(timeoutMs: number): Promise<Drained> {
    return this.#node.drain(timeoutMs);
  }

  /** Ends the node; the store stays open. */
  close(): Promise<void> {
    this.#closed ??= (async () => {
      this.#fetches?.close();
      this.#listener.close();
      try {
        await this.#node.stop();
      } finally {
        this.#local.close();
      }
    })();
    return this.#closed;
  }
}

function staticMembership(settings: CheckedRamsterSettings): (context: MembershipContext) => Membership {
  const { name, peers, partnersMax, downMs, heartbeatMs } = settings;
  return ({ links, clock }) =>
    new StaticMembership({ name, peers, partnersMax, detectionMs: downMs + heartbeatMs }, links, clock);
}

/** Those of the settings that the node itself has. */
function nodeSettingsOf(settings: CheckedRamsterSettings): NodeSettingsInput {
  const names = Object.keys(nodeSettingsEntries) as (keyof NodeSettingsInput)[];
  return Object.fromEntries(names.map((name) => [name, settings[name]]));
}
