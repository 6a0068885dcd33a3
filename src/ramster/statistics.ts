/**
 * Counters of a node, with the names of the original. What is held now is counted, too; `max` is the most ever.
 */

export interface RamsterStatistics {
  /** Persistent pages of this node that are away. */
  remote_pers_pages: number;
  eph_pages_remoted: number;
  eph_pages_remote_failed: number;
  pers_pages_remoted: number;
  pers_pages_remote_failed: number;
  /** Among the failed: no peer had room. */
  pers_pages_remote_nomem: number;
  remote_pages_flushed: number;
  remote_page_flushes_failed: number;
  remote_objects_flushed: number;
  remote_object_flushes_failed: number;
  remote_eph_pages_succ_get: number;
  remote_eph_pages_unsucc_get: number;
  remote_pers_pages_succ_get: number;
  remote_pers_pages_unsucc_get: number;
  foreign_eph_pages: number;
  foreign_eph_pages_max: number;
  foreign_pers_pages: number;
  foreign_pers_pages_max: number;
  curr_flush_queue: number;
  curr_flush_queue_max: number;
  /** Copies made anew because a holder lost its memory or leaves. */
  replicas_repaired: number;
  /** Persistent pages that have fewer copies than they should, as the last look through all records found. */
  replicas_short: number;
  /** Persistent pages of which no peer has a copy any more. */
  pages_lost: number;
  /** Persistent pages that came home because there was room. */
  pages_repatriated: number;
  /** Copies that a peer held and no record named. */
  orphans_swept: number;
}

export function newStatistics(): RamsterStatistics {
  return {
    remote_pers_pages: 0,
    eph_pages_remoted: 0,
    eph_pages_remote_failed: 0,
    pers_pages_remoted: 0,
    pers_pages_remote_failed: 0,
    pers_pages_remote_nomem: 0,
    remote_pages_flushed: 0,
    remote_page_flushes_failed: 0,
    remote_objects_flushed: 0,
    remote_object_flushes_failed: 0,
    remote_eph_pages_succ_get: 0,
    remote_eph_pages_unsucc_get: 0,
    remote_pers_pages_succ_get: 0,
    remote_pers_pages_unsucc_get: 0,
    foreign_eph_pages: 0,
    foreign_eph_pages_max: 0,
    foreign_pers_pages: 0,
    foreign_pers_pages_max: 0,
    curr_flush_queue: 0,
    curr_flush_queue_max: 0,
    replicas_repaired: 0,
    replicas_short: 0,
    pages_lost: 0,
    pages_repatriated: 0,
    orphans_swept: 0,
  };
}
