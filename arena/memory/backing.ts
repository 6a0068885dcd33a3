// Backing: gets memory from the operating system behind frames, and gives it back.
//
// All frames start without. In a named store, a file that is sparse at first, the host reserves them in steps before
// anybody touches them, and what the system cannot give is a refusal. In a store without a name the kernel gives each
// page at its first touch, so the host has nothing to do. Both give free frames back when memory is short elsewhere,
// and the host can stop growth for as long as it is (H_GROWTH_STOPPED): then puts evict instead.
//
// Frames move between three states: in use -> free (in the bitmap) -> unbacked (counted in H_UNBACKED, in no list).
// The host's calls take some 100 microseconds and are made under BACKING_LOCK alone, or with locks that come before it.
// Giving back holds RECLAIM_LOCK, too: reclaim looks into frames that their owners may let go of at the same time.

import { clearBacked, isBacked, nextUnbacked, previousUnbacked, setBacked, unbackedRun } from './backed-bits';
import { PLENTY_FRAMES, freeTakeWord, freeTakenWord, setFree } from './free-frames';
import { hostBack, hostUnback } from './host';
import {
  BACKING_LOCK,
  FRAME_LOCK,
  FRAME_SHIFT,
  H_BACKINGS,
  H_BACKING_FAILED,
  H_FIRST_FRAME,
  H_FRAMES,
  H_FREE_FRAMES,
  H_GIVEN_BACK,
  H_GROWTH_STOPPED,
  H_LAST_FRAME,
  H_LOW_EDGE,
  H_UNBACKED,
  H_UNBACK_HAND,
  RECLAIM_LOCK,
} from './layout';
import { lock, unlock } from './lock';

/** Frames backed at once, 256 KiB: large enough that the call costs little a frame, small enough to wait for. */
const STEP_FRAMES: u32 = PLENTY_FRAMES;
/** Frames of one word of the bitmap, given back at once. */
const WORD_FRAMES: u32 = 32;

/**
 * Makes some unbacked frames free, at the low end from `hint` on if that is one of them. False when there are none,
 * or the system has no memory.
 */
export function backFrames(low: bool, hint: u32): bool {
  if (load<u32>(H_UNBACKED) == 0 || load<u32>(H_GROWTH_STOPPED) != 0) return false;
  const before = atomic.load<u32>(H_BACKINGS);
  lock(BACKING_LOCK);
  // Somebody else did it while we waited.
  let done = atomic.load<u32>(H_BACKINGS) != before;
  if (!done) {
    const last = load<u32>(H_LAST_FRAME);
    const first = low ? lowStart(hint, last) : highStart(last);
    // When there was no room for many there may be for one.
    const most: u32 = load<u32>(H_BACKING_FAILED) != 0 ? 1 : STEP_FRAMES;
    const frames = first == 0 ? 0 : unbackedRun(first, most, last);
    done = frames != 0 && (back(first, frames, low) || (frames > 1 && back(first, 1, low)));
    if (frames != 0) store<u32>(H_BACKING_FAILED, done ? 0 : 1);
  }
  unlock(BACKING_LOCK);
  return done;
}

function lowStart(hint: u32, last: u32): u32 {
  if (hint != 0 && hint < last && !isBacked(hint)) return hint;
  const first = nextUnbacked(load<u32>(H_FIRST_FRAME), last);
  return first < last ? first : 0;
}

/** The step that ends at the highest unbacked frame. */
function highStart(last: u32): u32 {
  const first = load<u32>(H_FIRST_FRAME);
  const end = previousUnbacked(last - 1, first);
  if (end == 0) return 0;
  let start = end;
  while (start > first && end - start + 1 < STEP_FRAMES && !isBacked(start - 1)) start--;
  return start;
}

function back(first: u32, frames: u32, low: bool): bool {
  if (!hostBack(first, frames)) return false;
  if (low && first + frames > load<u32>(H_LOW_EDGE)) store<u32>(H_LOW_EDGE, first + frames);
  makeFree(first, frames);
  atomic.add<u32>(H_BACKINGS, 1);
  return true;
}

/** Frames that have memory behind them, and were unbacked, are free. */
function makeFree(first: u32, frames: u32): void {
  setBacked(first, frames);
  lock(FRAME_LOCK);
  for (let frame = first; frame < first + frames; frame++) setFree(frame);
  store<u32>(H_FREE_FRAMES, load<u32>(H_FREE_FRAMES) + frames);
  store<u32>(H_UNBACKED, load<u32>(H_UNBACKED) - frames);
  unlock(FRAME_LOCK);
}

/** Backs every frame that has no memory, as far as the system has any. */
export function backAll(): void {
  // Each call backs one frame at least; others may give some back meanwhile.
  for (let i = load<u32>(H_FRAMES); i > 0 && backFrames(true, 0); i--) {}
}

/** Touches every frame that has memory, so that this process has it at hand; others may give frames back meanwhile. */
export function touchAll(): void {
  const frames = load<u32>(H_FRAMES);
  // Not frame 0: address 0 is never used.
  for (let first: u32 = 1; first < frames; first += STEP_FRAMES) {
    const end = min(first + STEP_FRAMES, frames);
    lock(BACKING_LOCK);
    for (let frame = first; frame < end; frame++) if (isBacked(frame)) atomic.or<u32>(frame << FRAME_SHIFT, 0);
    unlock(BACKING_LOCK);
  }
}

/** Gives up to `frames` free frames back to the system; how many it gave. */
export function unbackFrames(frames: u32): u32 {
  let given: u32 = 0;
  while (given < frames) {
    const step = unbackWord(frames - given);
    if (step == 0) break;
    given += step;
  }
  return given;
}

function unbackWord(most: u32): u32 {
  lock(RECLAIM_LOCK);
  lock(BACKING_LOCK);
  lock(FRAME_LOCK);
  let bits = freeTakeWord(load<u32>(H_UNBACK_HAND), min(most, WORD_FRAMES));
  const word = freeTakenWord();
  const count = <u32>popcnt<u32>(bits);
  store<u32>(H_FREE_FRAMES, load<u32>(H_FREE_FRAMES) - count);
  store<u32>(H_UNBACKED, load<u32>(H_UNBACKED) + count);
  store<u32>(H_UNBACK_HAND, word + 1);
  unlock(FRAME_LOCK);
  let given: u32 = 0;
  while (bits != 0) {
    const from = <u32>ctz<u32>(bits);
    const run = <u32>ctz<u32>(~(bits >>> from));
    bits &= run + from >= WORD_FRAMES ? 0 : ~(<u32>0) << (from + run);
    if (giveRun((word << 5) + from, run)) given += run;
  }
  store<u64>(H_GIVEN_BACK, load<u64>(H_GIVEN_BACK) + given);
  unlock(BACKING_LOCK);
  unlock(RECLAIM_LOCK);
  return given;
}

function giveRun(first: u32, frames: u32): bool {
  clearBacked(first, frames);
  if (hostUnback(first, frames)) return true;
  // The host cannot: they keep their memory.
  makeFree(first, frames);
  return false;
}
