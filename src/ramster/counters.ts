/**
 * The counters of a node, with what each counts and what to do when it stands out: for metrics and for
 * docs/operating/statistics.md. Names are the original's, as far as it had them.
 */

import { type Counter, counter, gauge, tide } from '../zcache/counters.ts';
import type { RamsterStatistics } from './statistics.ts';

export const RAMSTER_COUNTERS = [
  gauge(
    'remote_pers_pages',
    'pages',
    'Persistent pages of this node that are with peers.',
    'Growing without end: the memory here is too small for the load.',
  ),
  counter('eph_pages_remoted', 'pages', 'Ephemeral pages sent to peers.', 'None: this is the load.'),
  counter(
    'eph_pages_remote_failed',
    'pages',
    'Ephemeral pages that no peer took.',
    'High: peers are full or away, see tmem peers; or set ephemeral to false.',
  ),
  counter('pers_pages_remoted', 'pages', 'Persistent pages sent to peers.', 'None: this is the load.'),
  counter(
    'pers_pages_remote_failed',
    'pages',
    'Persistent pages that stayed because not enough peers took a copy.',
    'Look at pers_pages_remote_nomem; if that is low, peers are slow or away: see tmem peers.',
  ),
  counter(
    'pers_pages_remote_nomem',
    'pages',
    'Of the failed: a peer had no room, or there was none to ask.',
    'Lend more memory (lendBytes, capBytes), add a node, or lower replicas.',
  ),
  counter(
    'remote_pages_flushed',
    'pages',
    'Copies that peers freed because they were wanted no more.',
    'None: this is the load.',
  ),
  counter(
    'remote_page_flushes_failed',
    'pages',
    'Copies that could not be freed at the first try; they are freed later.',
    'High: a peer is slow or away.',
  ),
  counter(
    'remote_objects_flushed',
    'calls',
    'Pools that peers dropped because they were destroyed here.',
    'None: exports came and went.',
  ),
  counter(
    'remote_object_flushes_failed',
    'calls',
    'Pools that a peer could not be told of; a sweep finds what is left.',
    'None, unless peers are away for long.',
  ),
  counter(
    'remote_eph_pages_succ_get',
    'pages',
    'Gets of ephemeral pages that a peer had.',
    'None: each saved a read of the source.',
  ),
  counter(
    'remote_eph_pages_unsucc_get',
    'pages',
    'Gets of ephemeral pages that a peer had not any more.',
    'High beside the successful ones: peers evict them; set ephemeral to false.',
  ),
  counter(
    'remote_pers_pages_succ_get',
    'pages',
    'Gets of persistent pages that a peer had.',
    'High beside pers_pages_remoted: what is sent is still used; raise the memory here.',
  ),
  counter(
    'remote_pers_pages_unsucc_get',
    'pages',
    'Gets of persistent pages that no peer had any more.',
    'Must be 0: see pages_lost.',
  ),
  ...tide('foreign_eph_pages', 'pages', 'Ephemeral pages held here for others.', 'None: this is lent.'),
  ...tide('foreign_pers_pages', 'pages', 'Persistent pages held here for others.', 'None: this is lent.'),
  ...tide(
    'curr_flush_queue',
    'pages',
    'Copies at peers that are waiting to be freed.',
    'Growing: a peer is away; the queue ends with its lease.',
  ),
  counter(
    'replicas_repaired',
    'pages',
    'Copies made anew because a holder lost its memory, is down or leaves.',
    'None: find out why the holder went.',
  ),
  gauge(
    'replicas_short',
    'pages',
    'Persistent pages with fewer copies than they should have, as the last look through all records found.',
    'Above 0 for more than some minutes: there is no room for the copies. Lend more, or add a node.',
  ),
  counter(
    'pages_lost',
    'pages',
    'Persistent pages of which no copy is left.',
    'Must be 0: more memories were lost at a time than there are copies. Raise replicas.',
  ),
  counter(
    'pages_repatriated',
    'pages',
    'Persistent pages that came home because there was room.',
    'None: less is at stake.',
  ),
  counter(
    'orphans_swept',
    'pages',
    'Copies that a peer held and no record named; they were freed.',
    'Some after a crash are normal.',
  ),
] as const satisfies readonly Counter<keyof RamsterStatistics>[];
