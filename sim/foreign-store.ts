/** Pages that a simulated node holds for its peers: ForeignPages in plain maps, in the machine's memory. */

import type { ForeignCounts, ForeignPage, ForeignPages, Owner } from '../src/ramster/local/foreign-pages.ts';
import type { PageId } from '../src/ramster/page-id.ts';
import type { PoolKind } from '../src/zcache/index.ts';
import { type Evictable, PAGE_BYTES, type SimMemory } from './memory.ts';

interface Entry extends Evictable {
  readonly pool: ForeignPool;
  readonly id: PageId;
  /** Order of coming; lists go by it. */
  readonly serial: number;
  bytes: Uint8Array;
}

interface ForeignPool {
  readonly number: number;
  readonly kind: PoolKind;
  readonly pages: Map<PageId, Entry>;
  readonly guest: Guest;
}

/** An owner with its pages. */
interface Guest {
  readonly owner: Owner;
  readonly pools: Map<number, ForeignPool>;
  /** In the order of coming. */
  readonly entries: Set<Entry>;
}

export interface ForeignLimits {
  /** Bytes for all owners together. */
  lentMostBytes: number;
  /** Bytes for each owner. */
  ownerMostBytes: number;
}

export class ForeignStore implements ForeignPages {
  readonly limits: ForeignLimits;
  readonly #memory: SimMemory;
  readonly #guests = new Map<string, Guest>();
  #serial = 0;

  constructor(memory: SimMemory, limits: ForeignLimits) {
    this.#memory = memory;
    this.limits = limits;
  }

  get memory(): number {
    return this.#memory.number;
  }

  put(owner: Owner, pool: number, kind: PoolKind, id: PageId, bytes: Uint8Array): 'stored' | 'full' | 'kind' {
    const guest = this.#guest(owner) ?? { owner, pools: new Map(), entries: new Set() };
    const home = guest.pools.get(pool) ?? { number: pool, kind, pages: new Map(), guest };
    if (home.kind !== kind) return 'kind';
    const known = home.pages.get(id);
    if (known !== undefined) {
      known.bytes = bytes.slice();
      this.#use(known);
      return 'stored';
    }
    if (this.#isFull(guest) || !this.#memory.take(PAGE_BYTES)) return 'full';
    const entry: Entry = {
      ...{ pool: home, id, serial: ++this.#serial, bytes: bytes.slice() },
      evict: () => this.#remove(entry),
    };
    // Set again: the room may have cost this owner its last page.
    this.#guests.set(nameOf(owner), guest);
    guest.pools.set(pool, home);
    guest.entries.add(entry);
    home.pages.set(id, entry);
    this.#use(entry);
    return 'stored';
  }

  get(owner: Owner, pool: number, id: PageId, free: boolean): Uint8Array | undefined {
    const entry = this.#entry(owner, pool, id);
    if (entry === undefined) return undefined;
    if (free) this.#remove(entry);
    else this.#use(entry);
    return entry.bytes.slice();
  }

  free(owner: Owner, pool: number, id: PageId): boolean {
    const entry = this.#entry(owner, pool, id);
    if (entry !== undefined) this.#remove(entry);
    return entry !== undefined;
  }

  destroyPool(owner: Owner, pool: number): void {
    for (const entry of this.#guest(owner)?.pools.get(pool)?.pages.values() ?? []) this.#remove(entry);
  }

  destroyOwner(owner: Owner): void {
    for (const entry of this.#guest(owner)?.entries ?? []) this.#remove(entry);
  }

  /** All pages of an owner; no use of them. */
  pages(owner: Owner): ForeignPage[] {
    return [...(this.#guest(owner)?.entries ?? [])].map(({ pool, id }) => ({ pool: pool.number, id }));
  }

  /** Whether it is there; no use of the page. */
  has(owner: Owner, pool: number, id: PageId): boolean {
    return this.#entry(owner, pool, id) !== undefined;
  }

  owners(): Owner[] {
    return [...this.#guests.values()].map(({ owner }) => owner);
  }

  counts(owner: Owner): ForeignCounts {
    const entries = [...(this.#guest(owner)?.entries ?? [])];
    const persistentPages = entries.filter(({ pool }) => pool.kind === 'persistent').length;
    return {
      ephemeralPages: entries.length - persistentPages,
      persistentPages,
      bytes: entries.length * PAGE_BYTES,
    };
  }

  list(
    owner: Owner,
    cursor: Uint8Array | undefined,
    most: number,
  ): { readonly pages: readonly ForeignPage[]; readonly next: Uint8Array | undefined } {
    const after = cursor === undefined ? 0 : Buffer.from(cursor).readUInt32LE(0);
    const pages: ForeignPage[] = [];
    for (const { pool, id, serial } of this.#guest(owner)?.entries ?? []) {
      if (serial <= after) continue;
      pages.push({ pool: pool.number, id });
      if (pages.length >= most) return { pages, next: cursorOf(serial) };
    }
    return { pages, next: undefined };
  }

  freeBytes(): number {
    if (this.#memory.isPressed) return 0;
    return Math.max(0, Math.min(this.limits.lentMostBytes - this.#lentBytes(), this.#memory.freeBytes));
  }

  #isFull(guest: Guest): boolean {
    const { lentMostBytes, ownerMostBytes } = this.limits;
    return (
      (guest.entries.size + 1) * PAGE_BYTES > ownerMostBytes || this.#lentBytes() + PAGE_BYTES > lentMostBytes
    );
  }

  #lentBytes(): number {
    let pages = 0;
    for (const { entries } of this.#guests.values()) pages += entries.size;
    return pages * PAGE_BYTES;
  }

  #guest(owner: Owner): Guest | undefined {
    return this.#guests.get(nameOf(owner));
  }

  #entry(owner: Owner, pool: number, id: PageId): Entry | undefined {
    return this.#guest(owner)?.pools.get(pool)?.pages.get(id);
  }

  #use(entry: Entry): void {
    if (entry.pool.kind === 'ephemeral') this.#memory.used(entry);
  }

  #remove(entry: Entry): void {
    const { pool } = entry;
    const { guest } = pool;
    pool.pages.delete(entry.id);
    guest.entries.delete(entry);
    if (pool.pages.size === 0) guest.pools.delete(pool.number);
    if (guest.entries.size === 0) this.#guests.delete(nameOf(guest.owner));
    this.#memory.gone(entry);
    this.#memory.give(PAGE_BYTES);
  }
}

function nameOf({ name, memory }: Owner): string {
  return `${name} ${memory}`;
}

function cursorOf(serial: number): Uint8Array {
  const cursor = Buffer.alloc(4);
  cursor.writeUInt32LE(serial);
  return cursor;
}
