/**
 * A file opened for reading through a page cache, with the shape of a Node.js FileHandle.
 */

import type { BigIntStats, StatOptions, Stats } from 'node:fs';
import { TmemError } from '../zcache/index.ts';
import type { CachedFileSettings } from './cached-file-options.ts';
import { CachedReader } from './cached-reader.ts';
import type { FileSource } from './file-source.ts';
import type { PageCache } from './page-cache.ts';
import { type ReadOptions, readArguments } from './read-arguments.ts';

/** First buffer of readFile for a file that tells no size, as those of /proc. */
const UNKNOWN_FILE_BYTES = 16 * 1024;

export interface ReadResult<T extends NodeJS.ArrayBufferView> {
  bytesRead: number;
  buffer: T;
}

export class CachedFile implements AsyncDisposable {
  readonly #source: FileSource;
  readonly #reader: CachedReader;
  /** Position of reads that name none, and the read that will have moved it. */
  #cursor = 0;
  #cursorTurn: Promise<unknown> | undefined;
  #operations = 0;
  #closing: Promise<void> | undefined;
  #idle: (() => void) | undefined;

  /** Made by `openCached` and `PageCache.open`. */
  constructor(source: FileSource, cache: PageCache, settings: CachedFileSettings) {
    this.#source = source;
    this.#reader = new CachedReader(source, cache, settings);
  }

  get path(): string {
    return this.#source.path;
  }

  /**
   * Reads into `buffer`, as FileHandle.read does: from `position`, or from where the last read without a position
   * ended. Fewer bytes than asked for mean the end of the file, none that it was reached.
   *
   * @throws TmemError TMEM_ERR_HANDLE_CLOSED after close, TMEM_ERR_TYPE or TMEM_ERR_SETTING for wrong arguments;
   *   errors of node:fs as they are
   */
  read<T extends NodeJS.ArrayBufferView>(
    buffer: T,
    offset?: number | null,
    length?: number | null,
    position?: number | bigint | null,
  ): Promise<ReadResult<T>>;
  read<T extends NodeJS.ArrayBufferView>(buffer: T, options?: ReadOptions): Promise<ReadResult<T>>;
  read<T extends NodeJS.ArrayBufferView = Buffer>(
    options?: ReadOptions & { buffer?: T },
  ): Promise<ReadResult<T>>;
  async read<T extends NodeJS.ArrayBufferView>(
    first?: T | (ReadOptions & { buffer?: T }),
    second?: number | null | ReadOptions,
    length?: number | null,
    position?: number | bigint | null,
  ): Promise<ReadResult<T>> {
    this.#begin();
    try {
      const request = readArguments<T>(first, second, length, position);
      const { buffer, out } = request;
      const read =
        request.position === undefined
          ? this.#atCursor((start) => this.#readAt(out, start))
          : this.#readAt(out, request.position);
      return { bytesRead: typeof read === 'number' ? read : await read, buffer };
    } finally {
      this.#end();
    }
  }

  /** Reads into several buffers, one after the other. */
  async readv<T extends readonly NodeJS.ArrayBufferView[]>(
    buffers: T,
    position?: number | bigint | null,
  ): Promise<{ bytesRead: number; buffers: T }> {
    this.#begin();
    try {
      const requests = buffers.map((buffer) => readArguments(buffer, { position }));
      const fill = async (start: number): Promise<number> => {
        await this.#reader.check();
        let bytesRead = 0;
        for (const { out } of requests) {
          const bytes = await this.#reader.read(out, start + bytesRead);
          bytesRead += bytes;
          if (bytes < out.length) break;
        }
        return bytesRead;
      };
      const start = requests[0]?.position;
      return { bytesRead: await (start === undefined ? this.#atCursor(fill) : fill(start)), buffers };
    } finally {
      this.#end();
    }
  }

  /** Reads the file from the current position to its end. */
  readFile(options?: { encoding?: null } | null): Promise<Buffer>;
  readFile(options: BufferEncoding | { encoding: BufferEncoding }): Promise<string>;
  async readFile(
    options?: BufferEncoding | { encoding?: BufferEncoding | null } | null,
  ): Promise<Buffer | string> {
    const encoding = typeof options === 'string' ? options : options?.encoding;
    this.#begin();
    try {
      let bytes: Buffer = Buffer.alloc(0);
      await this.#atCursor(async (start) => {
        bytes = await this.#readToEnd(start);
        return bytes.length;
      });
      return encoding ? bytes.toString(encoding) : bytes;
    } finally {
      this.#end();
    }
  }

  /** What the file is now, as FileHandle.stat. */
  stat(options?: StatOptions & { bigint?: false | undefined }): Promise<Stats>;
  stat(options: StatOptions & { bigint: true }): Promise<BigIntStats>;
  async stat(options?: StatOptions): Promise<Stats | BigIntStats> {
    this.#begin();
    try {
      await this.#reader.check();
      return await this.#source.stat(options);
    } finally {
      this.#end();
    }
  }

  /** Closes the file, after the operations under way. What the cache holds of it stays there. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    if (this.#operations > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    await this.#reader.close();
  }

  #begin(): void {
    if (this.#closing !== undefined) {
      throw new TmemError('TMEM_ERR_HANDLE_CLOSED', `${this.path}: the file was closed; open it again`);
    }
    this.#operations++;
  }

  #end(): void {
    this.#operations--;
    if (this.#operations === 0) this.#idle?.();
  }

  #readAt(out: Uint8Array, position: number): Promise<number> | number {
    if (out.length === 0) return 0;
    const check = this.#reader.check();
    if (check === undefined) return this.#reader.read(out, position);
    return check.then(() => this.#reader.read(out, position));
  }

  /** Reads without a position take turns: each begins where the one before ended. */
  #atCursor(read: (start: number) => Promise<number> | number): Promise<number> | number {
    const begin = () => read(this.#cursor);
    const turn = this.#cursorTurn;
    // The next one in line does not care whether this one failed.
    const bytes = turn === undefined ? begin() : turn.then(begin, begin);
    if (typeof bytes === 'number') {
      this.#cursor += bytes;
      return bytes;
    }
    const mine: Promise<number> = bytes.then(
      (read) => {
        this.#cursor += read;
        this.#leave(mine);
        return read;
      },
      (error) => {
        this.#leave(mine);
        throw error;
      },
    );
    this.#cursorTurn = mine;
    return mine;
  }

  /** The last one leaves the line empty. */
  #leave(turn: Promise<unknown>): void {
    if (this.#cursorTurn === turn) this.#cursorTurn = undefined;
  }

  async #readToEnd(start: number): Promise<Buffer> {
    await this.#reader.check();
    // One byte more than is left, so that a read that does not fill it has seen the end.
    const left = this.#reader.size - start;
    let out = Buffer.allocUnsafeSlow(left > 0 ? left + 1 : UNKNOWN_FILE_BYTES);
    let length = 0;
    for (;;) {
      const bytes = await this.#reader.read(out.subarray(length), start + length);
      length += bytes;
      if (bytes === 0) return out.subarray(0, length);
      if (length === this.#reader.size - start) return out.subarray(0, length);
      if (length === out.length) out = Buffer.concat([out], 2 * out.length);
    }
  }
}
