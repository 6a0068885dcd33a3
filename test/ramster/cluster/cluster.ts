// A cluster of processes in a network of its own, for as long as a test runs.

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished } from 'vitest';
import type { RamsterSettings } from '../../../src/ramster/index.ts';
import { listStores, removeStore } from '../../../src/zcache/index.ts';
import { type Authority, makeAuthority } from '../certificates.ts';
import { CommandProcess, type Commands } from './commands.ts';
import { Network } from './network.ts';
import type { NodeCommands, Told } from './node-process.ts';

export type Node = CommandProcess<NodeCommands>;

export const PORT = 7300;
/** Longer than anything takes on a machine that does many other things, too. */
const WAIT_MAX_MS = 60_000;
const LOOK_MS = 50;

/** It keeps a third of its memory free: most of what is written to it is away. */
export const OWNER = { memory: '8 MiB' };
export const HOLDER = { memory: '64 MiB' };
const LENT = { lendBytes: '56 MiB', capBytes: '56 MiB' };

/** Pages that are away at least when a test has something to prove. */
export const AWAY_LEAST = 400;

/** Copies of each persistent page. */
const REPLICAS = 2;

const SETTINGS = {
  ...{ replicas: REPLICAS, sendBelowPercent: 68, sendUntilPercent: 72, homeAbovePercent: 100 },
  // Whoever is away comes back, or is replaced: no get of these tests has to fail.
  ...{ patienceMs: 20_000, leaseMs: 600_000 },
  ...{ heartbeatMs: 100, suspectMs: 500, downMs: 1000, repairDelayMs: 100, tickMs: 10 },
} as const;

export interface NodeChanges {
  /** Where it runs; on the machine of its name. */
  readonly machine?: string;
  readonly store?: { readonly memory: string; readonly name?: string };
  readonly ramster?: Partial<RamsterSettings>;
}

export class Cluster {
  readonly network: Network;
  readonly authority: Authority;
  readonly #names: readonly string[];

  private constructor(names: readonly string[], authority: Authority) {
    this.#names = names;
    this.network = new Network(names);
    this.authority = authority;
  }

  /** A network with a machine for each of these nodes. */
  static async make(...names: string[]): Promise<Cluster> {
    return new Cluster(names, await makeAuthority());
  }

  addressOf(name: string): string {
    return `${this.network.ipOf(name)}:${PORT}`;
  }

  /** Starts a node. */
  async start(
    name: string,
    { store = HOLDER, ramster = {}, machine = name }: NodeChanges = {},
  ): Promise<Node> {
    const node = await this.run<NodeCommands>('node-process.ts', machine);
    const others = this.#names.filter((each) => each !== name);
    await node.call('open', {
      store,
      ramster: {
        ...SETTINGS,
        ...(store.memory === HOLDER.memory ? LENT : {}),
        name,
        listen: [this.addressOf(machine)],
        peers: others.map((each) => ({ name: each, address: this.addressOf(each) })),
        tls: await this.authority.node(name),
        ...ramster,
      },
    });
    return node;
  }

  /** Starts a program of this folder on a machine; undefined: on the switch between them. */
  async run<Has extends Commands>(program: string, machine?: string): Promise<CommandProcess<Has>> {
    const command = this.network.commandAt(machine, process.execPath, join(import.meta.dirname, program));
    const started = await CommandProcess.start<Has>(command);
    onTestFinished(() => started.kill());
    return started;
  }
}

/** A name that no other store has; whatever a test makes of it is gone after it. */
export function newStoreName(): string {
  const name = `cluster-test-${process.pid}-${randomBytes(6).toString('hex')}`;
  onTestFinished(() => {
    if (listStores().some((store) => store.name === name)) removeStore(name, { force: true });
  });
  return name;
}

/** Looks again and again until it is so; the value that was. */
export async function until<Value>(
  what: string,
  look: () => Promise<Value>,
  isSo: (value: Value) => boolean,
): Promise<Value> {
  const endMs = performance.now() + WAIT_MAX_MS;
  for (;;) {
    const value = await look();
    if (isSo(value)) return value;
    if (performance.now() > endMs) throw new Error(`waited in vain: ${what}: ${JSON.stringify(value)}`);
    await sleep(LOOK_MS);
  }
}

/** Waits until a node sees these peers, and no other one, as up. */
export async function untilUp(node: Node, ...names: string[]): Promise<void> {
  await until(
    `up are ${names}`,
    () => node.call('peers'),
    (peers) => {
      const up = peers.filter(({ state }) => state === 'up').map(({ name }) => name);
      return up.sort().join() === names.sort().join();
    },
  );
}

/** Waits until a node has told of something. */
export async function untilTold(node: Node, event: string, pattern: RegExp): Promise<Told> {
  const find = (told: readonly Told[]) =>
    told.find((each) => each.event === event && pattern.test(JSON.stringify(each)));
  const told = await until(
    `${event} ${pattern}`,
    () => node.call('told'),
    (all) => find(all) !== undefined,
  );
  return find(told)!;
}

/** Persistent pages of the node that are with peers. */
export async function countAway(node: Node): Promise<number> {
  const { remote_pers_pages: away } = await node.call('statistics');
  return away;
}

/** Waits until so many persistent pages of a node are with peers. */
export async function untilAway(node: Node, least = AWAY_LEAST): Promise<void> {
  await until(
    `${least} pages are away`,
    () => countAway(node),
    (away) => away >= least,
  );
}

/**
 * Waits until all that an owner sent has as many copies as it should, and holders have nothing beyond that; nothing was
 * lost. How many pages are away.
 */
export async function untilWhole(owner: Node, holders: readonly Node[]): Promise<number> {
  const { own } = await until(
    'each page has its copies, and there are no others',
    async () => {
      const own = await owner.call('statistics');
      const others = await Promise.all(holders.map((holder) => holder.call('statistics')));
      return { own, held: others.reduce((sum, { foreign_pers_pages: pages }) => sum + pages, 0) };
    },
    ({ own, held }) => own.replicas_short === 0 && held === own.remote_pers_pages * REPLICAS,
  );
  expect(own.pages_lost).toBe(0);
  expect((await owner.call('told')).filter(({ event }) => event === 'lost')).toEqual([]);
  return own.remote_pers_pages;
}
