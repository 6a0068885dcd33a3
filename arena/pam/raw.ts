// raw: pages kept as they are, each in a frame of its own. The hot level of the page cache, and incompressible
// pages of users with no device behind the store.
//
//   cell (48 bytes, from a slab):  0 descriptor (16) | 16 frame | 20 use stamp | 24 older cell, 28 younger cell
//                                  32 stamp when it was last queued | 36 pool id
//   frame: the page's bytes; its table entry names the cell
//
// The ephemeral cells of a pool are on its age list, least recently used first. As in zbud, a use only renews the
// stamp; who looks for the oldest gives cells used since they were queued a second chance. The list is in the pool's
// frame, so whoever frees a cell works on that pool at the time, or has named it (memory/slot.ts).

import {
  frameAddress,
  frameCell,
  frameEntry,
  frameGive,
  frameIs,
  frameSetCell,
  frameSetRaw,
  frameTake,
} from '../memory/frame';
import { H_CLOCK, H_POOL_TABLE, KIND_RAW_EPH, KIND_RAW_PERS, P_RAW_LIST } from '../memory/layout';
import { lock, rawLock, unlock } from '../memory/lock';
import { SLAB_RAW, slabAlloc, slabFree } from '../memory/slab';
import { DESCRIPTOR_BYTES, indexOf, objectOf } from './descriptor';

const CELL_FRAME: usize = 16;
const CELL_STAMP: usize = 20;
const CELL_OLDER: usize = 24;
const CELL_YOUNGER: usize = 28;
const CELL_QUEUED: usize = 32;
const CELL_POOL: usize = 36;

const L_OLDEST: usize = 0;
const L_YOUNGEST: usize = 4;
const L_COUNT: usize = 8;

/** Cells looked at for one that was not used since it was queued; then the oldest goes anyway. */
const SECOND_CHANCES: i32 = 32;
/** Recovery's mark in bits 4-13 of a raw frame's entry, which raw does not use otherwise. */
const MARK: u32 = 16;

/** Age list of a pool that is there. */
@inline
function listOf(pool: u32): usize {
  return frameAddress(load<u32>(load<u32>(H_POOL_TABLE) + (pool << 3))) + P_RAW_LIST;
}

@inline
function isEphemeral(cell: usize): bool {
  return (load<u32>(frameEntry(load<u32>(cell + CELL_FRAME))) & 15) == KIND_RAW_EPH;
}

@inline
function clientOf(cell: usize): u32 {
  return load<u32>(frameEntry(load<u32>(cell + CELL_FRAME))) >>> 16;
}

/** A cell with a frame, 0 when there is no memory. */
export function rawAlloc(client: u32, ephemeral: bool, pool: u32): usize {
  const cell = slabAlloc(client, ephemeral, SLAB_RAW);
  if (cell == 0) return 0;
  const kind = ephemeral ? KIND_RAW_EPH : KIND_RAW_PERS;
  const frame = frameTake(client, kind, 0);
  if (frame == 0) {
    slabFree(cell);
    return 0;
  }
  memory.fill(cell, 0, 48);
  store<u32>(cell + CELL_FRAME, frame);
  store<u32>(cell + CELL_POOL, pool);
  frameSetRaw(frame, client, kind, cell);
  return cell;
}

/**
 * Stamps a cell, and puts an ephemeral one on its pool's age list; the caller has described it and may publish it
 * afterwards.
 */
export function rawQueue(cell: usize): void {
  rawTouch(cell);
  if (!isEphemeral(cell)) return;
  const guard = rawLock(clientOf(cell));
  lock(guard);
  queue(listOf(load<u32>(cell + CELL_POOL)), cell);
  unlock(guard);
}

@inline
export function rawData(cell: usize): usize {
  return frameAddress(load<u32>(cell + CELL_FRAME));
}

@inline
export function rawTouch(cell: usize): void {
  store<u32>(cell + CELL_STAMP, load<u32>(H_CLOCK));
}

/** Frees a cell that was queued, with its frame. */
export function rawFree(cell: usize): void {
  const frame = load<u32>(cell + CELL_FRAME);
  const guard = rawLock(clientOf(cell));
  lock(guard);
  if (isEphemeral(cell)) unqueue(listOf(load<u32>(cell + CELL_POOL)), cell);
  // From here on nobody finds the cell by its frame.
  frameSetCell(frame, 0);
  unlock(guard);
  frameGive(frame);
  slabFree(cell);
}

/** The cell of a frame if that is of this kind and client, with its descriptor copied to `out` (16 bytes); else 0. */
export function rawPage(frame: u32, kind: u32, client: u32, out: usize): usize {
  const guard = rawLock(client);
  lock(guard);
  const cell = frameIs(frame, kind, client) ? frameCell(frame) : <usize>0;
  if (cell != 0) memory.copy(out, cell, DESCRIPTOR_BYTES);
  unlock(guard);
  return cell;
}

/** Ephemeral raw pages of a pool. */
export function rawCount(pool: u32): u32 {
  return load<u32>(listOf(pool) + L_COUNT);
}

let victimObject: usize = 0;
let victimIndex: u32 = 0;

export function rawVictimObject(): usize {
  return victimObject;
}

export function rawVictimIndex(): u32 {
  return victimIndex;
}

/**
 * The least recently used ephemeral cell of a client's pool (0 = none), with its object and index in rawVictim*. It
 * stays listed, at the young end, so that two threads do not choose the same one.
 */
export function rawVictim(client: u32, pool: u32): usize {
  const list = listOf(pool);
  const guard = rawLock(client);
  lock(guard);
  let cell = <usize>load<u32>(list + L_OLDEST);
  for (let i = 0; cell != 0; i++) {
    const used = <i32>(load<u32>(cell + CELL_STAMP) - load<u32>(cell + CELL_QUEUED)) > 0;
    unqueue(list, cell);
    queue(list, cell);
    if (i >= SECOND_CHANCES || !used) break;
    cell = load<u32>(list + L_OLDEST);
  }
  if (cell != 0) {
    victimObject = objectOf(cell);
    victimIndex = indexOf(cell);
  }
  unlock(guard);
  return cell;
}

/** The stamp of a pool's least recently used ephemeral cell (a hint); 0 when there is none. */
export function rawOldestStamp(client: u32, pool: u32): u32 {
  const guard = rawLock(client);
  lock(guard);
  const cell = <usize>load<u32>(listOf(pool) + L_OLDEST);
  const stamp = cell == 0 ? 0 : load<u32>(cell + CELL_STAMP);
  unlock(guard);
  return stamp;
}

// ---- recovery (nothing else runs) -------------------------------------------------------------------------

/** Empties a pool's age list. */
export function rawForget(pool: usize): void {
  memory.fill(pool + P_RAW_LIST, 0, 12);
}

/** A cell was found in the index (and marked in its slab): keeps its frame and lists it again. */
export function rawMark(cell: usize): void {
  const entry = frameEntry(load<u32>(cell + CELL_FRAME));
  store<u32>(entry, load<u32>(entry) | MARK);
  frameSetCell(load<u32>(cell + CELL_FRAME), cell);
  if (isEphemeral(cell)) queue(listOf(load<u32>(cell + CELL_POOL)), cell);
}

/** After all marks: a frame whose cell was not found becomes free. */
export function rawSettle(frame: u32): void {
  const entry = frameEntry(frame);
  const word = load<u32>(entry);
  store<u32>(entry, word & ~MARK);
  if ((word & MARK) == 0) frameGive(frame);
}

// ---- list (under the client's raw lock) -------------------------------------------------------------------

function queue(list: usize, cell: usize): void {
  const youngest = <usize>load<u32>(list + L_YOUNGEST);
  store<u32>(cell + CELL_QUEUED, load<u32>(cell + CELL_STAMP));
  store<u32>(cell + CELL_OLDER, <u32>youngest);
  store<u32>(cell + CELL_YOUNGER, 0);
  if (youngest != 0) store<u32>(youngest + CELL_YOUNGER, <u32>cell);
  else store<u32>(list + L_OLDEST, <u32>cell);
  store<u32>(list + L_YOUNGEST, <u32>cell);
  store<u32>(list + L_COUNT, load<u32>(list + L_COUNT) + 1);
}

function unqueue(list: usize, cell: usize): void {
  const older = <usize>load<u32>(cell + CELL_OLDER);
  const younger = <usize>load<u32>(cell + CELL_YOUNGER);
  if (older != 0) store<u32>(older + CELL_YOUNGER, <u32>younger);
  else store<u32>(list + L_OLDEST, <u32>younger);
  if (younger != 0) store<u32>(younger + CELL_OLDER, <u32>older);
  else store<u32>(list + L_YOUNGEST, <u32>older);
  store<u32>(list + L_COUNT, load<u32>(list + L_COUNT) - 1);
}
