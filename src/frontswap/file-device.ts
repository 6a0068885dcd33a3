/**
 * A file as a device: byte n of the device is byte n of the file.
 *
 * The file is sparse: what was never written is a hole and takes no disk. With koffi, zeroing makes holes again;
 * without, it writes zeroes: the space stays taken, but the old bytes never come back, also after a restart. A map of
 * the slots that may hold something (2 bits a slot, see slot-map.ts) saves reading and zeroing holes; threads that
 * serve one file share it.
 */

import { constants, fstatSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { descriptors, TmemError } from '../zcache/index.ts';
import type { BackingDevice } from './backing-device.ts';
import { DIRTY, EMPTY, SlotMap } from './slot-map.ts';

const SLOT_BYTES = 4096;

/** Zeroes are written in pieces of this size. */
const ZEROES_BYTES = 256 * 1024;

const zeroes = new Uint8Array(ZEROES_BYTES);

export interface FileDeviceOptions {
  /** Make the file if it is missing, and longer if it is too short. On by default. */
  create?: boolean;
  readOnly?: boolean;
  /** What `share` of the device in another thread returned: both serve one file. */
  written?: SharedArrayBuffer;
}

export class FileDevice implements BackingDevice {
  readonly path: string;
  readonly bytes: number;
  readonly #file: FileHandle;
  /** Slots that may hold something. */
  readonly #written: SlotMap;
  readonly #system = descriptors();
  /** Work on the number of the descriptor, which the handle knows nothing of. */
  readonly #punching = new Set<Promise<boolean>>();
  #punches: boolean;

  private constructor(path: string, bytes: number, file: FileHandle, written: SlotMap) {
    this.path = path;
    this.bytes = bytes;
    this.#file = file;
    this.#written = written;
    this.#punches = this.#system !== undefined;
  }

  /**
   * Opens a file of at least `bytes` bytes.
   *
   * @throws the error of node:fs; TmemError TMEM_ERR_SETTING if the file is too short and may not be changed
   */
  static async open(path: string, bytes: number, options: FileDeviceOptions = {}): Promise<FileDevice> {
    const { create = true, readOnly = false } = options;
    const access = readOnly ? constants.O_RDONLY : constants.O_RDWR;
    const file = await open(path, create && !readOnly ? access | constants.O_CREAT : access, 0o600);
    try {
      const { size } = await file.stat();
      if (size < bytes) {
        if (!create || readOnly) {
          throw new TmemError('TMEM_ERR_SETTING', `${path}: has ${size} bytes, ${bytes} are needed`);
        }
        await file.truncate(bytes);
      }
      const written = new SlotMap(Math.ceil(bytes / SLOT_BYTES), options.written);
      const device = new FileDevice(path, bytes, file, written);
      if (options.written === undefined) device.findData();
      return device;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  get zeroesFast(): boolean {
    return this.#punches;
  }

  /** Number of the open file, for locks. */
  get descriptor(): number {
    return this.#file.fd;
  }

  /** For the option `written` of another thread's device on the same file. */
  share(): SharedArrayBuffer {
    return this.#written.memory;
  }

  async read(position: number, out: Uint8Array): Promise<void> {
    const first = Math.floor(position / SLOT_BYTES);
    const end = Math.ceil((position + out.length) / SLOT_BYTES);
    this.#check(position, out.length);
    let done = 0;
    if (this.#written.nextAccepted(first, end) !== -1) {
      const length = Math.min(out.length, this.bytes - position);
      while (done < length) {
        const { bytesRead } = await this.#file.read(out, done, length - done, position + done);
        if (bytesRead === 0) throw this.#cut(position + done);
        done += bytesRead;
      }
    }
    out.fill(0, done);
  }

  async write(position: number, bytes: Uint8Array): Promise<void> {
    this.#check(position, bytes.length);
    const length = Math.min(bytes.length, this.bytes - position);
    const end = Math.ceil((position + length) / SLOT_BYTES);
    for (let slot = Math.floor(position / SLOT_BYTES); slot < end; slot++) this.#written.set(slot, DIRTY);
    let done = 0;
    while (done < length) {
      const { bytesWritten } = await this.#file.write(bytes, done, length - done, position + done);
      done += bytesWritten;
    }
  }

  async zero(position: number, length: number): Promise<void> {
    this.#check(position, length);
    const end = Math.min(position + length, this.bytes);
    const firstWhole = Math.ceil(position / SLOT_BYTES);
    // What lies behind the last byte is nobody's, so a last slot that is cut short is a whole one.
    const endWhole = end === this.bytes ? Math.ceil(end / SLOT_BYTES) : Math.floor(end / SLOT_BYTES);
    const first = Math.floor(position / SLOT_BYTES);
    if (this.#written.nextAccepted(first, Math.ceil(end / SLOT_BYTES)) === -1) return;
    await this.#writeZeroes(position, end);
    for (let slot = firstWhole; slot < endWhole; slot++) this.#written.set(slot, EMPTY);
  }

  nextWritten(from: number, end: number): number {
    return this.#written.nextAccepted(from, end);
  }

  nextUnwritten(from: number, end: number): number {
    return this.#written.nextUnaccepted(from, end);
  }

  flush(): Promise<void> {
    return this.#file.datasync();
  }

  async close(): Promise<void> {
    // Afterwards the number may be another file's.
    while (this.#punching.size > 0) await Promise.all(this.#punching);
    await this.#file.close();
  }

  async #writeZeroes(position: number, end: number): Promise<void> {
    if (this.#punches) {
      if (await this.#punch(position, end - position)) return;
      this.#punches = false; // not this file system: it would refuse the next ones, too
    }
    for (let at = position; at < end; at += ZEROES_BYTES) {
      await this.write(at, zeroes.subarray(0, Math.min(ZEROES_BYTES, end - at)));
    }
  }

  async #punch(position: number, bytes: number): Promise<boolean> {
    const punching = this.#system?.punchHole(this.#file.fd, position, bytes) ?? Promise.resolve(false);
    this.#punching.add(punching);
    try {
      return await punching;
    } finally {
      this.#punching.delete(punching);
    }
  }

  #cut(position: number): TmemError {
    return new TmemError(
      'TMEM_ERR_BACKING_FILE',
      `${this.path}: ends at ${position}, and had ${this.bytes} bytes; nobody else may cut it while it is used`,
    );
  }

  /**
   * Finds out what the file holds that somebody else wrote: before it was opened, or since then. If the system cannot
   * tell, all of it may be something.
   */
  findData(): void {
    const size = Math.min(fstatSync(this.#file.fd).size, this.bytes);
    const ranges = this.#system?.dataRanges(this.#file.fd) ?? [[0, size] as const];
    for (const [start, end] of ranges) {
      this.#written.setDirty(Math.floor(start / SLOT_BYTES), Math.ceil(Math.min(size, end) / SLOT_BYTES));
    }
  }

  /** A buffer may reach to the end of the last slot. */
  #check(position: number, length: number): void {
    const end = Math.ceil(this.bytes / SLOT_BYTES) * SLOT_BYTES;
    if (Number.isSafeInteger(position) && position >= 0 && position + length <= end) return;
    throw new TmemError(
      'TMEM_ERR_INDEX',
      `${this.path}: the device has ${this.bytes} bytes, not ${length} at ${position}`,
    );
  }
}
