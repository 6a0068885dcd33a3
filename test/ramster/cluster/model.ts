// What a node's pages must hold: for each handle the versions that a get may find. One, once a write was acknowledged;
// more while it is not known whether a write was done, as when its process was killed.

import type { PutOutcome } from '../../../src/zcache/index.ts';
import type { Kind } from './pages.ts';
import type { Read } from './stored-pages.ts';

/** Undefined: there is no page. */
type Version = number | undefined;

export class Model {
  readonly kind: Kind;
  readonly #may = new Map<number, Set<Version>>();
  #last = 0;

  constructor(kind: Kind) {
    this.kind = kind;
  }

  /** All that were ever written. */
  get indexes(): number[] {
    return [...this.#may.keys()];
  }

  /** A write begins; the version that it has. Until it is acknowledged anything may be there. */
  begin(index: number): number {
    const version = ++this.#last;
    this.#versions(index).add(version).add(undefined);
    return version;
  }

  written(index: number, version: number, outcome: PutOutcome): void {
    this.#may.set(index, new Set([outcome === 'stored' ? version : undefined]));
    // Evicted whenever there is need.
    if (this.kind === 'ephemeral') this.#versions(index).add(undefined);
  }

  flushing(index: number): void {
    this.#versions(index).add(undefined);
  }

  flushed(index: number): void {
    this.#may.set(index, new Set([undefined]));
  }

  /** A get has found this. @throws Error if it must not */
  found(index: number, read: Read): void {
    this.#check(index, read, this.#versions(index));
    const version = typeof read === 'number' ? read : undefined;
    // Who gets an ephemeral page has it, and nobody else.
    this.#may.set(index, new Set([this.kind === 'ephemeral' ? undefined : version]));
  }

  /** A get found this while a write was under way that is acknowledged now. @throws Error if it must not */
  foundDuring(index: number, read: Read, before: ReadonlySet<Version>): void {
    this.#check(index, read, new Set([...before, ...this.#versions(index)]));
  }

  /** What a get may find now. */
  versionsOf(index: number): ReadonlySet<Version> {
    return new Set(this.#versions(index));
  }

  #check(index: number, read: Read, may: ReadonlySet<Version>): void {
    const isRight = typeof read === 'number' ? may.has(read) : read === 'miss' && may.has(undefined);
    if (isRight) return;
    const allowed = [...may].map((version) => version ?? 'no page').join(', ');
    throw new Error(`${this.kind} page ${index}: found ${read}, allowed: ${allowed}`);
  }

  #versions(index: number): Set<Version> {
    let versions = this.#may.get(index);
    if (versions === undefined) {
      versions = new Set([undefined]);
      this.#may.set(index, versions);
    }
    return versions;
  }
}
