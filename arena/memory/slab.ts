// Slabs: frames cut into cells of one size, for the index (objects, leaves, nodes) and small page cells.
// Every client has its own, separate for ephemeral and persistent pools, so that frames are never shared
// between clients and an ephemeral slab frame can be emptied and taken back.
//
//   class    bytes  cells a frame   cells start at
//   OBJECT   48     84              32
//   LEAF5    48     84              32
//   LEAF15   128    31              128
//   NODE     256    15              256   (plus a 16-byte header for cell i at frame offset 16 * i)
//   CELL     32     127             32
//   RAW      48     84              32
//
//   frame:  0 used cells u32 | 4 previous, 8 next frame with a free cell | 12 bitmap (NODE) | 16 bitmap (others)
//
// A frame without a free cell is on no list; a frame without a used cell goes back at once. The bitmaps can be
// rebuilt by walking the index. An object slab is not given back while another thread looks into it without a
// lock (S_HAZARD), because it follows a stored page's object address before it can know which lock guards it.

import { abortOperation, ABORT_DAMAGED, must } from './host';
import {
  clientAddress,
  failsForTest,
  frameAddress,
  frameEntry,
  frameGive,
  frameGiveAs,
  frameOf,
  frameSetKind,
  frameTake,
} from './frame';
import {
  C_SLABS,
  FRAME_SIZE,
  H_FRAMES,
  H_SLOTS,
  H_SLOT_BYTES,
  H_THREADS,
  KIND_FIXED,
  KIND_SLAB_EPH,
  KIND_SLAB_PERS,
  S_HAZARD,
} from './layout';
import { lock, slabLock, unlock } from './lock';

export const SLAB_OBJECT: u32 = 0;
export const SLAB_LEAF5: u32 = 1;
export const SLAB_LEAF15: u32 = 2;
export const SLAB_NODE: u32 = 3;
export const SLAB_CELL: u32 = 4;
export const SLAB_RAW: u32 = 5;
export const SLAB_CLASSES: u32 = 6;

/** Lookers that came and went while a frame was hidden; more than one in a row is next to impossible. */
const RELEASE_TRIES: i32 = 16;

const F_USED: usize = 0;
const F_PREVIOUS: usize = 4;
const F_NEXT: usize = 8;
const F_NODE_BITS: usize = 12;
const F_BITS: usize = 16;

export function slabCellBytes(cls: u32): u32 {
  if (cls == SLAB_NODE) return 256;
  if (cls == SLAB_LEAF15) return 128;
  if (cls == SLAB_CELL) return 32;
  return 48;
}

export function slabCellsStart(cls: u32): u32 {
  if (cls == SLAB_NODE) return 256;
  if (cls == SLAB_LEAF15) return 128;
  return 32;
}

export function slabCells(cls: u32): u32 {
  if (cls == SLAB_NODE) return 15;
  if (cls == SLAB_LEAF15) return 31;
  if (cls == SLAB_CELL) return 127;
  return 84;
}

/** The 16-byte header that belongs to a node. */
@inline
export function nodeHeader(node: usize): usize {
  return (node & ~4095) | (((node >>> 8) & 15) << 4);
}

@inline
export function slabClassOf(frame: u32): u32 {
  return (load<u32>(frameEntry(frame)) >>> 4) & 0x3ff;
}

@inline
export function slabUsed(frame: u32): u32 {
  return load<u32>(frameAddress(frame) + F_USED);
}

function bitsAddress(frame: usize, cls: u32): usize {
  return frame + (cls == SLAB_NODE ? F_NODE_BITS : F_BITS);
}

export function slabCellUsed(frame: u32, cls: u32, cell: u32): bool {
  const bits = bitsAddress(frameAddress(frame), cls) + ((cell >>> 5) << 2);
  return ((load<u32>(bits) >>> (cell & 31)) & 1) != 0;
}

export function slabCellAddress(frame: u32, cls: u32, cell: u32): usize {
  return frameAddress(frame) + slabCellsStart(cls) + cell * slabCellBytes(cls);
}

/** A cell with undefined content, 0 when no frame was to be had. */
export function slabAlloc(client: u32, ephemeral: bool, cls: u32): usize {
  if (failsForTest()) return 0;
  const list = listAddress(client, ephemeral, cls);
  const guard = slabLock(client);
  // Another thread may use up a frame between adding it and coming back: a few rounds are plenty.
  for (let round = 0; round < 8; round++) {
    lock(guard);
    const head = load<u32>(list);
    if (head != 0) {
      const cell = takeCell(head, cls, list);
      unlock(guard);
      return cell;
    }
    unlock(guard);
    const kind = ephemeral ? KIND_SLAB_EPH : KIND_SLAB_PERS;
    const frame = frameTake(client, kind, 0);
    if (frame == 0) return 0;
    // Reclaim looks at cells that nobody has filled in yet: zeroes lead nowhere.
    memory.fill(frameAddress(frame), 0, FRAME_SIZE);
    frameSetKind(frame, client, kind, cls);
    lock(guard);
    push(list, frame);
    unlock(guard);
  }
  return 0;
}

export function slabFree(address: usize): void {
  const frame = frameOf(address);
  const entry = load<u32>(frameEntry(frame));
  const cls = (entry >>> 4) & 0x3ff;
  const client = entry >>> 16;
  const list = listAddress(client, (entry & 15) == KIND_SLAB_EPH, cls);
  const guard = slabLock(client);
  const base = frameAddress(frame);
  const cell = (<u32>(address & 4095) - slabCellsStart(cls)) / slabCellBytes(cls);
  lock(guard);
  const bits = bitsAddress(base, cls) + ((cell >>> 5) << 2);
  const bit: u32 = 1 << (cell & 31);
  if ((load<u32>(bits) & bit) == 0) abortOperation(ABORT_DAMAGED, 121);
  store<u32>(bits, load<u32>(bits) & ~bit);
  // Not objects: a freed one has to stay recognisable as none (tmem/object.ts).
  if (DEBUG && cls != SLAB_OBJECT) memory.fill(address, 0xdd, slabCellBytes(cls));
  const used = load<u32>(base + F_USED) - 1;
  store<u32>(base + F_USED, used);
  if (used == slabCells(cls) - 1) push(list, frame);
  if (used == 0) release(frame, cls, list);
  unlock(guard);
}

/** Says that this thread looks into an object slab without a lock; false when the frame is none. */
export function hazardSet(slot: usize, frame: u32): bool {
  if (frame >= load<u32>(H_FRAMES)) return false;
  atomic.store<u32>(slot + S_HAZARD, frame);
  const entry = atomic.load<u32>(frameEntry(frame));
  const kind = entry & 15;
  if ((kind == KIND_SLAB_EPH || kind == KIND_SLAB_PERS) && ((entry >>> 4) & 0x3ff) == SLAB_OBJECT) return true;
  hazardClear(slot);
  return false;
}

/** Ends hazardSet; the last one out gives an empty frame back. */
export function hazardClear(slot: usize): void {
  const frame = load<u32>(slot + S_HAZARD);
  atomic.store<u32>(slot + S_HAZARD, 0);
  const entry = atomic.load<u32>(frameEntry(frame));
  const kind = entry & 15;
  if (kind != KIND_SLAB_EPH && kind != KIND_SLAB_PERS) return;
  if (((entry >>> 4) & 0x3ff) != SLAB_OBJECT) return;
  const client = entry >>> 16;
  const guard = slabLock(client);
  lock(guard);
  // Under the lock, and only if it is the same still: it may be another's by now, or have no memory behind it.
  if (atomic.load<u32>(frameEntry(frame)) == entry && slabUsed(frame) == 0) {
    release(frame, SLAB_OBJECT, listAddress(client, kind == KIND_SLAB_EPH, SLAB_OBJECT));
  }
  unlock(guard);
}

function listAddress(client: u32, ephemeral: bool, cls: u32): usize {
  return clientAddress(client) + C_SLABS + ((cls + (ephemeral ? 0 : SLAB_CLASSES)) << 2);
}

function takeCell(frame: u32, cls: u32, list: usize): usize {
  const base = frameAddress(frame);
  let bits = bitsAddress(base, cls);
  const cells = slabCells(cls);
  for (let first: u32 = 0; first < cells; first += 32, bits += 4) {
    const word = load<u32>(bits);
    if (word == 0xffffffff) continue;
    const cell = first + ctz<u32>(~word);
    if (cell >= cells) break;
    store<u32>(bits, word | (1 << (cell & 31)));
    const used = load<u32>(base + F_USED) + 1;
    store<u32>(base + F_USED, used);
    if (used == cells) unlink(list, frame);
    return base + slabCellsStart(cls) + cell * slabCellBytes(cls);
  }
  abortOperation(ABORT_DAMAGED, 122);
  return 0;
}

/** Takes an empty frame off its list and gives it back, unless somebody looks into it. Under the slab lock. */
function release(frame: u32, cls: u32, list: usize): void {
  const entry = atomic.load<u32>(frameEntry(frame));
  if (cls != SLAB_OBJECT) {
    unlink(list, frame);
    frameGive(frame);
    return;
  }
  for (let tries = 0; tries < RELEASE_TRIES; tries++) {
    // First hide the frame, then look for lookers; hazardSet does it the other way round: one sees the other.
    atomic.store<u32>(frameEntry(frame), (entry & 0xffff0000) | KIND_FIXED);
    if (!hazardous(frame)) {
      unlink(list, frame);
      frameGiveAs(frame, entry);
      return;
    }
    atomic.store<u32>(frameEntry(frame), entry);
    // Who still looks now will find the frame empty in hazardClear. Who left meanwhile saw it hidden: try again.
    if (hazardous(frame)) return;
  }
}

function hazardous(frame: u32): bool {
  const threads = load<u32>(H_THREADS);
  const bytes = load<u32>(H_SLOT_BYTES);
  let slot = <usize>load<u32>(H_SLOTS);
  for (let i: u32 = 0; i < threads; i++, slot += bytes) {
    if (atomic.load<u32>(slot + S_HAZARD) == frame) return true;
  }
  return false;
}

function push(list: usize, frame: u32): void {
  const head = load<u32>(list);
  const base = frameAddress(frame);
  store<u32>(base + F_PREVIOUS, 0);
  store<u32>(base + F_NEXT, head);
  if (head != 0) store<u32>(frameAddress(head) + F_PREVIOUS, frame);
  store<u32>(list, frame);
}

function unlink(list: usize, frame: u32): void {
  const base = frameAddress(frame);
  const previous = load<u32>(base + F_PREVIOUS);
  const next = load<u32>(base + F_NEXT);
  if (previous != 0) store<u32>(frameAddress(previous) + F_NEXT, next);
  else {
    must(load<u32>(list) == frame, 123);
    store<u32>(list, next);
  }
  if (next != 0) store<u32>(frameAddress(next) + F_PREVIOUS, previous);
}

/** Recovery: forgets which cells of a slab frame are used; slabMark then says which are. */
export function slabForget(frame: u32): void {
  const base = frameAddress(frame);
  const cls = slabClassOf(frame);
  store<u32>(base + F_USED, 0);
  if (cls == SLAB_NODE) store<u32>(base + F_NODE_BITS, 0);
  else memory.fill(base + F_BITS, 0, 16);
}

/** Recovery: a cell was found in the index. False when it already was (then two words name one cell). */
export function slabMark(address: usize): bool {
  const frame = frameOf(address);
  const cls = slabClassOf(frame);
  const base = frameAddress(frame);
  const cell = (<u32>(address & 4095) - slabCellsStart(cls)) / slabCellBytes(cls);
  const bits = bitsAddress(base, cls) + ((cell >>> 5) << 2);
  const bit: u32 = 1 << (cell & 31);
  if ((load<u32>(bits) & bit) != 0) return false;
  store<u32>(bits, load<u32>(bits) | bit);
  store<u32>(base + F_USED, load<u32>(base + F_USED) + 1);
  return true;
}

/**
 * Recovery: after all marks, puts the frame on its list or gives it back. Lists were emptied before. Cells that were
 * not found are emptied, so that none looks like an object.
 */
export function slabRelist(frame: u32): void {
  const entry = load<u32>(frameEntry(frame));
  const cls = slabClassOf(frame);
  const used = slabUsed(frame);
  for (let cell: u32 = 0; cell < slabCells(cls); cell++) {
    if (!slabCellUsed(frame, cls, cell)) memory.fill(slabCellAddress(frame, cls, cell), 0, slabCellBytes(cls));
  }
  if (used == 0) frameGive(frame);
  else if (used < slabCells(cls)) push(listAddress(entry >>> 16, (entry & 15) == KIND_SLAB_EPH, cls), frame);
}
