// RAMster beside plain sockets and Redis: pages that are with a peer on the loopback, and what the death of a peer
// costs. One measurement a file in bench/ramster/; `--only gets` runs some of them.

import { measureFailover } from './ramster/failover.ts';
import { measureGets } from './ramster/gets.ts';
import { measurePuts } from './ramster/puts.ts';
import type { BenchOptions, Figures } from './run.ts';
import { chosen } from './support/only.ts';
import { report } from './support/report.ts';
import type { Target } from './support/targets.ts';

const MEASUREMENTS: Record<string, (options: BenchOptions) => Promise<Figures>> = {
  gets: measureGets,
  puts: measurePuts,
  failover: measureFailover,
};

const TARGETS: readonly Target[] = [
  { field: 'remote_get_p50_vs_raw_tcp', most: 1.5 },
  { field: 'remote_get_vs_redis_get', most: 1 },
  { field: 'remote_get_tls_sealed_p50_vs_raw_tcp' },
  { field: 'remote_get_tls_sealed_vs_redis_get' },
  { field: 'remote_get_p50_vs_raw_tcp_delayed' },
  { field: 'remote_put_pipelined_vs_redis', least: 1.5 },
  { field: 'remote_put_tls_sealed_pipelined_vs_redis' },
  { field: 'bytes_on_wire_vs_page', most: 0.42 },
  { field: 'failover_pages_lost', most: 0 },
  { field: 'failover_blocked_ms', most: 1000 },
  { field: 'failover_whole_again_ms' },
];

export async function run(options: BenchOptions): Promise<Figures> {
  return await report(chosen(MEASUREMENTS, options.only), options, TARGETS, options.say);
}
