// The guest's own NBD driver instead of QEMU's: nbd-client in the guest, over its network, to a server of this machine.

import { TmemServer } from '../devices/tmem.ts';
import { runGuest } from '../machine/guest.ts';
import { GUEST_PROGRAMS, type Program } from '../machine/needs.ts';

export interface KernelClientLoad {
  readonly memoryMib: number;
  /** The hog's memory: more than the guest has. */
  readonly hogMib: number;
  /** The bound, boot included. */
  readonly seconds: number;
}

export interface KernelClientResult {
  /** Size of the device, as the guest sees it. */
  readonly bytes: number;
  readonly pagesOut: number;
  readonly pagesIn: number;
  /** Requests for trims that the server got. */
  readonly trims: number;
}

export const KERNEL_CLIENT_PROGRAMS: readonly Program[] = [...GUEST_PROGRAMS, 'nbd-client'];

/** @throws Error with the guest's console, when a byte was wrong or it did not come to its end */
export async function runKernelClient(load: KernelClientLoad): Promise<KernelClientResult> {
  const server = await TmemServer.startSwap('tcp://127.0.0.1:0');
  try {
    const reports = await runGuest({
      workload: 'kernel-client',
      settings: { port: server.uri.port, export: 'swap', hog_mib: load.hogMib, passes: 0 },
      memoryMib: load.memoryMib,
      modules: ['disk', 'network'],
      extras: ['nbd-client'],
      // 10.0.2.2 is the loopback of this machine there.
      devices: ['-netdev', 'user,id=n0', '-device', 'virtio-net-pci,netdev=n0,romfile='],
      seconds: load.seconds,
    });
    return {
      bytes: Number(reports.get('bytes')),
      pagesOut: Number(reports.get('pages_out')),
      pagesIn: Number(reports.get('pages_in')),
      trims: (await server.stats()).trims_total ?? 0,
    };
  } finally {
    await server.kill();
  }
}
