// A guest that uses more memory than it has, on one of the devices: the same work on each.

import { DEVICE_BYTES, type Device } from '../devices/device.ts';
import { DEVICES, type DeviceName, programsOf } from '../devices/index.ts';
import { ZRAM_NAME } from '../devices/local.ts';
import { runGuest } from '../machine/guest.ts';
import { GUEST_PROGRAMS, type Program } from '../machine/needs.ts';

export interface SwapLoad {
  readonly memoryMib: number;
  /** The hog's memory: more than the guest has. */
  readonly hogMib: number;
  /** How often the hog changes a third of its pages, in an order of its own. */
  readonly passes: number;
  /** Also Python, SQLite and files in a tmpfs. */
  readonly programs: boolean;
}

/** zram keeps its pages in the guest's memory: with less of it, it ends out of memory. */
export const SWAP_LOAD: SwapLoad = { memoryMib: 192, hogMib: 224, passes: 0, programs: true };

export interface SwapResult {
  /** From mkswap to the end of swapoff, by the guest's clock: its boot is not in it. */
  readonly seconds: number;
  readonly hogSeconds: number;
  /** 0 without programs. */
  readonly programsSeconds: number;
  readonly pagesOut: number;
  readonly pagesIn: number;
  /** The device's own. */
  readonly stats: Readonly<Record<string, number>>;
}

/** The bound on a run, boot included, on a machine that does other things, too. */
const BOUND_SECONDS = 240;

/** What this machine has to have for it. */
export function swapPrograms(device: DeviceName, load: SwapLoad = SWAP_LOAD): Program[] {
  return [...GUEST_PROGRAMS, ...(load.programs ? ['python3' as const] : []), ...programsOf(device)];
}

/** Runs it. @throws Error with the guest's console, when a byte was wrong or it did not come to its end */
export async function swapOn(name: DeviceName, load: SwapLoad = SWAP_LOAD): Promise<SwapResult> {
  await using device = await DEVICES[name]();
  return await swapOnDevice(device, load);
}

/** As swapOn, on a device that is there already. */
export async function swapOnDevice(
  device: Pick<Device, 'qemu' | 'guestName' | 'stats'>,
  load: SwapLoad,
): Promise<SwapResult> {
  const reports = await runGuest({
    workload: 'swap',
    settings: {
      ...{ device: device.guestName, device_bytes: DEVICE_BYTES, hog_mib: load.hogMib, passes: load.passes },
      programs: load.programs ? 1 : 0,
    },
    memoryMib: load.memoryMib,
    modules: device.guestName === ZRAM_NAME ? ['zram'] : ['disk'],
    extras: load.programs ? ['python3'] : [],
    devices: device.qemu,
    seconds: BOUND_SECONDS,
  });
  const seconds = (key: string): number => Number(reports.get(key) ?? 0) / 100;
  return {
    seconds: seconds('workload_cs'),
    hogSeconds: seconds('hog_cs'),
    programsSeconds: seconds('programs_cs'),
    pagesOut: Number(reports.get('pages_out')),
    pagesIn: Number(reports.get('pages_in')),
    stats: await device.stats(),
  };
}
