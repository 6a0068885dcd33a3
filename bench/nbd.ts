// Our NBD server beside nbdkit's memory plugin, with and without zstd: operations a second, copies, memory, guests that
// swap. One measurement a file in bench/nbd/; `--only depth32,copy` runs some of them.

import { measureCopy } from './nbd/copy.ts';
import { measureDepth1 } from './nbd/depth1.ts';
import { measureDepth32 } from './nbd/depth32.ts';
import { measureGuest } from './nbd/guest.ts';
import { measureMemory } from './nbd/memory.ts';
import { openScene, type Scene } from './nbd/scene.ts';
import type { BenchOptions, Figures } from './run.ts';
import { chosen } from './support/only.ts';
import { type Target, targetTable } from './support/targets.ts';

const MEASUREMENTS: Record<string, (scene: Scene) => Promise<Figures>> = {
  depth32: measureDepth32,
  depth1: measureDepth1,
  copy: measureCopy,
  memory: measureMemory,
  guest: measureGuest,
};

const TARGETS: readonly Target[] = [
  { field: 'iops_d32_vs_nbdkit_memory', least: 0.9 },
  { field: 'iops_d32_2clients_vs_nbdkit_memory', least: 1.5 },
  { field: 'iops_d32_vs_nbdkit_zstd', least: 7 },
  { field: 'iops_d1_vs_nbdkit_memory', least: 1.1 },
  { field: 'copy_in_vs_nbdkit_zstd', least: 3 },
  { field: 'copy_out_vs_nbdkit_zstd', least: 1 },
  { field: 'memory_vs_nbdkit_zstd', least: 0.6 },
  { field: 'guest_swap_vs_nbdkit_memory', least: 1 },
  { field: 'guest_swap_vs_zram', least: 0.97 },
];

export async function run(options: BenchOptions): Promise<Figures> {
  const measurements = chosen(MEASUREMENTS, options.only);
  using scene = openScene(options);
  const figures: Figures = {};
  for (const measure of measurements) Object.assign(figures, await measure(scene));
  options.say('');
  for (const line of targetTable(figures, TARGETS)) options.say(line);
  return figures;
}
