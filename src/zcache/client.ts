/**
 * Client: whoever owns pools. It has a name, a weight (its share when memory is short), a cap and its own counters, and
 * outlives its threads until it is removed.
 */

import { type Arena, CLIENT_BYTES } from '../arena/index.ts';
import { type Arenas, type PoolDescription, TmemError } from '../tmem/index.ts';
import { publish } from './events.ts';
import {
  type ClientSettings,
  checkedName,
  clientOptions,
  type PoolOptions,
  type PoolSettings,
  poolDefaults,
  poolOptions,
} from './options.ts';
import { ClientPool } from './pool.ts';
import { describePool, poolsOf, rawClient } from './raw.ts';
import type { StoreSettings } from './settings.ts';
import { type ClientStatistics, clientStatistics } from './statistics.ts';
import { endClient, hasLiveTwin, isLive, isWhole } from './twins.ts';

const FRAME_BYTES = 4096;
const PERSISTENT = 1;
const SHARED = 2;
const CODEC_IDS = { none: 0, lz4: 1, lzo: 2 } as const;
const PAM_IDS = { zbud: 0, zv: 1, raw: 2 } as const;
const TABLE_FULL = -1;
const NO_MEMORY = -2;
const GONE = -3;
const STALE = -4;
/** Offset of a UUID in the argument area; the name is in front of it. */
const UUID_AT = 64;
/** An id is a place in the table, and above it the generation. */
const PLACE_MASK = 0xffff;
/** Times a pool may vanish between being found and being looked at. */
const OPEN_TRIES_MAX = 100;

/** Clients that this thread has claimed, by its view of their store. */
const claims = new WeakMap<Arenas, Set<number>>();

export class Client {
  readonly name: string;
  /** The client's id in each arena. */
  readonly ids: readonly number[];
  readonly #arenas: Arenas;
  readonly #settings: StoreSettings;
  #removed = false;

  constructor(arenas: Arenas, settings: StoreSettings, name: string, ids: readonly number[]) {
    this.#arenas = arenas;
    this.#settings = settings;
    this.name = name;
    this.ids = ids;
  }

  get id(): number {
    return this.ids[0];
  }

  /**
   * Opens a pool of this client by name, or creates it; a shared pool by its UUID, if this client created it or was
   * granted it. What is given must agree with what exists.
   *
   * @throws TmemError TMEM_ERR_POOL_FLAGS, TMEM_ERR_NAME, TMEM_ERR_NAME_MISMATCH, TMEM_ERR_NOT_GRANTED,
   *   TMEM_ERR_TOO_MANY_POOLS, TMEM_ERR_NO_MEMORY, TMEM_ERR_CLIENT_GONE
   */
  pool(name: string, options: PoolOptions<ClientPool>): ClientPool {
    this.#check();
    checkedName('pool', name);
    const given = poolOptions(options);
    if (given.demoteTo !== undefined && !(given.demoteTo instanceof ClientPool)) {
      throw new TmemError('TMEM_ERR_POOL_FLAGS', 'demoteTo: expected a pool of this store');
    }
    // Another thread may destroy the pool between finding it and looking at it: then there is none, and it is made.
    for (let tries = 0; tries < OPEN_TRIES_MAX; tries++) {
      const found = this.#openIds(name, given);
      if (found === undefined) continue;
      const { ids, created } = found;
      const [first] = this.#arenas.all;
      const about = describePool(first, ids[0]);
      if (about !== undefined && isLive(first, ids[0])) return this.#opened(name, given, ids, about, created);
    }
    throw new TmemError(
      'TMEM_ERR_POOL_GONE',
      `pool '${name}': another thread destroys it as often as it is opened`,
    );
  }

  /** The pool in each arena. Undefined when others made it anew meanwhile: look again. */
  #openIds(
    name: string,
    given: PoolSettings<ClientPool>,
  ): { ids: readonly number[]; created: boolean } | undefined {
    const { codec, pam } = poolDefaults(given, this.#settings);
    const flags = (given.kind === 'persistent' ? PERSISTENT : 0) | (given.shared === undefined ? 0 : SHARED);
    let created = false;
    const ids: number[] = [];
    for (const [at, arena] of this.#arenas.all.entries()) {
      const before = poolsOf(arena, this.ids[at]).some((pool) => pool.name === name);
      const demoteTo = given.demoteTo === undefined ? 0 : given.demoteTo.arenaIds[at];
      const open = () => {
        const length = arena.name(name);
        if (given.shared !== undefined) arena.bytes.set(uuidBytes(given.shared), arena.arguments + UUID_AT);
        return arena.wasm.openPool(
          this.ids[at],
          length,
          flags,
          CODEC_IDS[pam === 'raw' ? 'none' : codec],
          PAM_IDS[pam],
          given.shared === undefined ? 0 : 1,
          given.limit === undefined ? 0 : Math.max(1, Math.floor(given.limit / this.#arenas.all.length)),
          demoteTo,
          // The pool in the first arena has no twin; those in the others name it.
          ids[0] ?? 0,
        );
      };
      let id = this.#arenas.run(arena, open);
      for (let tries = 0; id === STALE && tries < OPEN_TRIES_MAX; tries++) {
        const stale = arena.wasm.staleName();
        if (hasLiveTwin(this.#arenas.all[0], arena, stale)) return undefined;
        this.#arenas.run(arena, () => arena.wasm.removePool(stale));
        id = this.#arenas.run(arena, open);
      }
      if (id < 0) throw this.#cannotOpen(name, id);
      if (!before) created = true;
      ids.push(id);
    }
    return { ids, created };
  }

  /** Checks that what was opened is what was asked for. */
  #opened(
    name: string,
    given: PoolSettings<ClientPool>,
    ids: readonly number[],
    about: Omit<PoolDescription, 'name'>,
    created: boolean,
  ): ClientPool {
    this.#checkAgrees(
      name,
      { kind: given.kind, codec: given.codec, pam: given.pam, shared: given.shared },
      about,
    );
    if (about.shared !== null) this.#checkGranted(name, ids);
    if (created) publish('tmem:pool:created', () => ({ client: this.name, pool: name, ...about }));
    return new ClientPool(this.#arenas, ids, { name, ...about }, this);
  }

  #cannotOpen(name: string, code: number): TmemError {
    if (code === TABLE_FULL) {
      return new TmemError(
        'TMEM_ERR_TOO_MANY_POOLS',
        `pool '${name}': all ${this.#settings.pools} pools are in use; destroy some or raise the setting pools`,
      );
    }
    if (code === GONE) return new TmemError('TMEM_ERR_CLIENT_GONE', `client '${this.name}' was removed`);
    if (code === NO_MEMORY) {
      return new TmemError(
        'TMEM_ERR_NO_MEMORY',
        `pool '${name}': no frame is free for it, or client '${this.name}' is at its cap; shrink or free pages first`,
      );
    }
    return new TmemError('TMEM_ERR_DAMAGED', `pool '${name}': unexpected result ${code}`);
  }

  #checkAgrees(name: string, given: Record<string, unknown>, existing: object): void {
    const differing = Object.entries(existing).filter(
      ([key, value]) => given[key] !== undefined && given[key] !== value,
    );
    if (differing.length === 0) return;
    const list = differing.map(([key, value]) => `${key} is ${String(value)}, not ${String(given[key])}`);
    throw new TmemError(
      'TMEM_ERR_NAME_MISMATCH',
      `pool '${name}' exists with other settings: ${list.join(', ')}`,
    );
  }

  #checkGranted(name: string, ids: readonly number[]): void {
    const granted = this.#arenas.all.every(
      (arena, at) => this.#arenas.run(arena, () => arena.wasm.isGranted(ids[at], this.ids[at])) === 1,
    );
    if (granted) return;
    throw new TmemError(
      'TMEM_ERR_NOT_GRANTED',
      `client '${this.name}' may not join the shared pool '${name}'; its creator must call grant() first`,
    );
  }

  /** All pools of this client, as they are now. */
  pools(): ClientPool[] {
    this.#arenas.check();
    const perArena = this.#arenas.all.map(
      (arena, at) => new Map(poolsOf(arena, this.ids[at]).map((pool) => [pool.name, pool])),
    );
    return [...perArena[0].values()].flatMap(({ name, about }) => {
      const ids = perArena.map((found) => found.get(name)?.id);
      // One that is being made or destroyed is not in every arena.
      return isWhole(ids) ? new ClientPool(this.#arenas, ids, { name, ...about }, this) : [];
    });
  }

  /** Share of the memory relative to other clients, when it is short. */
  setWeight(weight: number): void {
    this.#check();
    const checked = clientOptions({ weight }).weight ?? 0;
    this.#setField(({ layout }) => layout.C_WEIGHT, checked);
  }

  /** Most bytes of frames the client may hold (null = no cap). What is ephemeral above it is evicted at once. */
  setCap(cap: number | string | null): void {
    this.#check();
    const bytes = cap === null ? null : (clientOptions({ cap }).cap ?? null);
    const frames = capFrames(bytes, this.#arenas.all.length);
    this.#setField(({ layout }) => layout.C_CAP_FRAMES, frames);
    for (const [at, arena] of this.#arenas.all.entries()) {
      this.#arenas.run(arena, () => arena.wasm.trimClient(this.ids[at]));
    }
  }

  /** Refuses all puts of this client's pools (each becomes a flush) until thaw(). Gets and flushes work. */
  freeze(): void {
    this.#setFrozen(true);
  }

  thaw(): void {
    this.#setFrozen(false);
  }

  #setFrozen(frozen: boolean): void {
    this.#check();
    this.#setField(({ layout }) => layout.C_FROZEN, frozen ? 1 : 0);
    publish('tmem:store:freeze', () => ({ client: this.name, frozen }));
  }

  #setField(offset: (arena: Arena) => number, value: number): void {
    for (const [at, arena] of this.#arenas.all.entries()) {
      const set = () => arena.wasm.setClientWord(this.ids[at], offset(arena), value);
      if (this.#arenas.run(arena, set) === 0) throw this.#gone();
    }
  }

  /** @throws TmemError TMEM_ERR_NAME_MISMATCH when the client exists with other settings than given */
  expect(given: ClientSettings): void {
    const [arena] = this.#arenas.all;
    const address = arena.wasm.clientFrame(this.ids[0]) >>> 0;
    const weight = arena.word(address + arena.layout.C_WEIGHT);
    const cap = arena.word(address + arena.layout.C_CAP_FRAMES);
    const sameWeight = given.weight === undefined || given.weight === weight;
    const sameCap = given.cap === undefined || capFrames(given.cap, this.#arenas.all.length) === cap;
    if (sameWeight && sameCap) return;
    throw new TmemError(
      'TMEM_ERR_NAME_MISMATCH',
      `client '${this.name}' exists with weight ${weight} and a cap of ${cap} frames an arena (0 = none); ` +
        'open it without these options and use setWeight or setCap',
    );
  }

  /** Frames (4096 bytes) it holds, and its cap in frames, 0 = none: two words of each arena. */
  frames(): { frames: number; capFrames: number } {
    this.#check();
    let frames = 0;
    let capFrames = 0;
    for (const [at, arena] of this.#arenas.all.entries()) {
      const address = arena.wasm.clientFrame(this.ids[at]) >>> 0;
      frames += arena.word(address + arena.layout.C_FRAMES);
      capFrames += arena.word(address + arena.layout.C_CAP_FRAMES);
    }
    return { frames, capFrames };
  }

  stats(): ClientStatistics {
    this.#check();
    const raw = rawClient(this.#arenas, this.name);
    if (raw === undefined) throw this.#gone();
    return clientStatistics(raw);
  }

  /**
   * Claims the client, for an owner that bears no second one: until `unclaim`, `close` of the store, or the end of the
   * thread, however it ends. It keeps out nobody but those who claim; in a store without a name those of this thread.
   *
   * @returns false when somebody has claimed it
   */
  claim(): boolean {
    this.#check();
    const mine = claims.get(this.#arenas) ?? new Set();
    claims.set(this.#arenas, mine);
    // A lock says nothing of the thread that has it already.
    if (mine.has(this.id) || this.#arenas.thread?.file.lock(this.#claimByte) === false) return false;
    mine.add(this.id);
    return true;
  }

  unclaim(): void {
    if (claims.get(this.#arenas)?.delete(this.id) !== true || this.#arenas.closed) return;
    this.#arenas.thread?.file.unlock(this.#claimByte);
  }

  /** A file lock on the byte of its place in the client table. */
  get #claimByte(): number {
    return CLIENT_BYTES + (this.id & PLACE_MASK);
  }

  /** Destroys all pools of the client and forgets it; its name can be used anew. */
  remove(): void {
    this.#arenas.check();
    // Where a removal was cut short, one goes on where it ended.
    const isGone = this.#arenas.all.every((arena, at) => arena.wasm.clientFrame(this.ids[at]) === 0);
    if (this.#removed || isGone) throw this.#gone();
    for (const [at, arena] of this.#arenas.all.entries()) {
      if (endClient(this.#arenas, arena, this.ids[at])) continue;
      throw new TmemError(
        'TMEM_ERR_BUSY',
        `client '${this.name}': other threads are still working in its pools; stop them and call remove again`,
      );
    }
    this.#removed = true;
    publish('tmem:client:removed', () => ({ client: this.name }));
  }

  #check(): void {
    this.#arenas.check();
    if (this.#removed) throw this.#gone();
    for (const [at, arena] of this.#arenas.all.entries()) {
      if (arena.wasm.clientFrame(this.ids[at]) === 0) throw this.#gone();
    }
  }

  #gone(): TmemError {
    return new TmemError('TMEM_ERR_CLIENT_GONE', `client '${this.name}' was removed; open it again by name`);
  }
}

/** A cap is divided over the arenas; a client holds its own frame at least. */
export function capFrames(bytes: number | null, arenas: number): number {
  return bytes === null ? 0 : Math.max(1, Math.floor(bytes / arenas / FRAME_BYTES));
}

function uuidBytes(uuid: string): Uint8Array {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}
