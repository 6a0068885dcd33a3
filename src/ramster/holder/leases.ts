/**
 * Leases: a node keeps the pages of an owner for as long as it hears of it, and leaseMs longer. Whose lease is over is
 * taken to be gone for good, and its pages are dropped.
 *
 * An owner of whom there are pages from before a restart has a whole lease from the start on.
 */

import type { Clock } from '../clock.ts';
import type { Owner } from '../local/foreign-pages.ts';

export class Leases {
  readonly #clock: Clock;
  readonly #leaseMs: number;
  readonly #heard = new Map<string, { readonly owner: Owner; atMs: number }>();

  constructor(clock: Clock, leaseMs: number, owners: readonly Owner[]) {
    this.#clock = clock;
    this.#leaseMs = leaseMs;
    for (const owner of owners) this.renew(owner);
  }

  /** The owner was heard of. */
  renew(owner: Owner): void {
    const key = keyOf(owner);
    const lease = this.#heard.get(key);
    if (lease === undefined) this.#heard.set(key, { owner, atMs: this.#clock.now() });
    else lease.atMs = this.#clock.now();
  }

  /**
   * Keeps the leases of these, and of nobody else: who has no pages here needs none, and there is no end of those who
   * might say hello. Who has pages and no lease, because they came since the last look, gets a whole one.
   */
  keep(owners: readonly Owner[]): void {
    const kept = new Set(owners.map(keyOf));
    for (const key of this.#heard.keys()) if (!kept.has(key)) this.#heard.delete(key);
    for (const owner of owners) if (!this.#heard.has(keyOf(owner))) this.renew(owner);
  }

  /** Takes those whose lease is over. */
  takeEnded(): Owner[] {
    const ended = [...this.#heard].filter(([, { atMs }]) => this.#clock.now() - atMs > this.#leaseMs);
    for (const [key] of ended) this.#heard.delete(key);
    return ended.map(([, { owner }]) => owner);
  }
}

function keyOf({ name, memory }: Owner): string {
  return `${name}/${memory}`;
}
