// Frames: 4 KiB pieces of the arena, handed out to one client and one use at a time.
//
// Table: 8 bytes a frame.
//   word 0   bits 0-3 kind | bits 4-13 of the kind's owner (zv: first block, slabs: class) | bits 16-31 client
//   word 1   use stamp (H_CLOCK when the frame was last used); of a raw frame the address of its cell, which has that
//
// Which ones are free: memory/free-frames.ts. The entry says who owns a frame; bitmap, summaries and counts can be
// rebuilt from the entries.

import { isBacked } from './backed-bits';
import { backFrames } from './backing';
import { KEEP_BACKED, clearFree, freeNone, pickHigh, pickLow, setFree } from './free-frames';
import { must } from './host';
import {
  C_CAP_FRAMES,
  C_FRAMES,
  C_FRAMES_MAX,
  C_GROUPS,
  C_GROUPS_MAX,
  C_KINDS,
  FRAME_LOCK,
  FRAME_SHIFT,
  H_ALLOCATIONS,
  H_BACKING_FAILED,
  H_CLIENTS_MAX,
  H_CLIENT_TABLE,
  H_CLOCK,
  H_FAIL_COUNTDOWN,
  H_FIRST_FRAME,
  H_FRAME_TABLE,
  H_FREE_FRAMES,
  H_FREE_FRAMES_MIN,
  H_GROWTH_STOPPED,
  H_LAST_FRAME,
  H_UNBACKED,
  KIND_CLIENT,
  KIND_FREE,
  KIND_POOL,
  KIND_RAW_EPH,
  KIND_RAW_PERS,
  KIND_ZBUD_EPH,
  KIND_ZBUD_PERS,
  KIND_ZV_EPH,
  KIND_ZV_PERS,
  KINDS,
} from './layout';
import { lock, unlock } from './lock';

/** Times a thread has frames backed that others then take, before it does without. */
const BACK_TRIES_MAX: i32 = 8;

/** Why the last frameTake of this thread gave nothing. */
export const TAKE_NONE_FREE: i32 = 1;
export const TAKE_OVER_CAP: i32 = 2;
export const TAKE_FAILED_FOR_TEST: i32 = 3;
let takeFailure: i32 = 0;
/** Frames this thread has given back, ever. */
let given: u32 = 0;

export function framesGiven(): u32 {
  return given;
}

export function frameTakeFailure(): i32 {
  return takeFailure;
}

@inline
export function frameEntry(frame: u32): usize {
  return load<u32>(H_FRAME_TABLE) + (frame << 3);
}

@inline
export function frameAddress(frame: u32): usize {
  return frame << FRAME_SHIFT;
}

@inline
export function frameOf(address: usize): u32 {
  return <u32>address >>> FRAME_SHIFT;
}

@inline
export function frameTouch(frame: u32): void {
  store<u32>(frameEntry(frame) + 4, load<u32>(H_CLOCK));
}

@inline
export function frameStamp(frame: u32): u32 {
  return load<u32>(frameEntry(frame) + 4);
}

/** Address of a client's frame; 0 when there is no such client. */
@inline
export function clientAddress(client: u32): usize {
  return load<u32>(load<u32>(H_CLIENT_TABLE) + (client << 3)) << FRAME_SHIFT;
}

/** Debug: true when this allocation (of a frame or of a cell) is the one that the test wants to fail. */
export function failsForTest(): bool {
  if (DEBUG) {
    atomic.add<u32>(H_ALLOCATIONS, 1);
    const countdown = load<u32>(H_FAIL_COUNTDOWN);
    if (countdown != 0) {
      store<u32>(H_FAIL_COUNTDOWN, countdown - 1);
      if (countdown == 1) takeFailure = TAKE_FAILED_FOR_TEST;
      return countdown == 1;
    }
  }
  return false;
}

/**
 * Takes a free frame for a client; 0 when there is none or the client's cap is reached (frameTakeFailure says
 * which). The entry still says FREE: the taker sets kind and client with frameSetKind once the content is sound.
 */
export function frameTake(client: u32, kind: u32, hint: u32): u32 {
  if (failsForTest()) return 0;
  if (!charge(client, kind)) {
    takeFailure = TAKE_OVER_CAP;
    return 0;
  }
  const low = kind == KIND_ZV_EPH || kind == KIND_ZV_PERS;
  // Its own side first while the system has more memory to give; then whatever is free; then ask the system again.
  const ownSide = canGrow();
  let frame = takeFree(low, hint, ownSide);
  for (let tries = 0; frame == 0 && tries < BACK_TRIES_MAX; tries++) {
    if (!backFrames(low, hint)) break;
    frame = takeFree(low, hint, ownSide);
  }
  if (frame == 0 && ownSide) frame = takeFree(low, hint, false);
  if (frame == 0) {
    discharge(client, kind);
    takeFailure = TAKE_NONE_FREE;
  } else {
    noteMost(client, kind);
  }
  return frame;
}

/** Whether the system may have memory for more frames. */
function canGrow(): bool {
  return load<u32>(H_UNBACKED) != 0 && (load<u32>(H_BACKING_FAILED) | load<u32>(H_GROWTH_STOPPED)) == 0;
}

function takeFree(low: bool, hint: u32, ownSide: bool): u32 {
  lock(FRAME_LOCK);
  const frame = low ? pickLow(hint, ownSide) : pickHigh(ownSide);
  if (frame != 0) {
    clearFree(frame);
    const free = load<u32>(H_FREE_FRAMES) - 1;
    store<u32>(H_FREE_FRAMES, free);
    const unused = free + load<u32>(H_UNBACKED);
    if (unused < load<u32>(H_FREE_FRAMES_MIN)) store<u32>(H_FREE_FRAMES_MIN, unused);
    store<u32>(H_CLOCK, load<u32>(H_CLOCK) + 1);
  }
  unlock(FRAME_LOCK);
  return frame;
}

/** One store makes the frame its owner's; `owned` goes into bits 4-13 (see the file head). */
export function frameSetKind(frame: u32, client: u32, kind: u32, owned: u32): void {
  setEntry(frame, kind | (owned << 4) | (client << 16), load<u32>(H_CLOCK));
}

/** As frameSetKind, for the frame of a raw page. */
export function frameSetRaw(frame: u32, client: u32, kind: u32, cell: usize): void {
  setEntry(frame, kind | (client << 16), <u32>cell);
}

function setEntry(frame: u32, word: u32, second: u32): void {
  store<u32>(frameEntry(frame) + 4, second);
  atomic.store<u32>(frameEntry(frame), word);
}

/** The cell of a raw frame; 0 when it is being freed. */
@inline
export function frameCell(frame: u32): usize {
  return load<u32>(frameEntry(frame) + 4);
}

export function frameSetCell(frame: u32, cell: usize): void {
  store<u32>(frameEntry(frame) + 4, <u32>cell);
}

/** Whether a frame is of this kind and this client's. */
@inline
export function frameIs(frame: u32, kind: u32, client: u32): bool {
  return (atomic.load<u32>(frameEntry(frame)) & 0xffff000f) == (kind | (client << 16));
}

/** Gives a frame back. May be called under any other lock. */
export function frameGive(frame: u32): void {
  frameGiveAs(frame, atomic.load<u32>(frameEntry(frame)));
}

/** The entry of a frame says that it is nobody's, and whether it keeps its memory; `kind` is what it was. */
export function frameDisown(frame: u32, kind: u32): void {
  store<u32>(frameEntry(frame) + 4, kind == KIND_POOL || kind == KIND_CLIENT ? KEEP_BACKED : 0);
  atomic.store<u32>(frameEntry(frame), KIND_FREE);
}

/** frameGive for a frame whose entry was hidden; `entry` is what it said before. */
export function frameGiveAs(frame: u32, entry: u32): void {
  must((entry & 15) != KIND_FREE, 111);
  frameDisown(frame, entry & 15);
  lock(FRAME_LOCK);
  setFree(frame);
  store<u32>(H_FREE_FRAMES, load<u32>(H_FREE_FRAMES) + 1);
  unlock(FRAME_LOCK);
  given++;
  discharge(entry >>> 16, entry & 15);
}

/** Gives back a frame whose kind was never set (the taker changed its mind). */
export function frameUntake(frame: u32, client: u32, kind: u32): void {
  frameSetKind(frame, client, kind, 0);
  frameGive(frame);
}

/** Counts a frame into its client before it is taken; refuses above the cap, so that the cap is exact. */
function charge(client: u32, kind: u32): bool {
  const address = clientAddress(client);
  if (address == 0) return true; // the client's own frame, while it is being made
  const frames = atomic.add<u32>(address + C_FRAMES, 1) + 1;
  const cap = load<u32>(address + C_CAP_FRAMES);
  if (cap != 0 && frames > cap) {
    atomic.sub<u32>(address + C_FRAMES, 1);
    return false;
  }
  atomic.add<u32>(address + C_KINDS + (kind << 2), 1);
  atomic.add<u32>(address + C_GROUPS + (groupOf(kind) << 2), 1);
  return true;
}

/** Notes new highest counts, once the frame that was charged is there. */
function noteMost(client: u32, kind: u32): void {
  const address = clientAddress(client);
  if (address == 0) return;
  const group = address + C_GROUPS + (groupOf(kind) << 2);
  raise(address + C_FRAMES_MAX, atomic.load<u32>(address + C_FRAMES));
  raise(group + (C_GROUPS_MAX - C_GROUPS), atomic.load<u32>(group));
}

function raise(cell: usize, count: u32): void {
  if (count > load<u32>(cell)) store<u32>(cell, count);
}

/** zbud, zv, raw, everything else. */
function groupOf(kind: u32): u32 {
  if (kind == KIND_ZBUD_EPH || kind == KIND_ZBUD_PERS) return 0;
  if (kind == KIND_ZV_EPH || kind == KIND_ZV_PERS) return 1;
  if (kind == KIND_RAW_EPH || kind == KIND_RAW_PERS) return 2;
  return 3;
}

function discharge(client: u32, kind: u32): void {
  const address = clientAddress(client);
  if (address == 0) return;
  atomic.sub<u32>(address + C_KINDS + (kind << 2), 1);
  atomic.sub<u32>(address + C_GROUPS + (groupOf(kind) << 2), 1);
  // Last: a client whose only frame is its own may be forgotten.
  atomic.sub<u32>(address + C_FRAMES, 1);
}

/** Rebuilds bitmap, summaries, free count and every client's counts from the table (nothing else may run). */
export function framesRebuild(): void {
  freeNone();
  const clients = load<u32>(H_CLIENTS_MAX);
  for (let client: u32 = 0; client < clients; client++) {
    const address = clientAddress(client);
    if (address == 0) continue;
    store<u32>(address + C_FRAMES, 0);
    memory.fill(address + C_KINDS, 0, KINDS << 2);
    memory.fill(address + C_GROUPS, 0, 16);
  }
  let free: u32 = 0;
  let unbacked: u32 = 0;
  const last = load<u32>(H_LAST_FRAME);
  for (let frame = load<u32>(H_FIRST_FRAME); frame < last; frame++) {
    const entry = load<u32>(frameEntry(frame));
    if ((entry & 15) == KIND_FREE) {
      if (isBacked(frame)) {
        setFree(frame);
        free++;
      } else {
        unbacked++;
      }
      continue;
    }
    const address = clientAddress(entry >>> 16);
    if (address == 0) continue;
    store<u32>(address + C_FRAMES, load<u32>(address + C_FRAMES) + 1);
    const count = address + C_KINDS + ((entry & 15) << 2);
    store<u32>(count, load<u32>(count) + 1);
    const group = address + C_GROUPS + (groupOf(entry & 15) << 2);
    store<u32>(group, load<u32>(group) + 1);
  }
  store<u32>(H_FREE_FRAMES, free);
  store<u32>(H_UNBACKED, unbacked);
}
