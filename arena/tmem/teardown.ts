// Teardown: frees what flush object, flush pool and destroy made unreachable, in bounded steps that any thread takes.
//
// A flushed object leaves the trie by one store and waits in its pool's P_DOOMED_OBJECTS[root slot]; a flushed or
// destroyed pool's tries wait in P_DOOMED_TREES. One step takes one leaf, node or page (at most 64 slots) out of a
// doomed object, or one object out of a doomed trie, under the same stripe lock that guarded them before: so
// reclaim, which may still find these pages from their frames, needs no second way.
//
// A dying pool's frame goes back when nothing waits any more and no operation works on the pool; only then can its
// id be used again.

import { N_NODES, count } from '../memory/counters';
import { frameGive } from '../memory/frame';
import { ABORT_DAMAGED, abortOperation } from '../memory/host';
import {
  ADMIN_LOCK,
  H_DOOMED_POOLS,
  H_POOLS_HIGH,
  H_POOL_TABLE,
  POOL_DYING,
  POOL_LIVE,
  P_CLIENT,
  P_DOOMED,
  P_DOOMED_OBJECTS,
  P_DOOMED_TREES,
  P_PAGES,
  P_ROOTS,
  P_STATE,
  ROOTS,
  S_GATHER,
} from '../memory/layout';
import { lock, stripeLock, unlock } from '../memory/lock';
import { enterTeardown, poolIsInUse, slotAddress } from '../memory/slot';
import { TAG_LEAF15, TAG_LEAF5, TAG_NODE, TAG_OBJECT, addressOf, tagOf } from '../memory/word';
import { memoryFree } from '../pam/pam';
import { retirePool } from './client-counters';
import { commit } from '../memory/commit';
import {
  addPages,
  detachFrom,
  discharge,
  findObject,
  forgetObject,
  handlePool,
  handlePoolId,
  handleRoot,
  handleStripe,
  isLiveTrie,
  trieOf,
} from './handle';
import { OBJECT_DOOMED, O_NEXT, O_PAGES, O_PLACE, O_ROOT, placeOf } from './object';
import { poolAddress, poolFrameOf } from './pool';
import { emptiedFree, nodesChanged } from './reserve';
import { LEAF_ENTRIES, leafCapacity, nodeBits } from './node';
import { treeTakeUnit } from './tree';

/** Steps that flush object takes itself; an object of up to this many nodes is wholly freed when it returns. */
const FLUSH_STEPS: i32 = 64;

/** Makes the operation's object unreachable; how many pages it had. */
export function flushObject(): u32 {
  const pool = handlePool();
  const root = handleRoot();
  lock(handleStripe());
  const object = findObject();
  if (object == 0) {
    unlock(handleStripe());
    return 0;
  }
  const pages = load<u32>(object + O_PAGES);
  doomObject(pool, handlePoolId(), root, object);
  count(pool, N_NODES, nodesChanged());
  unlock(handleStripe());
  commit(pages);
  emptiedFree();
  noteDoomed(pool);
  for (let step = 0; step < FLUSH_STEPS; step++) {
    if (!teardownStep(pool, handlePoolId(), root)) break;
  }
  return pages;
}

/** Takes an object out of its trie; its pages wait to be freed. Under its stripe lock; then call noteDoomed. */
export function doomObject(pool: usize, id: u32, root: u32, object: usize): void {
  const trie = trieOf(pool, object);
  if (isLiveTrie(pool, object, trie)) addPages(pool, root, -load<i32>(object + O_PAGES));
  detachFrom(trie, object);
  pushDoomed(pool, id, root, object);
}

function pushDoomed(pool: usize, id: u32, root: u32, object: usize): void {
  const list = pool + P_DOOMED_OBJECTS + (root << 2);
  atomic.store<u32>(object + O_PLACE, placeOf(id, root, OBJECT_DOOMED));
  store<u32>(object + O_NEXT, load<u32>(list));
  atomic.store<u32>(list, <u32>object);
}

/** Says that a pool has something to free. */
export function noteDoomed(pool: usize): void {
  if (atomic.xchg<u32>(pool + P_DOOMED, 1) == 0) atomic.add<u32>(H_DOOMED_POOLS, 1);
}

/** Makes every page of a pool unreachable and frees them all; how many there were. */
export function flushPool(pool: usize, id: u32): u32 {
  let pages: u32 = 0;
  for (let root: u32 = 0; root < ROOTS; root++) pages += doomRoot(pool, id, root);
  noteDoomed(pool);
  commit(pages);
  for (let root: u32 = 0; root < ROOTS; root++) {
    // Bounded by the pages and objects of the pool: every step frees at least one or the last one returns false.
    while (teardownStep(pool, id, root)) {}
  }
  settle(pool, id);
  return pages;
}

/** Makes every page of a pool unreachable; the memory follows in steps (drain). */
export function destroyPool(pool: usize, id: u32): void {
  atomic.store<u32>(pool + P_STATE, POOL_DYING);
  for (let root: u32 = 0; root < ROOTS; root++) doomRoot(pool, id, root);
  noteDoomed(pool);
}

/** Detaches the trie of one root slot; the pages that became unreachable. */
function doomRoot(pool: usize, id: u32, root: u32): u32 {
  const stripe = stripeLock(id, root);
  const trie = pool + P_ROOTS + (root << 2);
  const doomed = pool + P_DOOMED_TREES + (root << 2);
  for (;;) {
    lock(stripe);
    if (load<u32>(trie) == 0 || load<u32>(doomed) == 0) break;
    unlock(stripe);
    teardownStep(pool, id, root); // an earlier flush is not done: finish it first
  }
  const pages = load<u32>(pool + P_PAGES + (root << 2));
  if (load<u32>(trie) != 0) {
    atomic.store<u32>(doomed, load<u32>(trie));
    atomic.store<u32>(trie, 0);
    addPages(pool, root, -<i32>pages);
  }
  unlock(stripe);
  return pages;
}

/** One step of freeing what waits in a root slot; false when nothing is left there. */
export function teardownStep(pool: usize, id: u32, root: u32): bool {
  const stripe = stripeLock(id, root);
  const list = pool + P_DOOMED_OBJECTS + (root << 2);
  const tree = pool + P_DOOMED_TREES + (root << 2);
  const gather = slotAddress() + S_GATHER;
  store<u32>(gather, 0);
  lock(stripe);
  let more = true;
  const object = <usize>load<u32>(list);
  if (object != 0) {
    if (load<u32>(object + O_ROOT) != 0) {
      const taken = treeTakeUnit(object + O_ROOT, 0, 0);
      store<u32>(object + O_PAGES, load<u32>(object + O_PAGES) - taken);
    }
    if (load<u32>(object + O_ROOT) == 0) {
      atomic.store<u32>(list, load<u32>(object + O_NEXT));
      forgetObject(pool, object);
    }
  } else if (load<u32>(tree) != 0) {
    const first = firstObject(tree);
    detachFrom(tree, first);
    pushDoomed(pool, id, root, first);
  } else {
    more = false;
  }
  count(pool, N_NODES, nodesChanged());
  unlock(stripe);
  freeGathered(pool);
  return more;
}

/** Frees the words in S_GATHER, which left the index under a lock that is released by now. */
export function freeGathered(pool: usize): void {
  const gather = slotAddress() + S_GATHER;
  for (let count = load<u32>(gather); count > 0; count--) {
    const word = load<u32>(gather + (count << 2));
    store<u32>(gather, count - 1);
    discharge(pool, word);
    memoryFree(word);
  }
  emptiedFree();
}

/** Any object of a trie that is not empty: that in the first used slot of each node. */
function firstObject(tree: usize): usize {
  let word = load<u32>(tree);
  let tag = tagOf(word);
  for (; tag != TAG_OBJECT; tag = tagOf(word)) {
    if (tag == TAG_NODE) {
      const node = addressOf(word);
      word = load<u32>(node + (<u32>ctz<u64>(nodeBits(node)) << 2));
    } else if (tag == TAG_LEAF5 || tag == TAG_LEAF15) {
      const leaf = addressOf(word);
      const capacity = leafCapacity(word);
      for (let i: u32 = 0; i < capacity; i++) {
        word = load<u32>(leaf + LEAF_ENTRIES + (i << 3) + 4);
        if (word != 0) break;
      }
    } else {
      abortOperation(ABORT_DAMAGED, 501);
    }
  }
  return addressOf(word);
}

/**
 * Takes up to `steps` steps of freeing, of whatever pool has something to free; the steps taken. Called by the host,
 * by puts while something waits, and by reclaim before it evicts anything.
 */
export function drain(steps: i32): i32 {
  let taken = 0;
  const pools = load<u32>(H_POOLS_HIGH);
  for (let id: u32 = 0; id < pools && taken < steps && atomic.load<u32>(H_DOOMED_POOLS) != 0; id++) {
    // Named before it is looked at, so that its frame stays while we work on it.
    enterTeardown(id + 1);
    const pool = poolAddress(id);
    if (pool == 0 || atomic.load<u32>(pool + P_DOOMED) == 0) continue;
    let left = false;
    for (let root: u32 = 0; root < ROOTS; root++) {
      while (taken < steps && waits(pool, root)) {
        if (teardownStep(pool, id, root)) taken++;
      }
      if (waits(pool, root)) left = true;
    }
    if (!left && settle(pool, id)) taken++;
  }
  enterTeardown(0);
  return taken;
}

function waits(pool: usize, root: u32): bool {
  return (
    atomic.load<u32>(pool + P_DOOMED_OBJECTS + (root << 2)) != 0 ||
    atomic.load<u32>(pool + P_DOOMED_TREES + (root << 2)) != 0
  );
}

/**
 * Nothing waits in the pool any more (as far as we saw): clears its mark, and ends a dying pool; whether it did, and
 * so gave the pool's frame back.
 */
function settle(pool: usize, id: u32): bool {
  lock(ADMIN_LOCK);
  const frame = poolFrameOf(id);
  if (frame << 12 != <u32>pool || load<u32>(pool + P_DOOMED) == 0) {
    unlock(ADMIN_LOCK);
    return false;
  }
  atomic.store<u32>(pool + P_DOOMED, 0);
  atomic.sub<u32>(H_DOOMED_POOLS, 1);
  let empty = true;
  for (let root: u32 = 0; root < ROOTS; root++) if (waits(pool, root)) empty = false;
  let done = empty;
  let ended = false;
  if (empty && load<u32>(pool + P_STATE) != POOL_LIVE) {
    const cell = load<u32>(H_POOL_TABLE) + (id << 3);
    // First hide the pool, then look for operations on it; they do it the other way round: one sees the other.
    atomic.store<u32>(cell, 0);
    if (poolIsInUse(id)) {
      atomic.store<u32>(cell, frame);
      done = false;
    } else {
      retirePool(pool, load<u32>(pool + P_CLIENT));
      frameGive(frame);
      ended = true;
    }
  }
  if (!done) noteDoomed(pool);
  unlock(ADMIN_LOCK);
  return ended;
}
