// The gate: closed while one thread recovers, or looks at the arena as a whole. Its word names who closed it, as a lock
// does; operations that start meanwhile wait (slot.ts), those that run end, and then only that thread changes anything.

import { ABORT_GATE, abortOperation, hostWait, hostWake } from './host';
import { H_GATE, H_THREADS } from './layout';
import { lockOwner, ownerHasEnded, ownerIsGone } from './lock';
import { slotFollow, slotIsBusy, slotLead, slotNeedsRecovery, slotNumber, slotProbe } from './slot';

const SLEEP_MS: i32 = 1;
/** For hostWake. */
const ALL_THREADS: i32 = 0x7fffffff;

/** Whether any slot waits for a recovery. */
export function recoveryIsNeeded(): bool {
  const threads = load<u32>(H_THREADS);
  for (let i: u32 = 0; i < threads; i++) if (slotNeedsRecovery(i)) return true;
  return false;
}

/** What the gate said before this thread closed it: 0, or a leader that died and left a recovery half done. */
let previous: u32 = 0;
/** This thread's slot before a pause. */
let pausedState: u32 = 0;

/** All is well again. */
export function openGate(): void {
  atomic.cmpxchg<u32>(H_GATE, lockOwner(), 0);
  hostWake(H_GATE, ALL_THREADS);
}

/** This thread did nothing: what was half done stays so, and the gate closed until somebody recovers. */
export function leaveGate(): void {
  atomic.cmpxchg<u32>(H_GATE, lockOwner(), previous);
  hostWake(H_GATE, ALL_THREADS);
}

/** Makes this thread the one that recovers; false when another one did so while we waited. */
export function closeGate(waitMs: u32): bool {
  for (let sleeps: u32 = 0; sleeps <= waitMs; ) {
    if (takeGate(sleeps > 0)) return true;
    const leader = atomic.load<u32>(H_GATE);
    if (leader != 0 && hostWait(H_GATE, leader, SLEEP_MS)) sleeps++;
    if (atomic.load<u32>(H_GATE) == 0 && !recoveryIsNeeded()) return false;
  }
  abortOperation(ABORT_GATE, 0);
  return false;
}

/** Takes the gate if it is open, or its leader ended in the middle (`ask`: also if only the host knows). */
function takeGate(ask: bool): bool {
  const me = lockOwner();
  const leader = atomic.load<u32>(H_GATE);
  if (leader == me) return true;
  const isFree = leader == 0 || ownerIsGone(leader) || (ask && ownerHasEnded(leader));
  if (!isFree || atomic.cmpxchg<u32>(H_GATE, leader, me) != leader) return false;
  previous = leader;
  return true;
}

/**
 * Operations that run now end, or run into a lock of the dead and are abandoned by their threads. False when some
 * did neither in time.
 */
export function waitForOthers(waitMs: u32): bool {
  const me = slotNumber();
  const threads = load<u32>(H_THREADS);
  let sleeps: u32 = 0;
  for (let i: u32 = 0; i < threads; ) {
    if (i == me || !slotIsBusy(i)) {
      i++;
      continue;
    }
    if (sleeps > waitMs) return false;
    // Nobody wakes this word: a timed sleep.
    hostWait(H_GATE, lockOwner(), SLEEP_MS);
    sleeps++;
    slotProbe(i);
  }
  return true;
}

/**
 * Closes the gate and waits until nothing runs, as for a recovery, but changes nothing: for looking at the arena as a
 * whole. Others wait until pauseEnd.
 */
export function pauseBegin(waitMs: u32): void {
  for (let sleeps: u32 = 0; !takeGate(sleeps > 0); ) {
    if (sleeps > waitMs) abortOperation(ABORT_GATE, 0);
    const leader = atomic.load<u32>(H_GATE);
    if (leader != 0 && hostWait(H_GATE, leader, SLEEP_MS)) sleeps++;
  }
  pausedState = slotLead();
  if (waitForOthers(waitMs)) return;
  pauseEnd();
  abortOperation(ABORT_GATE, 0);
}

/** Ends pauseBegin. */
export function pauseEnd(): void {
  slotFollow(pausedState);
  leaveGate();
}
