/**
 * Store: the host, as one thread has it open. Hands out clients, shares itself with worker threads, freezes, shrinks,
 * and tells what it is doing.
 *
 * `memory` is a hard bound: the arenas are exactly that large, and everything the store keeps is in them. Reclaim
 * happens inside puts; what asks for more of it (the machine's memory pressure) calls `shrink` and `giveBack`.
 */

import { threadId } from 'node:worker_threads';
import { type ArenaMemory, type ArenaModule, type FileIdentity, STORE_ID_BYTES } from '../arena/index.ts';
import { type Arenas, TmemError } from '../tmem/index.ts';
import { Client } from './client.ts';
import { publish } from './events.ts';
import { openClient } from './open-client.ts';
import type { ClientOptions } from './options.ts';
import { clientsOf, rawStore } from './raw.ts';
import { type FreeRoom, freeRoomOf, type Room, roomOf } from './room.ts';
import type { StoreSettings } from './settings.ts';
import { type StoreStatistics, storeStatistics } from './statistics.ts';
import { threadEnded, watchThreads } from './threads.ts';
import { isWhole } from './twins.ts';

/** Marks what share() returns, and its format. */
export const TOKEN_KIND = 'tmem-store-2';

/** What share() returns: opaque, to be sent to a worker of this process and given to attach(). */
export interface StoreToken {
  readonly kind: typeof TOKEN_KIND;
}

/** The file of a named store, to be found again by another thread. */
export interface SharedFile {
  readonly name: string;
  readonly path: string;
  readonly identity: FileIdentity;
}

export interface FullToken extends StoreToken {
  readonly settings: StoreSettings;
  readonly memories: readonly ArenaMemory[];
  readonly module: ArenaModule;
  readonly file: SharedFile | undefined;
}

/** What a store is made of. */
export interface StoreParts {
  readonly arenas: Arenas;
  readonly settings: StoreSettings;
  readonly module: ArenaModule;
  readonly name: string | undefined;
  readonly isNew: boolean;
  /** What runs beside the store; stopped when it closes. */
  readonly caretaker: { stop(): void } | undefined;
}

export interface ShrinkResult {
  /** Frames of 4096 bytes that became free. */
  readonly freed: number;
  /** Frames asked for that could not be freed: nothing ephemeral is left. */
  readonly remaining: number;
}

let arenasOf: (store: Store) => Arenas;

export class Store {
  static {
    arenasOf = (store) => {
      store.#arenas.check();
      return store.#arenas;
    };
  }

  readonly settings: StoreSettings;
  /**
   * This thread's staging pages: memory inside the arena. Read a file or socket straight into it and put from there, or
   * get into it: such calls copy nothing on the JavaScript side.
   */
  readonly staging: Uint8Array;
  /** The store's name; undefined when it has none and ends with its process. */
  readonly name: string | undefined;
  /** Whether this very open made it. */
  readonly isNew: boolean;
  readonly #arenas: Arenas;
  readonly #parts: StoreParts;
  readonly #stopWatching: () => void;

  constructor(parts: StoreParts) {
    this.#parts = parts;
    this.#arenas = parts.arenas;
    this.name = parts.name;
    this.isNew = parts.isNew;
    this.settings = parts.settings;
    this.staging = parts.arenas.all[0].staging;
    this.#stopWatching = watchThreads(parts.arenas);
  }

  /** 16 random bytes, made with the store. */
  get id(): Uint8Array {
    const [{ bytes, layout }] = this.#arenas.all;
    return bytes.slice(layout.H_STORE_ID, layout.H_STORE_ID + STORE_ID_BYTES);
  }

  get closed(): boolean {
    return this.#arenas.closed;
  }

  /** What a worker needs to attach: send it through `workerData` or `postMessage`. */
  share(): StoreToken {
    this.#arenas.check();
    const file = this.#arenas.thread?.file;
    const token: FullToken = {
      kind: TOKEN_KIND,
      settings: this.settings,
      memories: this.#arenas.all.map((arena) => arena.memory),
      module: this.#parts.module,
      file: file && { name: this.name ?? '', path: file.path, identity: file.identity },
    };
    return token;
  }

  /**
   * Opens a client by name, or creates it with weight (default 100) and cap (bytes, default none).
   *
   * @throws TmemError TMEM_ERR_NAME, TMEM_ERR_SETTING, TMEM_ERR_NAME_MISMATCH, TMEM_ERR_TOO_MANY_CLIENTS,
   *   TMEM_ERR_NO_MEMORY
   */
  client(name: string, options: ClientOptions = {}): Client {
    return openClient(this.#arenas, this.settings, name, options);
  }

  /** Whether there is a client of this name. */
  hasClient(name: string): boolean {
    this.#arenas.check();
    return clientsOf(this.#arenas.all[0]).some((client) => client.name === name);
  }

  /** All clients, as they are now. */
  clients(): Client[] {
    this.#arenas.check();
    const perArena = this.#arenas.all.map(
      (arena) => new Map(clientsOf(arena).map(({ name, id }) => [name, id])),
    );
    return [...perArena[0].keys()].flatMap((name) => {
      const ids = perArena.map((found) => found.get(name));
      // One that is being made or removed is not in every arena.
      return isWhole(ids) ? new Client(this.#arenas, this.settings, name, ids) : [];
    });
  }

  /** Refuses all puts (each becomes a flush of its handle) until thaw(). Gets and flushes work. */
  freeze(): void {
    this.#setFrozen(true);
  }

  thaw(): void {
    this.#setFrozen(false);
  }

  #setFrozen(frozen: boolean): void {
    this.#arenas.check();
    for (const arena of this.#arenas.all) arena.setWord(arena.layout.H_FROZEN, frozen ? 1 : 0);
    publish('tmem:store:freeze', () => ({ client: null, frozen }));
  }

  /** Evicts ephemeral pages until `frames` more frames (4096 bytes) are free, or none is left. */
  shrink(frames: number): ShrinkResult {
    this.#arenas.check();
    checkFrames('shrink', frames);
    let freed = 0;
    for (const arena of this.#arenas.all) {
      const most = Math.min(frames - freed, arena.word(arena.layout.H_FRAMES));
      if (most > 0) freed += this.#arenas.run(arena, () => arena.wasm.shrinkBy(most));
    }
    const remaining = Math.max(0, frames - freed);
    publish('tmem:store:shrunk', () => ({ asked: frames, freed, remaining }));
    return { freed, remaining };
  }

  /** Gives at most `frames` free frames (4096 bytes) back to the operating system; how many. 0 without koffi. */
  giveBack(frames: number): number {
    this.#arenas.check();
    checkFrames('giveBack', frames);
    let given = 0;
    for (const arena of this.#arenas.all) {
      const most = Math.min(frames - given, arena.word(arena.layout.H_FRAMES));
      if (most > 0) given += this.#arenas.run(arena, () => arena.wasm.giveBack(most)) >>> 0;
    }
    return given;
  }

  /** How much room there is. */
  room(): Room {
    this.#arenas.check();
    return roomOf(this.#arenas.all);
  }

  /** The part of it that costs next to nothing: for each page. */
  freeRoom(): FreeRoom {
    this.#arenas.check();
    return freeRoomOf(this.#arenas.all);
  }

  /** A snapshot of all counters, of the store, its clients and their pools. */
  stats(): StoreStatistics {
    this.#arenas.check();
    return storeStatistics(rawStore(this.#arenas, this.settings));
  }

  /** Says that a worker that was made before this store was opened has ended. Others are noticed by themselves. */
  threadEnded(thread: number): void {
    this.#arenas.check();
    threadEnded(this.#arenas, thread);
  }

  /** Leaves the store in this thread; the pages live on while another thread has it open. Idempotent. */
  close(): void {
    if (this.#arenas.closed) return;
    this.#parts.caretaker?.stop();
    this.#stopWatching();
    this.#arenas.close();
    publish('tmem:store:close', () => ({ thread: threadId }));
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The arenas of an open store, for the rest of this layer. */
export { arenasOf };

function checkFrames(what: string, frames: number): void {
  if (Number.isSafeInteger(frames) && frames >= 0) return;
  throw new TmemError('TMEM_ERR_TYPE', `${what}: expected a number of frames, got ${String(frames)}`);
}
