// The arena's exports: what the host (src/arena) may call. Oids come as six 32-bit words, low word first of each
// of the three 64-bit words; addresses are those inside the memory. Every operation is enter ... leave: if it is
// unwound by an abort in between, the host abandons the slot and recovers.

import { N_FLOBJ_FOUND, N_FLOBJ_TOTAL, N_FLUSH_FOUND, N_FLUSH_TOTAL, count, poolPages } from './memory/counters';
import { PAGE_SIZE, P_CODEC, P_LIMIT_PAGES, S_ARGUMENTS, S_IN, S_OUT, S_STAGING, S_WALK } from './memory/layout';
import { enter, leave, slotAbandon, slotAddress } from './memory/slot';
import { begin, handlePool, handlePoolId, locate } from './tmem/handle';
import { demoteOverLimit } from './tmem/demote';
import { findRange, get } from './tmem/get';
import { MISS, NOT_THERE, REFUSED_POOL_GONE } from './tmem/outcome';
import { exchange, exchangedOutcome, readAt, writeAt } from './tmem/partial';
import { E_NO_MEMORY, clientForget, clientOpen, isMember, poolAddress, poolNamed, poolOpen, setMember } from './tmem/pool';
import { put } from './tmem/put';
import { enforceCap, reclaimForTake, shrink } from './tmem/reclaim';
import { recover, recoveryIsNeeded } from './tmem/recovery';
import { removeHandle } from './tmem/remove';
import { nodesChanged } from './tmem/reserve';
import { clientRow, poolRow } from './tmem/statistics';
import { destroyPool, drain, flushObject, flushPool } from './tmem/teardown';
import { walkNext } from './tmem/walk';

export {
  CLIENT_COUNTER_WORDS,
  C_CAP_FRAMES,
  C_FROZEN,
  C_NAME,
  C_NAME_LENGTH,
  C_WEIGHT,
  HISTOGRAM_BINS,
  H_ADDRESS_MAX,
  H_ALLOCATIONS,
  H_CLIENTS_MAX,
  H_CLIENT_TABLE,
  H_DEBUG_MAX_SLOTS_LOCKED,
  H_DOOMED_POOLS,
  H_FAIL_COUNTDOWN,
  H_FIRST_FRAME,
  H_FRAMES,
  H_FREE_FRAMES,
  H_FREE_FRAMES_MIN,
  H_FROZEN,
  H_LOCK_TIMEOUTS,
  H_LOCK_TIMEOUT_MS,
  H_LOCK_WAITS,
  H_MAGIC,
  H_PERSISTENT_LIMIT_PAGES,
  H_POOLS_MAX,
  H_POOL_TABLE,
  H_RECOVERIES,
  H_RETIRED_STORE,
  H_SHRINKS,
  H_SLOTS,
  H_SLOT_BYTES,
  H_STAGING_PAGES,
  H_STORE_INCOMPRESSIBLE,
  H_THREADS,
  H_UNBUDDIED_FIRST,
  H_VERIFY,
  H_VERSION,
  H_ZV_MAX_MEAN_BYTES,
  H_ZV_MAX_PAGE_BYTES,
  LAYOUT_MAGIC,
  LAYOUT_VERSION,
  POOL_COUNTER_WORDS,
  P_CLIENT,
  P_CODEC,
  P_FLAGS,
  P_LIMIT_PAGES,
  P_NAME,
  P_NAME_LENGTH,
  P_PAM,
  P_STATE,
  P_UUID,
  S_STATE,
} from './memory/layout';
export { format } from './memory/format';
export { slotClaim, slotRelease, slotsThreadEnded } from './memory/slot';
export { recoveryIsNeeded };
export { clientAddress } from './memory/frame';
export { poolAddress, poolNamed };

@inline
function word(low: u32, high: u32): u64 {
  return (<u64>high << 32) | low;
}

@inline
function at(pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32): bool {
  if (!begin(pool)) return false;
  locate(word(a, b), word(c, d), word(e, f));
  return true;
}

/** Frames reclaimed for a client or pool and lost again to other threads before it is not opened. */
const OPEN_TRIES_MAX: i32 = 100;

/** This thread's operation was unwound by an abort: what it left is for recovery. */
export function abandonOperation(): void {
  slotAbandon();
  nodesChanged();
}

// ---- addresses in this thread's slot ------------------------------------------------------------------------

export function inAddress(): usize {
  return slotAddress() + S_IN;
}

export function outAddress(): usize {
  return slotAddress() + S_OUT;
}

export function argumentsAddress(): usize {
  return slotAddress() + S_ARGUMENTS;
}

export function walkAddress(): usize {
  return slotAddress() + S_WALK;
}

export function stagingAddress(): usize {
  return slotAddress() + S_STAGING;
}

// ---- pages ----------------------------------------------------------------------------------------------------

/** Stores a page of `length` bytes; an outcome (tmem/outcome.ts). */
export function pagePut(
  pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, index: u32, source: usize, length: u32,
): i32 {
  if (!at(pool, a, b, c, d, e, f)) return REFUSED_POOL_GONE;
  const outcome = put(index, source, length);
  if (load<u32>(handlePool() + P_LIMIT_PAGES) != 0) demoteOverLimit();
  leave();
  return outcome;
}

/** Copies a page out; `mode` 0 by the pool, 1 keep, 2 free. Its length, or an outcome. */
export function pageGet(
  pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, index: u32, target: usize, capacity: u32, mode: u32,
): i32 {
  if (!at(pool, a, b, c, d, e, f)) return MISS;
  const length = get(index, target, capacity, mode);
  leave();
  return length;
}

export function pageFlush(pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, index: u32): i32 {
  if (!at(pool, a, b, c, d, e, f)) return 0;
  const found = removeHandle(index);
  count(handlePool(), N_FLUSH_TOTAL, 1);
  if (found) count(handlePool(), N_FLUSH_FOUND, 1);
  leave();
  return found ? 1 : 0;
}

export function pageReadAt(
  pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, index: u32, offset: u32, target: usize, length: u32,
): i32 {
  if (!at(pool, a, b, c, d, e, f)) return NOT_THERE;
  const bytes = readAt(index, offset, target, length);
  leave();
  return bytes;
}

export function pageWriteAt(
  pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, index: u32, offset: u32, source: usize, length: u32,
): i32 {
  if (!at(pool, a, b, c, d, e, f)) return REFUSED_POOL_GONE;
  const outcome = writeAt(index, offset, source, length);
  leave();
  return outcome;
}

/** The old page's length (it is in the slot's out area); the new page's outcome is pageExchanged(). */
export function pageExchange(
  pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, index: u32, source: usize, length: u32,
): i32 {
  if (!at(pool, a, b, c, d, e, f)) return REFUSED_POOL_GONE;
  const old = exchange(index, source, length);
  leave();
  return old;
}

export function pageExchanged(): i32 {
  return exchangedOutcome();
}

/**
 * Stores `pages` whole pages under consecutive indexes, from consecutive addresses. Outcomes go to the argument
 * area, one i32 each (at most 64); returns how many were stored.
 */
export function rangePut(
  pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, index: u32, source: usize, pages: u32,
): i32 {
  let stored = 0;
  for (let i: u32 = 0; i < pages; i++) {
    const outcome = pagePut(pool, a, b, c, d, e, f, index + i, source + i * PAGE_SIZE, PAGE_SIZE);
    store<i32>(argumentsAddress() + (i << 2), outcome);
    if (outcome > 0) stored++;
  }
  return stored;
}

/** Copies consecutive pages out, each to `target` + 4096 * i; lengths to the argument area; how many were found. */
export function rangeGet(
  pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, index: u32, target: usize, pages: u32, mode: u32,
): i32 {
  let found = 0;
  for (let i: u32 = 0; i < pages; i++) {
    const length = pageGet(pool, a, b, c, d, e, f, index + i, target + i * PAGE_SIZE, PAGE_SIZE, mode);
    store<i32>(argumentsAddress() + (i << 2), length);
    if (length > 0) found++;
  }
  return found;
}

/** Which of up to 64 consecutive pages are there: see findRange. Results in the argument area. */
export function rangeFind(pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, index: u32, pages: u32): i32 {
  memory.fill(argumentsAddress(), 0, pages << 2);
  if (!at(pool, a, b, c, d, e, f)) return 0;
  const found = findRange(index, pages, argumentsAddress());
  leave();
  return <i32>found;
}

// ---- objects and pools ----------------------------------------------------------------------------------------

export function objectFlush(pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32): u32 {
  if (!at(pool, a, b, c, d, e, f)) return 0;
  const pages = flushObject();
  count(handlePool(), N_FLOBJ_TOTAL, 1);
  if (pages > 0) count(handlePool(), N_FLOBJ_FOUND, 1);
  leave();
  return pages;
}

export function openClient(nameLength: u32, weight: u32, capFrames: u32): i32 {
  enter(0);
  let id = clientOpen(argumentsAddress(), nameLength, weight, capFrames);
  for (let i = 0; i < OPEN_TRIES_MAX && id == E_NO_MEMORY && reclaimForTake(0, true); i++) {
    id = clientOpen(argumentsAddress(), nameLength, weight, capFrames);
  }
  leave();
  return id;
}

export function forgetClient(client: u32): i32 {
  enter(0);
  const done = clientForget(client);
  leave();
  return done ? 1 : 0;
}

/** The name is at the start of the argument area, the UUID of a shared pool (`byUuid`) at offset 64. */
export function openPool(
  client: u32, nameLength: u32, flags: u32, codec: u32, pam: u32, byUuid: u32, limitPages: u32, demoteTo: u32,
): i32 {
  enter(0);
  const uuid = byUuid != 0 ? argumentsAddress() + 64 : 0;
  let id = poolOpen(client, argumentsAddress(), nameLength, flags, codec, pam, uuid, limitPages, demoteTo);
  for (let i = 0; i < OPEN_TRIES_MAX && id == E_NO_MEMORY && reclaimForTake(client, true); i++) {
    id = poolOpen(client, argumentsAddress(), nameLength, flags, codec, pam, uuid, limitPages, demoteTo);
  }
  leave();
  return id;
}

/** Pages flushed, -1 when the pool is gone. */
export function emptyPool(pool: u32): i32 {
  if (!begin(pool)) return -1;
  const pages = flushPool(handlePool(), handlePoolId());
  leave();
  return <i32>pages;
}

export function removePool(pool: u32): i32 {
  if (!begin(pool)) return -1;
  destroyPool(handlePool(), handlePoolId());
  leave();
  return 0;
}

export function grant(pool: u32, client: u32, granted: u32): i32 {
  if (!begin(pool)) return -1;
  setMember(handlePool(), client, granted != 0);
  leave();
  return 0;
}

export function isGranted(pool: u32, client: u32): i32 {
  if (!begin(pool)) return -1;
  const member = isMember(handlePool(), client);
  leave();
  return member ? 1 : 0;
}

/** Next batch of a walk: see tmem/walk.ts. 1 = there is one, 0 = the end, -1 = the pool is gone. */
export function poolWalk(pool: u32): i32 {
  if (!begin(pool)) return -1;
  const more = walkNext(handlePool(), handlePoolId());
  leave();
  return more ? 1 : 0;
}

// ---- the whole arena --------------------------------------------------------------------------------------------

export function shrinkBy(frames: u32): u32 {
  enter(0);
  const freed = shrink(frames);
  leave();
  return freed;
}

/** Evicts what a client holds above its cap, as far as it is ephemeral. */
export function trimClient(client: u32): void {
  enter(0);
  enforceCap(client);
  leave();
}

export function drainSteps(steps: i32): i32 {
  enter(0);
  const taken = drain(steps);
  leave();
  return taken;
}

export function recoverNow(always: u32): i32 {
  return recover(always != 0) ? 1 : 0;
}

/** Address of a row of statistics, 0 when the pool is gone. */
export function poolStatistics(pool: u32): usize {
  if (!begin(pool)) return 0;
  const row = poolRow(handlePool());
  leave();
  return row;
}

export function clientStatistics(client: u32): usize {
  enter(0);
  const row = clientRow(client);
  leave();
  return row;
}

/** Codec of pages put from now on; pages that are there keep theirs. */
export function setCodec(pool: u32, codec: u32): i32 {
  if (!begin(pool)) return -1;
  store<u32>(handlePool() + P_CODEC, codec);
  leave();
  return 0;
}

export function pagesOf(pool: u32): u32 {
  if (!begin(pool)) return 0;
  const pages = poolPages(handlePool());
  leave();
  return pages;
}
