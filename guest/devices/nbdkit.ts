// nbdkit's memory plugin, with its usual pages or with compressed ones.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathOf } from '../machine/needs.ts';
import { DEVICE_BYTES, type Device, nbdDisk, VIRTIO_NAME } from './device.ts';

const START_MS = 10_000;
const START_STEP_MS = 20;

export async function openNbdkit(allocator: 'sparse' | 'zstd'): Promise<Device> {
  const folder = mkdtempSync(join(tmpdir(), 'guest-nbdkit-'));
  const socket = join(folder, 'socket');
  const plugin = ['memory', `size=${DEVICE_BYTES}`, `allocator=${allocator}`];
  const child = spawn(pathOf('nbdkit'), ['-f', '--exit-with-parent', '-U', socket, ...plugin], {
    stdio: 'ignore',
  });
  const exited = once(child, 'exit');
  for (let ms = 0; !existsSync(socket) && ms < START_MS; ms += START_STEP_MS) await sleep(START_STEP_MS);
  return {
    qemu: nbdDisk(socket),
    guestName: VIRTIO_NAME,
    stats: async () => {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
      return { resident_max: Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024 };
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
