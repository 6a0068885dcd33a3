/**
 * Looks into all memories at once, as nobody in a cluster can:
 *
 * - a record of a persistent page names enough different memories when the page is sent away;
 * - a copy that a record names is there, unless the memory is lost;
 * - a page is declared lost only when every memory that its record named is lost;
 * - a page that is held for somebody is named by a record of his, or it is an orphan.
 */

import type { PageRef } from '../src/ramster/local/local-pages.ts';
import type { Place } from '../src/ramster/place.ts';
import { decodeRecord, type RemoteRecord } from '../src/ramster/record.ts';
import type { PoolKind } from '../src/zcache/index.ts';
import type { Machine } from './machine.ts';
import type { SimMemory } from './memory.ts';
import { nameOf } from './model.ts';
import type { Reach } from './reach.ts';
import type { Verdict } from './verdict.ts';

/** More than a simulated store has. */
const ALL = Number.POSITIVE_INFINITY;

export interface Orphan {
  readonly holder: Machine;
  readonly words: string;
}

export class Audit {
  readonly #verdict: Verdict;
  readonly #replicas: number;
  readonly #reach: Reach;
  readonly #byName: ReadonlyMap<string, Machine>;
  readonly #byNumber: ReadonlyMap<number, Machine>;
  /** Places of the last record of each page that had any. */
  readonly #places = new WeakMap<SimMemory, Map<string, readonly Place[]>>();

  constructor(verdict: Verdict, replicas: number, machines: readonly Machine[], reach: Reach) {
    this.#verdict = verdict;
    this.#replicas = replicas;
    this.#reach = reach;
    this.#byName = new Map(machines.map((machine) => [machine.name, machine]));
    this.#byNumber = new Map(machines.map((machine) => [machine.number, machine]));
  }

  /** A record came, went or changed. */
  recordChanged(
    machine: Machine,
    page: PageRef,
    kind: PoolKind,
    before: Uint8Array | undefined,
    after: Uint8Array | undefined,
  ): void {
    if (kind === 'ephemeral' || after === undefined) return;
    const record = readRecord(after);
    if (record.lost) {
      if (!this.isLossLegitimate(machine, page)) {
        const words = `${nameOf(page)} is declared lost, and ${this.#describe(machine, page)}`;
        this.#verdict.found('lost_persistent_beyond_replicas', machine.name, words);
      }
      return;
    }
    const places = this.#places.get(machine.memory) ?? new Map();
    this.#places.set(machine.memory, places);
    places.set(nameOf(page), record.places);
    const nodes = new Set(record.places.map(({ node }) => node));
    if (before === undefined && nodes.size < this.#replicas) {
      this.#verdict.found('copies_short', machine.name, `${nameOf(page)} was sent to ${nodes.size} nodes`);
    }
    this.#checkCopies(machine, page, record);
  }

  isLossLegitimate(machine: Machine, page: PageRef): boolean {
    const places = this.#places.get(machine.memory)?.get(nameOf(page)) ?? [];
    return places.length > 0 && places.every((place) => this.#isLost(place));
  }

  /** Whether a machine that has a copy of a page can surely be asked for it. */
  isWithinReach(machine: Machine, page: PageRef): boolean {
    const places = this.#places.get(machine.memory)?.get(nameOf(page)) ?? [];
    return places.some((place) => {
      const holder = this.#byNumber.get(place.node);
      return holder !== undefined && !this.#isLost(place) && this.#reach.isSure(machine, holder);
    });
  }

  /** Finds every copy of a persistent page that a record names in vain. */
  checkRecords(machine: Machine): void {
    for (const { page, record } of this.#records(machine)) {
      if (record.kind === 'persistent') this.#checkCopies(machine, page, record);
    }
  }

  /** Persistent pages that have fewer copies than they should. */
  short(machine: Machine): number {
    const good = ({ places }: RemoteRecord): number => places.filter((place) => !this.#isLost(place)).length;
    return this.#records(machine).filter(
      ({ record }) => record.kind === 'persistent' && !record.lost && good(record) < this.#replicas,
    ).length;
  }

  orphans(): Orphan[] {
    const named = new Set<string>();
    for (const machine of this.#byName.values()) {
      for (const { record } of this.#records(machine)) {
        const { pool, id } = record;
        for (const { node, memory } of record.places) {
          named.add(copyName(memory, machine.name, machine.memory.number, pool, id, node));
        }
      }
    }
    return [...this.#byName.values()].flatMap((holder) =>
      holder.foreign.owners().flatMap((owner) =>
        holder.foreign
          .pages(owner)
          .filter(
            ({ pool, id }) =>
              !named.has(copyName(holder.memory.number, owner.name, owner.memory, pool, id, holder.number)),
          )
          .map(({ pool, id }) => {
            const isGone = this.#byName.get(owner.name)?.memory.number !== owner.memory;
            const words = `page ${idText(id)} of pool ${pool} of ${owner.name}`;
            return { holder, words: isGone ? `${words}, which has lost its memory` : words };
          }),
      ),
    );
  }

  #checkCopies(machine: Machine, page: PageRef, { pool, id, places }: RemoteRecord): void {
    const owner = { name: machine.name, memory: machine.memory.number };
    for (const place of places) {
      const holder = this.#byNumber.get(place.node);
      if (this.#isLost(place) || holder?.foreign.has(owner, pool, id)) continue;
      const words = `page ${idText(id)} is not at ${holder?.name ?? place.node}, which its record names`;
      this.#verdict.found('copies_missing', machine.name, `${nameOf(page)}: ${words}`);
    }
  }

  #isLost({ node, memory }: Place): boolean {
    return this.#byNumber.get(node)?.memory.number !== memory;
  }

  #describe(machine: Machine, page: PageRef): string {
    const places = this.#places.get(machine.memory)?.get(nameOf(page)) ?? [];
    const words = places.map(
      (place) =>
        `${this.#byNumber.get(place.node)?.name ?? place.node} ${this.#isLost(place) ? 'lost it' : 'has its memory'}`,
    );
    return words.join(', ') || 'had no places';
  }

  #records(machine: Machine): { readonly page: PageRef; readonly record: RemoteRecord }[] {
    const { pages } = machine.local.records(undefined, ALL);
    return pages.map(({ page, record }) => ({ page, record: readRecord(record) }));
  }
}

function readRecord(bytes: Uint8Array): RemoteRecord {
  const record = decodeRecord(bytes);
  if (record === undefined)
    throw new Error(`a record that cannot be read: ${Buffer.from(bytes).toString('hex')}`);
  return record;
}

function copyName(
  memory: number,
  owner: string,
  ownerMemory: number,
  pool: number,
  id: number,
  node: number,
): string {
  return `${node} ${memory} ${owner} ${ownerMemory} ${pool} ${id}`;
}

/** Incarnation and counter. */
function idText(id: number): string {
  return `${Math.floor(id / 2 ** 32)}.${id % 2 ** 32}`;
}
