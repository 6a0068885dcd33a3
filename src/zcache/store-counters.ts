/**
 * The counters that belong to the store and to no client, in arena order (at most 16 cells of u64 an arena).
 *
 *   frames_total = frames_fixed + frames_free + the curr_frames of all clients
 */

import { counter, gauge } from './counters.ts';

export const STORE_COUNTERS = [
  gauge('frames_total', 'frames', 'Frames of 4096 bytes the budget allows.', 'This is the setting memory.'),
  gauge(
    'frames_fixed',
    'frames',
    'Frames of the fixed part: tables, locks, staging.',
    'Lower threads or pools.',
  ),
  gauge(
    'frames_free',
    'frames',
    'Frames no one holds.',
    'Near 0 is normal for a cache: it uses what it may.',
  ),
  gauge(
    'frames_unbacked',
    'frames',
    'Of the free frames those that the system has not given memory for, or has it back.',
    'None; the memory in use is frames_total less these.',
  ),
  counter(
    'frames_given_back',
    'frames',
    'Frames returned to the operating system.',
    'None: the shrinker works.',
  ),
  counter('shrink_calls', 'calls', 'Calls of shrink.', 'None: pressure or the user asked for it.'),
  gauge('threads_attached', 'threads', 'Threads attached to the store.', 'At the setting threads: raise it.'),
  counter(
    'threads_recovered',
    'threads',
    'Thread slots cleaned up after their thread ended in the middle.',
    'None if workers are terminated on purpose; otherwise find out who kills them.',
  ),
  counter(
    'lock_waits',
    'calls',
    'Locks that were not free at the first try.',
    'High: many threads, few objects.',
  ),
  counter(
    'lock_timeouts',
    'calls',
    'Operations that gave up with TMEM_ERR_BUSY after lockTimeoutMs.',
    'Must be 0: a thread is stopped (debugger, SIGSTOP) while it holds a lock.',
  ),
  gauge(
    'locked_slots_max',
    'nodes',
    'Most index slots visited under one lock (debug build only).',
    'Must not exceed 64; otherwise report it.',
  ),
] as const;
