/**
 * A file as a source of pages.
 *
 * It is held open, and looked at through its descriptor: fstat tells of writes and truncations, and also when the
 * path was taken from it, because rename and unlink change the link count and so the ctime of the old file. Only
 * then is the path looked at: if it leads to another file now, that file is opened in place of the old one; if it
 * leads nowhere, the old one is read on without being kept. (The price of not looking at the path for every read: a
 * *directory* above the file that is renamed, or a link in the path that is turned elsewhere, is noticed at the next
 * open only, as with any open file.)
 *
 * On devices of this machine fstat answers from memory and is called synchronously: 1 to 2 µs instead of 10 for a
 * trip through the thread pool, which would be more than the read that it guards. For the same reason it is closed
 * synchronously there: closing what was only read frees memory and nothing else, unless the file was deleted.
 *
 * Callbacks of node:fs are wrapped here because its promises cost 2 to 3 µs more a call, a fifth of a read of 8 KiB.
 */

import fs from 'node:fs';
import { fileKey } from './file-key.ts';
import { localDevices } from './local-devices.ts';
import { type PageSource, SETTLED_AFTER_MS, type SourceIdentity } from './page-source.ts';

/** Times the path may lead to yet another file while it is being opened, before the error is the caller's. */
const REOPENS_MAX = 4;

const NS_PER_MS = 1_000_000n;

interface OpenFile {
  readonly fd: number;
  /** Operations under way; the descriptor of a replaced file is closed after the last one. */
  users: number;
  retired: boolean;
}

export class FileSource implements PageSource {
  readonly path: string;
  readonly #now: () => number;
  #file: OpenFile;
  #openedAtMs: number;
  /** The path does not lead to the open file any more: every look has to see whether it leads to another one. */
  #lost = false;
  /** fstat does not wait: see local-devices.ts. */
  #fromMemory: boolean;
  #stats: fs.BigIntStats | undefined;
  #identity: SourceIdentity | undefined;

  private constructor(path: string, fd: number, openedAtMs: number, now: () => number) {
    this.path = path;
    this.#now = now;
    this.#file = { fd, users: 0, retired: false };
    this.#openedAtMs = openedAtMs;
    this.#fromMemory = localDevices.holdFilesBeside(path);
  }

  /** @throws the error of node:fs, such as ENOENT or EACCES */
  static async open(path: string, now: () => number): Promise<FileSource> {
    const openedAtMs = now();
    return new FileSource(path, await openFile(path), openedAtMs, now);
  }

  identityNow(): SourceIdentity | undefined {
    if (!this.#fromMemory || this.#lost) return undefined;
    const stats = fstatNow(this.#file.fd);
    if (this.#stats !== undefined) return isSame(stats, this.#stats) ? this.#identity : undefined;
    // That it may be so was a guess, which `identity` finds out.
    if (!localDevices.known(stats.dev) || this.#wasTaken(stats)) return undefined;
    return this.#settleOn(stats, true);
  }

  /** One call at a time: `CheckGate` sees to that. */
  async identity(): Promise<SourceIdentity | undefined> {
    for (let reopened = 0; ; reopened++) {
      const stats = this.#fromMemory ? fstatNow(this.#file.fd) : await this.#fstat();
      const isLocal = localDevices.isLocal(stats.dev, this.path);
      this.#fromMemory = typeof isLocal === 'boolean' ? isLocal : await isLocal;
      if (!this.#lost && this.#stats !== undefined && isSame(stats, this.#stats)) return this.#identity;
      const suspect = this.#stats !== undefined || this.#wasTaken(stats);
      const there = suspect ? await statOrGone(this.path) : stats;
      const found = there !== undefined && isSameFile(there, stats);
      if (!found && there?.isFile() && reopened < REOPENS_MAX) {
        await this.#reopen();
        continue;
      }
      return this.#settleOn(stats, found);
    }
  }

  read(buffers: readonly Uint8Array[], position: number): Promise<number> {
    return this.#use<number>((fd, done) => {
      const [buffer] = buffers;
      if (buffers.length === 1) fs.read(fd, buffer!, 0, buffer!.length, position, done);
      else fs.readv(fd, buffers, position, done);
    });
  }

  /** What fstat says of the open file. */
  stat(options?: fs.StatOptions): Promise<fs.Stats | fs.BigIntStats> {
    return this.#use<fs.Stats | fs.BigIntStats>((fd, done) => fs.fstat(fd, options, done));
  }

  /** Only after the last operation has ended: `CachedFile` waits for it. */
  async close(): Promise<void> {
    const { fd } = this.#file;
    // Who closes a deleted file last waits until its blocks are free: not on this thread.
    if (this.#fromMemory && this.#identity !== undefined) fs.closeSync(fd);
    else await closeFile(fd);
  }

  /** The look at the file told its state; `found`: the path leads to it. */
  #settleOn(stats: fs.BigIntStats, found: boolean): SourceIdentity | undefined {
    this.#lost = !found;
    this.#stats = stats;
    this.#identity = found && stats.isFile() ? identityOf(stats) : undefined;
    return this.#identity;
  }

  #fstat(): Promise<fs.BigIntStats> {
    return this.#use<fs.BigIntStats>((fd, done) => fs.fstat(fd, { bigint: true }, done));
  }

  /** Whether the path may have been taken from the file between its open and the first look at it. */
  #wasTaken(stats: fs.BigIntStats): boolean {
    return stats.nlink === 0n || newestMs(stats) >= this.#openedAtMs - SETTLED_AFTER_MS;
  }

  /** Runs an operation on the descriptor, which stays open until it has ended. */
  #use<T>(operation: (fd: number, done: Done<T>) => void): Promise<T> {
    const file = this.#file;
    return new Promise((resolve, reject) => {
      operation(file.fd, (error, value) => {
        file.users--;
        closeUnused(file);
        if (error === null) resolve(value);
        else reject(error);
      });
      // Here, because an operation that throws has not begun.
      file.users++;
    });
  }

  async #reopen(): Promise<void> {
    const openedAtMs = this.#now();
    let fd: number;
    try {
      fd = await openFile(this.path);
    } catch (error) {
      // Gone again since it was looked at: the next look finds that out.
      if (isGone(error)) return;
      throw error;
    }
    const old = this.#file;
    this.#file = { fd, users: 0, retired: false };
    this.#openedAtMs = openedAtMs;
    this.#stats = undefined;
    this.#identity = undefined;
    old.retired = true;
    closeUnused(old);
  }
}

/** Nobody waits for it; that closing what was only read failed is nothing a reader of the new file could use. */
function closeUnused(file: OpenFile): void {
  if (file.retired && file.users === 0) fs.close(file.fd, () => {});
}

function isSameFile(a: fs.BigIntStats, b: fs.BigIntStats): boolean {
  return a.ino === b.ino && a.dev === b.dev;
}

function isSame(a: fs.BigIntStats, b: fs.BigIntStats): boolean {
  return a.ctimeNs === b.ctimeNs && a.mtimeNs === b.mtimeNs && a.size === b.size && isSameFile(a, b);
}

/**
 * When the file last changed. Every change sets ctime; mtime counts as well because some file systems keep no
 * ctime, but not an mtime that somebody set to a later date than any change can have.
 */
function newestMs({ mtimeNs, ctimeNs }: fs.BigIntStats): number {
  const newest =
    mtimeNs > ctimeNs && mtimeNs - ctimeNs < BigInt(SETTLED_AFTER_MS) * NS_PER_MS ? mtimeNs : ctimeNs;
  return Number(newest / NS_PER_MS);
}

function identityOf(stats: fs.BigIntStats): SourceIdentity {
  return { key: fileKey(stats), size: Number(stats.size), changedAtMs: newestMs(stats) };
}

type Done<T> = (error: NodeJS.ErrnoException | null, value: T) => void;

function promised<T>(start: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => {
      if (error === null) resolve(value);
      else reject(error);
    });
  });
}

const openFile = (path: string) => promised<number>((done) => fs.open(path, 'r', done));
const closeFile = (fd: number) =>
  promised<void>((done) => fs.close(fd, (error) => done(error ?? null, undefined)));
const fstatNow = (fd: number) => fs.fstatSync(fd, { bigint: true });

function isGone(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** What the path leads to; undefined if it leads nowhere. */
async function statOrGone(path: string): Promise<fs.BigIntStats | undefined> {
  try {
    return await promised<fs.BigIntStats>((done) => fs.stat(path, { bigint: true }, done));
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}
