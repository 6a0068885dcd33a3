/**
 * The counters of one client, in arena order (at most 48 cells of u64), and its histograms.
 *
 * Frames are never shared between clients, so frames by kind are the client's whole bill:
 *   curr_frames = zbud_curr_raw_pages + zv_curr_pages + raw_curr_pages + meta_curr_pages
 */

import { counter, gauge, tide } from './counters.ts';

export const CLIENT_COUNTERS = [
  ...tide(
    'curr_frames',
    'frames',
    'Frames the client holds, of all kinds.',
    'Near its cap: raise the cap or shrink.',
  ),
  ...tide('zbud_curr_raw_pages', 'frames', 'Frames held by zbud.', 'None: the space of the ephemeral pages.'),
  ...tide(
    'zbud_curr_zpages',
    'pages',
    'Pages held by zbud.',
    'Below 1.5 a frame: pages pair badly; consider zv.',
  ),
  ...tide(
    'zbud_curr_zbytes',
    'bytes',
    'Compressed bytes held by zbud.',
    'Density is this / (frames * 4096).',
  ),
  counter('zbud_cumul_zpages', 'pages', 'Pages zbud has ever taken.', 'None: the divisor of mean_zsize.'),
  counter('zbud_cumul_zbytes', 'bytes', 'Compressed bytes zbud has ever taken.', 'None: see mean_zsize.'),
  gauge(
    'zbud_buddied_count',
    'frames',
    'zbud frames with two pages.',
    'Low beside raw pages: pages pair badly.',
  ),
  gauge(
    'zbud_unused_list_count',
    'frames',
    'Empty frames zbud keeps for the next put.',
    'Should be small; they are the first to be reclaimed.',
  ),
  ...tide('zv_curr_pages', 'frames', 'Frames held by zv.', 'None: the space of the persistent pages.'),
  ...tide('zv_curr_zpages', 'pages', 'Pages held by zv.', 'None: this is the content.'),
  ...tide('zv_curr_zbytes', 'bytes', 'Compressed bytes held by zv.', 'Density is this / (frames * 4096).'),
  counter('zv_cumul_zpages', 'pages', 'Pages zv has ever taken.', 'None: the divisor of mean_zsize.'),
  counter('zv_cumul_zbytes', 'bytes', 'Compressed bytes zv has ever taken.', 'None: see mean_zsize.'),
  ...tide(
    'raw_curr_pages',
    'frames',
    'Frames that hold one uncompressed page each.',
    'The hot level: as its limit.',
  ),
  ...tide(
    'meta_curr_pages',
    'frames',
    "Frames of the client's index: objects, nodes, cells.",
    'Above a tenth of curr_frames: objects are very small; put several pages under one oid.',
  ),
  counter(
    'evicted_raw_pages',
    'frames',
    'Frames that reclaim emptied.',
    'A steady rate beside many failed_gets: more memory would give more hits.',
  ),
  counter(
    'evicted_unbuddied_pages',
    'frames',
    'Reclaimed zbud frames that held one page.',
    'None by itself.',
  ),
  counter('evicted_buddied_pages', 'frames', 'Reclaimed zbud frames that held two pages.', 'None by itself.'),
  counter('evicted_zpages', 'pages', 'Pages lost to reclaim.', 'As evicted_raw_pages.'),
  counter(
    'evicted_inline_pages',
    'pages',
    'Lost pages that had no frame (same-filled pages kept in the index).',
    'High: the index itself fills the budget; raise memory.',
  ),
  counter(
    'eph_ate_tail',
    'frames',
    'Frames an ephemeral put took from the least recently used ephemeral pages.',
    'Normal for a full cache.',
  ),
  counter(
    'pers_ate_eph',
    'frames',
    'Frames a persistent put took from ephemeral pages.',
    'Persistent data displaces the cache; when none is left, persistent puts are refused.',
  ),
  counter(
    'aborted_shrink',
    'calls',
    'Times reclaim gave up on a frame because someone else held its lock.',
    'High beside evicted_raw_pages: many threads work on few objects.',
  ),
] as const;

export type ClientCounterName = (typeof CLIENT_COUNTERS)[number]['name'];

/** Bytes of a zbud chunk and the width of every size bucket; a frame has 64. */
export const CHUNK_BYTES = 64;

/** 4096 / CHUNK_BYTES: bucket b counts sizes of b * 64 + 1 to (b + 1) * 64 bytes, that is b + 1 chunks. */
export const HISTOGRAM_BUCKETS = 64;

/** One histogram: HISTOGRAM_BUCKETS cells of u64 in the arena, in this order after the counters. */
export const CLIENT_HISTOGRAMS = [
  gauge(
    'unbuddied_list_counts',
    'frames',
    'zbud frames with one page, by the chunks it uses.',
    'Many large ones: half-empty frames that no page fits; such data belongs in zv.',
  ),
  counter(
    'cumul_chunk_counts',
    'pages',
    'Pages zbud has ever taken, by chunks.',
    'Pages above 32 chunks can only pair with smaller ones; above 42 hardly ever.',
  ),
  gauge(
    'zv_curr_size_counts',
    'pages',
    'Pages held by zv, by compressed size.',
    'None: this is the content.',
  ),
  counter(
    'zv_cumul_size_counts',
    'pages',
    'Pages zv has ever taken, by compressed size.',
    'Compare with now.',
  ),
] as const;

export type ClientHistogramName = (typeof CLIENT_HISTOGRAMS)[number]['name'];
