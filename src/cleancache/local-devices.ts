/**
 * Which devices answer fstat from memory.
 *
 * On a file system of this machine the inode of an open file is in memory, and fstat copies it: 1 to 2 µs, no disk.
 * On a network file system, or one that a process serves (FUSE), it may ask somebody else and wait. So whoever wants
 * to call it synchronously asks here first. Only known types count; a wrong guess costs time, never correctness.
 */

import fs from 'node:fs';
import { dirname } from 'node:path';

/** Magic numbers of statfs, as Linux returns them; other systems have others and are asked asynchronously. */
const LOCAL_TYPES: ReadonlySet<bigint> = new Set([
  0xef53n, // ext2, ext3, ext4
  0x58465342n, // xfs
  0x9123683en, // btrfs
  0x01021994n, // tmpfs
  0x858458f6n, // ramfs
  0x794c7630n, // overlay: the layers of a container
  0xf2f52010n, // f2fs
  0x2fc12fc1n, // zfs
  0x73717368n, // squashfs
  0xe0f5e1e2n, // erofs
]);

/** What is remembered, at most; then it is found out again. */
const DEVICES_MAX = 256;
const DIRECTORIES_MAX = 4096;

class LocalDevices {
  readonly #devices = new Map<bigint, boolean>();
  readonly #directories = new Set<string>();

  /** Whether files of this directory were on a device of this machine; a first guess before the file's is known. */
  holdFilesBeside(path: string): boolean {
    return this.#directories.has(dirname(path));
  }

  /** Whether `device` is one of this machine; undefined if nobody asked `isLocal` yet. */
  known(device: bigint): boolean | undefined {
    return this.#devices.get(device);
  }

  /** Whether `device`, where `path` is, is one of this machine. Waits the first time only. */
  isLocal(device: bigint, path: string): boolean | Promise<boolean> {
    const known = this.known(device);
    if (known === undefined) return this.#find(device, path);
    if (known) this.#remember(path);
    return known;
  }

  async #find(device: bigint, path: string): Promise<boolean> {
    const type = await new Promise<bigint | undefined>((resolve) => {
      // A path that leads nowhere by now says nothing about the device.
      fs.statfs(path, { bigint: true }, (error, found) => resolve(error === null ? found.type : undefined));
    });
    if (type === undefined) return false;
    const local = LOCAL_TYPES.has(type);
    if (this.#devices.size >= DEVICES_MAX) this.#devices.clear();
    this.#devices.set(device, local);
    if (local) this.#remember(path);
    return local;
  }

  #remember(path: string): void {
    if (this.#directories.size >= DIRECTORIES_MAX) this.#directories.clear();
    this.#directories.add(dirname(path));
  }
}

/** Of this thread. */
export const localDevices = new LocalDevices();
