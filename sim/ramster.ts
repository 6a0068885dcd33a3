/**
 * RAMster's own node on a simulated machine, with the static membership. Times are shorter than in earnest, but in
 * proportion; memories are small, so more of them is kept free.
 */

import type { Member, Membership } from '../src/ramster/membership/membership.ts';
import { StaticMembership } from '../src/ramster/membership/static.ts';
import { RamsterNode } from '../src/ramster/node.ts';
import { type NodeSettings, type NodeSettingsInput, nodeSettings } from '../src/ramster/settings.ts';
import type { NodeFactory, NodeParts, SimNode } from './machine.ts';
import { randomBytes, streamsOf, weighted } from './random.ts';
import type { Bounds } from './world.ts';

const INPUT: NodeSettingsInput = {
  sendBelowPercent: 25,
  sendUntilPercent: 40,
  homeAbovePercent: 60,
  partnersMax: 5,
  inFlightPages: 16,
  tickMs: 100,
  leaseMs: 15_000,
  repairDelayMs: 1000,
  sweepIntervalMs: 5_000,
  homeIntervalMs: 1_000,
};
const { heartbeatMs, downMs, requestTimeoutMs, patienceMs, leaseMs, sweepIntervalMs } = nodeSettings(INPUT);

const INSTANCE_BYTES = 8;
const DRAIN_MS = 4_000;
/** How long a partner may be of no use before there is another one. */
const PARTNER_PATIENCE_MS = 5_000;
/** What a call may take beyond its own deadlines: the way there and back on a slow network, several times. */
const SLACK_MS = 1_500;

const BOUNDS: Omit<Bounds, 'replicas'> = {
  startMs: SLACK_MS,
  // A last round may begin when patience ends; then up to three holders are asked, one after the other.
  fetchMs: patienceMs + 3 * requestTimeoutMs + SLACK_MS,
  drainMs: DRAIN_MS + patienceMs + 3 * requestTimeoutMs + SLACK_MS,
  stopMs: SLACK_MS,
  detectionMs: downMs + heartbeatMs + SLACK_MS,
};
/** Links are tried again within 3 s; leases of those that are gone end, and what is left is swept. */
const REST_MS = [5_000, leaseMs + 3 * sweepIntervalMs + downMs] as const;

/** How many clusters of ten have so many copies of a page. */
const REPLICAS = { 1: 1, 2: 7, 3: 2 } as const;
/** Share of clusters that do not seal pages. */
const UNSEALED = 0.2;

/** A cluster of RAMster's nodes, as a scenario needs it. */
export interface Cluster {
  readonly factory: NodeFactory;
  readonly bounds: Bounds;
  readonly restMs: readonly [least: number, most: number];
}

/** The cluster of a seed. */
export function clusterOf(seed: number): Cluster {
  const random = streamsOf(seed)('settings');
  return cluster({ replicas: Number(weighted(random, REPLICAS)), seal: random() >= UNSEALED });
}

/** @param changes - other settings than the simulator's own */
export function cluster(changes: NodeSettingsInput = {}): Cluster {
  const settings = nodeSettings({ ...INPUT, ...changes });
  return {
    factory: (parts) => newNode(parts, settings),
    bounds: { ...BOUNDS, replicas: settings.replicas },
    restMs: REST_MS,
  };
}

function newNode(parts: NodeParts, settings: NodeSettings): SimNode {
  const { name, clock, random, transport, local, foreign, listen } = parts;
  const node = new RamsterNode({
    ...{ name, clock, random, transport, local, foreign, settings },
    instance: randomBytes(random, INSTANCE_BYTES),
    membership: (links) => {
      const membership = new StaticMembership(
        {
          ...{ name, peers: [...parts.peers], partnersMax: settings.partnersMax },
          patienceMs: PARTNER_PATIENCE_MS,
          detectionMs: downMs + heartbeatMs,
        },
        links,
        clock,
      );
      return new ObservedMembership(membership, parts.observe);
    },
    events: { peer: () => {}, lost: () => {}, refused: () => {}, leaseEnded: () => {} },
  });
  return {
    async start() {
      listen((channel) => node.accept(channel));
      await node.start();
    },
    fetch: (page) => node.fetch(page),
    drain: async () => {
      await node.drain(DRAIN_MS);
    },
    stop: () => node.stop(),
    statistics: () => ({ ...node.statistics() }),
  };
}

/** Tells every change of what a membership says. */
class ObservedMembership implements Membership {
  readonly #membership: Membership;
  readonly #observe: NodeParts['observe'];
  #states = new Map<string, Member['state']>();

  constructor(membership: Membership, observe: NodeParts['observe']) {
    this.#membership = membership;
    this.#observe = observe;
  }

  get detectionMs(): number {
    return this.#membership.detectionMs;
  }

  get problem(): string | undefined {
    return this.#membership.problem;
  }

  known(): ReturnType<Membership['known']> {
    return this.#membership.known();
  }

  start(...[status, changed]: Parameters<Membership['start']>): Promise<void> {
    return this.#membership.start(status, (members) => {
      const before = this.#states;
      this.#states = new Map(members.map(({ name, state }) => [name, state]));
      for (const [name, state] of this.#states) if (before.get(name) !== state) this.#observe(name, state);
      for (const name of before.keys()) if (!this.#states.has(name)) this.#observe(name, undefined);
      changed(members);
    });
  }

  stop(): Promise<void> {
    return this.#membership.stop();
  }
}
