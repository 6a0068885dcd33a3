// nbdkit's memory plugin, with its usual pages or with compressed ones.

import { existsSync, readFileSync } from 'node:fs';
import { pathOf } from '../machine/needs.ts';
import { Running } from '../machine/running.ts';
import { TemporaryFolder } from '../machine/temporary-folder.ts';
import { DEVICE_BYTES, type Device, nbdDisk, VIRTIO_NAME } from './device.ts';

export async function openNbdkit(allocator: 'sparse' | 'zstd'): Promise<Device> {
  const folder = new TemporaryFolder();
  const socket = folder.file('socket');
  const plugin = ['memory', `size=${DEVICE_BYTES}`, `allocator=${allocator}`];
  const running = new Running(pathOf('nbdkit'), ['-f', '-U', socket, ...plugin]);
  await running.until(() => existsSync(socket));
  return {
    qemu: nbdDisk(socket),
    guestName: VIRTIO_NAME,
    stats: async () => {
      const status = readFileSync(`/proc/${running.pid}/status`, 'utf8');
      return { resident_max: Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024 };
    },
    [Symbol.asyncDispose]: async () => {
      await running.kill();
      folder[Symbol.dispose]();
    },
  };
}
