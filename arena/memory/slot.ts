// Thread slots: what one thread needs to work in the arena, and the word that says whether it is working.
//
// The state word also names the pool that the operation works on (and S_POOL2 a second one): the frame of a dying
// pool is not given back while any slot names it.
//
// An operation is: enter (busy, then look at the gate), work, leave (idle). A slot that is found dead while busy
// always causes a recovery; one that died idle does not need it. Addresses inside the slot are in layout.ts.
//
// Who is alive is the host's to say. In a store of one process it claims slots by the state word (slotClaim) and says
// which threads have ended (slotsThreadEnded). In a named store a slot belongs to whoever holds its file lock: slotTake
// and slotBury are called with that lock held, so that they never meet each other.

import { commitNothing } from './commit';
import { ABORT_GATE, ABORT_LEADER_DEAD, abortOperation, hostIsDead, hostWait } from './host';
import {
  H_GATE,
  H_LOCK_TIMEOUT_MS,
  H_SLOTS,
  H_SLOT_BYTES,
  H_THREADS,
  SLOT_ABANDONED,
  SLOT_BUSY,
  SLOT_DEAD,
  SLOT_FREE,
  SLOT_IDLE,
  SLOT_RECOVERING,
  S_CELLS,
  S_GENERATION,
  S_HAZARD,
  S_NAMESPACE,
  S_POOL2,
  S_POOL3,
  S_PROCESS,
  S_STATE,
  S_THREAD_ID,
} from './layout';
import { lockIdentity, locksForget, ownerHasEnded, ownerIsGone } from './lock';

/** One sleep at the closed gate. */
const SLEEP_MS: i32 = 1;

/** Address and number of this thread's slot (one wasm instance a thread, so a global is per thread). */
let mySlot: usize = 0;
let myNumber: u32 = 0;

@inline
export function slotAddress(): usize {
  return mySlot;
}

export function slotNumber(): u32 {
  return myNumber;
}

export function slotAt(number: u32): usize {
  return load<u32>(H_SLOTS) + number * load<u32>(H_SLOT_BYTES);
}

/** In a slot without a thread: no thread has this id. */
const NO_THREAD: u32 = 0xffffffff;

/** Claims a free slot for this thread of a store that has only one process: its number, or -1 when all are taken. */
export function slotClaim(threadId: u32, process: u32): i32 {
  const threads = load<u32>(H_THREADS);
  for (let i: u32 = 0; i < threads; i++) {
    const slot = slotAt(i);
    // Busy while it is filled in: the state and the id of its former thread must not be taken for a dead thread's.
    if (atomic.cmpxchg<u32>(slot + S_STATE, SLOT_FREE, SLOT_BUSY) != SLOT_FREE) continue;
    settleIn(i, threadId, process, 0);
    forgetOperation(slot);
    atomic.store<u32>(slot + S_STATE, SLOT_IDLE);
    return <i32>i;
  }
  return -1;
}

/**
 * Makes slot `number` this thread's, which holds its file lock. True when its last owner ended in the middle of
 * something: then recover before anything else.
 */
export function slotTake(number: u32, threadId: u32, process: u32, namespace: u32): bool {
  const slot = slotAt(number);
  const state = atomic.load<u32>(slot + S_STATE) & 0xff;
  const clean = (state == SLOT_FREE || state == SLOT_IDLE) && !leads(number);
  settleIn(number, threadId, process, namespace);
  if (clean) forgetOperation(slot);
  atomic.store<u32>(slot + S_STATE, clean ? SLOT_IDLE : SLOT_ABANDONED);
  return !clean;
}

function settleIn(number: u32, threadId: u32, process: u32, namespace: u32): void {
  const slot = slotAt(number);
  // Locks of its former owner are nobody's from here on.
  atomic.store<u32>(slot + S_GENERATION, load<u32>(slot + S_GENERATION) + 1);
  store<u32>(slot + S_PROCESS, process);
  store<u32>(slot + S_NAMESPACE, namespace);
  atomic.store<u32>(slot + S_THREAD_ID, threadId);
  mySlot = slot;
  myNumber = number;
  lockIdentity(number, load<u32>(slot + S_GENERATION));
}

/** Whether the gate names a slot. */
function leads(number: u32): bool {
  return (atomic.load<u32>(H_GATE) & 0xff) == number + 1;
}

/** Gives this thread's slot back; its counters stay (totals are sums over all shards). */
export function slotRelease(): void {
  atomic.store<u32>(mySlot + S_THREAD_ID, NO_THREAD);
  // What was unwound in the middle, an operation or a recovery, is still to be recovered.
  const clean = (atomic.load<u32>(mySlot + S_STATE) & 0xff) == SLOT_IDLE;
  atomic.store<u32>(mySlot + S_STATE, clean ? SLOT_FREE : SLOT_DEAD);
  mySlot = 0;
}

/**
 * The host saw a thread of the store's only process end: its slots are buried. Returns how many of them now wait for a
 * recovery.
 */
export function slotsThreadEnded(threadId: u32): u32 {
  const threads = load<u32>(H_THREADS);
  let dead: u32 = 0;
  for (let i: u32 = 0; i < threads; i++) {
    // Only one caller may bury a slot: its next owner could be there before a second one.
    if (atomic.cmpxchg<u32>(slotAt(i) + S_THREAD_ID, threadId, NO_THREAD) != threadId) continue;
    if (slotBury(i)) dead++;
  }
  return dead;
}

/**
 * The thread of a slot has ended: the slot becomes free when it was idle, dead (to be recovered) when it was busy, or
 * idle as far as operations go but leading a recovery. Whether it is dead now.
 */
export function slotBury(number: u32): bool {
  const slot = slotAt(number);
  const seen = atomic.load<u32>(slot + S_STATE);
  const state = seen & 0xff;
  if (state == SLOT_FREE) return false;
  const clean = state == SLOT_IDLE && !leads(number);
  // Exchanged, not stored: where nobody holds the slot's lock, somebody may be taking it just now.
  if (atomic.cmpxchg<u32>(slot + S_STATE, seen, clean ? SLOT_FREE : SLOT_DEAD) != seen) return false;
  atomic.store<u32>(slot + S_THREAD_ID, NO_THREAD);
  return !clean;
}

/** This thread left its operation in the middle (an abort unwound it); what it left is for recovery. */
export function slotAbandon(): void {
  locksForget();
  atomic.store<u32>(mySlot + S_STATE, SLOT_ABANDONED);
}

/** Starts an operation; `pool` is a pool id + 1, 0 = none. */
@inline
export function enter(pool: u32): void {
  commitNothing();
  atomic.store<u32>(mySlot + S_STATE, SLOT_BUSY | (pool << 8));
  if (atomic.load<u32>(H_GATE) != 0) waitAtGate(pool);
}

@inline
export function leave(): void {
  atomic.store<u32>(mySlot + S_STATE, SLOT_IDLE);
}

/** Names a second pool (id + 1) that the running operation works on; 0 ends it. */
export function enterSecond(pool: u32): void {
  atomic.store<u32>(mySlot + S_POOL2, pool);
}

/** Names the pool (id + 1) whose left-over pages this thread is freeing; 0 ends it. */
export function enterTeardown(pool: u32): void {
  atomic.store<u32>(mySlot + S_POOL3, pool);
}

/** Whether any thread's operation works on a pool; the caller's teardown of it does not count, its operation does. */
export function poolIsInUse(id: u32): bool {
  const threads = load<u32>(H_THREADS);
  for (let i: u32 = 0; i < threads; i++) {
    const slot = slotAt(i);
    const state = atomic.load<u32>(slot + S_STATE);
    if ((state & 0xff) == SLOT_BUSY && state >>> 8 == id + 1) return true;
    if (atomic.load<u32>(slot + S_POOL2) == id + 1) return true;
    if (slot != mySlot && atomic.load<u32>(slot + S_POOL3) == id + 1) return true;
  }
  return false;
}

/** A recovery is running: idle until the gate opens, for at most the lock timeout. */
function waitAtGate(pool: u32): void {
  const sleepsMax = load<u32>(H_LOCK_TIMEOUT_MS);
  for (let sleeps: u32 = 0; sleeps <= sleepsMax; ) {
    atomic.store<u32>(mySlot + S_STATE, SLOT_IDLE);
    const gate = atomic.load<u32>(H_GATE);
    if (gate != 0 && (ownerIsGone(gate) || (sleeps > 0 && ownerHasEnded(gate)))) {
      abortOperation(ABORT_LEADER_DEAD, 0);
    }
    if (gate != 0 && hostWait(H_GATE, gate, SLEEP_MS)) sleeps++;
    atomic.store<u32>(mySlot + S_STATE, SLOT_BUSY | (pool << 8));
    if (atomic.load<u32>(H_GATE) == 0) return;
  }
  atomic.store<u32>(mySlot + S_STATE, SLOT_IDLE);
  abortOperation(ABORT_GATE, 0);
}

/** Recovery: this thread leads; what it was before, for slotFollow. */
export function slotLead(): u32 {
  return atomic.xchg<u32>(mySlot + S_STATE, SLOT_RECOVERING);
}

/** Recovery: this thread leads no more. */
export function slotFollow(state: u32): void {
  atomic.store<u32>(mySlot + S_STATE, state);
}

/** Recovery: whether a slot's thread is inside an operation. */
export function slotIsBusy(number: u32): bool {
  return (atomic.load<u32>(slotAt(number) + S_STATE) & 0xff) == SLOT_BUSY;
}

/** Recovery: finds out whether a busy slot's thread has ended; then it is not busy any more. */
export function slotProbe(number: u32): void {
  if (number != myNumber) hostIsDead(number);
}

/** Recovery: whether a slot waits for one. */
export function slotNeedsRecovery(number: u32): bool {
  const state = atomic.load<u32>(slotAt(number) + S_STATE) & 0xff;
  return state == SLOT_DEAD || state == SLOT_ABANDONED;
}

/** Recovery: forgets what a slot held; a dead one becomes free, one whose thread lives idle. */
export function slotSettle(number: u32): void {
  const slot = slotAt(number);
  forgetOperation(slot);
  // Exchanged, not stored: somebody may be taking the slot just now.
  atomic.cmpxchg<u32>(slot + S_STATE, SLOT_DEAD, SLOT_FREE);
  atomic.cmpxchg<u32>(slot + S_STATE, SLOT_ABANDONED, SLOT_IDLE);
}

/** What an operation that ended in the middle left in its slot means nothing any more. */
function forgetOperation(slot: usize): void {
  atomic.store<u32>(slot + S_HAZARD, 0);
  atomic.store<u32>(slot + S_POOL2, 0);
  atomic.store<u32>(slot + S_POOL3, 0);
  store<u32>(slot + S_CELLS, 0);
}
