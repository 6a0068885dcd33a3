/**
 * A node's own pages in the simulator: a store with the operations of a front end, and LocalPages for the node. It
 * answers as the arena does, and is unpleasant where the arena may be: words come back soon, versions are shared by
 * several handles, the ring of orphans is short, making a record needs room first.
 */

import type {
  Identity,
  LocalPages,
  LocalRoom,
  PageRef,
  RecordBatch,
  RemoteLook,
  StoredBytes,
  StoredLook,
} from '../src/ramster/local/local-pages.ts';
import type { Look, Oid, PoolKind } from '../src/zcache/index.ts';
import { RECORD_BYTES_MAX } from '../src/zcache/index.ts';
import { type Evictable, PAGE_BYTES, RECORD_BYTES, type SimMemory } from './memory.ts';
import { checksumOf, decodePage, encodePage } from './stored-bytes.ts';

/** The longest queue of orphans: short, so that some are lost. */
const ORPHANS_MOST = 16;
/** Words of slots: few, so that a handle has the same again after a change. */
const WORDS = 3;
/** Counters of changes, shared by all handles. */
const VERSIONS = 64;

/** What a slot holds. A record has the length and checksum of the page it stands for. */
type Content =
  | { readonly kind: 'stored'; readonly stored: StoredBytes }
  | { readonly kind: 'tiny'; readonly page: Uint8Array }
  | { readonly kind: 'remote'; readonly record: Uint8Array };

interface Slot extends Evictable {
  readonly page: PageRef;
  readonly pool: LocalPool;
  readonly key: string;
  /** Order of coming; walks go by it. */
  readonly serial: number;
  readonly length: number;
  readonly checksum: number;
  readonly word: number;
  content: Content;
}

interface LocalPool {
  readonly id: number;
  readonly kind: PoolKind;
  readonly slots: Map<string, Slot>;
}

/** Told of every change of a record, after it happened. */
export type RecordObserver = (
  page: PageRef,
  kind: PoolKind,
  before: Uint8Array | undefined,
  after: Uint8Array | undefined,
) => void;

export class LocalStore implements LocalPages {
  readonly memory: SimMemory;
  readonly #observe: RecordObserver;
  readonly #pools = new Map<number, LocalPool>();
  /** All slots, in the order of coming. */
  readonly #slots = new Set<Slot>();
  /** Pages that may be sent, in the order of their last use. */
  readonly #order: Readonly<Record<PoolKind, Set<Slot>>> = { persistent: new Set(), ephemeral: new Set() };
  readonly #versions = new Uint32Array(VERSIONS);
  readonly #orphans: Uint8Array[] = [];
  #orphansLost = 0;
  readonly #destroyed: number[] = [];
  #serial = 0;
  #poolId = 0;

  constructor(memory: SimMemory, observe: RecordObserver = () => {}) {
    this.memory = memory;
    this.#observe = observe;
  }

  // ---- what a front end does ------------------------------------------------------------------------------------

  createPool(kind: PoolKind): number {
    const id = ++this.#poolId;
    this.#pools.set(id, { id, kind, slots: new Map() });
    return id;
  }

  destroyPool(pool: number): void {
    this.flushPages(pool);
    if (this.#pools.delete(pool)) this.#destroyed.push(pool);
  }

  /** A refused put leaves the handle empty. */
  put(page: PageRef, bytes: Uint8Array): 'stored' | 'refused' {
    const pool = this.#pools.get(page.pool);
    if (pool === undefined) return 'refused';
    this.flush(page);
    const isTiny = bytes.every((byte) => byte === bytes[0]);
    const content: Content = isTiny
      ? { kind: 'tiny', page: bytes.slice() }
      : { kind: 'stored', stored: encodePage(bytes) };
    if (!this.memory.take(roomOf(content))) return 'refused';
    this.#add(pool, page, content, bytes.length, checksumOf(bytes));
    return 'stored';
  }

  /** An ephemeral page goes with being read. 'remote': it is away; nothing happened. */
  get(page: PageRef): Uint8Array | 'remote' | undefined {
    const slot = this.#slot(page);
    if (slot === undefined) return undefined;
    const { content } = slot;
    if (content.kind === 'remote') return 'remote';
    const bytes =
      content.kind === 'tiny' ? content.page : decodePage(content.stored, slot.length, slot.checksum);
    if (bytes === undefined) throw new Error('a stored page is damaged');
    if (slot.pool.kind === 'ephemeral') this.#take(slot);
    else this.#use(slot);
    return bytes;
  }

  /** Whether a page was there. */
  flush(page: PageRef): boolean {
    const slot = this.#slot(page);
    if (slot !== undefined) this.#take(slot);
    return slot !== undefined;
  }

  /** How many were there. Without an object: all pages of the pool. */
  flushPages(pool: number, oid?: Oid): number {
    const slots = [...(this.#pools.get(pool)?.slots.values() ?? [])];
    const found = slots.filter(({ page }) => oid === undefined || page.oid.equals(oid));
    for (const slot of found) this.#take(slot);
    return found.length;
  }

  // ---- LocalPages -----------------------------------------------------------------------------------------------

  identity(): Identity {
    return this.memory.identity;
  }

  kindOf(pool: number): PoolKind | undefined {
    return this.#pools.get(pool)?.kind;
  }

  look(page: PageRef): Look | undefined {
    const slot = this.#slot(page);
    if (slot === undefined) return undefined;
    const { content, word, length, checksum } = slot;
    const version = this.#versions[versionOf(slot.key)] as number;
    if (content.kind === 'tiny') return { kind: 'tiny', word, version, length };
    if (content.kind === 'remote') {
      return { kind: 'remote', word, version, length, checksum, record: content.record.slice() };
    }
    const { codec, bytes } = content.stored;
    return { kind: 'stored', word, version, codec, length, checksum, bytes: bytes.slice() };
  }

  sendAway(page: PageRef, found: StoredLook | RemoteLook, record: Uint8Array): 'stored' | 'gone' | 'refused' {
    if (record.length < 1 || record.length > RECORD_BYTES_MAX)
      throw new Error(`record of ${record.length} bytes`);
    return this.#exchange(page, found, { kind: 'remote', record: record.slice() });
  }

  bringHome(
    page: PageRef,
    found: RemoteLook,
    stored: StoredBytes,
  ): 'stored' | 'gone' | 'refused' | 'damaged' {
    if (decodePage(stored, found.length, found.checksum) === undefined) return 'damaged';
    const copy = { codec: stored.codec, bytes: stored.bytes.slice() };
    return this.#exchange(page, found, { kind: 'stored', stored: copy });
  }

  decode(found: RemoteLook, stored: StoredBytes): Uint8Array | undefined {
    return decodePage(stored, found.length, found.checksum);
  }

  forget(page: PageRef, found: RemoteLook): boolean {
    const slot = this.#slot(page);
    if (slot?.content.kind !== 'remote' || !this.#holds(slot, found)) return false;
    this.#remove(slot);
    return true;
  }

  takeOrphans(most: number): Uint8Array[] {
    return this.#orphans.splice(0, most);
  }

  get orphansLost(): number {
    return this.#orphansLost;
  }

  takeDestroyedPools(): number[] {
    return this.#destroyed.splice(0);
  }

  coldest(kind: PoolKind, most: number): PageRef[] {
    const pages: PageRef[] = [];
    for (const { page } of this.#order[kind]) {
      if (pages.length >= most) break;
      pages.push(page);
    }
    return pages;
  }

  records(cursor: unknown, most: number): RecordBatch {
    const after = (cursor as number | undefined) ?? 0;
    const pages: { page: PageRef; record: Uint8Array }[] = [];
    for (const { page, serial, content } of this.#slots) {
      if (serial <= after || content.kind !== 'remote') continue;
      pages.push({ page, record: content.record.slice() });
      if (pages.length >= most) return { pages, next: serial };
    }
    return { pages, next: undefined };
  }

  room(): LocalRoom {
    const { totalBytes, freeBytes, isPressed } = this.memory;
    return { totalBytes, freeBytes, pressed: isPressed };
  }

  // ---- slots ----------------------------------------------------------------------------------------------------

  #exchange(page: PageRef, found: StoredLook | RemoteLook, content: Content): 'stored' | 'gone' | 'refused' {
    const bytes = roomOf(content);
    // Taken before the old is freed; what is evicted for it may be the page itself.
    if (!this.memory.take(bytes)) return 'refused';
    const slot = this.#slot(page);
    if (slot === undefined || !this.#holds(slot, found)) {
      this.memory.give(bytes);
      return 'gone';
    }
    this.#remove(slot);
    this.#add(slot.pool, page, content, slot.length, slot.checksum);
    const before = slot.content.kind === 'remote' ? slot.content.record : undefined;
    const after = content.kind === 'remote' ? content.record : undefined;
    this.#observe(page, slot.pool.kind, before, after);
    return 'stored';
  }

  #holds(slot: Slot, found: StoredLook | RemoteLook): boolean {
    return slot.word === found.word && this.#versions[versionOf(slot.key)] === found.version;
  }

  #slot(page: PageRef): Slot | undefined {
    return this.#pools.get(page.pool)?.slots.get(keyOf(page));
  }

  #add(pool: LocalPool, page: PageRef, content: Content, length: number, checksum: number): void {
    const key = keyOf(page);
    const serial = ++this.#serial;
    const slot: Slot = {
      ...{ page, pool, key, serial, length, checksum, content, word: 1 + (serial % WORDS) },
      evict: () => this.#take(slot),
    };
    pool.slots.set(key, slot);
    this.#slots.add(slot);
    this.#versions[versionOf(key)]++;
    this.#use(slot);
  }

  #use(slot: Slot): void {
    const order = this.#order[slot.pool.kind];
    order.delete(slot);
    if (slot.content.kind === 'stored') order.add(slot);
    if (slot.pool.kind === 'ephemeral') this.memory.used(slot);
  }

  #remove(slot: Slot): void {
    slot.pool.slots.delete(slot.key);
    this.#slots.delete(slot);
    this.#order[slot.pool.kind].delete(slot);
    this.#versions[versionOf(slot.key)]++;
    this.memory.gone(slot);
    this.memory.give(roomOf(slot.content));
  }

  /** Removes a slot; its record, if it has one, is an orphan. */
  #take(slot: Slot): void {
    this.#remove(slot);
    if (slot.content.kind !== 'remote') return;
    if (this.#orphans.length < ORPHANS_MOST) this.#orphans.push(slot.content.record);
    else this.#orphansLost++;
    this.#observe(slot.page, slot.pool.kind, slot.content.record, undefined);
  }
}

function roomOf(content: Content): number {
  if (content.kind === 'tiny') return 0;
  return content.kind === 'stored' ? PAGE_BYTES : RECORD_BYTES;
}

/** Name of a handle in its pool. */
function keyOf({ oid: { w0, w1, w2, w3, w4, w5 }, index }: PageRef): string {
  return `${w0}.${w1}.${w2}.${w3}.${w4}.${w5}/${index}`;
}

function versionOf(key: string): number {
  let hash = 0;
  for (let i = 0; i < key.length; i++) hash = (Math.imul(hash, 31) + key.charCodeAt(i)) | 0;
  return (hash >>> 0) % VERSIONS;
}
