// Reclaim: takes frames back from ephemeral pages, bottom up: from a frame to the pages in it, from a page's
// descriptor to its object, from there to the slot that names it. A page is freed only after its slot was found,
// under the stripe lock, to still name it; so top-down operations and reclaim may meet anywhere.
//
// The way from descriptor to object is walked without a lock: the object's frame is pinned by a hazard pointer
// (memory/slab.ts), its place read, the lock taken, and the place read again.
//
// Whose frames: the client that is furthest above its share by weight, frames / weight. Which of its frames: the
// least recently used of zbud and raw; zv in the order of a hand that goes round; slabs (whole nodes of the index)
// only when they outweigh all of those, because pages without a frame would fill the budget otherwise.
//
// One thread reclaims at a time, a few frames for everybody, and never calls put.

import { N_EVICTED, N_NODES, count } from '../memory/counters';
import {
  TAKE_FAILED_FOR_TEST,
  TAKE_OVER_CAP,
  clientAddress,
  framesGiven,
  frameOf,
  frameTakeFailure,
} from '../memory/frame';
import {
  C_CAP_FRAMES,
  C_FRAMES,
  C_KINDS,
  C_WEIGHT,
  H_CLIENTS_MAX,
  H_DOOMED_POOLS,
  H_CLOCK,
  H_FREE_FRAMES,
  H_POOLS_HIGH,
  H_SHRINKS,
  H_UNBUDDIED_FIRST,
  KIND_RAW_EPH,
  KIND_SLAB_EPH,
  KIND_ZBUD_EPH,
  KIND_ZV_EPH,
  P_CLIENT,
  RECLAIM_LOCK,
} from '../memory/layout';
import { lock, stripeLock, unlock } from '../memory/lock';
import { hazardClear, hazardSet } from '../memory/slab';
import { enterTeardown, slotAddress } from '../memory/slot';
import { TAG_RAW, TAG_ZBUD, wordOf } from '../memory/word';
import { indexOf, objectOf } from '../pam/descriptor';
import { memoryFree } from '../pam/pam';
import { rawCount, rawOldestStamp, rawVictim, rawVictimIndex, rawVictimObject } from '../pam/raw';
import { ZBUD_LEFT, ZBUD_RIGHT, zbudHas, zbudOldestStamp, zbudReclaimBegin, zbudReclaimEnd } from '../pam/zbud';
import {
  K_EPH_ATE_TAIL,
  K_EVICTED_BUDDIED,
  K_EVICTED_FRAMES,
  K_EVICTED_PAGES,
  K_EVICTED_UNBUDDIED,
  K_PERS_ATE_EPH,
  countClient,
} from './client-counters';
import { discharge, removePage } from './handle';
import { OBJECT_GONE, O_ROOT, objectPlace, placePool, placeRoot, placeState } from './object';
import { poolAddress } from './pool';
import { reclaimSlab } from './reclaim-slab';
import { reclaimZvFrame } from './reclaim-zv';
import { emptiedFree, nodesChanged } from './reserve';
import { drain } from './teardown';
import { treeFind } from './tree';

/** Frames reclaimed in one go, so that the threads that wait meanwhile find some free. */
const BATCH_FRAMES: u32 = 8;
/** Steps of left-over teardown before anything is evicted. */
const DRAIN_STEPS: i32 = 64;
const CAP_DRAIN_STEPS: i32 = 4096;
/** Clients tried, from the furthest above its share down, when nothing can be had of one. */
const CLIENTS_TRIED_MAX: i32 = 8;

/** Client address words: frames of ephemeral pages by kind. */
@inline
export function framesOfKind(client: u32, kind: u32): u32 {
  return atomic.load<u32>(clientAddress(client) + C_KINDS + (kind << 2));
}

/**
 * A client's frameTake just failed: makes room by evicting ephemeral pages (the client's own when it is at its cap).
 * False when there is nothing to evict; else it is worth trying again.
 */
export function reclaimForTake(client: u32, persistent: bool): bool {
  const failure = frameTakeFailure();
  if (failure == TAKE_FAILED_FOR_TEST) return false;
  const overCap = failure == TAKE_OVER_CAP;
  if (atomic.load<u32>(H_DOOMED_POOLS) != 0) {
    // What a client at its cap waits for may lie behind what others left: more at a time.
    if (drain(overCap ? CAP_DRAIN_STEPS : DRAIN_STEPS) > 0) return true;
  }
  lock(RECLAIM_LOCK);
  let progress = !overCap && atomic.load<u32>(H_FREE_FRAMES) > 0; // somebody else made room while we waited
  if (!progress) {
    const frames = overCap ? reclaimFrom(client, 1) : reclaimAny(BATCH_FRAMES);
    progress = frames > 0;
    if (progress) countClient(client, persistent ? K_PERS_ATE_EPH : K_EPH_ATE_TAIL, frames);
  }
  unlock(RECLAIM_LOCK);
  return progress;
}

/** Evicts until it has given `frames` frames back, or nothing is left to evict; how many it gave back. */
export function shrink(frames: u32): u32 {
  atomic.add<u32>(H_SHRINKS, 1);
  // What this thread gave back, not what is free: others take frames at the same time.
  const before = framesGiven();
  while (framesGiven() - before < frames) {
    if (drain(DRAIN_STEPS) > 0) continue;
    lock(RECLAIM_LOCK);
    const progress = reclaimAny(min<u32>(BATCH_FRAMES, frames - (framesGiven() - before)));
    unlock(RECLAIM_LOCK);
    if (progress == 0) break;
  }
  return framesGiven() - before;
}

/** Evicts until a client that was given a lower cap is within it, or has nothing left to evict. */
export function enforceCap(client: u32): void {
  const address = clientAddress(client);
  if (address == 0) return;
  for (;;) {
    const cap = load<u32>(address + C_CAP_FRAMES);
    if (cap == 0 || atomic.load<u32>(address + C_FRAMES) <= cap) return;
    if (atomic.load<u32>(H_DOOMED_POOLS) != 0 && drain(DRAIN_STEPS) > 0) continue;
    lock(RECLAIM_LOCK);
    const freed = reclaimFrom(client, 1);
    unlock(RECLAIM_LOCK);
    if (freed == 0) return;
  }
}

/** Reclaims up to `frames` frames of whoever is furthest above its share. Under RECLAIM_LOCK. */
function reclaimAny(frames: u32): u32 {
  let limitFrames: u64 = ~(<u64>0);
  let limitWeight: u64 = 1;
  let limitClient: u32 = 0;
  for (let tries = 0; tries < CLIENTS_TRIED_MAX; tries++) {
    const client = furthestAbove(limitFrames, limitWeight, limitClient);
    if (client == 0) return 0;
    const freed = reclaimFrom(client, frames);
    if (freed > 0) return freed;
    const address = clientAddress(client);
    limitFrames = chargedFrames(client);
    limitWeight = load<u32>(address + C_WEIGHT);
    limitClient = client;
  }
  return 0;
}

function chargedFrames(client: u32): u64 {
  return atomic.load<u32>(clientAddress(client) + C_FRAMES);
}

function ephemeralFrames(client: u32): u32 {
  return (
    framesOfKind(client, KIND_ZBUD_EPH) +
    framesOfKind(client, KIND_ZV_EPH) +
    framesOfKind(client, KIND_RAW_EPH) +
    framesOfKind(client, KIND_SLAB_EPH)
  );
}

/** The client with the most frames for its weight among those with ephemeral frames and below the limit given. */
function furthestAbove(limitFrames: u64, limitWeight: u64, limitClient: u32): u32 {
  const clients = load<u32>(H_CLIENTS_MAX);
  let best: u32 = 0;
  let bestFrames: u64 = 0;
  let bestWeight: u64 = 1;
  for (let client: u32 = 1; client < clients; client++) {
    const address = clientAddress(client);
    if (address == 0 || client == limitClient || ephemeralFrames(client) == 0) continue;
    const frames = chargedFrames(client);
    const weight: u64 = load<u32>(address + C_WEIGHT);
    // Below the limit, where clients of equal ratio count by id.
    const ratio = frames * limitWeight;
    const limit = limitFrames * weight;
    if (limitClient != 0 && (ratio > limit || (ratio == limit && client < limitClient))) continue;
    if (best != 0 && frames * bestWeight <= bestFrames * weight) continue;
    best = client;
    bestFrames = frames;
    bestWeight = weight;
  }
  return best;
}

/** Reclaims up to `frames` frames of one client; how many, 0 when it has no ephemeral page left. */
function reclaimFrom(client: u32, frames: u32): u32 {
  let freed: u32 = 0;
  while (freed < frames) {
    const step = reclaimStep(client);
    if (step == 0) break;
    freed += step;
  }
  return freed;
}

/** Evicts the pages of one frame; 1 when any was evicted (its frame is free then, or will be when others let go). */
function reclaimStep(client: u32): u32 {
  if (clientAddress(client) == 0) return 0;
  const zbud = framesOfKind(client, KIND_ZBUD_EPH);
  const zv = framesOfKind(client, KIND_ZV_EPH);
  const raw = framesOfKind(client, KIND_RAW_EPH);
  const slabs = framesOfKind(client, KIND_SLAB_EPH);
  if (slabs > zbud + zv + raw && reclaimSlab(client) > 0) return 1;
  if (zv > zbud + raw && reclaimZvFrame(client) > 0) return 1;
  const rawFirst = raw > 0 && (zbud == 0 || rawIsOlder(client, zbudOldestStamp(client)));
  if (rawFirst && reclaimRaw(client)) return 1;
  if (zbud > 0 && reclaimZbud(client)) return 1;
  if (raw > 0 && reclaimRaw(client)) return 1;
  if (zv > 0 && reclaimZvFrame(client) > 0) return 1;
  if (slabs > 0 && reclaimSlab(client) > 0) return 1;
  return 0;
}

/** Frames tried for one with a page that is in the index: each thread may have one that is not there yet. */
const UNPUBLISHED_MAX: i32 = 8;

function reclaimZbud(client: u32): bool {
  for (let tries = 0; tries < UNPUBLISHED_MAX; tries++) {
    const frame = zbudReclaimBegin(client, load<u32>(H_UNBUDDIED_FIRST) != 0);
    if (frame == 0) return false;
    const base: usize = frame << 12;
    let pages: u32 = 0;
    let found: u32 = 0;
    for (let side = 0; side < 2; side++) {
      const descriptor = base + (side == 0 ? ZBUD_LEFT : ZBUD_RIGHT);
      if (!zbudHas(frame, descriptor)) continue;
      found++;
      if (evict(objectOf(descriptor), indexOf(descriptor), wordOf(TAG_ZBUD, descriptor))) pages++;
    }
    const given = zbudReclaimEnd(frame);
    if (given) countClient(client, found == 2 ? K_EVICTED_BUDDIED : K_EVICTED_UNBUDDIED, 1);
    if (given || pages > 0) {
      countEvicted(client, given ? 1 : 0, pages);
      return true;
    }
  }
  return false;
}

let oldestRawPool: u32 = 0;

/** Whether the client's least recently used raw page is older than `stamp`; its pool is in oldestRawPool. */
function rawIsOlder(client: u32, stamp: u32): bool {
  const pools = load<u32>(H_POOLS_HIGH);
  let oldest = stamp;
  let found = false;
  for (let id: u32 = 0; id < pools; id++) {
    // Named before it is looked at, so that its frame stays.
    enterTeardown(id + 1);
    const pool = poolAddress(id);
    if (pool == 0 || load<u32>(pool + P_CLIENT) != client || rawCount(id) == 0) continue;
    const age = rawOldestStamp(client, id);
    if (<i32>(age - oldest) >= 0) continue;
    oldest = age;
    oldestRawPool = id;
    found = true;
  }
  enterTeardown(0);
  return found;
}

function reclaimRaw(client: u32): bool {
  for (let tries = 0; tries < UNPUBLISHED_MAX; tries++) {
    // No stamp is above the clock.
    if (!rawIsOlder(client, load<u32>(H_CLOCK) + 1)) return false;
    enterTeardown(oldestRawPool + 1);
    const cell = poolAddress(oldestRawPool) == 0 ? <usize>0 : rawVictim(client, oldestRawPool);
    enterTeardown(0);
    if (cell == 0) return false;
    if (!evict(rawVictimObject(), rawVictimIndex(), wordOf(TAG_RAW, cell))) continue;
    countEvicted(client, 1, 1);
    return true;
  }
  return false;
}

export function countEvicted(client: u32, frames: u32, pages: u32): void {
  countClient(client, K_EVICTED_FRAMES, frames);
  countClient(client, K_EVICTED_PAGES, pages);
}

/** Address of the pool of an object that lockObject locked. */
let lockedPool: usize = 0;

export function lockedObjectPool(): usize {
  return lockedPool;
}

/**
 * Locks the stripe of an object that was found from a page, without knowing whether it is still one. Returns the
 * lock, 0 when the object is gone. The object stays pinned until unlockObject, its pool until letGoObject: so what
 * was taken out can be freed and accounted for after the lock.
 */
export function lockObject(object: usize): usize {
  if (object == 0) return 0;
  const slot = slotAddress();
  if (!hazardSet(slot, frameOf(object))) return 0;
  const place = objectPlace(object);
  if (placeState(place) != OBJECT_GONE) {
    const stripe = stripeLock(placePool(place), placeRoot(place));
    lock(stripe);
    if (objectPlace(object) == place) {
      lockedPool = poolAddress(placePool(place));
      enterTeardown(placePool(place) + 1);
      return stripe;
    }
    unlock(stripe);
  }
  hazardClear(slot);
  return 0;
}

export function unlockObject(stripe: usize): void {
  unlock(stripe);
  hazardClear(slotAddress());
}

/** The pool of the object that was locked may end now. */
export function letGoObject(): void {
  enterTeardown(0);
}

/** Takes a page out of the index if its slot still names `word`, and frees it; whether it did. */
export function evict(object: usize, index: u32, word: u32): bool {
  const stripe = lockObject(object);
  if (stripe == 0) return false;
  const pool = lockedPool;
  const at = treeFind(object + O_ROOT, index, false);
  const found = at != 0 && load<u32>(at) == word;
  if (found) {
    removePage(pool, object, index);
    count(pool, N_EVICTED, 1);
    count(pool, N_NODES, nodesChanged());
  }
  unlockObject(stripe);
  if (found) {
    discharge(pool, word);
    memoryFree(word);
    emptiedFree();
  }
  letGoObject();
  return found;
}
