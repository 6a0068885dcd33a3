/**
 * The counters of one pool, in arena order (at most 48 cells of u64).
 *
 * Rules that tie them together, true at any quiet moment and checked by tests:
 *   puts = put_stored + failed_eph_puts + failed_pers_puts
 *   failed_eph_puts + failed_pers_puts = compress_poor + mean_compress_poor + policy_percent_exceeded +
 *     failed_get_free_pages + failed_alloc + aborted_preload + over_limit + over_cap + frozen + switched_off
 *   (each refused put has exactly one cause)
 */

import { counter, gauge, tide } from './counters.ts';

export const POOL_COUNTERS = [
  counter('puts', 'pages', 'Pages offered to the pool.', 'None: this is the load.'),
  counter('put_stored', 'pages', 'Puts that were accepted.', 'Far below puts: see the causes of refusal.'),
  counter(
    'put_replaced',
    'pages',
    'Accepted puts whose handle already held a page.',
    'High in a page cache: the reader puts pages it did not get first; get before put.',
  ),
  counter(
    'put_to_flush',
    'pages',
    'Refused puts that removed the older page of the handle, so that it can never come back.',
    'None by itself; it follows the refusals.',
  ),
  counter('succ_gets', 'pages', 'Gets that found a page.', 'None: this is what the store is for.'),
  counter(
    'failed_gets',
    'pages',
    'Gets that missed.',
    'Many beside few evictions: pages are asked for that were never put. Many beside many evictions: more memory.',
  ),
  counter('flush_total', 'calls', 'Calls of flush page.', 'None: this is the load.'),
  counter(
    'flush_found',
    'pages',
    'Flushed pages that were there.',
    'Near flush_total: data changes before it is used.',
  ),
  counter('flobj_total', 'calls', 'Calls of flush object.', 'None: this is the load.'),
  counter(
    'flobj_found',
    'objects',
    'Flushed objects that held pages.',
    'Near flobj_total: files change often.',
  ),
  counter(
    'failed_eph_puts',
    'pages',
    'Refused puts into an ephemeral pool, for any cause.',
    'Look for the cause among the refusals; a miss later costs one read of the source.',
  ),
  counter(
    'failed_pers_puts',
    'pages',
    'Refused puts into a persistent pool, for any cause.',
    'The caller had to write the page elsewhere. Raise memory or the client cap, or see compress_poor.',
  ),
  counter(
    'compress_poor',
    'pages',
    'Pages refused because they did not compress enough for their memory (zbud or zv).',
    'The data is compressed or encrypted already: do not put it, use zv, or set incompressible to "store".',
  ),
  counter(
    'mean_compress_poor',
    'pages',
    'Pages refused because they and the running mean were above zvMaxMeanBytes.',
    'Raise zvMaxMeanBytes if holding poorly compressed pages is better than writing them elsewhere.',
  ),
  counter(
    'policy_percent_exceeded',
    'pages',
    'Persistent pages refused by persistentLimitPercent.',
    'Raise persistentLimitPercent or memory.',
  ),
  counter(
    'failed_get_free_pages',
    'pages',
    'Pages refused because no frame was free and none could be evicted in time.',
    'Raise memory. In an ephemeral pool it should stay near zero: every frame was busy or persistent.',
  ),
  counter(
    'failed_alloc',
    'pages',
    'Pages refused because no memory was left for the index (objects, nodes, cells).',
    'Raise memory; many objects of one page each cost most.',
  ),
  counter(
    'aborted_preload',
    'pages',
    'Puts given up because the index memory they had reserved was not enough when the lock was held.',
    'Should stay near zero; a rising figure means memory is exhausted for everyone.',
  ),
  counter('over_limit', 'pages', "Pages refused by the pool's own limit.", 'Raise the limit of the pool.'),
  counter(
    'over_cap',
    'pages',
    "Pages refused because the client's cap was reached.",
    'Raise the cap of the client.',
  ),
  counter('frozen', 'pages', 'Puts refused while the client or the store was frozen.', 'Thaw it.'),
  counter(
    'switched_off',
    'pages',
    'Puts refused because their front end was switched off.',
    'Switch cleancache or frontswap on again.',
  ),
  ...tide('curr_pages', 'pages', 'Pages in the pool.', 'None: this is the content.'),
  ...tide('curr_zbytes', 'bytes', 'Compressed bytes in the pool.', 'None: this is what the pool is charged.'),
  counter('cumul_zpages', 'pages', 'Pages that were stored compressed.', 'None: the divisor of mean_zsize.'),
  counter(
    'cumul_zbytes',
    'bytes',
    'Compressed bytes of those pages.',
    'Near bytes_in: the data does not compress.',
  ),
  gauge(
    'same_filled_pages',
    'pages',
    'Pages in the pool that are one repeated 64-bit value (zero above all) and take no page memory.',
    'None: these are nearly free.',
  ),
  counter('bytes_in', 'bytes', 'Bytes of all accepted puts, before compression.', 'None: this is the load.'),
  ...tide(
    'curr_obj_count',
    'objects',
    'Objects in the pool.',
    'Near curr_pages: one page an object is costly.',
  ),
  ...tide(
    'curr_objnode_count',
    'nodes',
    'Index nodes of the pool.',
    'High beside curr_pages: indexes are scattered.',
  ),
  counter(
    'checksum_failures',
    'pages',
    'Pages whose bytes did not match their checksum when read (each was dropped and reported as a miss or error).',
    'Must be 0. Otherwise stop, keep the arena, and report it: memory was damaged.',
  ),
  counter(
    'evicted_zpages',
    'pages',
    'Ephemeral pages of this pool that reclaim took.',
    'High beside failed_gets: the pool would use more memory; raise memory or the weight of the client.',
  ),
  counter(
    'demoted_pages',
    'pages',
    "Pages that moved to the pool's demoteTo pool when it went over its limit.",
    'None: the hot level works. Near put_stored with few succ_gets: the hot level is too small or useless.',
  ),
  gauge('remote_pages', 'pages', 'Pages that are with a peer; they count among the pages.', 'None.'),
] as const;

export type PoolCounterName = (typeof POOL_COUNTERS)[number]['name'];
