// Locks: words of a fixed table that name their owner, so that the others can find out that it is gone.
//
//   0 = free | bits 0-7 slot + 1 | bits 8-30 generation of the slot | bit 31 somebody waits
//
// Order: RECLAIM_LOCK before ADMIN_LOCK and stripes, ADMIN_LOCK before a client's locks, all before BACKING_LOCK, that
// before FRAME_LOCK; beyond that no lock is taken while another is held. Only who moves a page between pools takes two
// stripes, the lower address first. So nothing can deadlock. What must not happen under a lock: compression,
// decompression, more than 64 slots.

import { ABORT_BUSY, ABORT_OWNER_DEAD, abortOperation, hostIsDead, hostWait, hostWake, must } from './host';
import {
  BACKING_LOCK,
  CLIENT_LOCKS,
  CLIENT_LOCK_KINDS,
  CLIENT_LOCK_SETS,
  FRAME_LOCK,
  H_DEBUG_MAX_SLOTS_LOCKED,
  H_LOCK_TIMEOUTS,
  H_LOCK_TIMEOUT_MS,
  H_LOCK_WAITS,
  H_SLOTS,
  H_SLOT_BYTES,
  LOCKS,
  LOCK_BYTES,
  SLOT_ABANDONED,
  SLOT_DEAD,
  SLOT_RECOVERING,
  S_GENERATION,
  S_STATE,
  STRIPES,
} from './layout';

const WAITERS: u32 = 0x80000000;
const GENERATION_MASK: u32 = 0x7fffff;
/** Looks at a busy lock before sleeping: a critical section takes 20 to 100 ns, a look about 1 ns. */
const SPINS: i32 = 400;
/** One sleep; after each the owner's life is checked. */
const SLEEP_MS: i32 = 1;

/** This thread's lock word. */
let owner: u32 = 0;
/** Debug: locks held now, and index slots visited since the last one was taken. */
let held: i32 = 0;
let visited: i32 = 0;

export function lockIdentity(slot: u32, generation: u32): void {
  owner = (slot + 1) | ((generation & GENERATION_MASK) << 8);
  held = 0;
}

/** What a lock says while this thread holds it. */
export function lockOwner(): u32 {
  return owner;
}

/** Whether the slot that a lock word (or the gate) names has another owner by now, or none. */
export function ownerIsGone(word: u32): bool {
  const state = atomic.load<u32>(ownerSlot(word) + S_STATE) & 0xff;
  if (state == SLOT_DEAD) return true;
  const generation = atomic.load<u32>(ownerSlot(word) + S_GENERATION) & GENERATION_MASK;
  return generation != (word & ~WAITERS) >>> 8;
}

@inline
function ownerNumber(word: u32): u32 {
  return (word & 0xff) - 1;
}

@inline
function ownerSlot(word: u32): usize {
  return load<u32>(H_SLOTS) + ownerNumber(word) * load<u32>(H_SLOT_BYTES);
}

/** As ownerIsGone, and asks the host; for those who have slept. */
export function ownerHasEnded(word: u32): bool {
  return ownerIsGone(word) || (ownerNumber(word) != ownerNumber(owner) && hostIsDead(ownerNumber(word)));
}

/** This thread left its operation in the middle: recovery breaks the locks it held. */
export function locksForget(): void {
  held = 0;
}

export function lock(address: usize): void {
  if (atomic.cmpxchg<u32>(address, 0, owner) != 0) lockSlow(address);
  if (DEBUG) {
    held++;
    if (address != FRAME_LOCK && address != BACKING_LOCK) visited = 0;
  }
}

/** Locks two stripes that may be one (`second` 0: only the first), the lower address first. */
export function lockTwo(first: usize, second: usize): void {
  if (second == 0 || second == first) {
    lock(first);
    return;
  }
  lock(min(first, second));
  lock(max(first, second));
}

export function unlockTwo(first: usize, second: usize): void {
  if (second != 0 && second != first) unlock(second);
  unlock(first);
}

export function unlock(address: usize): void {
  if (DEBUG) {
    must((atomic.load<u32>(address) & ~WAITERS) == owner, 101);
    held--;
  }
  if ((atomic.xchg<u32>(address, 0) & WAITERS) != 0) hostWake(address, 1);
}

/** Waits in slices of a millisecond; gives up when the owner is dead or the bound is reached. */
function lockSlow(address: usize): void {
  for (let i = 0; i < SPINS; i++) {
    if (atomic.load<u32>(address) == 0 && atomic.cmpxchg<u32>(address, 0, owner) == 0) return;
  }
  atomic.add<u32>(H_LOCK_WAITS, 1);
  const sleepsMax = load<u32>(H_LOCK_TIMEOUT_MS);
  // Only sleeps that ran their time count: who is woken and finds the lock taken again has waited for less.
  for (let sleeps: u32 = 0; sleeps <= sleepsMax; ) {
    const seen = atomic.load<u32>(address);
    if (seen == 0) {
      // Others may sleep on it too: keep the mark, so that our unlock wakes the next one.
      if (atomic.cmpxchg<u32>(address, 0, owner | WAITERS) == 0) return;
      continue;
    }
    if (ownerLeftIt(seen) || (sleeps > 0 && ownerHasEnded(seen))) {
      // Unless the lock was let go of just then: who holds it now is another question.
      if (atomic.load<u32>(address) == seen) abortOperation(ABORT_OWNER_DEAD, <i32>address);
      continue;
    }
    if ((seen & WAITERS) == 0 && atomic.cmpxchg<u32>(address, seen, seen | WAITERS) != seen) continue;
    if (hostWait(address, seen | WAITERS, SLEEP_MS)) sleeps++;
  }
  atomic.add<u32>(H_LOCK_TIMEOUTS, 1);
  abortOperation(ABORT_BUSY, <i32>address);
}

/** Whether the owner of a lock will not let go of it: it has ended, or abandoned what it was doing. */
function ownerLeftIt(word: u32): bool {
  const state = atomic.load<u32>(ownerSlot(word) + S_STATE) & 0xff;
  // Who leads a recovery holds no lock but what it abandoned before.
  return state == SLOT_ABANDONED || state == SLOT_RECOVERING || ownerIsGone(word);
}

/** Debug: counts index slots looked at or changed under the running lock hold (at most 64 are allowed). */
@inline
export function visitSlots(count: i32): void {
  if (DEBUG) {
    if (held > 0) {
      visited += count;
      if (<u32>visited > load<u32>(H_DEBUG_MAX_SLOTS_LOCKED)) store<u32>(H_DEBUG_MAX_SLOTS_LOCKED, visited);
      must(visited <= 64, 102);
    }
  }
}

/** Debug: nothing slow may run under a lock. */
@inline
export function mustHoldNoLock(): void {
  if (DEBUG) must(held == 0, 103);
}

@inline
export function stripeLock(pool: u32, root: u32): usize {
  return LOCKS + ((pool * 64 + root) & (STRIPES - 1)) * LOCK_BYTES;
}

function clientLock(client: u32, kind: u32): usize {
  return CLIENT_LOCKS + ((client & (CLIENT_LOCK_SETS - 1)) * CLIENT_LOCK_KINDS + kind) * LOCK_BYTES;
}

export function slabLock(client: u32): usize {
  return clientLock(client, 0);
}

export function zbudLock(client: u32): usize {
  return clientLock(client, 1);
}

export function zvLock(client: u32): usize {
  return clientLock(client, 2);
}

export function rawLock(client: u32): usize {
  return clientLock(client, 3);
}
