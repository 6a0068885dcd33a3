// The arena's exports: what the host (src/arena) may call. Oids come as six 32-bit words, low word first of each of the
// three 64-bit words; pools and clients by their names in the arena (tmem/pool.ts); addresses are those inside the
// memory. Every operation is enter ... leave: if it is unwound by an abort in between, the host abandons the slot and
// recovers.

import { N_FLOBJ_FOUND, N_FLOBJ_TOTAL, N_FLUSH_FOUND, N_FLUSH_TOTAL, count, poolPages } from './memory/counters';
import {
  ADMIN_LOCK,
  PAGE_SIZE,
  P_CODEC,
  P_LIMIT_PAGES,
  S_ARGUMENTS,
  S_IN,
  S_OUT,
  S_STAGING,
  S_WALK,
} from './memory/layout';
import { enter, leave, slotAbandon, slotAddress } from './memory/slot';
import { clientAddress } from './memory/frame';
import { lock, unlock } from './memory/lock';
import { begin, handlePool, handlePoolId, locate } from './tmem/handle';
import { demoteOverLimit } from './tmem/demote';
import { findRange, get } from './tmem/get';
import { MISS, NOT_THERE, REFUSED_POOL_GONE, STORED } from './tmem/outcome';
import { exchange, exchangedOutcome, readAt, writeAt } from './tmem/partial';
import {
  E_GONE,
  E_NO_MEMORY,
  clientForget,
  clientIdOf,
  clientOpen,
  isMember,
  poolAddress,
  poolIdOf,
  poolOpen,
  setMember,
} from './tmem/pool';
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
export { committedResult, isCommitted } from './memory/commit';
export { recoveryIsNeeded };

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
  if (outcome == STORED && load<u32>(handlePool() + P_LIMIT_PAGES) != 0) demoteOverLimit();
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
  const found = removeHandle(index, 1);
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
  if (load<u32>(handlePool() + P_LIMIT_PAGES) != 0) demoteOverLimit();
  leave();
  return old;
}

export function pageExchanged(): i32 {
  return exchangedOutcome();
}

let rangeAt: u32 = 0;

/** Pages of the running or last range that are done; the next one may be, too (isCommitted). */
export function rangeDone(): u32 {
  return rangeAt;
}

/**
 * Stores pages `from` to `pages` - 1 of a range of whole pages: consecutive indexes, consecutive addresses. Outcomes go
 * to the argument area, one i32 each (at most 64). `from` is above 0 when a range goes on after a recovery.
 */
export function rangePut(
  pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, index: u32, source: usize, pages: u32, from: u32,
): void {
  for (rangeAt = from; rangeAt < pages; rangeAt++) {
    const outcome = pagePut(pool, a, b, c, d, e, f, index + rangeAt, source + rangeAt * PAGE_SIZE, PAGE_SIZE);
    store<i32>(argumentsAddress() + (rangeAt << 2), outcome);
  }
}

/** Copies consecutive pages out, page i to `target` + 4096 * i; lengths to the argument area; otherwise as rangePut. */
export function rangeGet(
  pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, index: u32,
  target: usize, pages: u32, from: u32, mode: u32,
): void {
  for (rangeAt = from; rangeAt < pages; rangeAt++) {
    const place = target + rangeAt * PAGE_SIZE;
    const length = pageGet(pool, a, b, c, d, e, f, index + rangeAt, place, PAGE_SIZE, mode);
    store<i32>(argumentsAddress() + (rangeAt << 2), length);
  }
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

/** 1 = forgotten (or was so already), 0 = pools or frames are left. */
export function forgetClient(client: u32): i32 {
  enter(0);
  const id = clientIdOf(client);
  const done = id == 0 || clientForget(id);
  leave();
  return done ? 1 : 0;
}

/** The name is at the start of the argument area, the UUID of a shared pool (`byUuid`) at offset 64. */
export function openPool(
  client: u32, nameLength: u32, flags: u32, codec: u32, pam: u32, byUuid: u32, limitPages: u32, demoteTo: u32,
): i32 {
  enter(0);
  const owner = clientIdOf(client);
  const name = argumentsAddress();
  const uuid = byUuid != 0 ? name + 64 : 0;
  let id = owner == 0 ? E_GONE : poolOpen(owner, name, nameLength, flags, codec, pam, uuid, limitPages, demoteTo);
  for (let i = 0; i < OPEN_TRIES_MAX && id == E_NO_MEMORY && reclaimForTake(owner, true); i++) {
    id = poolOpen(owner, name, nameLength, flags, codec, pam, uuid, limitPages, demoteTo);
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
  if (clientIdOf(client) != 0) setMember(handlePool(), clientIdOf(client), granted != 0);
  leave();
  return 0;
}

export function isGranted(pool: u32, client: u32): i32 {
  if (!begin(pool)) return -1;
  const member = clientIdOf(client) != 0 && isMember(handlePool(), clientIdOf(client));
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

/** Address of a pool's frame, 0 when it is gone. */
export function poolFrame(pool: u32): usize {
  return poolAddress(poolIdOf(pool));
}

/** Address of a client's frame, 0 when it is gone. */
export function clientFrame(client: u32): usize {
  const id = clientIdOf(client);
  return id == 0 ? <usize>0 : clientAddress(id);
}

// ---- the whole arena --------------------------------------------------------------------------------------------

export function shrinkBy(frames: u32): u32 {
  enter(0);
  const freed = shrink(frames);
  leave();
  return freed;
}

/** Evicts what a client holds above its cap, as far as it is ephemeral. */
export function trimClient(client: u32): i32 {
  enter(0);
  if (clientIdOf(client) != 0) enforceCap(clientIdOf(client));
  leave();
  return 0;
}

export function drainSteps(steps: i32): i32 {
  enter(0);
  const taken = drain(steps);
  leave();
  return taken;
}

/** Recovers if needed (or always), waiting at most `waitMs` for others: 1 = done, 0 = another thread did it. */
export function recoverNow(always: u32, waitMs: u32): i32 {
  return recover(always != 0, waitMs) ? 1 : 0;
}

/** Address of a row of statistics, 0 when the pool is gone. */
export function poolStatistics(pool: u32): usize {
  if (!begin(pool)) return 0;
  const row = poolRow(handlePool());
  leave();
  return row;
}

/** Address of a client's row and histograms, 0 when it is gone. */
export function clientStatistics(client: u32): usize {
  enter(0);
  lock(ADMIN_LOCK); // the client stays while its lists are read
  const id = clientIdOf(client);
  const row = id == 0 ? <usize>0 : clientRow(id);
  unlock(ADMIN_LOCK);
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
