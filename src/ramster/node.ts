/**
 * A node: one memory that lends and borrows. It owns pages that are with its peers, and holds pages of theirs.
 *
 * Clock, random source, transport, both faces of its memory and the membership are handed in: the simulator runs this
 * very code from a seed.
 */

import { type Clock, type Random, systemClock } from './clock.ts';
import { Holder } from './holder/holder.ts';
import type { ForeignPages, Owner as OwnerOfPages } from './local/foreign-pages.ts';
import type { LocalPages, PageRef } from './local/local-pages.ts';
import type { LinkLiveness } from './membership/liveness.ts';
import type { Member, Membership, NodeStatus } from './membership/membership.ts';
import { choosePartners, partnerOrder } from './membership/partners.ts';
import { Away } from './owner/away.ts';
import type { Fetched } from './owner/fetch.ts';
import { MissingCopies } from './owner/missing-copies.ts';
import { Owner } from './owner/owner.ts';
import { sleep } from './owner/parts.ts';
import { ReleaseQueue } from './owner/release-queue.ts';
import { Sealer } from './owner/seal.ts';
import { RemoteStores } from './owner/stores.ts';
import { Unsettled } from './owner/unsettled.ts';
import { PageIds } from './page-id.ts';
import { Links } from './peer/links.ts';
import type { Self } from './peer/self.ts';
import { nodeNumber } from './place.ts';
import { PeerStore } from './remote-store/peer-store.ts';
import type { RemoteState, RemoteStore } from './remote-store/remote-store.ts';
import { type NodeSettingsInput, nodeSettings } from './settings.ts';
import { newStatistics, type RamsterStatistics } from './statistics.ts';
import type { Channel, Transport } from './transport/transport.ts';

/** Told while the node runs. */
export interface NodeEvents {
  /** A peer is up, late or down; `problem` says why, if it is known. */
  peer(name: string, state: RemoteState, problem: string | undefined): void;
  /** A persistent page has no copy any more. */
  lost(page: PageRef): void;
  /** A node was not let in. */
  refused(peer: string, reason: string): void;
  /** The pages of an owner were dropped: it was silent for longer than its lease. */
  leaseEnded(owner: OwnerOfPages): void;
}

export interface NodeOptions {
  readonly name: string;
  /** 8 random bytes of this start. */
  readonly instance: Uint8Array;
  readonly clock?: Clock;
  readonly random: Random;
  readonly transport: Transport;
  readonly local: LocalPages;
  readonly foreign: ForeignPages;
  readonly membership: (links: LinkLiveness) => Membership;
  /** Stores that are no peers: a Redis, the own disk. */
  readonly engines?: readonly RemoteStore[];
  readonly settings?: NodeSettingsInput;
  readonly events: NodeEvents;
}

/** What is known of a peer. */
export interface PeerView {
  readonly name: string;
  readonly address: string;
  readonly state: RemoteState;
  readonly draining: boolean;
  /** Bytes that it can take. */
  readonly freeBytes: number;
  readonly latencyMs: number;
  readonly problem: string | undefined;
  /** What is held here for it. */
  readonly lentPages: number;
  readonly lentBytes: number;
  /** Copies of this node's pages that it has, as of the last look through all records. */
  readonly borrowedPages: number;
}

export interface Drained {
  /** Persistent pages of this node that are with peers still. */
  readonly away: number;
  /** Persistent pages of others that are here still. */
  readonly foreign: number;
}

interface Known {
  state: RemoteState;
  memory: number | undefined;
  draining: boolean;
}

const DRAIN_LOOK_MS = 100;

export class RamsterNode {
  readonly name: string;
  readonly #options: NodeOptions;
  readonly #clock: Clock;
  readonly #statistics: RamsterStatistics = newStatistics();
  readonly #links: Links;
  readonly #membership: Membership;
  readonly #holder: Holder;
  readonly #owner: Owner;
  readonly #settings: ReturnType<typeof nodeSettings>;
  readonly #known = new Map<string, Known>();
  #members: readonly Member[] = [];
  /** Of the members, as this node prefers them. */
  #order: readonly string[] = [];
  #draining = false;
  #stopped: Promise<void> | undefined;

  /** @throws TmemError TMEM_ERR_SETTING */
  constructor(options: NodeOptions) {
    const { name, random, transport, local, foreign, events } = options;
    const clock = options.clock ?? systemClock;
    const settings = nodeSettings(options.settings);
    const identity = local.identity();
    const self: Self = {
      cluster: settings.cluster,
      name,
      memory: identity.memory,
      instance: options.instance,
    };
    const status = (): NodeStatus => this.#status();
    this.name = name;
    this.#options = options;
    this.#clock = clock;
    this.#settings = settings;
    this.#links = new Links({ self, clock, random, transport, settings, status });
    this.#membership = options.membership(this.#links);
    this.#holder = new Holder({
      ...{ self, clock, settings, foreign, status },
      refused: events.refused,
      leaseEnded: events.leaseEnded,
      isDraining: () => this.#draining,
      looked: () => this.#foreign(),
    });
    const stores = new RemoteStores(this.#links, options.engines ?? []);
    const statistics = this.#statistics;
    this.#owner = new Owner({
      ...{ local, clock, random, settings, statistics, stores },
      ids: new PageIds(identity.incarnation),
      sealer: new Sealer(identity.key),
      unsettled: new Unsettled(),
      missing: new MissingCopies(),
      away: new Away(statistics),
      releases: new ReleaseQueue({
        ...{ stores, statistics, clock },
        unknownMs: settings.leaseMs,
        isLeaseOver: (store) => store instanceof PeerStore && store.isLeaseOver,
      }),
      lost: events.lost,
      holders: (nodes, sinceMs) => this.#keepHolders(nodes, sinceMs),
    });
    this.#links.onChange((changed) => this.#onLink(changed));
  }

  /** Called once. What fails has ended whatever it began. */
  async start(): Promise<void> {
    this.#holder.start();
    try {
      await this.#membership.start(
        () => this.#status(),
        (members) => {
          this.#members = members;
          this.#choosePartners();
        },
      );
    } catch (error) {
      await this.stop().catch(() => {});
      throw error;
    }
    if (this.#stopped === undefined) this.#owner.start();
  }

  /** A connection that another node opened. */
  accept(channel: Channel): void {
    this.#holder.accept(channel);
  }

  /** As Fetch.fetch: brings a page home, or gives it to the caller. */
  fetch(page: PageRef): Promise<Fetched> {
    return this.#owner.fetch(page);
  }

  /** Sends a page away now, whether memory is short or not. */
  send(page: PageRef): Promise<'sent' | 'stays'> {
    return this.#owner.send(page);
  }

  /**
   * Leaves in order: takes nothing more, brings its own pages home, and waits until the owners of foreign persistent
   * pages have moved them. Ends within `timeoutMs`, with what is left.
   */
  async drain(timeoutMs: number): Promise<Drained> {
    const untilMs = this.#clock.now() + timeoutMs;
    this.#draining = true;
    const away = await this.#owner.drain(untilMs);
    for (;;) {
      const { persistent } = this.#foreign();
      if (persistent === 0 || this.#stopped !== undefined || this.#clock.now() >= untilMs)
        return { away, foreign: persistent };
      await sleep(this.#clock, DRAIN_LOOK_MS);
    }
  }

  /** Ends at once: pages that are away stay away, with the records in this memory. */
  stop(): Promise<void> {
    this.#stopped ??= (async () => {
      this.#owner.stop();
      this.#holder.stop();
      try {
        await this.#membership.stop();
      } finally {
        this.#links.stop();
      }
    })();
    return this.#stopped;
  }

  statistics(): RamsterStatistics {
    this.#foreign();
    return { ...this.#statistics };
  }

  /** What is wrong with the membership, in words. */
  get problem(): string | undefined {
    return this.#membership.problem;
  }

  /** Copies of this node's pages at a node, as of the last look through all records. */
  borrowedPages(node: number): number {
    return this.#owner.copies.get(node) ?? 0;
  }

  /** Looks through all records, for `peers` and `statistics`; ends within `mostMs`. */
  count(mostMs: number): Promise<void> {
    return this.#owner.count(mostMs);
  }

  /** All peers that this node has to do with. */
  peers(): PeerView[] {
    const { foreign } = this.#options;
    const lent = new Map<string, { pages: number; bytes: number }>();
    for (const owner of foreign.owners()) {
      const { ephemeralPages, persistentPages, bytes } = foreign.counts(owner);
      const sum = lent.get(owner.name) ?? { pages: 0, bytes: 0 };
      sum.pages += ephemeralPages + persistentPages;
      sum.bytes += bytes;
      lent.set(owner.name, sum);
    }
    const names = new Set([...Array.from(this.#links, ({ name }) => name), ...lent.keys()]);
    const addresses = new Map(Array.from(this.#membership.known(), ({ name, address }) => [name, address]));
    return [...names].sort().map((name) => {
      const link = this.#links.get(name);
      const { freeBytes = 0, draining = false } = link?.status ?? {};
      const { pages = 0, bytes = 0 } = lent.get(name) ?? {};
      return {
        ...{ name, draining, freeBytes },
        address: link?.address ?? addresses.get(name) ?? '',
        state: link?.state ?? 'down',
        latencyMs: link?.latencyMs ?? 0,
        problem: link?.problem,
        lentPages: pages,
        lentBytes: bytes,
        borrowedPages: this.borrowedPages(nodeNumber(name)),
      };
    });
  }

  #status(): NodeStatus {
    return { freeBytes: this.#draining ? 0 : this.#options.foreign.freeBytes(), draining: this.#draining };
  }

  /** Counts the foreign pages now. */
  #foreign(): { readonly ephemeral: number; readonly persistent: number } {
    const { foreign } = this.#options;
    const counts = foreign.owners().map((owner) => foreign.counts(owner));
    const ephemeral = counts.reduce((sum, each) => sum + each.ephemeralPages, 0);
    const persistent = counts.reduce((sum, each) => sum + each.persistentPages, 0);
    const statistics = this.#statistics;
    statistics.foreign_eph_pages = ephemeral;
    statistics.foreign_eph_pages_max = Math.max(statistics.foreign_eph_pages_max, ephemeral);
    statistics.foreign_pers_pages = persistent;
    statistics.foreign_pers_pages_max = Math.max(statistics.foreign_pers_pages_max, persistent);
    return { ephemeral, persistent };
  }

  /** Links to the members that this node sends pages to. */
  #choosePartners(): void {
    const members = new Map(this.#members.map((member) => [member.name, member]));
    const isKnown = this.#order.length === members.size && this.#order.every((name) => members.has(name));
    if (!isKnown) this.#order = partnerOrder(this.name, [...members.keys()]);
    const chosen = choosePartners(this.#order, this.#settings.partnersMax, (name) => {
      const { state, draining } = members.get(name) as Member;
      return { useless: state === 'down' || draining, holdsPages: this.#links.has(name, 'holds') };
    });
    for (const name of chosen) this.#links.keep(name, (members.get(name) as Member).address, 'partner');
    for (const name of this.#links.namesOf('partner')) {
      if (!chosen.has(name)) this.#links.letGo(name, 'partner');
    }
  }

  /** Links to all who hold pages, or may since `sinceMs`, whether they are partners or not. */
  #keepHolders(nodes: ReadonlySet<number>, sinceMs: number): void {
    for (const { name, address } of this.#membership.known()) {
      if (nodes.has(nodeNumber(name))) this.#links.keep(name, address, 'holds');
    }
    for (const name of this.#links.namesOf('holds')) {
      const isUsed = (this.#links.get(name)?.putMs ?? sinceMs) > sinceMs;
      if (!nodes.has(nodeNumber(name)) && !isUsed) this.#links.letGo(name, 'holds');
    }
    for (const name of this.#known.keys()) if (this.#links.get(name) === undefined) this.#known.delete(name);
  }

  #onLink(name: string): void {
    const link = this.#links.get(name);
    if (link === undefined) return;
    const { state, memory, problem } = link;
    const { draining } = link.status;
    const before = this.#known.get(name) ?? { state: 'down', memory: undefined, draining: false };
    this.#known.set(name, { state, memory, draining });
    if (state !== before.state) this.#options.events.peer(name, state, problem);
    const { repairDelayMs } = this.#settings;
    // What it held is known to be lost, or to be there again.
    if (memory !== before.memory) this.#owner.surveyWithin(0, true);
    else if (state === 'up' && before.state === 'down') this.#owner.surveyWithin(0, true);
    else if (state === 'down' && before.state !== 'down') this.#owner.surveyWithin(repairDelayMs, false);
    else if (draining && !before.draining) this.#owner.surveyWithin(0, false);
  }
}
