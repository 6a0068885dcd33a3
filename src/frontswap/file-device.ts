/**
 * A file as a device: slot n lies at byte 4096 * n.
 *
 * The file is sparse: what was never written is a hole and takes no disk. Node.js cannot punch new holes, so a trim
 * writes zeroes: the space stays taken, but the old bytes never come back, also after a restart. A map of the slots
 * known to be zeroes (2 bits a slot of the file, see slot-map.ts) saves reading and writing them again.
 */

import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { TmemError } from '../zcache/index.ts';
import type { BackingDevice } from './backing-device.ts';
import { DIRTY, EMPTY, SlotMap } from './slot-map.ts';

const SLOT_BYTES = 4096;

const zeroes = new Uint8Array(SLOT_BYTES);

export class FileDevice implements BackingDevice {
  readonly path: string;
  readonly slots: number;
  readonly #file: FileHandle;
  /** Slots that may hold something. */
  readonly #written: SlotMap;

  private constructor(path: string, slots: number, file: FileHandle, written: SlotMap) {
    this.path = path;
    this.slots = slots;
    this.#file = file;
    this.#written = written;
  }

  /**
   * Opens the file, or makes it (readable by its owner only), with room for `slots` slots.
   *
   * @throws the error of node:fs
   */
  static async open(path: string, slots: number): Promise<FileDevice> {
    const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    try {
      const { size } = await file.stat();
      if (size < slots * SLOT_BYTES) await file.truncate(slots * SLOT_BYTES);
      const written = new SlotMap(slots);
      // What a file from before holds is not known: everything below its old end may be something.
      const filled = Math.min(slots, Math.ceil(size / SLOT_BYTES));
      for (let slot = 0; slot < filled; slot++) written.set(slot, DIRTY);
      return new FileDevice(path, slots, file, written);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async read(slot: number, out: Uint8Array): Promise<void> {
    this.#check(slot);
    if (this.#written.get(slot) === EMPTY) {
      out.fill(0);
      return;
    }
    let done = 0;
    while (done < SLOT_BYTES) {
      const { bytesRead } = await this.#file.read(out, done, SLOT_BYTES - done, slot * SLOT_BYTES + done);
      if (bytesRead === 0) break; // somebody cut the file: what is not there reads as zeroes, as any hole
      done += bytesRead;
    }
    out.fill(0, done, SLOT_BYTES);
  }

  async write(slot: number, page: Uint8Array): Promise<void> {
    this.#check(slot);
    this.#written.set(slot, DIRTY);
    let done = 0;
    while (done < SLOT_BYTES) {
      const { bytesWritten } = await this.#file.write(
        page,
        done,
        SLOT_BYTES - done,
        slot * SLOT_BYTES + done,
      );
      done += bytesWritten;
    }
  }

  async trim(slot: number): Promise<void> {
    this.#check(slot);
    if (this.#written.get(slot) === EMPTY) return;
    await this.write(slot, zeroes);
    this.#written.set(slot, EMPTY);
  }

  flush(): Promise<void> {
    return this.#file.datasync();
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  #check(slot: number): void {
    if (Number.isInteger(slot) && slot >= 0 && slot < this.slots) return;
    throw new TmemError('TMEM_ERR_INDEX', `${this.path}: no slot ${slot}, the device has ${this.slots}`);
  }
}
