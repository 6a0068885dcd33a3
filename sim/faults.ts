/**
 * What goes wrong: faults drawn at random, each of which ends after a while. Which ones there are, and how many,
 * differs from seed to seed.
 *
 * A fault is shorter than the lease by which a holder keeps pages for an owner that is silent: longer ones lose pages
 * by design.
 */

import type { Random } from '../src/ramster/clock.ts';
import { FAULTS, type FaultName, type Temper } from './fault-kinds.ts';
import type { Machine } from './machine.ts';
import { between, oneOf, waiting, weighted } from './random.ts';
import type { World } from './world.ts';

/** How often each comes, in a cluster that has them all. */
const WEIGHTS: Readonly<Record<FaultName, number>> = {
  ...{ kill: 4, stop: 2, cut: 2, oneWay: 2, slow: 1, storm: 1, press: 2, fill: 1, leave: 1 },
};
/** Chance that a cluster does not have a fault at all. */
const SPARED = 0.35;
/** Chance that a cluster has none of them. */
const QUIET = 0.05;
/** Faults of a machine come this far apart, in the most and the least troubled cluster. */
const GAP_LEAST_MS = 3_000;
const GAP_MOST_MS = 40_000;
const LASTS_LEAST_MS = 50;
const LASTS_MOST_MS = 5_000;
/** Share of the machines with a fault at a time. */
const AFFECTED_MOST = 1 / 3;

export class Faults {
  readonly #world: World;
  readonly #random: Random;
  readonly #weights: Record<FaultName, number>;
  readonly #gapMs: number;
  readonly #temper: Temper;
  /** How the faults end that there are now. */
  readonly #ends = new Map<Machine, () => void>();
  #isOver = false;

  constructor(world: World) {
    const random = world.streams('faults');
    this.#world = world;
    this.#random = random;
    this.#gapMs = between(random, GAP_LEAST_MS, GAP_MOST_MS) / world.machines.length;
    this.#temper = { losing: random() * random(), silent: random() };
    this.#weights = { ...WEIGHTS };
    const isQuiet = random() < QUIET;
    for (const name of Object.keys(WEIGHTS) as FaultName[]) {
      if (random() < SPARED || isQuiet) this.#weights[name] = 0;
    }
  }

  begin(): void {
    if (Object.values(this.#weights).every((weight) => weight === 0)) return;
    this.#world.clock.after(waiting(this.#random, this.#gapMs), () => {
      if (this.#isOver) return;
      this.#fault();
      this.begin();
    });
  }

  /** Everything is healed, and nothing more goes wrong. */
  end(): void {
    this.#isOver = true;
    for (const end of [...this.#ends.values()]) end();
    const { network } = this.#world;
    network.heal();
    network.profile = { ...network.profile, loss: 0, duplicates: 0, overtaking: 0 };
  }

  #fault(): void {
    const world = this.#world;
    const random = this.#random;
    const name = weighted(random, this.#weights);
    const machine = oneOf(random, world.machines);
    const lastsMs = between(random, LASTS_LEAST_MS, LASTS_MOST_MS);
    if (this.#ends.has(machine) || this.#ends.size >= world.machines.length * AFFECTED_MOST) return;
    world.verdict.count('faults');
    world.trace.tell(machine.name, () => `fault for ${lastsMs} ms: ${name}`);
    world.reach.troubled(machine);
    const undo = FAULTS[name](world, machine, random, this.#temper);
    const end = (): void => {
      if (this.#ends.get(machine) !== end) return;
      this.#ends.delete(machine);
      world.trace.tell(machine.name, () => `fault is over: ${name}`);
      undo();
      world.reach.recovered(machine);
    };
    this.#ends.set(machine, end);
    world.clock.after(lastsMs, end);
  }
}
