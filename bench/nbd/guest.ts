// A Linux guest that swaps: the same work on our server, on nbdkit's and on zram in the guest, by the guest's clock.

import { missingPackages } from '../../guest/machine/needs.ts';
import { swapOn, swapPrograms } from '../../guest/workloads/swap.ts';
import type { Figures } from '../run.ts';
import { medianOf, rounds, type Scene } from './scene.ts';

const ROUNDS = 4;
const DEVICES = ['tmem', 'nbdkit', 'zram'] as const;

export async function measureGuest(scene: Scene): Promise<Figures> {
  const missing = new Set(DEVICES.flatMap((name) => missingPackages(swapPrograms(name))));
  if (missing.size > 0) throw new Error(`missing: apt-get install -y ${[...missing].join(' ')}`);
  const all = await rounds(DEVICES, ROUNDS, async (name) => (await swapOn(name)).seconds);
  for (const name of DEVICES) scene.say(`guest on ${name}: ${medianOf(all, (of) => of[name], 2)} seconds`);
  return {
    guest_swap_vs_nbdkit_memory: medianOf(all, (of) => of.nbdkit / of.tmem),
    guest_swap_vs_zram: medianOf(all, (of) => of.zram / of.tmem),
  };
}
