/**
 * Pages held for peers, in a store. Every owner is a client of its own, named
 *
 *   'ramster/' owner's name '/' owner's memory in 8 hex digits
 *
 * and has a pool for each of the owner's pools, named by its number in hex (held-pages.ts). So no owner reaches
 * another's pages, what is held is found again with a named store, and all of an owner goes in one step.
 *
 * Rule: nothing of the store's own gives way to what is held for others. They get what is free, and their ephemeral
 * pages are the first to go.
 */

import { CLUSTER_CLIENT, type Pool, type PoolKind, type Store, TmemError } from '../../zcache/index.ts';
import type { PageId } from '../page-id.ts';
import { isNodeName, memoryNumber } from '../place.ts';
import { decodeCursor } from './foreign-cursor.ts';
import type { ForeignCounts, ForeignPage, ForeignPages, Owner } from './foreign-pages.ts';
import { HeldPages, indexOf, oidOf } from './held-pages.ts';

export interface LendingLimits {
  /** Most bytes of memory that one owner's pages take, their index included. */
  readonly capBytes: number;
  /** Most bytes for all owners together. */
  readonly lendBytes: number;
}

const FRAME_BYTES = 4096;
const OWNER_CLIENT = /^ramster\/(.+)\/([0-9a-f]{8})$/;
/** The least there is: such a client is the furthest above its share, so its ephemeral pages go first. */
const WEIGHT = 1;
/** Free frames that are not lent: the store's own next puts. */
const KEPT_FREE_FRAMES = 64;
/** Pages taken before it is counted anew what is lent: that asks all owners. A page takes few frames beside its own. */
const TAKEN_BETWEEN_COUNTS = 64;

/** There are no more pools, clients or frames. */
const FULL_CODES: readonly string[] = [
  'TMEM_ERR_TOO_MANY_POOLS',
  'TMEM_ERR_TOO_MANY_CLIENTS',
  'TMEM_ERR_NO_MEMORY',
];

export class ArenaForeignPages implements ForeignPages {
  readonly memory: number;
  readonly #store: Store;
  readonly #limits: LendingLimits;
  /** By client name. */
  readonly #held = new Map<string, HeldPages>();
  readonly #page = Buffer.alloc(FRAME_BYTES);
  /** Of owners that asked: who asks again is the same object. */
  readonly #names = new WeakMap<Owner, string>();
  /** Pages that may be taken before what is lent is counted. */
  #allowance = 0;

  constructor(store: Store, limits: LendingLimits) {
    this.#store = store;
    this.#limits = limits;
    this.memory = memoryNumber(store.id);
    for (const client of store.clients()) {
      if (ownerOf(client.name) === undefined) continue;
      client.setCap(limits.capBytes);
      this.#held.set(client.name, new HeldPages(client));
    }
  }

  put(owner: Owner, pool: number, kind: PoolKind, id: PageId, bytes: Uint8Array): 'stored' | 'full' | 'kind' {
    const held = this.#heldFor(owner);
    const known = held?.pool(pool);
    if (known !== undefined && known.kind !== kind) return 'kind';
    if (!this.#hasRoom()) return 'full';
    const target = known ?? this.#make(owner, held, pool, kind);
    if (target === undefined) return 'full';
    this.#allowance--;
    return target.replace(oidOf(id), indexOf(id), bytes) === 'stored' ? 'stored' : 'full';
  }

  get(owner: Owner, pool: number, id: PageId, free: boolean): Uint8Array | undefined {
    const from = this.#heldFor(owner)?.pool(pool);
    if (from === undefined) return undefined;
    const length = free
      ? from.getAndFree(oidOf(id), indexOf(id), this.#page)
      : from.getAndKeep(oidOf(id), indexOf(id), this.#page);
    // A copy of its length: whole pages' worth of memory for each would be garbage to collect.
    if (length === 0) return undefined;
    const page = Buffer.allocUnsafe(length);
    this.#page.copy(page, 0, 0, length);
    return page;
  }

  free(owner: Owner, pool: number, id: PageId): boolean {
    return this.#heldFor(owner)?.pool(pool)?.flushPage(oidOf(id), indexOf(id)) ?? false;
  }

  destroyPool(owner: Owner, pool: number): void {
    this.#heldFor(owner)?.destroy(pool);
  }

  destroyOwner(owner: Owner): void {
    const name = clientName(owner);
    const held = this.#held.get(name);
    if (held === undefined) return;
    try {
      held.remove();
    } catch (error) {
      // Its pools are gone; other threads are still at work on what they held. Asked again it goes, too.
      if (TmemError.is(error) && error.code === 'TMEM_ERR_BUSY') return;
      throw error;
    }
    this.#held.delete(name);
  }

  owners(): Owner[] {
    return [...this.#held.keys()].flatMap((name) => ownerOf(name) ?? []);
  }

  counts(owner: Owner): ForeignCounts {
    return this.#heldFor(owner)?.counts() ?? { ephemeralPages: 0, persistentPages: 0, bytes: 0 };
  }

  /** The cursor is bytes, 24 of them; anything else that comes as one lists nothing. */
  list(
    owner: Owner,
    cursor: Uint8Array | undefined,
    most: number,
  ): { readonly pages: readonly ForeignPage[]; readonly next: Uint8Array | undefined } {
    const position = cursor === undefined ? { pool: 0, walk: undefined } : decodeCursor(cursor);
    const held = this.#heldFor(owner);
    if (held === undefined || position === undefined) return { pages: [], next: undefined };
    return held.list(position, most);
  }

  freeBytes(): number {
    const { free, pressed } = this.#store.freeRoom();
    if (pressed) return 0;
    const unused = (free - KEPT_FREE_FRAMES) * FRAME_BYTES;
    return Math.max(0, Math.min(unused, this.#limits.lendBytes - this.#lentFrames() * FRAME_BYTES));
  }

  #heldFor(owner: Owner): HeldPages | undefined {
    let name = this.#names.get(owner);
    if (name === undefined) {
      name = clientName(owner);
      this.#names.set(owner, name);
    }
    return this.#held.get(name);
  }

  /** Undefined: there is nothing left to make it of. */
  #make(owner: Owner, known: HeldPages | undefined, pool: number, kind: PoolKind): Pool | undefined {
    try {
      return (known ?? this.#admit(owner)).make(pool, kind);
    } catch (error) {
      if (TmemError.is(error) && FULL_CODES.includes(error.code)) return undefined;
      throw error;
    }
  }

  #admit(owner: Owner): HeldPages {
    const name = clientName(owner);
    const held = new HeldPages(this.#store.client(name, { weight: WEIGHT, cap: this.#limits.capBytes }));
    this.#held.set(name, held);
    return held;
  }

  #hasRoom(): boolean {
    const { free, pressed } = this.#store.freeRoom();
    if (pressed || free <= KEPT_FREE_FRAMES) return false;
    if (this.#allowance <= 0) {
      const frames = Math.floor(this.freeBytes() / FRAME_BYTES);
      this.#allowance = Math.min(frames, TAKEN_BETWEEN_COUNTS);
    }
    return this.#allowance > 0;
  }

  #lentFrames(): number {
    let frames = 0;
    for (const held of this.#held.values()) frames += held.frames;
    return frames;
  }
}

function clientName({ name, memory }: Owner): string {
  return `${CLUSTER_CLIENT}/${name}/${memory.toString(16).padStart(8, '0')}`;
}

function ownerOf(client: string): Owner | undefined {
  const [, name, memory] = OWNER_CLIENT.exec(client) ?? [];
  return memory !== undefined && isNodeName(name) ? { name, memory: Number.parseInt(memory, 16) } : undefined;
}
