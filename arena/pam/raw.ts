// raw: pages kept as they are, each in a frame of its own. The hot level of the page cache, and incompressible
// pages of users with no device behind the store.
//
//   cell (32 bytes, from a slab):  0 descriptor (16) | 16 frame | 20 use stamp | 24 older cell, 28 younger cell
//   frame: the page's bytes; word 1 of its table entry is the stamp with which the cell was last queued
//
// Ephemeral cells are on an age list of their client, least recently used first, with second chances as in zbud.

import { frameAddress, frameEntry, frameGive, frameSetKind, frameTake, clientAddress } from '../memory/frame';
import { C_RAW_LISTS, H_CLOCK, KIND_RAW_EPH, KIND_RAW_PERS } from '../memory/layout';
import { lock, rawLock, unlock } from '../memory/lock';
import { SLAB_CELL, slabAlloc, slabFree } from '../memory/slab';
import { indexOf, objectOf } from './descriptor';

const CELL_FRAME: usize = 16;
const CELL_STAMP: usize = 20;
const CELL_OLDER: usize = 24;
const CELL_YOUNGER: usize = 28;

/** Recovery's mark in bits 4-13 of a raw frame's entry, which raw does not use otherwise. */
const MARK: u32 = 16;

const L_OLDEST: usize = 0;
const L_YOUNGEST: usize = 4;

/** Cells looked at for one that was not used since it was queued; then the oldest goes anyway. */
const SECOND_CHANCES: i32 = 32;

@inline
function listOf(client: u32, ephemeral: bool): usize {
  return clientAddress(client) + C_RAW_LISTS + (ephemeral ? 0 : 8);
}

/** A cell with a frame, 0 when there is no memory. */
export function rawAlloc(client: u32, ephemeral: bool): usize {
  const cell = slabAlloc(client, ephemeral, SLAB_CELL);
  if (cell == 0) return 0;
  const kind = ephemeral ? KIND_RAW_EPH : KIND_RAW_PERS;
  const frame = frameTake(client, kind, 0);
  if (frame == 0) {
    slabFree(cell);
    return 0;
  }
  store<u64>(cell, 0);
  store<u64>(cell + 8, 0);
  store<u32>(cell + CELL_FRAME, frame);
  frameSetKind(frame, client, kind, 0);
  return cell;
}

/** Puts a cell on the age list; the caller has described it and may publish it afterwards. */
export function rawQueue(client: u32, ephemeral: bool, cell: usize): void {
  const guard = rawLock(client);
  lock(guard);
  rawTouch(cell);
  queue(listOf(client, ephemeral), cell, load<u32>(CELL_STAMP + cell));
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
  const entry = load<u32>(frameEntry(frame));
  const client = entry >>> 16;
  const guard = rawLock(client);
  lock(guard);
  unqueue(listOf(client, (entry & 15) == KIND_RAW_EPH), cell);
  unlock(guard);
  frameGive(frame);
  slabFree(cell);
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
 * The least recently used ephemeral cell of a client (0 = none), with its object and index in rawVictim*. It stays
 * listed, at the young end, so that two reclaimers do not choose the same one.
 */
export function rawVictim(client: u32): usize {
  const list = listOf(client, true);
  const guard = rawLock(client);
  lock(guard);
  let cell = <usize>load<u32>(list + L_OLDEST);
  for (let i = 0; cell != 0; i++) {
    const stamp = load<u32>(cell + CELL_STAMP);
    const queued = load<u32>(frameEntry(load<u32>(cell + CELL_FRAME)) + 4);
    unqueue(list, cell);
    queue(list, cell, stamp);
    if (i >= SECOND_CHANCES || <i32>(stamp - queued) <= 0) break;
    cell = load<u32>(list + L_OLDEST);
  }
  if (cell != 0) {
    victimObject = objectOf(cell);
    victimIndex = indexOf(cell);
  }
  unlock(guard);
  return cell;
}

/** The stamp of the least recently used ephemeral cell (a hint, read without the lock); 0 when there is none. */
export function rawOldestStamp(client: u32): u32 {
  const cell = <usize>load<u32>(listOf(client, true) + L_OLDEST);
  return cell == 0 ? 0 : load<u32>(cell + CELL_STAMP);
}

// ---- recovery (nothing else runs) -------------------------------------------------------------------------

export function rawForget(client: u32): void {
  memory.fill(clientAddress(client) + C_RAW_LISTS, 0, 16);
}

/** A cell was found in the index (and marked in its slab): keeps its frame and lists it again. */
export function rawMark(cell: usize): void {
  const entry = frameEntry(load<u32>(cell + CELL_FRAME));
  const word = load<u32>(entry);
  store<u32>(entry, word | MARK);
  queue(listOf(word >>> 16, (word & 15) == KIND_RAW_EPH), cell, load<u32>(cell + CELL_STAMP));
}

/** After all marks: a frame whose cell was not found becomes free. */
export function rawSettle(frame: u32): void {
  const entry = frameEntry(frame);
  const word = load<u32>(entry);
  store<u32>(entry, word & ~MARK);
  if ((word & MARK) == 0) frameGive(frame);
}

// ---- list (under the client's raw lock) -------------------------------------------------------------------

function queue(list: usize, cell: usize, stamp: u32): void {
  const youngest = <usize>load<u32>(list + L_YOUNGEST);
  store<u32>(frameEntry(load<u32>(cell + CELL_FRAME)) + 4, stamp);
  store<u32>(cell + CELL_OLDER, youngest);
  store<u32>(cell + CELL_YOUNGER, 0);
  if (youngest != 0) store<u32>(youngest + CELL_YOUNGER, <u32>cell);
  else store<u32>(list + L_OLDEST, <u32>cell);
  store<u32>(list + L_YOUNGEST, <u32>cell);
}

function unqueue(list: usize, cell: usize): void {
  const older = <usize>load<u32>(cell + CELL_OLDER);
  const younger = <usize>load<u32>(cell + CELL_YOUNGER);
  if (older != 0) store<u32>(older + CELL_YOUNGER, <u32>younger);
  else store<u32>(list + L_OLDEST, <u32>younger);
  if (younger != 0) store<u32>(younger + CELL_OLDER, <u32>older);
  else store<u32>(list + L_YOUNGEST, <u32>older);
}
