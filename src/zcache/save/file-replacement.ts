/**
 * A file that appears whole or not at all. It is written beside its place under another name, flushed, and moved there
 * in one step; what was there before stays until then. Only its owner can read it.
 */

import { constants } from 'node:fs';
import { type FileHandle, lstat, open, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { threadId } from 'node:worker_threads';
import { TmemError } from '../../errors.ts';
import type { ByteSink } from './writer.ts';

const MODE = 0o600;
/** Names that may be taken by other saves of this thread, or left by a process of this id that was killed. */
const NAMES_MAX = 100;
const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;

export class FileReplacement implements ByteSink {
  readonly #path: string;
  readonly #temporary: string;
  readonly #file: FileHandle;
  #bytes = 0;
  #isOpen = true;

  private constructor(path: string, temporary: string, file: FileHandle) {
    this.#path = path;
    this.#temporary = temporary;
    this.#file = file;
  }

  /**
   * @throws TmemError TMEM_ERR_SAVED_FILE when something else than a file is in its place; errors of the file system
   */
  static async begin(path: string): Promise<FileReplacement> {
    const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    if (found !== undefined && !found.isFile()) {
      throw new TmemError('TMEM_ERR_SAVED_FILE', `${path} is no file that could be replaced; name another`);
    }
    for (let n = 0; ; n++) {
      const temporary = join(dirname(path), `.tmem-save.${process.pid}.${threadId}.${n}`);
      try {
        const file = await open(temporary, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, MODE);
        return new FileReplacement(path, temporary, file);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || n >= NAMES_MAX) throw error;
      }
    }
  }

  /** Bytes written. */
  get bytes(): number {
    return this.#bytes;
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const { bytesWritten } = await this.#file.write(bytes, at);
      at += bytesWritten;
    }
    this.#bytes += bytes.length;
  }

  /** Puts the file in its place; it is there after a power failure, too. */
  async commit(): Promise<void> {
    await this.#file.sync();
    await this.#close();
    await rename(this.#temporary, this.#path);
    const directory = await open(dirname(this.#path));
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }

  /** Leaves nothing behind of what was not committed. */
  async discard(): Promise<void> {
    await this.#close();
    await unlink(this.#temporary).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }

  async #close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await this.#file.close();
  }
}
