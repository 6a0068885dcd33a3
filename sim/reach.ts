/**
 * Who can surely reach whom: neither of the two had any trouble for a while, nor the way between them. Then a node has
 * no excuse for not having found its peer again.
 */

import type { VirtualClock } from './clock.ts';
import type { Machine } from './machine.ts';
import type { SimNetwork } from './network.ts';

/** Links are tried again within 3 s, and a node that started anew is taken for a twin until its old run is silent. */
const RECOVERY_MS = 8_000;

export class Reach {
  readonly #clock: VirtualClock;
  readonly #network: SimNetwork;
  /** Troubles there are now, and when the last one ended. */
  readonly #troubles = new Map<Machine, number>();
  readonly #recoveredMs = new Map<Machine, number>();

  constructor(clock: VirtualClock, network: SimNetwork) {
    this.#clock = clock;
    this.#network = network;
  }

  troubled(machine: Machine): void {
    this.#troubles.set(machine, (this.#troubles.get(machine) ?? 0) + 1);
  }

  recovered(machine: Machine): void {
    this.#troubles.set(machine, (this.#troubles.get(machine) ?? 0) - 1);
    this.#recoveredMs.set(machine, this.#clock.now());
  }

  isSure(one: Machine, other: Machine): boolean {
    const sinceMs = this.#clock.now() - RECOVERY_MS;
    const isSound = (machine: Machine): boolean =>
      machine.isRunning &&
      (this.#troubles.get(machine) ?? 0) === 0 &&
      (this.#recoveredMs.get(machine) ?? 0) <= sinceMs;
    return (
      isSound(one) &&
      isSound(other) &&
      this.#network.isFree(one.host, other.host, sinceMs) &&
      this.#network.isFree(other.host, one.host, sinceMs)
    );
  }
}
