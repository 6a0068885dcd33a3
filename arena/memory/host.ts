// What the arena asks of the host, and the checks of the debug build.

/** Unwinds to the host with a reason; never returns. The host throws, so every wasm frame is left. */
@external("env", "tmemAbort")
declare function tmemAbort(reason: i32, detail: i32): void;

/** Sleeps while the word at `address` is `expected`, at most `timeoutMs`; whether that time passed without a wake. */
@external("env", "tmemWait")
export declare function hostWait(address: usize, expected: u32, timeoutMs: i32): bool;

/** Wakes up to `threads` threads, of whichever process, that sleep on the word at `address`. */
@external("env", "tmemWake")
export declare function hostWake(address: usize, threads: i32): void;

/** Whether the thread of a slot has ended; if so the slot's state says so from now on (slotBury). */
@external("env", "tmemIsDead")
export declare function hostIsDead(slot: u32): bool;

/** Makes sure that there is memory behind frames that have none; false when the system has none to give. */
@external("env", "tmemBack")
export declare function hostBack(first: u32, frames: u32): bool;

/** Gives the memory behind frames back to the system; false when it cannot. */
@external("env", "tmemUnback")
export declare function hostUnback(first: u32, frames: u32): bool;

/** A lock or the gate was not free within the bound. */
export const ABORT_BUSY: i32 = 1;
/** The owner of a lock is dead: the host recovers the arena and repeats the operation. */
export const ABORT_OWNER_DEAD: i32 = 2;
/** A structure contradicts itself: the arena was overwritten from outside, or there is a bug. */
export const ABORT_DAMAGED: i32 = 3;
/** A check of the debug build failed; the detail names it. */
export const ABORT_ASSERT: i32 = 4;
/** The gate did not open within the bound; the operation had not begun. */
export const ABORT_GATE: i32 = 5;
/** The gate was closed by a thread that has ended; the operation had not begun. The host recovers and repeats it. */
export const ABORT_LEADER_DEAD: i32 = 6;

export function abortOperation(reason: i32, detail: i32): void {
  tmemAbort(reason, detail);
  unreachable();
}

/** Debug builds only: `condition` must hold; `detail` is a number unique in the arena's source. */
@inline
export function must(condition: bool, detail: i32): void {
  if (DEBUG) {
    if (!condition) abortOperation(ABORT_ASSERT, detail);
  }
}
