/** A file as a source of bytes, from its beginning on; a block at a time, so that its length does not matter. */

import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { refused } from './format.ts';
import type { ByteSource } from './reader.ts';

/** Not blocking: opening a pipe that nobody writes to would wait for ever. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

export class FileSource implements ByteSource {
  readonly #file: FileHandle;
  #position = 0;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  static async open(path: string): Promise<FileSource> {
    const file = await open(path, FLAGS);
    try {
      if (!(await file.stat()).isFile()) throw refused(`${path} is no regular file`);
      return new FileSource(file);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async read(length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await this.#file.read(bytes, filled, length - filled, this.#position);
      if (bytesRead === 0) break;
      filled += bytesRead;
      this.#position += bytesRead;
    }
    return bytes.subarray(0, filled);
  }

  /** Starts over at the first byte. */
  rewind(): void {
    this.#position = 0;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
