/** Statistics written by hand: names and values in, what stats() would return out. */
import type { Sample } from '../../src/cli/stat/sample.ts';
import {
  CLIENT_COUNTERS,
  CLIENT_HISTOGRAMS,
  type ClientCounterName,
  type ClientHistogramName,
  HISTOGRAM_BUCKETS,
} from '../../src/zcache/client-counters.ts';
import { type Counter, emptyRow } from '../../src/zcache/counters.ts';
import type { NamedStore } from '../../src/zcache/index.ts';
import { POOL_COUNTERS, type PoolCounterName } from '../../src/zcache/pool-counters.ts';
import { type RawClient, type RawPool, storeStatistics } from '../../src/zcache/statistics.ts';
import { STORE_COUNTERS } from '../../src/zcache/store-counters.ts';

type Counts<Name extends string> = Partial<Record<Name, number>>;
type StoreCounterName = (typeof STORE_COUNTERS)[number]['name'];

function row(table: readonly Counter[], counts: Counts<string>): BigUint64Array {
  const cells = emptyRow(table);
  for (const [name, value] of Object.entries(counts)) {
    const at = table.findIndex((counter) => counter.name === name);
    if (at < 0) throw new Error(`there is no counter ${name}`);
    cells[at] = BigInt(value ?? 0);
  }
  return cells;
}

export interface PoolText extends Partial<Omit<RawPool, 'row'>> {
  readonly counts?: Counts<PoolCounterName>;
}

export interface ClientText extends Partial<Omit<RawClient, 'row' | 'histograms' | 'pools'>> {
  readonly counts?: Counts<ClientCounterName>;
  readonly histograms?: Partial<Record<ClientHistogramName, readonly number[]>>;
  readonly pools?: readonly PoolText[];
}

export interface StoreText {
  readonly memoryBytes?: number;
  readonly frozen?: boolean;
  readonly counts?: Counts<StoreCounterName>;
  readonly clients?: readonly ClientText[];
}

function rawPool({ counts = {}, ...more }: PoolText, client: string, id: number): RawPool {
  const about = { kind: 'ephemeral', codec: 'lz4', pam: 'zbud', shared: null } as const;
  return { ...about, id, name: `pool ${id}`, client, ...more, row: row(POOL_COUNTERS, counts) };
}

function rawClient({ counts = {}, histograms = {}, pools = [], ...more }: ClientText, id: number): RawClient {
  const name = more.name ?? `client ${id}`;
  const shapes = CLIENT_HISTOGRAMS.map((histogram) => [
    histogram.name,
    BigUint64Array.from({ length: HISTOGRAM_BUCKETS }, (_, i) =>
      BigInt(histograms[histogram.name]?.[i] ?? 0),
    ),
  ]);
  return {
    ...{ id, name, weight: 100, capBytes: null, frozen: false, ...more },
    row: row(CLIENT_COUNTERS, counts),
    histograms: Object.fromEntries(shapes),
    pools: pools.map((pool, i) => rawPool(pool, name, id * 100 + i)),
    retiredPools: emptyRow(POOL_COUNTERS),
  };
}

export function statistics({ memoryBytes = 2 ** 28, frozen = false, counts, clients = [] }: StoreText) {
  return storeStatistics({
    ...{ memoryBytes, frozen },
    row: row(STORE_COUNTERS, { frames_total: memoryBytes / 4096, ...counts }),
    clients: clients.map((client, i) => rawClient(client, i + 1)),
    retiredPools: emptyRow(POOL_COUNTERS),
    retiredClients: emptyRow(CLIENT_COUNTERS),
  });
}

export function storeFile(more: Partial<NamedStore> = {}): NamedStore {
  return {
    ...{ name: 'web', path: '/dev/shm/tmem.web.v1', state: 'ready', memoryBytes: 2 ** 28 },
    ...{ residentBytes: 180 * 2 ** 20, threads: 64, attached: 2, createdMs: 1_000_000_000_000, ...more },
  };
}

export function sample(text: StoreText, more: Partial<Sample> = {}): Sample {
  const file = storeFile({ memoryBytes: text.memoryBytes ?? 2 ** 28 });
  return { file, statistics: statistics(text), takenMs: 0, atMs: file.createdMs, ...more };
}

/** A store as one meets them: two clients, three pools, sizes around 1.5 KiB. */
export const BUSY: StoreText = {
  counts: { frames_free: 20_000, frames_fixed: 1200, threads_attached: 2 },
  clients: [
    {
      ...{ name: 'web', capBytes: 160 * 2 ** 20 },
      counts: {
        ...{ curr_frames: 38_000, zbud_curr_raw_pages: 30_000, zv_curr_pages: 5000, raw_curr_pages: 2000 },
        ...{ meta_curr_pages: 1000, zbud_cumul_zpages: 900_000, zbud_curr_zpages: 58_000 },
        ...{ zv_curr_zpages: 12_000 },
      },
      histograms: {
        cumul_chunk_counts: Array.from({ length: 64 }, (_, i) =>
          Math.round(40_000 * Math.exp(-((i - 24) ** 2) / 60)),
        ),
        zv_curr_size_counts: Array.from({ length: 64 }, (_, i) => (i > 4 && i < 56 ? 400 - i * 4 : 0)),
      },
      pools: [
        {
          name: 'sessions',
          counts: {
            ...{ puts: 1_300_000, put_stored: 1_298_800, succ_gets: 975_000, failed_gets: 225_000 },
            ...{ failed_eph_puts: 1200, compress_poor: 1100, over_cap: 100, evicted_zpages: 300_000 },
            ...{ curr_pages: 58_000, curr_zbytes: 98 * 2 ** 20, curr_obj_count: 12_332 },
            ...{ cumul_zpages: 1_200_000, cumul_zbytes: 2_040_000_000, bytes_in: 4_915_200_000 },
            same_filled_pages: 4100,
          },
        },
        {
          ...{ name: 'spill', kind: 'persistent', pam: 'zv' },
          counts: {
            ...{ puts: 14_000, put_stored: 14_000, succ_gets: 2000, curr_pages: 12_000 },
            ...{ curr_zbytes: 18 * 2 ** 20, cumul_zpages: 14_000, cumul_zbytes: 2.1e7, bytes_in: 5.7e7 },
          },
        },
      ],
    },
    {
      ...{ name: 'batch jobs', frozen: true, weight: 20 },
      counts: { curr_frames: 6336, zbud_curr_raw_pages: 6136, meta_curr_pages: 200 },
      pools: [{ name: 'tiles', counts: { puts: 20_000, put_stored: 20_000, curr_pages: 11_000 } }],
    },
  ],
};
