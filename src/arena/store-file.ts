/**
 * The file of a named store, as one thread has it open: all arenas of the store one after the other, in a directory
 * that lives in memory (tmpfs).
 *
 *   <directory>/tmem.<name>.v<layout>     mode 0600, one owner, one link, exact size
 *
 * The thread's descriptor is never mapped (mapping goes through a second one that is closed at once): its file locks
 * end with it, so a locked byte says that its thread lives. Byte n is thread slot n; the ones behind are below.
 *
 * A new file has no name (O_TMPFILE) until it is finished and linked: so nobody ever sees half of one, and of two
 * processes that create at the same time one finds the name taken.
 */

import {
  accessSync,
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  type Stats,
  type StatsFs,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs';
import { TmemError } from '../errors.ts';
import { ERRNO, type Libc, libc } from './libc.ts';
import type { ArenaMemory } from './module.ts';

/** What statfs says of a file system in memory. */
const TMPFS_MAGIC = 0x0102_1994;
/** Open a file without a name; Node has no constant for it. The directory bit differs between processors. */
const O_TMPFILE = 0o20_000_000 | constants.O_DIRECTORY;
/** Unit of the blocks that stat counts. */
const BLOCK_BYTES = 512;
/** Readable and writable by its owner, by nobody else. */
const FILE_MODE = 0o600;
const ACCESS_BITS = 0o777;

/** Most thread slots of a store: their locks are bytes 0 to 127 of the file. */
export const SLOTS_MAX = 128;
/** Held by the thread that looks after the store for all. */
export const CARETAKER_BYTE = SLOTS_MAX;
/** Held by the thread that watches the memory pressure for all. */
export const SHRINKER_BYTE = SLOTS_MAX + 1;
/** From here on, byte n is held by the thread that claimed client n. */
export const CLIENT_BYTES = 1024;

/** Names become part of a file name: nothing that a shell or a path takes for something else. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const FILE_NAME = /^tmem\.([A-Za-z0-9][A-Za-z0-9._-]{0,63})\.v(\d{1,9})$/;

/**
 * @throws TmemError TMEM_ERR_STORE_NAME
 */
export function checkedStoreName(name: unknown): string {
  if (typeof name === 'string' && NAME.test(name)) return name;
  throw new TmemError(
    'TMEM_ERR_STORE_NAME',
    `the store name ${JSON.stringify(name)} is not allowed: 1 to 64 letters, digits, '.', '_' and '-', ` +
      'the first a letter or digit',
  );
}

export function storePath(directory: string, name: string, layoutVersion: number): string {
  return `${directory}/tmem.${name}.v${layoutVersion}`;
}

/** Name and layout version in a file name; undefined when it is none of a store. */
export function parseStoreFileName(fileName: string): { name: string; layoutVersion: number } | undefined {
  const [, name, version] = FILE_NAME.exec(fileName) ?? [];
  return name === undefined ? undefined : { name, layoutVersion: Number(version) };
}

/**
 * @throws TmemError TMEM_ERR_STORE_DIRECTORY when the directory is missing or not in memory
 */
export function checkDirectory(directory: string): StatsFs {
  let about: StatsFs;
  try {
    if (!statSync(directory).isDirectory()) throw new Error('it is no directory');
    about = statfsSync(directory);
  } catch (cause) {
    throw directoryError(directory, (cause as Error).message, cause);
  }
  if (about.type !== TMPFS_MAGIC) throw directoryError(directory, 'it is not in memory (no tmpfs)');
  return about;
}

function directoryError(directory: string, why: string, cause?: unknown): TmemError {
  const advice = 'use /dev/shm or another tmpfs that you may write to';
  return new TmemError('TMEM_ERR_STORE_DIRECTORY', `directory ${directory}: ${why}; ${advice}`, { cause });
}

/** A file that is ours in every respect that can be seen without reading it. */
function checkTrusted(path: string, about: Stats, links: 0 | 1): void {
  const wrong = untrusted(about, links);
  if (wrong === undefined) return;
  throw new TmemError('TMEM_ERR_STORE_FILE', `${path} ${wrong}; it was left alone`);
}

function untrusted(about: Stats, links: 0 | 1): string | undefined {
  if (!about.isFile()) return 'is no regular file';
  const user = process.geteuid?.();
  if (about.uid !== user) return `belongs to user ${about.uid}, this process is user ${user}`;
  const mode = about.mode & ACCESS_BITS;
  if (mode !== FILE_MODE) return `has mode 0${mode.toString(8)}, expected 0600`;
  // A second name would let somebody keep it when it is removed.
  if (about.nlink > links) return `has ${about.nlink} links, expected ${links}`;
  return undefined;
}

/** Identity of a file, whatever its name. */
export interface FileIdentity {
  readonly device: number;
  readonly inode: number;
}

export class StoreFile {
  /** Where it is, or will be once it is published. */
  readonly path: string;
  readonly #descriptor: number;
  readonly #libc: Libc;
  /** Memories that lie over a file without a name. */
  readonly #draftMemories: ArenaMemory[] = [];
  /** A new file that was not published: nobody else has it. */
  #isDraft = false;
  #closed = false;

  private constructor(path: string, descriptor: number, calls: Libc) {
    this.path = path;
    this.#descriptor = descriptor;
    this.#libc = calls;
  }

  /**
   * A new file without a name, for `path`.
   *
   * @throws TmemError TMEM_ERR_STORE_DIRECTORY, TMEM_ERR_STORE_FILE, TMEM_ERR_NO_KOFFI, TMEM_ERR_PLATFORM
   */
  static create(directory: string, path: string): StoreFile {
    const calls = libc();
    let descriptor: number;
    try {
      accessSync(directory, constants.W_OK | constants.X_OK);
      descriptor = openSync(directory, O_TMPFILE | constants.O_RDWR, FILE_MODE);
    } catch (cause) {
      throw directoryError(directory, (cause as Error).message, cause);
    }
    const file = StoreFile.#checked(path, descriptor, calls, 0);
    file.#isDraft = true;
    return file;
  }

  /**
   * Opens the file at `path`; undefined when there is none.
   *
   * @throws TmemError TMEM_ERR_STORE_FILE when it is not to be trusted, TMEM_ERR_NO_KOFFI, TMEM_ERR_PLATFORM
   */
  static open(path: string): StoreFile | undefined {
    const calls = libc();
    let descriptor: number;
    try {
      descriptor = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      // A directory that is none is told by who would create the file there.
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
      const why = code === 'ELOOP' ? 'is a symbolic link' : `cannot be opened (${message})`;
      throw new TmemError('TMEM_ERR_STORE_FILE', `${path} ${why}; it was left alone`, { cause });
    }
    return StoreFile.#checked(path, descriptor, calls, 1);
  }

  static #checked(path: string, descriptor: number, calls: Libc, links: 0 | 1): StoreFile {
    const file = new StoreFile(path, descriptor, calls);
    try {
      file.#check(links);
      return file;
    } catch (error) {
      file.close();
      throw error;
    }
  }

  #check(links: 0 | 1): void {
    checkTrusted(this.path, fstatSync(this.#descriptor), links);
    if (statfsSync(this.#own()).type !== TMPFS_MAGIC) {
      throw new TmemError(
        'TMEM_ERR_STORE_FILE',
        `${this.path} is not in memory (no tmpfs); it was left alone`,
      );
    }
  }

  /** The file by way of the descriptor, whatever its name is by now. */
  #own(): string {
    return `/proc/self/fd/${this.#descriptor}`;
  }

  get bytes(): number {
    return fstatSync(this.#descriptor).size;
  }

  /** What it takes of the file system. */
  get heldBytes(): number {
    return fstatSync(this.#descriptor).blocks * BLOCK_BYTES;
  }

  get identity(): FileIdentity {
    const { dev, ino } = fstatSync(this.#descriptor);
    return { device: dev, inode: ino };
  }

  /** Whether it still has its name: others can attach to it. */
  get isLinked(): boolean {
    return fstatSync(this.#descriptor).nlink > 0;
  }

  /** Whether it had a name and lost it. A draft has none until it is published. */
  get isGone(): boolean {
    return !this.#isDraft && !this.isLinked;
  }

  setBytes(bytes: number): void {
    ftruncateSync(this.#descriptor, bytes);
  }

  /** Reserves memory for part of the file; false when the file system has no room. */
  reserve(offset: number, bytes: number): boolean {
    return this.#libc.allocate(this.#descriptor, offset, bytes) === 0;
  }

  /** Up to `bytes` bytes at `offset`. */
  read(offset: number, bytes: number): Buffer {
    const buffer = Buffer.alloc(bytes);
    return buffer.subarray(0, readSync(this.#descriptor, buffer, 0, bytes, offset));
  }

  write(offset: number, bytes: Uint8Array): void {
    writeSync(this.#descriptor, bytes, 0, bytes.length, offset);
  }

  /**
   * Puts part of the file under a memory. `copy`: what is written stays in this process.
   *
   * @throws TmemError TMEM_ERR_PLATFORM
   */
  mapUnder(memory: ArenaMemory, offset: number, copy = false): void {
    const address = this.#libc.addressOf(memory.buffer);
    const bytes = memory.buffer.byteLength;
    const mapped = openSync(this.#own(), constants.O_RDWR);
    try {
      if (!this.#libc.map(address, bytes, mapped, offset, copy)) {
        throw new TmemError('TMEM_ERR_PLATFORM', `${this.path} cannot be mapped: out of address space?`);
      }
    } finally {
      closeSync(mapped);
    }
    this.#libc.dontDump(address, bytes);
    if (this.#isDraft) this.#draftMemories.push(memory);
  }

  /** Locks bytes; false when another descriptor has one of them. Never waits. */
  lock(byte: number, count = 1): boolean {
    return this.#libc.lockBytes(this.#descriptor, byte, count);
  }

  unlock(byte: number, count = 1): void {
    this.#libc.unlockBytes(this.#descriptor, byte, count);
  }

  /** Whether another descriptor has the lock of a byte. */
  isLocked(byte: number): boolean {
    return this.#libc.bytesAreLocked(this.#descriptor, byte, 1);
  }

  /**
   * Gives a new file its name; false when the name is taken.
   *
   * @throws TmemError TMEM_ERR_STORE_DIRECTORY
   */
  publish(): boolean {
    const errno = this.#libc.link(this.#descriptor, this.path);
    if (errno === 0) {
      this.#isDraft = false;
      return true;
    }
    if (errno === ERRNO.EEXIST) return false;
    throw directoryError(this.path, `the file cannot be linked (errno ${errno})`);
  }

  /** Gives up the locks with the descriptor. A draft is gone then, and its memory the system's. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // Else the file would live until the memory over it is collected.
    if (this.#isDraft) for (const { buffer } of this.#draftMemories) this.#libc.unmap(buffer);
    closeSync(this.#descriptor);
  }
}
