// Faults of all sorts, one after the other and two at a time, drawn from a seed. All stores have names, so whatever
// happens every page is somewhere.

import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { between, oneOf, streamsOf } from '../../../sim/random.ts';
import { Cluster, HOLDER, type Node, newStoreName, OWNER, untilUp, untilWhole } from './cluster.ts';
import { type Load, Pages } from './load.ts';
import { needNetwork } from './network.ts';

/** On a loaded machine; a quiet one takes a tenth of it. */
const PATIENCE_MS = 180_000;
const SEED = 61;
const ROUNDS = 6;
/** Faults of a round. */
const FAULTS_MAX = 2;
/** Commands of a load before a round's first fault. */
const COMMANDS_MAX = 40;
/** From a fault to the next, and to its end. */
const PAUSE_MAX_MS = 1500;

const OWN = 'a';
const HOLDERS = ['b', 'c', 'd', 'e'];

type Fault = 'kill' | 'stop' | 'unheard' | 'deaf' | 'unplugged' | "owner's death";
const FAULTS: readonly Fault[] = ['kill', 'stop', 'unheard', 'deaf', 'unplugged', "owner's death"];

class Scene {
  readonly cluster: Cluster;
  readonly pages = new Pages(SEED);
  readonly #nodes = new Map<string, Node>();
  readonly #stores: ReadonlyMap<string, { readonly memory: string; readonly name: string }>;
  #load: Load | undefined;

  private constructor(cluster: Cluster) {
    this.cluster = cluster;
    const sizes = [[OWN, OWNER], ...HOLDERS.map((name) => [name, HOLDER] as const)] as const;
    this.#stores = new Map(sizes.map(([name, size]) => [name, { ...size, name: newStoreName() }]));
  }

  static async start(): Promise<Scene> {
    const scene = new Scene(await Cluster.make(OWN, ...HOLDERS));
    await Promise.all([OWN, ...HOLDERS].map((name) => scene.begin(name)));
    await untilUp(scene.owner, ...HOLDERS);
    await scene.pages.fill(scene.owner);
    return scene;
  }

  get owner(): Node {
    return this.#nodes.get(OWN)!;
  }

  get holders(): Node[] {
    return HOLDERS.map((name) => this.#nodes.get(name)!);
  }

  async begin(name: string): Promise<void> {
    this.#nodes.set(name, await this.cluster.start(name, { store: this.#stores.get(name)! }));
  }

  async work(commands: number): Promise<void> {
    this.#load ??= this.pages.load(this.owner);
    await this.#load.goOn(commands);
  }

  async rest(): Promise<void> {
    await this.#load?.end();
    this.#load = undefined;
  }

  /** Makes a fault; what ends it. */
  async make(fault: Fault, name: string): Promise<() => void | Promise<void>> {
    const { network } = this.cluster;
    const node = this.#nodes.get(name)!;
    switch (fault) {
      case 'kill':
        await node.kill();
        return () => this.begin(name);
      case 'stop':
        node.signal('SIGSTOP');
        return () => node.signal('SIGCONT');
      case 'unheard':
        network.drop(name, [OWN]);
        return () => network.heal(name);
      case 'deaf':
        network.drop(OWN, [name]);
        return () => network.heal(OWN);
      case 'unplugged':
        network.plug(name, 'down');
        return () => network.plug(name, 'up');
      case "owner's death":
        await this.owner.kill();
        await this.#load?.died();
        await this.begin(OWN);
        this.#load = this.pages.load(this.owner);
        return () => {};
    }
  }
}

test(
  `faults of all sorts: every byte is right, nothing is lost, and nothing is left over, seed ${SEED}`,
  async (context) => {
    needNetwork(context);
    const random = streamsOf(SEED)('faults');
    const scene = await Scene.start();
    for (let round = 0; round < ROUNDS; round++) {
      await scene.work(between(random, 1, COMMANDS_MAX));
      const ends: (() => void | Promise<void>)[] = [];
      const first = between(random, 0, HOLDERS.length - 1);
      for (let i = between(random, 1, FAULTS_MAX); i > 0; i--) {
        ends.push(await scene.make(oneOf(random, FAULTS), HOLDERS[(first + i) % HOLDERS.length]!));
        await sleep(random() * PAUSE_MAX_MS);
      }
      for (const end of ends) {
        await end();
        await sleep(random() * PAUSE_MAX_MS);
      }
      await untilUp(scene.owner, ...HOLDERS);
      await scene.rest();
      await untilWhole(scene.owner, scene.holders);
    }
    await scene.pages.verify(scene.owner);
    expect((await scene.owner.call('statistics')).pages_lost).toBe(0);
  },
  PATIENCE_MS,
);
