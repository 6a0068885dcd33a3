// Reclaim of slab frames: evicts what the cells of one frame of an ephemeral pool's index lead to. Used when a
// client has more such frames than others, that is when its pages hardly take any frames (same-filled pages).
//
//   objects         small ones, wholly                 leaves, lowest nodes   their pages, at most 64 each
//   page cells      the page                           higher nodes, tries    nothing: they go with what is below

import { N_EVICTED, N_NODES, count } from '../memory/counters';
import { frameEntry } from '../memory/frame';
import { H_FIRST_FRAME, H_LAST_FRAME, H_SCAN_HAND, KIND_SLAB_EPH, S_GATHER } from '../memory/layout';
import { lock, unlock } from '../memory/lock';
import {
  SLAB_CELL,
  SLAB_LEAF15,
  SLAB_LEAF5,
  SLAB_NODE,
  SLAB_OBJECT,
  SLAB_RAW,
  slabCellAddress,
  slabCells,
  slabCellUsed,
  slabClassOf,
} from '../memory/slab';
import { slotAddress } from '../memory/slot';
import { TAG_CELL, TAG_RAW, wordOf } from '../memory/word';
import { indexOf, objectOf } from '../pam/descriptor';
import { memoryFree } from '../pam/pam';
import { K_EVICTED_INLINE, countClient } from './client-counters';
import { countOff, discharge, dropIfEmpty } from './handle';
import { OBJECT_LIVE, O_PAGES, objectPlace, O_ROOT, placePool, placeRoot, placeState } from './object';
import { countEvicted, evict, letGoObject, lockObject, lockedObjectPool, unlockObject } from './reclaim';
import { emptiedFree, nodesChanged } from './reserve';
import { doomObject, drain, noteDoomed } from './teardown';
import { LEAF_ENTRIES, LEAF_OBJECT, nodeKey, nodeLevel, nodeObject } from './node';
import { treeTakeUnit } from './tree';

/** An object with more pages is not evicted for its one cell: pages that are used would go with it. */
const OBJECT_PAGES_MAX: u32 = 64;
/** Steps of freeing the evicted objects of a frame; the rest is left to later calls of drain(). */
const DRAIN_STEPS: i32 = 256;

/** Evicts what the next ephemeral slab frame of a client leads to; how many pages. */
export function reclaimSlab(client: u32): u32 {
  const first = load<u32>(H_FIRST_FRAME);
  const last = load<u32>(H_LAST_FRAME);
  const mine = KIND_SLAB_EPH | (client << 16);
  let frame = load<u32>(H_SCAN_HAND);
  for (let pass: u32 = 0; pass < last - first; pass++, frame++) {
    if (frame < first || frame >= last) frame = first;
    if ((load<u32>(frameEntry(frame)) & 0xffff000f) != mine) continue;
    const pages = evictSlab(frame);
    if (pages == 0) continue;
    drain(DRAIN_STEPS);
    store<u32>(H_SCAN_HAND, frame + 1);
    countClient(client, K_EVICTED_INLINE, pages);
    countEvicted(client, 0, pages);
    return pages;
  }
  store<u32>(H_SCAN_HAND, frame);
  return 0;
}

function evictSlab(frame: u32): u32 {
  const cls = slabClassOf(frame);
  if (cls > SLAB_RAW) return 0; // given away meanwhile, to another use
  let pages: u32 = 0;
  const cells = slabCells(cls);
  for (let i: u32 = 0; i < cells; i++) {
    if (!slabCellUsed(frame, cls, i)) continue;
    const cell = slabCellAddress(frame, cls, i);
    if (cls == SLAB_OBJECT) pages += evictObject(cell);
    else if (cls == SLAB_CELL) pages += evictCell(cell, TAG_CELL);
    else if (cls == SLAB_RAW) pages += evictCell(cell, TAG_RAW);
    else if (cls == SLAB_NODE) pages += nodeLevel(cell) == 0 ? evictUnit(nodeObject(cell), nodeKey(cell), cell) : 0;
    else if (cls == SLAB_LEAF5 || cls == SLAB_LEAF15) pages += evictLeaf(cell, cls);
  }
  return pages;
}

function evictCell(cell: usize, tag: u32): u32 {
  return evict(objectOf(cell), indexOf(cell), wordOf(tag, cell)) ? 1 : 0;
}

/** Any of a leaf's keys leads to it. */
function evictLeaf(leaf: usize, cls: u32): u32 {
  const entries: u32 = cls == SLAB_LEAF5 ? 5 : 15;
  for (let i: u32 = 0; i < entries; i++) {
    const entry = leaf + LEAF_ENTRIES + (i << 3);
    if (atomic.load<u32>(entry + 4) == 0) continue;
    return evictUnit(load<u32>(leaf + LEAF_OBJECT), load<u32>(entry), leaf);
  }
  return 0;
}

/** Takes a leaf or lowest node out of its object's tree and frees its pages. */
function evictUnit(object: usize, key: u32, cell: usize): u32 {
  const stripe = lockObject(object);
  if (stripe == 0) return 0;
  const pool = lockedObjectPool();
  const gather = slotAddress() + S_GATHER;
  const taken = treeTakeUnit(object + O_ROOT, key, cell);
  if (taken > 0) {
    countOff(pool, object, taken);
    count(pool, N_EVICTED, taken);
    count(pool, N_NODES, nodesChanged());
    if (load<u32>(object + O_PAGES) == 0) {
      // Under a new hold, because 64 slots were looked at under this one. The object's cell is pinned, not the object.
      const place = objectPlace(object);
      unlock(stripe);
      lock(stripe);
      if (objectPlace(object) == place) dropIfEmpty(pool, object);
      count(pool, N_NODES, nodesChanged());
    }
  }
  unlockObject(stripe);
  for (let i = 1; i <= taken; i++) {
    const word = load<u32>(gather + (i << 2));
    discharge(pool, word);
    memoryFree(word);
  }
  emptiedFree();
  letGoObject();
  return taken > 0 ? taken : 0;
}

/** Evicts an object with all its pages, unless they are many: those go with their own leaves and nodes. */
function evictObject(object: usize): u32 {
  const stripe = lockObject(object);
  if (stripe == 0) return 0;
  const place = objectPlace(object);
  const pool = lockedObjectPool();
  if (placeState(place) != OBJECT_LIVE || load<u32>(object + O_PAGES) > OBJECT_PAGES_MAX) {
    unlockObject(stripe);
    letGoObject();
    return 0;
  }
  const pages = load<u32>(object + O_PAGES);
  doomObject(pool, placePool(place), placeRoot(place), object);
  count(pool, N_EVICTED, pages);
  count(pool, N_NODES, nodesChanged());
  noteDoomed(pool);
  unlockObject(stripe);
  emptiedFree();
  letGoObject();
  return pages;
}
