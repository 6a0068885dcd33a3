/**
 * Snapshots of the statistics: what `stats()` of a store, a client and a pool return.
 *
 * Built from rows of counters that the caller has read from the arena (all shards folded, see counters.ts). Names
 * are those of the original zcache. A snapshot is plain data: it can be sent to another thread or printed as JSON.
 * Counters are read while others count, so figures of one snapshot may be some operations apart.
 *
 *   store  = its own frames and threads + the sum of its clients + what removed clients left
 *   client = its frames and memories    + the sum of its pools   + what destroyed pools left
 */

import type { PoolCodec } from '../tmem/index.ts';
import {
  CLIENT_COUNTERS,
  CLIENT_HISTOGRAMS,
  type ClientHistogramName,
  HISTOGRAM_BUCKETS,
} from './client-counters.ts';
import { namedTotals, type Row, sumTotals, type Totals } from './counters.ts';
import { POOL_COUNTERS } from './pool-counters.ts';
import {
  type ClientGroups,
  type ClientTotals,
  clientGroups,
  type Histograms,
  type IndexCounts,
  type PoolGroups,
  type PoolTotals,
  poolGroups,
} from './statistics-groups.ts';
import { STORE_COUNTERS } from './store-counters.ts';

export type PoolKind = 'ephemeral' | 'persistent';

/** A pool as read from the arena. */
export interface RawPool {
  readonly id: number;
  readonly name: string;
  readonly client: string;
  readonly kind: PoolKind;
  readonly codec: PoolCodec;
  readonly pam: 'zbud' | 'zv' | 'raw';
  /** The UUID of a shared pool, else null. */
  readonly shared: string | null;
  /** Cells of POOL_COUNTERS. */
  readonly row: Row;
}

/** A client as read from the arena. */
export interface RawClient {
  readonly id: number;
  readonly name: string;
  readonly weight: number;
  /** Most bytes of frames, or null. */
  readonly capBytes: number | null;
  readonly frozen: boolean;
  /** Cells of CLIENT_COUNTERS. */
  readonly row: Row;
  /** HISTOGRAM_BUCKETS cells each. */
  readonly histograms: Readonly<Record<ClientHistogramName, Row>>;
  readonly pools: readonly RawPool[];
  /** Cells of POOL_COUNTERS: the sum of all its destroyed pools, so that counters never go down. */
  readonly retiredPools: Row;
}

/** A store as read from its arenas. */
export interface RawStore {
  readonly memoryBytes: number;
  readonly frozen: boolean;
  /** Cells of STORE_COUNTERS. */
  readonly row: Row;
  readonly clients: readonly RawClient[];
  /** Cells of POOL_COUNTERS: the sum over all pools of removed clients. */
  readonly retiredPools: Row;
  /** Cells of CLIENT_COUNTERS: the sum of all removed clients. */
  readonly retiredClients: Row;
}

export interface PoolStatistics extends PoolGroups {
  readonly id: number;
  readonly name: string;
  readonly client: string;
  readonly kind: PoolKind;
  readonly codec: PoolCodec;
  readonly pam: 'zbud' | 'zv' | 'raw';
  readonly shared: string | null;
}

/** Pages in the index by lifetime. The marks are sums over pools: a bound that was never exceeded. */
export interface PampdCounts {
  readonly curr_eph_pampd_count: number;
  readonly curr_eph_pampd_count_max: number;
  readonly curr_pers_pampd_count: number;
  readonly curr_pers_pampd_count_max: number;
}

interface SummedGroups extends Omit<PoolGroups, 'index'>, ClientGroups {
  readonly index: IndexCounts & PampdCounts;
}

export interface ClientStatistics extends SummedGroups {
  readonly id: number;
  readonly name: string;
  readonly weight: number;
  readonly cap_bytes: number | null;
  readonly frozen: boolean;
  readonly pools: readonly PoolStatistics[];
}

export interface StoreStatistics extends SummedGroups {
  readonly memory_bytes: number;
  readonly frozen: boolean;
  readonly store: Totals<typeof STORE_COUNTERS>;
  readonly clients: readonly ClientStatistics[];
}

export function poolStatistics(raw: RawPool): PoolStatistics {
  const { row, ...about } = raw;
  return { ...about, ...poolGroups(namedTotals(POOL_COUNTERS, row)) };
}

export function clientStatistics(raw: RawClient): ClientStatistics {
  const { id, name, weight, frozen } = raw;
  return {
    ...{ id, name, weight, cap_bytes: raw.capBytes, frozen },
    ...summed(
      [...raw.pools.map((pool) => namedTotals(POOL_COUNTERS, pool.row)), retired(raw.retiredPools)],
      namedTotals(CLIENT_COUNTERS, raw.row),
      histogramsOf(raw),
      raw.pools,
    ),
    pools: raw.pools.map(poolStatistics),
  };
}

export function storeStatistics(raw: RawStore): StoreStatistics {
  const { clients } = raw;
  const pools = clients.flatMap((client) => client.pools);
  const poolTotals = pools.map((pool) => namedTotals(POOL_COUNTERS, pool.row));
  const departed = [raw.retiredPools, ...clients.map((client) => client.retiredPools)].map(retired);
  const clientTotals = clients.map((client) => namedTotals(CLIENT_COUNTERS, client.row));
  return {
    memory_bytes: raw.memoryBytes,
    frozen: raw.frozen,
    store: namedTotals(STORE_COUNTERS, raw.row),
    ...summed(
      [...poolTotals, ...departed],
      sumTotals(CLIENT_COUNTERS, [...clientTotals, namedTotals(CLIENT_COUNTERS, raw.retiredClients)]),
      addHistograms(clients.map(histogramsOf)),
      pools,
    ),
    clients: clients.map(clientStatistics),
  };
}

function retired(row: Row): PoolTotals {
  return namedTotals(POOL_COUNTERS, row);
}

function summed(
  parts: readonly PoolTotals[],
  own: ClientTotals,
  histograms: Histograms,
  pools: readonly RawPool[],
): SummedGroups {
  const groups = poolGroups(sumTotals(POOL_COUNTERS, parts));
  return {
    ...groups,
    index: { ...groups.index, ...pampdCounts(pools) },
    ...clientGroups(own, histograms),
  };
}

function pampdCounts(pools: readonly RawPool[]): PampdCounts {
  const totalOf = (kind: PoolKind) =>
    sumTotals(
      POOL_COUNTERS,
      pools.filter((pool) => pool.kind === kind).map((pool) => namedTotals(POOL_COUNTERS, pool.row)),
    );
  const ephemeral = totalOf('ephemeral');
  const persistent = totalOf('persistent');
  return {
    curr_eph_pampd_count: ephemeral.curr_pages,
    curr_eph_pampd_count_max: ephemeral.curr_pages_max,
    curr_pers_pampd_count: persistent.curr_pages,
    curr_pers_pampd_count_max: persistent.curr_pages_max,
  };
}

function histogramsOf(raw: RawClient): Histograms {
  const named = CLIENT_HISTOGRAMS.map(({ name }) => [
    name,
    Array.from({ length: HISTOGRAM_BUCKETS }, (_, bucket) => Number(raw.histograms[name][bucket] ?? 0n)),
  ]);
  return Object.fromEntries(named);
}

function addHistograms(parts: readonly Histograms[]): Histograms {
  const named = CLIENT_HISTOGRAMS.map(({ name }) => [
    name,
    Array.from({ length: HISTOGRAM_BUCKETS }, (_, bucket) =>
      parts.reduce((sum, part) => sum + part[name][bucket], 0),
    ),
  ]);
  return Object.fromEntries(named);
}
