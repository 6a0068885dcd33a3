// The devices a guest's workload runs on, by the names the command knows.

import type { Program } from '../machine/needs.ts';
import type { Device } from './device.ts';
import { openFile, openZram } from './local.ts';
import { openNbdkit } from './nbdkit.ts';
import { openTmem } from './tmem.ts';

export const DEVICES = {
  tmem: openTmem,
  nbdkit: () => openNbdkit('sparse'),
  'nbdkit-zstd': () => openNbdkit('zstd'),
  file: openFile,
  zram: openZram,
} satisfies Record<string, () => Promise<Device>>;

export type DeviceName = keyof typeof DEVICES;

export const DEVICE_NAMES = Object.keys(DEVICES) as DeviceName[];

/** What a device needs on this machine beside what every guest does. */
export function programsOf(name: DeviceName): Program[] {
  return name.startsWith('nbdkit') ? ['nbdkit'] : [];
}
