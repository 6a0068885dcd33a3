// Devices without a server: a file that QEMU opens itself, and zram in the guest's own memory.

import { statSync, truncateSync, writeFileSync } from 'node:fs';
import { TemporaryFolder } from '../machine/temporary-folder.ts';
import { DEVICE_BYTES, type Device, VIRTIO_NAME, virtioDisk } from './device.ts';

const BLOCK_BYTES = 512;

/** What zram is called in the guest. */
export const ZRAM_NAME = 'zram0';

export async function openFile(): Promise<Device> {
  const folder = new TemporaryFolder();
  const path = folder.file('disk');
  writeFileSync(path, '');
  truncateSync(path, DEVICE_BYTES);
  return {
    qemu: virtioDisk(`file=${path},cache=writeback`),
    guestName: VIRTIO_NAME,
    stats: async () => ({ allocated: statSync(path).blocks * BLOCK_BYTES }),
    [Symbol.asyncDispose]: async () => folder[Symbol.dispose](),
  };
}

/** The kernel's own algorithm, lzo-rle. What it stores takes memory of the guest. */
export async function openZram(): Promise<Device> {
  return {
    qemu: [],
    guestName: ZRAM_NAME,
    stats: async () => ({}),
    [Symbol.asyncDispose]: async () => {},
  };
}
