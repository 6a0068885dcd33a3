/**
 * How counters are grouped in a snapshot: the groups of the statistics page, each counter in exactly one.
 *
 * Also the figures derived from counters. A ratio of nothing to nothing is 0.
 */

import {
  CHUNK_BYTES,
  type CLIENT_COUNTERS,
  type ClientCounterName,
  type ClientHistogramName,
} from './client-counters.ts';
import type { Totals } from './counters.ts';
import type { POOL_COUNTERS, PoolCounterName } from './pool-counters.ts';
import { PAGE_BYTES } from './settings.ts';

export type PoolTotals = Totals<typeof POOL_COUNTERS>;
export type ClientTotals = Totals<typeof CLIENT_COUNTERS>;

const TRAFFIC = [
  'puts',
  'put_stored',
  'put_replaced',
  'put_to_flush',
  'succ_gets',
  'failed_gets',
  'flush_total',
  'flush_found',
  'flobj_total',
  'flobj_found',
] as const satisfies readonly PoolCounterName[];

const REFUSALS = [
  'failed_eph_puts',
  'failed_pers_puts',
  'compress_poor',
  'mean_compress_poor',
  'policy_percent_exceeded',
  'failed_get_free_pages',
  'failed_alloc',
  'aborted_preload',
  'over_limit',
  'over_cap',
  'frozen',
  'switched_off',
] as const satisfies readonly PoolCounterName[];

const INDEX = [
  'curr_obj_count',
  'curr_obj_count_max',
  'curr_objnode_count',
  'curr_objnode_count_max',
] as const satisfies readonly PoolCounterName[];

const CONTENT = [
  'curr_pages',
  'curr_pages_max',
  'curr_zbytes',
  'curr_zbytes_max',
  'cumul_zpages',
  'cumul_zbytes',
  'same_filled_pages',
  'bytes_in',
  'checksum_failures',
  'remote_pages',
] as const satisfies readonly PoolCounterName[];

/** What reclaim and demotion did to the pages of a pool. */
const MOVES = ['evicted_zpages', 'demoted_pages'] as const satisfies readonly PoolCounterName[];

const FRAMES = [
  'curr_frames',
  'curr_frames_max',
  'raw_curr_pages',
  'raw_curr_pages_max',
  'meta_curr_pages',
  'meta_curr_pages_max',
] as const satisfies readonly ClientCounterName[];

const RECLAIM = [
  'evicted_raw_pages',
  'evicted_unbuddied_pages',
  'evicted_buddied_pages',
  'evicted_zpages',
  'evicted_inline_pages',
  'eph_ate_tail',
  'pers_ate_eph',
  'aborted_shrink',
] as const satisfies readonly ClientCounterName[];

type Named<Names extends readonly string[]> = Readonly<Record<Names[number], number>>;

/** The counters of one memory without its prefix: zbud_curr_zpages is `zbud.curr_zpages`. */
type Prefixed<Prefix extends string> = {
  readonly [Name in ClientCounterName as Name extends `${Prefix}_${infer Rest}` ? Rest : never]: number;
};

export type Traffic = Named<typeof TRAFFIC> & {
  /** succ_gets / (succ_gets + failed_gets) */
  readonly hit_ratio: number;
};
export type Refusals = Named<typeof REFUSALS>;
export type IndexCounts = Named<typeof INDEX>;
export type Content = Named<typeof CONTENT> & {
  /** bytes_in / cumul_zbytes: how much smaller pages have become, same-filled ones counted as nothing. */
  readonly ratio: number;
  /** Bytes of a compressed page, on average over all stored so far. */
  readonly mean_zsize: number;
};
export type Moves = Named<typeof MOVES>;
export type Frames = Named<typeof FRAMES>;
export type Reclaim = Named<typeof RECLAIM>;

/** Pages or frames by size: bucket b counts b * 64 + 1 to (b + 1) * 64 bytes. */
export type Histogram = readonly number[];

export type Zbud = Prefixed<'zbud'> & {
  readonly unbuddied_list_counts: Histogram;
  readonly cumul_chunk_counts: Histogram;
  /** Chunks of 64 bytes a page takes, on average. */
  readonly mean_chunks: number;
  readonly at_most_21_chunks: number;
  readonly at_most_32_chunks: number;
  readonly at_most_42_chunks: number;
  readonly mean_zsize: number;
  /** Compressed bytes / bytes of frames. */
  readonly density: number;
};

export type Zv = Prefixed<'zv'> & {
  readonly curr_size_counts: Histogram;
  readonly cumul_size_counts: Histogram;
  readonly mean_zsize: number;
  readonly density: number;
};

export type Histograms = Readonly<Record<ClientHistogramName, Histogram>>;

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

function pick<const Names extends readonly string[]>(
  totals: Readonly<Record<Names[number], number>>,
  names: Names,
): Named<Names> {
  return Object.fromEntries(names.map((name: Names[number]) => [name, totals[name]])) as Named<Names>;
}

function unprefixed<const Prefix extends string>(totals: ClientTotals, prefix: Prefix): Prefixed<Prefix> {
  const start = `${prefix}_`;
  const own = Object.entries(totals).filter(([name]) => name.startsWith(start));
  return Object.fromEntries(
    own.map(([name, value]) => [name.slice(start.length), value]),
  ) as Prefixed<Prefix>;
}

/** The groups that pools have, and that clients and stores have as sums over pools. */
export interface PoolGroups {
  readonly traffic: Traffic;
  readonly refusals: Refusals;
  readonly index: IndexCounts;
  readonly content: Content;
  readonly moves: Moves;
}

export function poolGroups(totals: PoolTotals): PoolGroups {
  const { succ_gets, failed_gets, bytes_in, cumul_zbytes, cumul_zpages } = totals;
  return {
    traffic: { ...pick(totals, TRAFFIC), hit_ratio: ratio(succ_gets, succ_gets + failed_gets) },
    refusals: pick(totals, REFUSALS),
    index: pick(totals, INDEX),
    content: {
      ...pick(totals, CONTENT),
      ratio: ratio(bytes_in, cumul_zbytes),
      mean_zsize: ratio(cumul_zbytes, cumul_zpages),
    },
    moves: pick(totals, MOVES),
  };
}

/** The groups that clients have, and that a store has as sums over clients. */
export interface ClientGroups {
  readonly frames: Frames;
  readonly zbud: Zbud;
  readonly zv: Zv;
  readonly reclaim: Reclaim;
}

export function clientGroups(totals: ClientTotals, histograms: Histograms): ClientGroups {
  const chunks = histograms.cumul_chunk_counts;
  const zbud = unprefixed(totals, 'zbud');
  const zv = unprefixed(totals, 'zv');
  return {
    frames: pick(totals, FRAMES),
    zbud: {
      ...zbud,
      unbuddied_list_counts: histograms.unbuddied_list_counts,
      cumul_chunk_counts: chunks,
      mean_chunks: meanBucket(chunks),
      at_most_21_chunks: countUpTo(chunks, 21),
      at_most_32_chunks: countUpTo(chunks, 32),
      at_most_42_chunks: countUpTo(chunks, 42),
      mean_zsize: ratio(zbud.cumul_zbytes, zbud.cumul_zpages),
      density: ratio(zbud.curr_zbytes, zbud.curr_raw_pages * PAGE_BYTES),
    },
    zv: {
      ...zv,
      curr_size_counts: histograms.zv_curr_size_counts,
      cumul_size_counts: histograms.zv_cumul_size_counts,
      mean_zsize: ratio(zv.cumul_zbytes, zv.cumul_zpages),
      density: ratio(zv.curr_zbytes, zv.curr_pages * PAGE_BYTES),
    },
    reclaim: pick(totals, RECLAIM),
  };
}

/** How many fell into buckets of at most `chunks` chunks. */
export function countUpTo(histogram: Histogram, chunks: number): number {
  return histogram.slice(0, chunks).reduce((sum, count) => sum + count, 0);
}

/** The mean, in chunks (bucket b holds sizes of b + 1 chunks). */
function meanBucket(histogram: Histogram): number {
  const weighted = histogram.reduce((sum, count, bucket) => sum + count * (bucket + 1), 0);
  return ratio(weighted, countUpTo(histogram, histogram.length));
}

/** Upper bound of a histogram bucket in bytes. */
export function bucketBytes(bucket: number): number {
  return (bucket + 1) * CHUNK_BYTES;
}
