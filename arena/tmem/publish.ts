// Publishing: puts a finished page word into the index, with all metadata taken before the lock (reserve.ts).
//
// The page becomes visible by one store, after everything it points to is complete. What it replaces is the
// caller's to free: whoever clears or overwrites a slot owns what it named.

import { N_NODES, N_OBJECTS, count, sampleHighWater } from '../memory/counters';
import { P_PAGES } from '../memory/layout';
import { lockTwo, unlockTwo } from '../memory/lock';
import { SLAB_OBJECT } from '../memory/slab';
import { TAG_FILL, TAG_OBJECT, addressOf, descriptorOf, tagOf, wordOf } from '../memory/word';
import { describeObject } from '../pam/descriptor';
import { copyOut } from './encode';
import {
  addPages,
  findObject,
  handleA,
  handleB,
  handleC,
  handleClient,
  handleKey,
  handlePersistent,
  handlePool,
  handlePoolId,
  handleRoot,
  handleStripe,
  isRemote,
  pageSlot,
  pageVersion,
  raiseVersion,
  trieRoot,
} from './handle';
import { moveIsPossible, moveTake, movedStripe } from './move';
import { OBJECT_GONE, OBJECT_LIVE, O_KEY, O_NEXT, O_PAGES, O_PLACE, O_ROOT, O_SINGLE_INDEX, placeOf } from './object';
import { poolIsLive } from './pool';
import { reclaimForTake } from './reclaim';
import {
  emptiedFree,
  nodesChanged,
  reserveEnd,
  reserveFill,
  reserveHas,
  reservePeek,
  reserveStart,
  reserveTake,
} from './reserve';
import { INSERTED, treeFind, treeInsert } from './tree';

export const PUBLISHED: i32 = 1;
export const NOT_CHANGED_NO_MEMORY: i32 = 0;
export const NOT_CHANGED_POOL_GONE: i32 = -1;
/** Publishing was conditional, and the slot is not as it was. */
export const NOT_CHANGED_MOVED: i32 = -2;
/** Under each new lock more cells were wanted than before. */
export const NOT_CHANGED_ROUNDS: i32 = -3;

/** The page to be copied out is with a peer. */
export const NOT_CHANGED_REMOTE: i32 = -4;

/** What a put may want more of, under new locks, because others change the same tree: a few rounds are plenty. */
const ROUNDS_MAX: i32 = 64;
/** Frames lost again to other threads, and steps of freeing what was flushed, before a put gives up. */
const FILL_TRIES_MAX: i32 = 1000;

/** Publish over whatever is there. */
export const ANY: i32 = 0;
/** As ANY, and copy the replaced page's stored bytes out first (decode() then gives the old page). */
export const ANY_COPY_OUT: i32 = 1;
/** Only where the slot still holds `expected` at version `version`. */
export const EXPECTED: i32 = 2;
/** Only if the page of a move (move.ts) is still where it was; it leaves its old pool in the same step. */
export const MOVE: i32 = 3;

let replaced: u32 = 0;

/** The word that the last publish() replaced, 0 when the slot was empty. The caller frees it. */
export function replacedWord(): u32 {
  return replaced;
}

/** Publishes `word` at the operation's handle. Takes no page memory; its metadata comes from the pool's client. */
export function publish(index: u32, word: u32, mode: i32, expected: u32, version: u32, oldTarget: usize): i32 {
  replaced = 0;
  reserveStart();
  const other = mode == MOVE ? movedStripe() : <usize>0;
  let result = NOT_CHANGED_ROUNDS;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    lockTwo(handleStripe(), other);
    if (!poolIsLive(handlePool())) {
      unlockTwo(handleStripe(), other);
      result = NOT_CHANGED_POOL_GONE;
      break;
    }
    const object = findObject();
    const at = pageSlot(object, index);
    if (
      (mode == EXPECTED && (at == 0 || load<u32>(at) != expected || pageVersion(object, index) != version)) ||
      (mode == MOVE && !moveIsPossible())
    ) {
      unlockTwo(handleStripe(), other);
      result = NOT_CHANGED_MOVED;
      break;
    }
    if (mode == ANY_COPY_OUT && at != 0 && isRemote(load<u32>(at))) {
      unlockTwo(handleStripe(), other);
      result = NOT_CHANGED_REMOTE;
      break;
    }
    let done = true;
    if (at != 0) {
      replaced = load<u32>(at);
      if (mode == ANY_COPY_OUT) copyOut(replaced, oldTarget);
      nameObject(word, object);
      atomic.store<u32>(at, word);
    } else if (object != 0) {
      nameObject(word, object);
      done = treeInsert(object + O_ROOT, index, word, false, object) == INSERTED;
      if (done) store<u32>(object + O_PAGES, load<u32>(object + O_PAGES) + 1);
    } else {
      done = publishObject(index, word);
    }
    if (done) {
      if (at == 0) addPages(handlePool(), handleRoot(), 1);
      if (object != 0) raiseVersion(object, index);
      if (mode == MOVE) moveTake();
    }
    const pages = load<u32>(handlePool() + P_PAGES + (handleRoot() << 2));
    unlockTwo(handleStripe(), other);
    if (done) {
      result = PUBLISHED;
      if (pages <= 4 || (pages & 63) == 0) sampleHighWater(handlePool());
      break;
    }
    // Booked now: what fillReserve evicts belongs to other pools.
    count(handlePool(), N_NODES, nodesChanged());
    if (!fillReserve()) {
      result = NOT_CHANGED_NO_MEMORY;
      break;
    }
  }
  count(handlePool(), N_NODES, nodesChanged());
  emptiedFree();
  reserveEnd();
  return result;
}

@inline
function nameObject(word: u32, object: usize): void {
  if (tagOf(word) != TAG_FILL) describeObject(descriptorOf(word), object);
}

/** A new object, complete with its first page, goes into the trie. Under the stripe lock. */
function publishObject(index: u32, word: u32): bool {
  if (!reserveHas(SLAB_OBJECT, 1)) return false;
  const object = reservePeek(SLAB_OBJECT);
  store<u64>(object, handleA());
  store<u64>(object + 8, handleB());
  store<u64>(object + 16, handleC());
  store<u32>(object + O_KEY, handleKey());
  store<u32>(object + O_NEXT, 0);
  store<u32>(object + O_ROOT, word);
  store<u32>(object + O_PAGES, 1);
  store<u32>(object + O_SINGLE_INDEX, index);
  nameObject(word, object);
  atomic.store<u32>(object + O_PLACE, placeOf(handlePoolId(), handleRoot(), OBJECT_LIVE));
  const root = trieRoot(handlePool(), handleRoot());
  const at = treeFind(root, handleKey(), true);
  if (at != 0) {
    store<u32>(object + O_NEXT, <u32>addressOf(load<u32>(at)));
    atomic.store<u32>(at, wordOf(TAG_OBJECT, object));
  } else if (treeInsert(root, handleKey(), wordOf(TAG_OBJECT, object), true, 0) != INSERTED) {
    atomic.store<u32>(object + O_PLACE, OBJECT_GONE);
    return false;
  }
  reserveTake(SLAB_OBJECT);
  raiseVersion(object, index); // write at may have seen the page of a former object of this oid
  count(handlePool(), N_OBJECTS, 1);
  return true;
}

/** Takes the cells that are wanted, reclaiming ephemeral pages when there is no frame for them. */
function fillReserve(): bool {
  for (let tries = 0; tries < FILL_TRIES_MAX; tries++) {
    if (reserveFill(handleClient(), !handlePersistent()) < 0) return true;
    if (!reclaimForTake(handleClient(), handlePersistent())) return false;
  }
  return false;
}
