// Recovery: after a thread ended in the middle of an operation, makes everything that is derived anew from the index.
//
// What is true are the pool and client tables, the slot words reachable from live pools, and the kinds in the frame
// table. Locks, lists, bitmaps, counts of what is there now, and everything unreachable (what a dead put had
// allocated, what a dead flush had detached) follow from that; so it does not matter where the thread ended.
//
//   close the gate -> wait for running operations -> forget lists -> walk the index and mark -> free the unmarked,
//   list the marked -> open the gate
//
// Idempotent: a recovery that ends in the middle is started over by the next one. Empty nodes and objects that a
// dead thread left reachable are taken out on the way.

import { N_NODES, N_OBJECTS, N_REMOTE, N_SAME_FILLED, N_ZBYTES, countCorrect } from '../memory/counters';
import { clientAddress, frameDisown, frameEntry, frameOf, frameStamp, framesRebuild } from '../memory/frame';
import { closeGate, leaveGate, openGate, recoveryIsNeeded, waitForOthers } from '../memory/gate';
import { ABORT_DAMAGED, ABORT_GATE, abortOperation } from '../memory/host';
import {
  C_SLABS,
  C_ZV_HEAPS,
  H_CLIENTS_MAX,
  H_CLOCK,
  H_CLIENT_TABLE,
  H_DOOMED_POOLS,
  H_FIRST_FRAME,
  H_FRAMES,
  H_LAST_FRAME,
  H_PERSISTENT_PAGES,
  H_POOLS_MAX,
  H_POOL_TABLE,
  H_RECOVERIES,
  H_THREADS,
  KIND_CLIENT,
  KIND_FIXED,
  KIND_POOL,
  KIND_RAW_EPH,
  KIND_RAW_PERS,
  KIND_SLAB_EPH,
  KIND_SLAB_PERS,
  KIND_ZBUD_EPH,
  KIND_ZBUD_PERS,
  KIND_ZV_HEAP,
  LOCKS,
  LOCKS_END,
  POOL_LIVE,
  POOL_PERSISTENT,
  P_DOOMED,
  P_DOOMED_OBJECTS,
  P_DOOMED_TREES,
  P_CLIENT,
  P_FLAGS,
  P_PAGES,
  P_ROOTS,
  P_STATE,
  ROOTS,
  SLOT_ABANDONED,
  SLOT_IDLE,
  SLOT_RECOVERING,
} from '../memory/layout';
import { slabForget, slabMark, slabRelist } from '../memory/slab';
import { slotFollow, slotLead, slotSettle } from '../memory/slot';
import {
  TAG_CELL,
  TAG_FILL,
  TAG_LEAF15,
  TAG_LEAF5,
  TAG_NODE,
  TAG_OBJECT,
  TAG_RAW,
  TAG_ZBUD,
  TAG_ZV,
  TAG_ZV8,
  addressOf,
  descriptorOf,
  isPage,
  tagOf,
  wordOf,
} from '../memory/word';
import { memoryBytes } from '../pam/pam';
import { rawForget, rawMark, rawSettle } from '../pam/raw';
import { zbudForget, zbudMark, zbudRelist, zbudUnmark } from '../pam/zbud';
import { zvMark } from '../pam/zv';
import { zvRebuild } from '../pam/zv-rebuild';
import { retirePool } from './client-counters';
import { isRemote } from './handle';
import { OBJECT_LIVE, O_NEXT, O_PAGES, O_PLACE, O_ROOT, placeOf } from './object';
import { poolAddress } from './pool';
import { LEAF_ENTRIES, TREE_LEVEL_MAX, clearBit, leafCapacity, nodeLevel, setBit } from './node';

/**
 * Recovers, or waits for the thread that does, for at most `waitMs`. False when another one finished it. Aborts as
 * "at the gate" when the time is over: nothing was begun, and it can be asked for again.
 */
export function recover(always: bool, waitMs: u32): bool {
  if (!closeGate(waitMs)) return false;
  const before = slotLead();
  // This thread's own recovery, unwound in the middle: the gate stayed closed, and stays so until one ends.
  const halfDone = before == SLOT_RECOVERING;
  if (!waitForOthers(waitMs)) {
    slotFollow(before);
    if (!halfDone) leaveGate();
    abortOperation(ABORT_GATE, 0);
  }
  const needed = always || halfDone || before == SLOT_ABANDONED || recoveryIsNeeded();
  if (needed) {
    rebuild();
    const threads = load<u32>(H_THREADS);
    for (let i: u32 = 0; i < threads; i++) slotSettle(i);
    store<u32>(H_RECOVERIES, load<u32>(H_RECOVERIES) + 1);
  }
  slotFollow(SLOT_IDLE);
  openGate();
  return needed;
}

function rebuild(): void {
  memory.fill(LOCKS, 0, LOCKS_END - LOCKS);
  settlePools();
  settleFrames();
  framesRebuild();
  const clients = load<u32>(H_CLIENTS_MAX);
  for (let client: u32 = 1; client < clients; client++) {
    const address = clientAddress(client);
    if (address == 0) continue;
    memory.fill(address + C_SLABS, 0, 64);
    zbudForget(client);
  }
  store<u32>(H_PERSISTENT_PAGES, 0);
  store<u32>(H_DOOMED_POOLS, 0);
  const pools = load<u32>(H_POOLS_MAX);
  for (let id: u32 = 0; id < pools; id++) {
    const pool = poolAddress(id);
    if (pool == 0) continue;
    rawForget(pool);
    markPool(pool, id);
  }
  const last = load<u32>(H_LAST_FRAME);
  for (let client: u32 = 1; client < clients; client++) {
    const address = clientAddress(client);
    if (address == 0) continue;
    for (let i: usize = 0; i < 8; i += 4) {
      const heap = load<u32>(address + C_ZV_HEAPS + i);
      if (heap != 0) damagedIf(zvRebuild(heap, load<u32>(H_FIRST_FRAME), last) != 0);
    }
  }
  for (let frame = load<u32>(H_FIRST_FRAME); frame < last; frame++) {
    const kind = load<u32>(frameEntry(frame)) & 15;
    if (kind == KIND_SLAB_EPH || kind == KIND_SLAB_PERS) slabRelist(frame);
    else if (kind == KIND_RAW_EPH || kind == KIND_RAW_PERS) rawSettle(frame);
  }
  // zbud frames go back on their age lists from the oldest to the youngest, by powers of two of their age.
  for (let magnitude = 32; magnitude >= 0; magnitude--) {
    for (let frame = load<u32>(H_FIRST_FRAME); frame < last; frame++) {
      const kind = load<u32>(frameEntry(frame)) & 15;
      if (kind != KIND_ZBUD_EPH && kind != KIND_ZBUD_PERS) continue;
      const age = load<u32>(H_CLOCK) - frameStamp(frame);
      if (32 - <i32>clz<u32>(age) == magnitude) zbudRelist(frame);
    }
  }
}

/** A pool that was being destroyed ends here; nothing waits to be freed any more: what is unreachable is freed. */
function settlePools(): void {
  const pools = load<u32>(H_POOLS_MAX);
  for (let id: u32 = 0; id < pools; id++) {
    const pool = poolAddress(id);
    if (pool == 0) continue;
    memory.fill(pool + P_DOOMED_TREES, 0, ROOTS << 2);
    memory.fill(pool + P_DOOMED_OBJECTS, 0, ROOTS << 2);
    store<u32>(pool + P_DOOMED, 0);
    if (load<u32>(pool + P_STATE) == POOL_LIVE) continue;
    countHeld(pool, 0, 0, 0, 0, 0); // what was not freed yet was not counted down
    retirePool(pool, load<u32>(pool + P_CLIENT));
    atomic.store<u32>(load<u32>(H_POOL_TABLE) + (id << 3), 0);
  }
}

/** Frames whose owner never came to name them, or that were hidden to be given back, become free; marks are cleared. */
function settleFrames(): void {
  const last = load<u32>(H_LAST_FRAME);
  for (let frame = load<u32>(H_FIRST_FRAME); frame < last; frame++) {
    const entry = load<u32>(frameEntry(frame));
    const kind = entry & 15;
    if (kind == KIND_SLAB_EPH || kind == KIND_SLAB_PERS) slabForget(frame);
    else if (kind == KIND_ZBUD_EPH || kind == KIND_ZBUD_PERS) zbudUnmark(frame);
    else if (kind == KIND_FIXED || !isNamed(frame, kind, entry >>> 16)) frameDisown(frame, kind);
  }
}

function isNamed(frame: u32, kind: u32, client: u32): bool {
  if (kind == KIND_CLIENT) return load<u32>(load<u32>(H_CLIENT_TABLE) + (client << 3)) == frame;
  if (kind == KIND_POOL) return poolAddress(load<u32>(frame << 12)) == <usize>(frame << 12);
  if (kind != KIND_ZV_HEAP) return true;
  const address = clientAddress(client);
  if (address == 0) return false;
  return load<u32>(address + C_ZV_HEAPS) == frame << 12 || load<u32>(address + C_ZV_HEAPS + 4) == frame << 12;
}

// ---- marking ------------------------------------------------------------------------------------------------

let markedObjects: i64 = 0;
let markedNodes: i64 = 0;
let markedBytes: i64 = 0;
let markedFilled: i64 = 0;
let markedRemote: i64 = 0;
let markedPool: u32 = 0;
let markedRoot: u32 = 0;

function markPool(pool: usize, id: u32): void {
  markedObjects = 0;
  markedNodes = 0;
  markedBytes = 0;
  markedFilled = 0;
  markedRemote = 0;
  markedPool = id;
  let all: u32 = 0;
  for (let root: u32 = 0; root < ROOTS; root++) {
    markedRoot = root;
    const pages = markWord(pool + P_ROOTS + (root << 2), 0, true, TREE_LEVEL_MAX + 1);
    store<u32>(pool + P_PAGES + (root << 2), pages);
    all += pages;
  }
  countHeld(pool, markedObjects, markedNodes, markedBytes, markedFilled, markedRemote);
  if ((load<u32>(pool + P_FLAGS) & POOL_PERSISTENT) != 0) {
    store<u32>(H_PERSISTENT_PAGES, load<u32>(H_PERSISTENT_PAGES) + all);
  }
}

/** Corrects the counts of what a pool holds. */
function countHeld(pool: usize, objects: i64, nodes: i64, bytes: i64, filled: i64, remote: i64): void {
  countCorrect(pool, N_OBJECTS, objects);
  countCorrect(pool, N_NODES, nodes);
  countCorrect(pool, N_ZBYTES, bytes);
  countCorrect(pool, N_SAME_FILLED, filled);
  countCorrect(pool, N_REMOTE, remote);
}

function damagedIf(condition: bool): void {
  if (condition) abortOperation(ABORT_DAMAGED, 401);
}

/** In a leaf there is neither node nor leaf. */
const BELOW_LEAF: i32 = -1;

/**
 * Marks what a word leads to, takes empty parts out, and returns the pages found. A node has to be of a level below
 * `below`: so what was overwritten from outside leads round in no circle.
 */
function markWord(at: usize, object: usize, trie: bool, below: i32): u32 {
  const word = load<u32>(at);
  if (word == 0) return 0;
  const tag = tagOf(word);
  damagedIf(tag != TAG_FILL && frameOf(addressOf(word)) >= load<u32>(H_FRAMES));
  let pages: u32 = 0;
  if (tag == TAG_NODE) {
    const node = addressOf(word);
    const level = nodeLevel(node);
    damagedIf(level >= below);
    let used = false;
    for (let i: u32 = 0; i < 64; i++) {
      const child = node + (i << 2);
      pages += markWord(child, object, trie, level);
      if (load<u32>(child) != 0) {
        setBit(node, i);
        used = true;
      } else {
        clearBit(node, i);
      }
    }
    if (!used) atomic.store<u32>(at, 0);
    else markCell(node);
    if (used) markedNodes++;
    return pages;
  }
  if (tag == TAG_LEAF5 || tag == TAG_LEAF15) {
    const leaf = addressOf(word);
    damagedIf(below == BELOW_LEAF);
    const capacity = leafCapacity(word);
    let used = false;
    for (let i: u32 = 0; i < capacity; i++) {
      const child = leaf + LEAF_ENTRIES + (i << 3) + 4;
      pages += markWord(child, object, trie, BELOW_LEAF);
      if (load<u32>(child) != 0) used = true;
    }
    if (!used) atomic.store<u32>(at, 0);
    else markCell(leaf);
    if (used) markedNodes++;
    return pages;
  }
  if (tag == TAG_OBJECT) {
    damagedIf(!trie);
    return markChain(at);
  }
  damagedIf(trie || !isPage(word));
  markPage(word);
  return 1;
}

/** A frame holds 84 objects: a bound for the length of a chain. */
const OBJECTS_A_FRAME_SHIFT: u32 = 7;

/** Marks the objects of a chain; those without pages leave it. */
function markChain(at: usize): u32 {
  let pages: u32 = 0;
  let from: usize = 0; // the object before, 0 = `at` names the chain
  let object = addressOf(load<u32>(at));
  let left = load<u32>(H_FRAMES) << OBJECTS_A_FRAME_SHIFT;
  while (object != 0) {
    damagedIf(left-- == 0);
    const next = <usize>load<u32>(object + O_NEXT);
    const own = markWord(object + O_ROOT, object, false, TREE_LEVEL_MAX + 1);
    if (own == 0) {
      if (from != 0) atomic.store<u32>(from + O_NEXT, <u32>next);
      else atomic.store<u32>(at, next == 0 ? 0 : wordOf(TAG_OBJECT, next));
    } else {
      markCell(object);
      markedObjects++;
      store<u32>(object + O_PAGES, own);
      atomic.store<u32>(object + O_PLACE, placeOf(markedPool, markedRoot, OBJECT_LIVE));
      pages += own;
      from = object;
    }
    object = next;
  }
  return pages;
}

function markCell(cell: usize): void {
  const kind = load<u32>(frameEntry(frameOf(cell))) & 15;
  damagedIf(kind != KIND_SLAB_EPH && kind != KIND_SLAB_PERS);
  damagedIf(!slabMark(cell));
}

function markPage(word: u32): void {
  const tag = tagOf(word);
  if (tag == TAG_FILL || tag == TAG_CELL) markedFilled++;
  if (tag == TAG_FILL) return;
  const descriptor = descriptorOf(word);
  if (tag == TAG_CELL) {
    markCell(descriptor);
    return;
  }
  markedBytes += memoryBytes(word);
  if (isRemote(word)) markedRemote++;
  if (tag == TAG_RAW) {
    markCell(descriptor);
    rawMark(descriptor);
  } else if (tag == TAG_ZBUD) {
    damagedIf(!zbudMark(descriptor));
  } else if (tag == TAG_ZV || tag == TAG_ZV8) {
    zvMark(descriptor);
  }
}
