/**
 * Opening a store: makes it, or attaches to it by name (by another thread's token: attach.ts). All or nothing: when a
 * step fails, what the steps before it made is undone.
 */

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { endianness } from 'node:os';
import { isAbsolute } from 'node:path';
import { threadId } from 'node:worker_threads';
import {
  Arena,
  type ArenaModule,
  type ArenaSizes,
  arenaModule,
  attachNamed,
  checkDirectory,
  checkedStoreName,
  createNamed,
  moduleLayout,
  type NamedArenas,
  STORE_ID_BYTES,
  StoreFile,
  storePath,
  WASM_PAGE_BYTES,
} from '../arena/index.ts';
import { Arenas, TmemError } from '../tmem/index.ts';
import { applySettings } from './apply-settings.ts';
import { formatByteSize } from './byte-size.ts';
import { Caretaker } from './caretaker.ts';
import { publish } from './events.ts';
import {
  existingSettings,
  type SettingsOptions,
  type StoreOptions,
  type StoreSettings,
  storeSettings,
} from './settings.ts';
import { Store } from './store.ts';

export const DIRECTORY_DEFAULT = '/dev/shm';
/** Times a store may be removed, or made by somebody else, between two steps of opening it. */
const OPEN_TRIES_MAX = 20;

/**
 * Opens a store. Without a name it is new, and ends with its process. With one it is a file that all processes of the
 * user share, which outlives them: it is attached to, or created when it is not there. Everything a store will ever use
 * is bounded by `memory`.
 *
 * @throws TmemError TMEM_ERR_SETTING naming every wrong setting; TMEM_ERR_NO_MEMORY; TMEM_ERR_PLATFORM; with a name
 *   also TMEM_ERR_STORE_NAME, TMEM_ERR_STORE_DIRECTORY, TMEM_ERR_STORE_FILE, TMEM_ERR_NO_STORE, TMEM_ERR_NO_SPACE,
 *   TMEM_ERR_NO_KOFFI, TMEM_ERR_NAME_MISMATCH, TMEM_ERR_TOO_MANY_THREADS, TMEM_ERR_LAYOUT, TMEM_ERR_DAMAGED
 */
export function open(options: StoreOptions): Store {
  checkPlatform();
  const place = placeOf(options);
  if (place === undefined) return openPrivate(options);
  for (let tries = 0; tries < OPEN_TRIES_MAX; tries++) {
    const store = attachByName(place, options) ?? createByName(place, options);
    if (store !== undefined) return store;
  }
  throw new TmemError('TMEM_ERR_BUSY', `open: '${place.name}' is created and removed all the time by others`);
}

/**
 * Attaches to a named store as a tool does that only looks at it: without a part in looking after it (caretaker.ts).
 *
 * @throws TmemError as open, for a store that exists
 */
export function openForLooking(name: string, directory: string): Store {
  checkPlatform();
  const place = { name: checkedStoreName(name), directory: checkedDirectory(directory) };
  for (let tries = 0; tries < OPEN_TRIES_MAX; tries++) {
    const store = attachByName(place, { name }, false);
    if (store !== undefined) return store;
    if (!existsSync(pathOf(place, { name }))) break;
  }
  throw new TmemError('TMEM_ERR_NO_STORE', `there is no store '${name}' in ${directory}`);
}

/** A store whose file nobody sees until it is published. */
export interface Draft {
  readonly store: Store;
  /**
   * Gives the file its name, in one step.
   *
   * @throws TmemError TMEM_ERR_STORE_EXISTS, TMEM_ERR_STORE_DIRECTORY, TMEM_ERR_CLOSED
   */
  publish(): void;
}

/**
 * Makes a named store that is filled before anybody else may see it. It is gone when it is closed, or its process ends,
 * without having been published.
 *
 * @throws TmemError as open; TMEM_ERR_STORE_EXISTS when there is a store of this name already
 */
export function openDraft(options: StoreOptions): Draft {
  checkPlatform();
  const place = placeOf(options);
  if (place === undefined) throw new TmemError('TMEM_ERR_SETTING', 'open: name: is required');
  const exists = () =>
    new TmemError('TMEM_ERR_STORE_EXISTS', `${pathOf(place, options)} exists; remove it, or choose a name`);
  // Seen early where it can be; publish() is what decides.
  if (existsSync(pathOf(place, options))) throw exists();
  const { store, file } = createDraft(place, options);
  return {
    store,
    publish: () => {
      // Its descriptor is gone with it, and the number perhaps another file's.
      if (store.closed)
        throw new TmemError('TMEM_ERR_CLOSED', 'publish: the draft was closed; nothing is left of it');
      if (!file.publish()) throw exists();
    },
  };
}

/** Where a named store is. */
interface Place {
  readonly name: string;
  readonly directory: string;
}

function placeOf(options: StoreOptions): Place | undefined {
  const { name, directory = DIRECTORY_DEFAULT } = (options ?? {}) as Partial<Place>;
  if (name === undefined) {
    if ((options as Partial<Place> | undefined)?.directory === undefined) return undefined;
    throw new TmemError('TMEM_ERR_SETTING', 'open: directory: allowed only together with name');
  }
  return { name: checkedStoreName(name), directory: checkedDirectory(directory) };
}

/**
 * @throws TmemError TMEM_ERR_STORE_DIRECTORY when it is no absolute path
 */
export function checkedDirectory(directory: unknown): string {
  if (typeof directory === 'string' && isAbsolute(directory)) return directory;
  throw new TmemError(
    'TMEM_ERR_STORE_DIRECTORY',
    `directory: got ${JSON.stringify(directory)}, allowed is an absolute path such as ${DIRECTORY_DEFAULT}`,
  );
}

/** What was given beside name and directory. */
function settingsIn<Options extends StoreOptions>(options: Options): Omit<Options, 'name' | 'directory'> {
  const { name: _name, directory: _directory, ...rest } = options;
  return rest;
}

function moduleFor(options: StoreOptions): ArenaModule {
  return arenaModule(options.debug === true);
}

function pathOf(place: Place, options: StoreOptions): string {
  return storePath(place.directory, place.name, moduleLayout(moduleFor(options)).LAYOUT_VERSION);
}

// ---- without a name ---------------------------------------------------------------------------------------------

function openPrivate(options: StoreOptions): Store {
  const settings = storeSettings(settingsIn(options) as SettingsOptions);
  const module = arenaModule(settings.debug);
  const sizes = arenaSizes(settings);
  const all: Arena[] = [];
  const storeId = randomBytes(STORE_ID_BYTES);
  for (let i = 0; i < settings.arenas; i++) all.push(createArena(module, sizes, settings, storeId));
  for (const arena of all) applySettings(arena, settings);
  const arenas = new Arenas(all);
  if (settings.prefault) prefault(arenas);
  return opened(arenas, settings, module, { name: undefined, isNew: true });
}

function createArena(
  module: ArenaModule,
  sizes: ArenaSizes,
  settings: StoreSettings,
  storeId: Uint8Array,
): Arena {
  try {
    const arena = Arena.create(module, sizes, storeId);
    if (arena !== undefined) return arena;
  } catch (cause) {
    throw new TmemError(
      'TMEM_ERR_NO_MEMORY',
      `open: the system gives no memory of ${formatByteSize(sizes.bytes)}; lower memory or raise the limit (ulimit -v)`,
      { cause },
    );
  }
  throw tooSmall(settings);
}

function tooSmall(settings: StoreSettings): TmemError {
  const { memory, threads, stagingPages, pools, clients } = settings;
  return new TmemError(
    'TMEM_ERR_SETTING',
    `memory: ${formatByteSize(memory)} is too little for ${threads} threads with ${stagingPages} staging ` +
      `pages, ${pools} pools and ${clients} clients; raise memory or lower those`,
  );
}

/** One arena: whole wasm pages, together at most `memory`. */
function arenaSizes(settings: StoreSettings): ArenaSizes {
  const { threads, pools, stagingPages } = settings;
  const bytes = Math.floor(settings.memory / settings.arenas / WASM_PAGE_BYTES) * WASM_PAGE_BYTES;
  // Id 0 is nobody, so the table has one entry more.
  return { bytes, threads, pools, stagingPages, clients: settings.clients + 1 };
}

// ---- by name ----------------------------------------------------------------------------------------------------

/** Undefined when there is no such store. */
function attachByName(place: Place, options: StoreOptions, isTended = true): Store | undefined {
  const file = StoreFile.open(pathOf(place, options));
  if (file === undefined) return undefined;
  return closingOnError(file, () => {
    const module = moduleFor(options);
    const named = attachNamed(module, file);
    if (named === undefined) return undefined;
    return leavingOnError(named, (arenas) => {
      const settings = existingSettings(named.settings, settingsIn(options), file.path);
      checkSizes(named, settings, file);
      arenas.recover();
      if (settings.prefault && options.prefault === true) prefault(arenas);
      return opened(arenas, settings, module, { name: place.name, isNew: false, isTended });
    });
  });
}

/** Undefined when somebody else made it first. */
function createByName(place: Place, options: StoreOptions): Store | undefined {
  if (options.memory === undefined) {
    throw new TmemError(
      'TMEM_ERR_NO_STORE',
      `open: there is no store '${place.name}' in ${place.directory}; give memory to create it`,
    );
  }
  const { store, file } = createDraft(place, options);
  let published = false;
  try {
    published = file.publish();
  } finally {
    if (!published) store.close();
  }
  return published ? store : undefined;
}

function createDraft(place: Place, options: StoreOptions): { store: Store; file: StoreFile } {
  const settings = storeSettings(settingsIn(options) as SettingsOptions, true);
  const module = arenaModule(settings.debug);
  const sizes = arenaSizes(settings);
  checkRoom(place.directory, sizes.bytes * settings.arenas);
  const where = { directory: place.directory, path: pathOf(place, options) };
  const named = createNamed(module, where, sizes, settings.arenas, JSON.stringify(settings));
  if (named === undefined) throw tooSmall(settings);
  const { file } = named.thread;
  return closingOnError(file, () => {
    for (const arena of named.arenas) applySettings(arena, settings);
    const arenas = new Arenas(named.arenas, named.thread);
    if (settings.prefault) prefault(arenas);
    return { store: opened(arenas, settings, module, { name: place.name, isNew: true }), file };
  });
}

export function closingOnError<Result>(file: StoreFile, run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    file.close();
    throw error;
  }
}

/** Gives this thread's slot back when what follows attaching fails. */
export function leavingOnError<Result>(named: NamedArenas, run: (arenas: Arenas) => Result): Result {
  const arenas = new Arenas(named.arenas, named.thread);
  try {
    return run(arenas);
  } catch (error) {
    arenas.close();
    throw error;
  }
}

/** A store that could never get its memory is a mistake; one that cannot get it now is not. */
function checkRoom(directory: string, bytes: number): void {
  const { blocks, bsize } = checkDirectory(directory);
  // A tmpfs without a limit says it has no blocks.
  if (blocks === 0 || blocks * bsize >= bytes) return;
  throw new TmemError(
    'TMEM_ERR_NO_SPACE',
    `open: memory ${formatByteSize(bytes)} is more than ${directory} holds (${formatByteSize(blocks * bsize)}); ` +
      'lower memory, or enlarge it (Docker: --shm-size; else mount -o remount,size=…)',
  );
}

/** Gets all memory from the system now, so that no put pays for the first touch. */
function prefault(arenas: Arenas): void {
  if (arenas.all.every((arena) => arenas.run(arena, () => arena.wasm.backEverything()) !== 0)) return;
  throw new TmemError(
    'TMEM_ERR_NO_SPACE',
    `${arenas.thread?.file.path}: the file system has no room for all of it; lower memory, or leave prefault out`,
  );
}

/** The settings in a file and its tables tell the same story. */
function checkSizes(named: NamedArenas, settings: StoreSettings, file: StoreFile): void {
  const sizes = arenaSizes(settings);
  const agree = named.arenas.every(
    (arena) =>
      arena.bytes.length === sizes.bytes &&
      arena.word(arena.layout.H_THREADS) === sizes.threads &&
      arena.word(arena.layout.H_POOLS_MAX) === sizes.pools &&
      arena.word(arena.layout.H_CLIENTS_MAX) === sizes.clients &&
      arena.word(arena.layout.H_STAGING_PAGES) === sizes.stagingPages,
  );
  if (agree && named.arenas.length === settings.arenas) return;
  throw new TmemError('TMEM_ERR_DAMAGED', `${file.path}: its settings and its tables differ`);
}

// ---- both -----------------------------------------------------------------------------------------------------------

interface Opened {
  readonly name: string | undefined;
  readonly isNew: boolean;
  /** Whether this thread has a part in looking after the store; not by a token: the one that gave it does. */
  readonly isTended?: boolean;
}

export function opened(arenas: Arenas, settings: StoreSettings, module: ArenaModule, about: Opened): Store {
  const { name, isNew, isTended = true } = about;
  publish('tmem:store:open', () => ({
    ...{ attached: !isNew, name: name ?? null, thread: threadId },
    ...{ memoryBytes: settings.memory, arenas: settings.arenas },
  }));
  const caretaker = isTended ? new Caretaker(arenas) : undefined;
  const store = new Store({ arenas, settings, module, name, isNew, caretaker });
  caretaker?.start(store, settings.shrinker);
  return store;
}

function checkPlatform(): void {
  if (endianness() === 'LE') return;
  throw new TmemError('TMEM_ERR_PLATFORM', 'the store needs a little-endian machine; this one is big-endian');
}
