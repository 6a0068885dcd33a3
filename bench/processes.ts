// One named store for several processes: what a second process gets of it, attaching, recovering after SIGKILL, giving
// memory back. One measurement a file in bench/processes/; `--only attach,recovery` runs some of them.

import { measureAttach } from './processes/attach.ts';
import { measureFirstTouch } from './processes/first-touch.ts';
import { measureHitRatio } from './processes/hit-ratio.ts';
import { measureMemoryBound } from './processes/memory-bound.ts';
import { measurePressure } from './processes/pressure.ts';
import { measureProcessVsThread } from './processes/process-vs-thread.ts';
import { measureRecovery } from './processes/recovery.ts';
import type { BenchOptions, Figures } from './run.ts';
import { chosen } from './support/only.ts';
import { report } from './support/report.ts';
import type { Target } from './support/targets.ts';

const MEASUREMENTS: Record<string, (options: BenchOptions) => Promise<Figures>> = {
  'process-vs-thread': measureProcessVsThread,
  attach: measureAttach,
  'first-touch': measureFirstTouch,
  'hit-ratio': measureHitRatio,
  recovery: measureRecovery,
  'memory-bound': measureMemoryBound,
  pressure: measurePressure,
};

const TARGETS: readonly Target[] = [
  { field: 'process_vs_thread', least: 0.95 },
  { field: 'process_vs_thread_cpu' },
  { field: 'attach_ms', most: 10 },
  { field: 'attach_cold_ms' },
  { field: 'first_touch_ms' },
  { field: 'warm_touch_ms' },
  { field: 'hit_ratio_shared' },
  { field: 'hit_ratio_private' },
  { field: 'recovery_ms_p99', most: 500 },
  { field: 'recovery_ms_p99_cpu' },
  { field: 'memory_bound_file_share', most: 1 },
  { field: 'memory_bound_process_mib', most: 32 },
  { field: 'returned_bytes' },
  { field: 'returned_kills', most: 0 },
  { field: 'returned_persistent_lost', most: 0 },
];

export async function run(options: BenchOptions): Promise<Figures> {
  return await report(chosen(MEASUREMENTS, options.only), options, TARGETS, options.say);
}
