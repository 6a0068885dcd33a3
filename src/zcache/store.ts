/**
 * Store: the host. Opens the arenas with checked settings, hands out clients, shares itself with worker threads,
 * freezes, shrinks, and tells what it is doing.
 *
 * `memory` is a hard bound: the arenas are exactly that large, and everything the store keeps is in them. Reclaim
 * happens inside puts; what may ask for more of it (the machine's memory pressure) calls `shrink`.
 */

import { endianness } from 'node:os';
import { threadId } from 'node:worker_threads';
import { Arena, type ArenaMemory, type ArenaModule, arenaModule } from '../arena/index.ts';
import { Arenas, TmemError } from '../tmem/index.ts';
import { formatByteSize } from './byte-size.ts';
import { type Client, openClient } from './client.ts';
import { publish } from './events.ts';
import type { ClientOptions } from './options.ts';
import { rawStore } from './raw.ts';
import { type StoreOptions, type StoreSettings, storeSettings } from './settings.ts';
import { type StoreStatistics, storeStatistics } from './statistics.ts';
import { threadEnded, watchThreads } from './threads.ts';

const PAGE_BYTES = 4096;
const WASM_PAGE_BYTES = 65_536;
/** Marks what share() returns, and its format. */
const TOKEN_KIND = 'tmem-store-1';

/** What share() returns: opaque, to be sent to a worker of this process and given to attach(). */
export interface StoreToken {
  readonly kind: typeof TOKEN_KIND;
}

interface FullToken extends StoreToken {
  readonly settings: StoreSettings;
  readonly memories: readonly ArenaMemory[];
  readonly module: ArenaModule;
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
  readonly #arenas: Arenas;
  readonly #module: ArenaModule;
  readonly #stopWatching: () => void;

  constructor(arenas: Arenas, settings: StoreSettings, module: ArenaModule) {
    this.#arenas = arenas;
    this.#module = module;
    this.settings = settings;
    this.staging = arenas.all[0].staging;
    this.#stopWatching = watchThreads(arenas);
  }

  get closed(): boolean {
    return this.#arenas.closed;
  }

  /** What a worker needs to attach: send it through `workerData` or `postMessage`. */
  share(): StoreToken {
    this.#arenas.check();
    const token: FullToken = {
      kind: TOKEN_KIND,
      settings: this.settings,
      memories: this.#arenas.all.map((arena) => arena.memory),
      module: this.#module,
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
    if (!Number.isSafeInteger(frames) || frames < 0) {
      throw new TmemError('TMEM_ERR_TYPE', `shrink: expected a number of frames, got ${String(frames)}`);
    }
    let freed = 0;
    for (const arena of this.#arenas.all) {
      const most = Math.min(frames - freed, arena.word(arena.layout.H_FRAMES));
      if (most > 0) freed += this.#arenas.run(arena, () => arena.wasm.shrinkBy(most));
    }
    const remaining = Math.max(0, frames - freed);
    publish('tmem:store:shrunk', () => ({ asked: frames, freed, remaining }));
    return { freed, remaining };
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

/**
 * Opens a new store. Everything it will ever use is bounded by `memory`.
 *
 * @throws TmemError TMEM_ERR_SETTING naming every wrong setting; TMEM_ERR_NO_MEMORY; TMEM_ERR_PLATFORM
 */
export function open(options: StoreOptions): Store {
  const settings = storeSettings(options);
  checkPlatform();
  const module = arenaModule(settings.debug);
  const bytes = arenaBytes(settings);
  const all: Arena[] = [];
  for (let i = 0; i < settings.arenas; i++) all.push(createArena(module, bytes, settings));
  for (const arena of all) {
    applySettings(arena, settings);
    if (settings.prefault) arena.prefault();
  }
  publish('tmem:store:open', () => ({
    attached: false,
    memoryBytes: settings.memory,
    arenas: settings.arenas,
    thread: threadId,
  }));
  return new Store(new Arenas(all), settings, module);
}

/** Bytes of one arena: whole wasm pages, together at most `memory`. */
function arenaBytes(settings: StoreSettings): number {
  return Math.floor(settings.memory / settings.arenas / WASM_PAGE_BYTES) * WASM_PAGE_BYTES;
}

function createArena(module: ArenaModule, bytes: number, settings: StoreSettings): Arena {
  const { threads, pools, stagingPages } = settings;
  let arena: Arena | undefined;
  try {
    // Id 0 is nobody, so the table has one entry more.
    arena = Arena.create(module, { bytes, threads, pools, stagingPages, clients: settings.clients + 1 });
  } catch (cause) {
    throw new TmemError(
      'TMEM_ERR_NO_MEMORY',
      `open: the system gives no memory of ${formatByteSize(bytes)}; lower memory or raise the limit (ulimit -v)`,
      { cause },
    );
  }
  if (arena === undefined) {
    throw new TmemError(
      'TMEM_ERR_SETTING',
      `memory: ${formatByteSize(settings.memory)} is too little for ${threads} threads with ${stagingPages} staging ` +
        `pages, ${pools} pools and ${settings.clients} clients; raise memory or lower those`,
    );
  }
  return arena;
}

export function applySettings(arena: Arena, settings: StoreSettings): void {
  const { layout } = arena;
  arena.setWord(layout.H_VERIFY, settings.verify ? 1 : 0);
  arena.setWord(layout.H_STORE_INCOMPRESSIBLE, settings.incompressible === 'store' ? 1 : 0);
  arena.setWord(layout.H_UNBUDDIED_FIRST, settings.reclaimOrder === 'unbuddied-first' ? 1 : 0);
  arena.setWord(layout.H_ZV_MAX_PAGE_BYTES, settings.zvMaxPageBytes);
  arena.setWord(layout.H_ZV_MAX_MEAN_BYTES, settings.zvMaxMeanBytes);
  arena.setWord(layout.H_LOCK_TIMEOUT_MS, settings.lockTimeoutMs);
  const percent = settings.persistentLimitPercent;
  const pages = arena.bytes.length / PAGE_BYTES;
  arena.setWord(
    layout.H_PERSISTENT_LIMIT_PAGES,
    percent === 'off' ? 0 : Math.max(1, Math.floor((pages * percent) / 100)),
  );
}

/**
 * Attaches this thread to a store that another thread of the process shared.
 *
 * @throws TmemError TMEM_ERR_SHARED_TOKEN, TMEM_ERR_LAYOUT, TMEM_ERR_TOO_MANY_THREADS
 */
export function attach(token: StoreToken): Store {
  const full = token as Partial<FullToken> | null | undefined;
  if (
    full?.kind !== TOKEN_KIND ||
    !Array.isArray(full.memories) ||
    full.settings === undefined ||
    !full.module
  ) {
    throw new TmemError(
      'TMEM_ERR_SHARED_TOKEN',
      'attach: this is not what share() of an open store returned',
    );
  }
  const { settings, module } = full;
  const all: Arena[] = [];
  for (const memory of full.memories) {
    const arena = Arena.attach(module, memory);
    if (arena instanceof Arena) {
      all.push(arena);
      continue;
    }
    for (const attached of all) attached.wasm.slotRelease();
    throw arena === 'full'
      ? new TmemError(
          'TMEM_ERR_TOO_MANY_THREADS',
          `attach: all ${settings.threads} thread slots are taken; close the store where threads end, or raise threads`,
        )
      : new TmemError('TMEM_ERR_LAYOUT', 'attach: the store was laid out by another version of this package');
  }
  publish('tmem:store:open', () => ({
    attached: true,
    memoryBytes: settings.memory,
    arenas: settings.arenas,
    thread: threadId,
  }));
  return new Store(new Arenas(all), settings, module);
}

function checkPlatform(): void {
  if (endianness() !== 'LE') {
    throw new TmemError(
      'TMEM_ERR_PLATFORM',
      'the store needs a little-endian machine; this one is big-endian',
    );
  }
}
