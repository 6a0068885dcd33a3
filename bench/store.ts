// The store as a whole beside bare library calls: puts, gets, pauses, two threads, density and metadata.
// One measurement a file in bench/store/; `--only put,get` runs some of them.

import type { BenchOptions, Figures } from './run.ts';
import { measureDensity } from './store/density.ts';
import { measureGet } from './store/get.ts';
import { measureMetadata } from './store/metadata.ts';
import { measurePauses } from './store/pauses.ts';
import { measurePut } from './store/put.ts';
import { measurePutFull } from './store/put-full.ts';
import { measureScaling } from './store/scaling.ts';
import { openScene, type Scene } from './store/scene.ts';
import { chosen } from './support/only.ts';
import { report } from './support/report.ts';
import type { Target } from './support/targets.ts';

const MEASUREMENTS: Record<string, (scene: Scene) => Figures | Promise<Figures>> = {
  put: measurePut,
  'put-full': measurePutFull,
  get: measureGet,
  pauses: measurePauses,
  scaling: measureScaling,
  density: measureDensity,
  metadata: measureMetadata,
};

const TARGETS: readonly Target[] = [
  { field: 'put_vs_liblz4_compress', least: 0.8 },
  { field: 'put_full_vs_liblz4_compress', least: 0.7 },
  { field: 'get_vs_liblz4_decompress', least: 0.8 },
  { field: 'put_p999_us' },
  { field: 'get_p999_us' },
  { field: 'longest_pause_ms', most: 5 },
  { field: 'scaling_2_threads', least: 1.85 },
  { field: 'density_zv', least: 0.95 },
  { field: 'density_zbud', least: 0.7 },
  { field: 'metadata_bytes_a_page_64', most: 28 },
  { field: 'metadata_bytes_a_page_1', most: 96 },
];

export async function run(options: BenchOptions): Promise<Figures> {
  const measurements = chosen(MEASUREMENTS, options.only);
  const scene = openScene(options.pages, options.say);
  try {
    return await report(measurements, scene, TARGETS, options.say);
  } finally {
    scene.dispose();
  }
}
