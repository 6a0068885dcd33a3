/**
 * What the front ends do: puts, gets and flushes at machines and handles drawn at random, some machines much busier
 * than others. A step is one operation.
 */

import type { Random } from '../src/ramster/clock.ts';
import type { PoolKind } from '../src/zcache/index.ts';
import { OBJECTS, PAGES } from './front-end.ts';
import type { Machine } from './machine.ts';
import { between, waiting, weighted } from './random.ts';
import type { World } from './world.ts';

/** How often each operation comes. */
const OPERATIONS = { put: 42, get: 42, flush: 14, flushObject: 1.5, destroyPool: 0.2 } as const;
const KINDS: Readonly<Record<PoolKind, number>> = { persistent: 65, ephemeral: 35 };
/** Machines drawn before a step is given up because none of them runs. */
const DRAWS_MAX = 8;
/** Operations of a machine come this far apart on average, in the busiest and the calmest cluster. */
const GAP_LEAST_MS = 15;
const GAP_MOST_MS = 100;

export class Workload {
  readonly #world: World;
  readonly #random: Random;
  readonly #gapMs: number;
  /** Machines, in the order of their number, with the sum of weights up to each. */
  readonly #sums: readonly number[];
  #stamp = 0;
  #stepsLeft: number;

  constructor(world: World, steps: number) {
    this.#world = world;
    this.#stepsLeft = steps;
    this.#random = world.streams('workload');
    this.#gapMs = between(this.#random, GAP_LEAST_MS, GAP_MOST_MS) / world.machines.length;
    let sum = 0;
    this.#sums = world.machines.map(() => {
      sum += this.#random() ** 2;
      return sum;
    });
  }

  get isOver(): boolean {
    return this.#stepsLeft === 0;
  }

  begin(): void {
    if (this.isOver) return;
    this.#world.clock.after(waiting(this.#random, this.#gapMs), () => {
      this.#stepsLeft--;
      this.#step();
      this.begin();
    });
  }

  #step(): void {
    const random = this.#random;
    const operation = weighted(random, OPERATIONS);
    const kind = weighted(random, KINDS);
    const object = between(random, 0, OBJECTS - 1);
    const index = between(random, 0, PAGES - 1);
    const machine = this.#machine();
    if (machine === undefined) return;
    this.#world.verdict.count('operations');
    const front = this.#world.front(machine);
    if (operation === 'put') front.put(kind, object, index, ++this.#stamp);
    else if (operation === 'get') front.read(kind, object, index);
    else if (operation === 'flush') front.flush(kind, object, index);
    else if (operation === 'flushObject') front.flushObject(kind, object);
    else front.destroyPool(kind);
  }

  /** One that runs; busy ones more often. */
  #machine(): Machine | undefined {
    for (let draws = 0; draws < DRAWS_MAX; draws++) {
      const at = this.#random() * (this.#sums.at(-1) as number);
      const machine = this.#world.machines[this.#sums.findIndex((sum) => at < sum)];
      if (machine?.isRunning) return machine;
    }
    return undefined;
  }
}
