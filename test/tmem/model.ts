// A pool as a Map, to compare the real one with. Persistent pages are certain; an ephemeral page may have vanished
// once the store had a reason to evict ("uncertain"), and once seen missing it stays missing until the next put.

import { expect } from 'vitest';
import type { Oid, Pool } from '../../src/index.ts';

interface Entry {
  readonly bytes: Uint8Array;
  certain: boolean;
}

export class PoolModel {
  readonly pool: Pool;
  readonly persistent: boolean;
  /** A default get leaves the page there. */
  readonly keeps: boolean;
  /** Whether pages put from now on may vanish at any time. */
  readonly tight: boolean;
  readonly #pages = new Map<string, Entry>();

  constructor(pool: Pool, tight: boolean) {
    this.pool = pool;
    this.persistent = pool.kind === 'persistent';
    this.keeps = this.persistent || pool.shared !== null;
    this.tight = tight && !this.persistent;
  }

  static key(oid: Oid, index: number): string {
    return `${oid}/${index}`;
  }

  /** The page as far as the model knows, undefined = certainly none. */
  at(oid: Oid, index: number): Entry | undefined {
    return this.#pages.get(PoolModel.key(oid, index));
  }

  set(oid: Oid, index: number, bytes: Uint8Array): void {
    this.#pages.set(PoolModel.key(oid, index), { bytes: Uint8Array.from(bytes), certain: !this.tight });
  }

  delete(oid: Oid, index: number): void {
    this.#pages.delete(PoolModel.key(oid, index));
  }

  /** Ephemeral pages may have been evicted. */
  doubt(): void {
    if (this.persistent) return;
    for (const entry of this.#pages.values()) entry.certain = false;
  }

  /** Compares what an operation found (undefined = miss) and learns from it. */
  found(oid: Oid, index: number, bytes: Uint8Array | undefined): void {
    const entry = this.at(oid, index);
    if (bytes !== undefined) {
      expect(entry, `${this.pool.name}: a page where none was put, at ${index}`).toBeDefined();
      expect(Buffer.compare(bytes, entry!.bytes), `${this.pool.name}: the last put's bytes at ${index}`).toBe(
        0,
      );
      return;
    }
    expect(entry?.certain ?? false, `${this.pool.name}: a page is lost at ${index}`).toBe(false);
    this.delete(oid, index);
  }

  /** Handles of one object, or of all, by key. */
  keys(oid?: Oid): string[] {
    const all = [...this.#pages.keys()];
    return oid === undefined ? all : all.filter((key) => key.startsWith(`${oid}/`));
  }

  /** Compares a number of pages an operation says there were. */
  counted(count: number, keys: readonly string[]): void {
    const certain = keys.filter((key) => this.#pages.get(key)!.certain);
    expect(count).toBeGreaterThanOrEqual(certain.length);
    expect(count).toBeLessThanOrEqual(keys.length);
  }

  clear(keys: readonly string[]): void {
    for (const key of keys) this.#pages.delete(key);
  }

  /** The walk meets every certain page, no page that is not there, and none twice. */
  checkWalk(): void {
    const walked = [...this.pool.walk()].map(({ oid, index }) => PoolModel.key(oid, index));
    const met = new Set(walked);
    expect(walked.length).toBe(met.size);
    expect(walked.filter((key) => !this.#pages.has(key))).toEqual([]);
    for (const [key, entry] of this.#pages) {
      if (met.has(key)) continue;
      expect(entry.certain, `the walk of ${this.pool.name} does not meet ${key}`).toBe(false);
      this.#pages.delete(key);
    }
    expect(this.pool.pages).toBe(walked.length);
  }
}
