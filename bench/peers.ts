// The store beside what a Node user would take instead: lmdb with its LZ4, a Map of Buffers, lru-cache.
// One measurement a file in bench/peers/; `--only lmdb` runs some of them.

import { measureGc } from './peers/gc.ts';
import { measureLmdb } from './peers/lmdb.ts';
import type { BenchOptions, Figures } from './run.ts';
import { chosen } from './support/only.ts';
import { report } from './support/report.ts';
import type { Target } from './support/targets.ts';

const MEASUREMENTS: Record<string, (options: BenchOptions) => Promise<Figures>> = {
  lmdb: measureLmdb,
  gc: measureGc,
};

const TARGETS: readonly Target[] = [
  { field: 'put_vs_lmdb_lz4', least: 5 },
  { field: 'get_vs_lmdb_lz4', least: 3 },
  { field: 'gc_p99_vs_empty', most: 1.2 },
  { field: 'gc_p99_map' },
  { field: 'gc_p99_lru' },
];

export async function run(options: BenchOptions): Promise<Figures> {
  return await report(chosen(MEASUREMENTS, options.only), options, TARGETS, options.say);
}
