/** A simulated cluster: machines, the network between them, and what watches them. Everything follows from the seed. */

import { Audit } from './audit.ts';
import { VirtualClock } from './clock.ts';
import { Detection } from './detection.ts';
import { FrontEnd } from './front-end.ts';
import { Machine, type NodeFactory, plainStores, type Stores } from './machine.ts';
import { type NetworkOptions, type Profile, SimNetwork } from './network.ts';
import { between, type Streams, streamsOf } from './random.ts';
import { Reach } from './reach.ts';
import { Trace } from './trace.ts';
import { Verdict } from './verdict.ts';
import { Waits } from './waits.ts';

/** Longest times, in milliseconds, that calls of a node may take; and copies of a page. */
export interface Bounds {
  readonly startMs: number;
  readonly fetchMs: number;
  readonly drainMs: number;
  readonly stopMs: number;
  readonly detectionMs: number;
  readonly replicas: number;
}

export interface WorldOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly profile: Profile;
  readonly bounds: Bounds;
  readonly factory: NodeFactory;
  /** Least and most room of a machine, in pages. */
  readonly memoryPages: readonly [number, number];
  readonly print?: ((line: string) => void) | undefined;
  readonly stores?: Stores | undefined;
  readonly tap?: NetworkOptions['tap'];
}

export class World {
  readonly clock = new VirtualClock();
  readonly trace: Trace;
  readonly streams: Streams;
  readonly verdict: Verdict;
  readonly waits: Waits;
  readonly network: SimNetwork;
  readonly machines: readonly Machine[];
  readonly audit: Audit;
  readonly detection: Detection;
  readonly reach: Reach;
  readonly bounds: Bounds;
  /** Set when everything was healed and had time: from now on every page has to be within reach. */
  isCalm = false;
  readonly #fronts = new Map<Machine, FrontEnd>();
  /** Counters of nodes whose processes ended. */
  readonly #past = new Map<string, number>();

  constructor(options: WorldOptions) {
    const { seed, nodes, profile, bounds, factory, print, tap } = options;
    this.bounds = bounds;
    this.trace = new Trace(print);
    this.trace.follow(this.clock);
    this.streams = streamsOf(seed);
    this.verdict = new Verdict(this.trace);
    this.waits = new Waits(this.verdict);
    const { clock, trace, streams } = this;
    this.network = new SimNetwork({ clock, trace, streams, profile, tap });
    const sizes = this.streams('sizes');
    this.machines = Array.from(
      { length: nodes },
      (_, host) =>
        new Machine({
          ...{ host, hosts: nodes, clock, trace, streams, network: this.network, factory },
          memoryPages: between(sizes, ...options.memoryPages),
          stores: options.stores ?? plainStores,
          observeRecord: (...change) => this.audit.recordChanged(...change),
          observePeer: (machine, peer, state) => {
            this.trace.tell(machine.name, () => `finds ${peer} ${state ?? 'not listed'}`);
            this.detection.observed(machine, peer, state);
          },
        }),
    );
    this.reach = new Reach(clock, this.network);
    this.audit = new Audit(this.verdict, bounds.replicas, this.machines, this.reach);
    this.detection = new Detection(this.verdict, bounds.detectionMs);
  }

  /** The front end of a machine. */
  front(machine: Machine): FrontEnd {
    const known = this.#fronts.get(machine);
    if (known !== undefined) return known;
    const { trace, verdict, waits, audit, bounds } = this;
    const front = new FrontEnd({
      ...{ machine, trace, verdict, waits, fetchMostMs: bounds.fetchMs },
      isLossLegitimate: (...page) => audit.isLossLegitimate(...page),
      isAwayLegitimate: (...page) => !this.isCalm && !audit.isWithinReach(...page),
    });
    this.#fronts.set(machine, front);
    return front;
  }

  start(machine: Machine): void {
    this.detection.started(machine);
    const begun = machine.start();
    this.trace.tell(machine.name, () => `starts, memory ${machine.memory.number}`);
    const { process } = machine;
    if (process === undefined) return;
    this.#watch(machine, this.waits.for(process, 'start', this.bounds.startMs, begun));
  }

  /** The process of a machine ends at once. */
  kill(machine: Machine, how: { readonly silently: boolean; readonly losing: boolean }): void {
    if (machine.process === undefined) return;
    this.trace.tell(
      machine.name,
      () => `is killed${how.silently ? ' silently' : ''}${how.losing ? ', memory lost' : ''}`,
    );
    this.#end(machine, how.silently);
    if (how.losing) this.#lose(machine);
  }

  /** A node leaves in order: drains, stops, and its process ends; then `left` is called, unless it was killed. */
  leave(machine: Machine, left: () => void): void {
    const { process, node } = machine;
    if (process === undefined || node === undefined) return;
    this.trace.tell(machine.name, () => 'drains');
    const leaving = async (): Promise<void> => {
      await this.waits.for(process, 'drain', this.bounds.drainMs, node.drain());
      this.trace.tell(machine.name, () => 'has drained');
      await this.waits.for(process, 'stop', this.bounds.stopMs, node.stop());
      this.trace.tell(machine.name, () => 'has stopped');
      if (machine.process !== process) return;
      this.#end(machine, false);
      left();
    };
    this.#watch(machine, leaving());
  }

  loseMemory(machine: Machine): void {
    this.trace.tell(machine.name, () => 'loses its memory');
    this.#lose(machine);
  }

  /** Sum of a counter over all nodes, also of those that are no more. */
  counted(name: string): number {
    const now = this.machines.map(({ node }) => node?.statistics()[name] ?? 0);
    return now.reduce((sum, count) => sum + count, this.#past.get(name) ?? 0);
  }

  /** Looks for everything that should not be, as of now. */
  judge(): void {
    this.waits.judge();
    this.detection.judge();
    for (const machine of this.machines) this.audit.checkRecords(machine);
  }

  #end(machine: Machine, silently: boolean): void {
    const { process, node } = machine;
    if (process === undefined) return;
    for (const [name, count] of Object.entries(node?.statistics() ?? {})) {
      this.#past.set(name, (this.#past.get(name) ?? 0) + count);
    }
    this.detection.ending(machine);
    this.waits.ended(process);
    machine.end(silently);
    this.front(machine).ended();
  }

  #lose(machine: Machine): void {
    this.verdict.count('lost_with_own_memory', this.front(machine).pages.length);
    this.#fronts.delete(machine);
    machine.loseMemory();
  }

  #watch(machine: Machine, result: Promise<void>): void {
    result.catch((error: unknown) => {
      const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.verdict.found('errors', machine.name, words);
    });
  }
}
