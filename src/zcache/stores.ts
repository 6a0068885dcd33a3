/**
 * The named stores of a directory, seen from outside: which there are, and how to remove one. Nobody is attached for
 * this, so it works on stores of other versions and on damaged ones, too.
 */

import { lstatSync, readdirSync, unlinkSync } from 'node:fs';
import {
  arenaModule,
  checkDirectory,
  checkedStoreName,
  moduleLayout,
  parseStoreFileName,
  readHeader,
  SLOTS_MAX,
  StoreFile,
  storePath,
} from '../arena/index.ts';
import { TmemError } from '../tmem/index.ts';
import { checkedDirectory, DIRECTORY_DEFAULT } from './open.ts';

/** Bytes of the blocks in which file systems count. */
const BLOCK_BYTES = 512;
/** Looks at the slots' locks before they are said to be held: somebody may hold one for a moment to see who lives. */
const LOCK_TRIES = 3;
/** Times others may remove a store, and make a new one, just before it is removed. */
const REMOVE_TRIES_MAX = 20;

export interface NamedStore {
  readonly name: string;
  readonly path: string;
  /** 'ready': can be attached to. 'not-ours': another owner, mode or kind of file. */
  readonly state: 'ready' | 'other-layout' | 'damaged' | 'not-ours';
  readonly memoryBytes: number;
  /** What it takes of the machine's memory now. */
  readonly residentBytes: number;
  /** Thread slots; 0 when they cannot be read. */
  readonly threads: number;
  /** Slots whose threads are alive. */
  readonly attached: number;
  /** Unix time; 0 when it cannot be read. */
  readonly createdMs: number;
}

/**
 * The stores in a directory, by name.
 *
 * @throws TmemError TMEM_ERR_STORE_DIRECTORY, TMEM_ERR_NO_KOFFI, TMEM_ERR_PLATFORM
 */
export function listStores(directory: string = DIRECTORY_DEFAULT): NamedStore[] {
  checkDirectory(checkedDirectory(directory));
  return readdirSync(directory)
    .sort()
    .flatMap((fileName) => {
      const parsed = parseStoreFileName(fileName);
      return parsed === undefined ? [] : (describe(parsed.name, `${directory}/${fileName}`) ?? []);
    });
}

/** Undefined when it is gone by now. */
function describe(name: string, path: string): NamedStore | undefined {
  const about = lstatSync(path, { throwIfNoEntry: false });
  if (about === undefined) return undefined;
  const sizes = { memoryBytes: about.size, residentBytes: about.blocks * BLOCK_BYTES };
  const unread = { name, path, ...sizes, threads: 0, attached: 0, createdMs: 0 };
  let file: StoreFile | undefined;
  try {
    file = StoreFile.open(path);
    if (file === undefined) return undefined;
    const { threads, createdMs } = readHeader(moduleLayout(arenaModule(false)), file);
    return { ...unread, state: 'ready', threads, attached: aliveSlots(file, threads), createdMs };
  } catch (error) {
    if (!TmemError.is(error)) throw error;
    if (error.code === 'TMEM_ERR_STORE_FILE') return { ...unread, state: 'not-ours' };
    if (error.code === 'TMEM_ERR_LAYOUT') return { ...unread, state: 'other-layout' };
    if (error.code === 'TMEM_ERR_DAMAGED') return { ...unread, state: 'damaged' };
    throw error;
  } finally {
    file?.close();
  }
}

function aliveSlots(file: StoreFile, threads: number): number {
  let alive = 0;
  for (let slot = 0; slot < Math.min(threads, SLOTS_MAX); slot++) if (file.isLocked(slot)) alive++;
  return alive;
}

/** Where a store is, and whether it may be removed under those who use it. */
export interface RemoveOptions {
  readonly directory?: string | undefined;
  /** Also when threads are attached: they keep what they have, and nobody else finds it. */
  readonly force?: boolean | undefined;
}

/**
 * Removes a store's file: the one of this package's layout, or else one of another version.
 *
 * @throws TmemError TMEM_ERR_NO_STORE, TMEM_ERR_STORE_IN_USE, TMEM_ERR_STORE_FILE, TMEM_ERR_STORE_NAME,
 *   TMEM_ERR_STORE_DIRECTORY, TMEM_ERR_NO_KOFFI, TMEM_ERR_PLATFORM
 */
export function removeStore(
  name: string,
  { directory = DIRECTORY_DEFAULT, force }: RemoveOptions = {},
): void {
  checkedStoreName(name);
  checkDirectory(checkedDirectory(directory));
  for (let tries = 0; tries < REMOVE_TRIES_MAX; tries++) {
    const path = storeFileOf(name, directory);
    const file = path === undefined ? undefined : StoreFile.open(path);
    if (file === undefined) break;
    try {
      if (removed(file, force === true)) return;
    } finally {
      file.close();
    }
  }
  throw noStore(name, directory);
}

/** False when somebody else was first: what has the name now is another file. */
function removed(file: StoreFile, force: boolean): boolean {
  // With all locks in hand nobody attaches, and nobody else removes, between these looks and the end of the file.
  if (!lockAll(file) && !force) {
    throw new TmemError(
      'TMEM_ERR_STORE_IN_USE',
      `${file.path}: threads are attached; close the store in them first, or use force`,
    );
  }
  if (!file.isLinked) return false;
  unlinkSync(file.path);
  return true;
}

function lockAll(file: StoreFile): boolean {
  for (let tries = 0; tries < LOCK_TRIES; tries++) if (file.lock(0, SLOTS_MAX)) return true;
  return false;
}

export function noStore(name: string, directory: string): TmemError {
  return new TmemError('TMEM_ERR_NO_STORE', `there is no store '${name}' in ${directory}`);
}

/** The file of a store, of this layout if there is one. */
function storeFileOf(name: string, directory: string): string | undefined {
  const own = storePath(directory, name, moduleLayout(arenaModule(false)).LAYOUT_VERSION);
  if (lstatSync(own, { throwIfNoEntry: false }) !== undefined) return own;
  const other = readdirSync(directory).find((fileName) => parseStoreFileName(fileName)?.name === name);
  return other === undefined ? undefined : `${directory}/${other}`;
}
