// Handle: <pool, oid, index>, and the way from it to its slot in the index.
//
// begin() starts an operation on a pool; locate() finds the place of an oid: root slot, trie key, stripe lock. Both
// stay in this module until the next operation (one wasm instance a thread). Reclaim, which may run in the middle of
// a put, does not touch them.

import { N_OBJECTS, N_REMOTE, N_SAME_FILLED, N_ZBYTES, count } from '../memory/counters';
import { clientAddress } from '../memory/frame';
import {
  H_PERSISTENT_LIMIT_PAGES,
  H_PERSISTENT_PAGES,
  POOL_PERSISTENT,
  P_CLIENT,
  P_DOOMED_TREES,
  P_FLAGS,
  P_PAGES,
  P_ROOTS,
  VERSIONS,
  VERSION_ENTRIES,
} from '../memory/layout';
import { stripeLock } from '../memory/lock';
import { orphanPut } from '../memory/orphans';
import { enter, leave } from '../memory/slot';
import {
  TAG_CELL,
  TAG_FILL,
  TAG_OBJECT,
  TAG_ZV,
  TAG_ZV8,
  addressOf,
  descriptorOf,
  tagOf,
  wordOf,
} from '../memory/word';
import { CODEC_REMOTE, codecOf } from '../pam/descriptor';
import { memoryBytes, memoryData } from '../pam/pam';
import { hashOid } from './hash';
import {
  OBJECT_DOOMED,
  OBJECT_GONE,
  OBJECT_LIVE,
  O_KEY,
  O_NEXT,
  O_PAGES,
  O_PLACE,
  O_ROOT,
  hasOid,
  nextInChain,
  objectPlace,
  placePool,
  placeRoot,
  placeState,
} from './object';
import { poolIsLive, poolOfName } from './pool';
import { emptiedAdd } from './reserve';
import { treeFind, treeRemove } from './tree';

let hPool: usize = 0;
let hId: u32 = 0;
let hClient: u32 = 0;
let hPersistent: bool = false;
let hRoot: u32 = 0;
let hKey: u32 = 0;
let hStripe: usize = 0;
let hA: u64 = 0;
let hB: u64 = 0;
let hC: u64 = 0;

@inline
export function handlePool(): usize {
  return hPool;
}
@inline
export function handlePoolId(): u32 {
  return hId;
}
@inline
export function handleClient(): u32 {
  return hClient;
}
@inline
export function handleClientAddress(): usize {
  return clientAddress(hClient);
}
@inline
export function handlePersistent(): bool {
  return hPersistent;
}
@inline
export function handleRoot(): u32 {
  return hRoot;
}
@inline
export function handleKey(): u32 {
  return hKey;
}
@inline
export function handleStripe(): usize {
  return hStripe;
}
@inline
export function handleA(): u64 {
  return hA;
}
@inline
export function handleB(): u64 {
  return hB;
}
@inline
export function handleC(): u64 {
  return hC;
}

/** Starts an operation on the pool of this name (pool.ts). False (and the operation is over) when it is gone. */
export function begin(name: u32): bool {
  const id = name & 0xffff;
  enter(id + 1);
  // Looked up after the slot names the pool, so that what is found stays.
  const pool = poolOfName(name);
  if (!poolIsLive(pool)) {
    leave();
    return false;
  }
  usePool(pool, id);
  return true;
}

/** Makes this the pool of the operation; the slot must name it. */
export function usePool(pool: usize, id: u32): void {
  hPool = pool;
  hId = id;
  hClient = load<u32>(pool + P_CLIENT);
  hPersistent = (load<u32>(pool + P_FLAGS) & POOL_PERSISTENT) != 0;
}

/** Turns to the pool of this name in the same operation; enterSecond named it. False when it is gone. */
export function turnTo(name: u32): bool {
  const pool = poolOfName(name);
  if (!poolIsLive(pool)) return false;
  usePool(pool, name & 0xffff);
  return true;
}

/** The oid of the operation, as three words of 64 bits. */
export function locate(a: u64, b: u64, c: u64): void {
  hA = a;
  hB = b;
  hC = c;
  const hash = hashOid(hId, a, b, c);
  hRoot = <u32>hash & 63;
  hKey = <u32>(hash >>> 34);
  hStripe = stripeLock(hId, hRoot);
}

@inline
export function trieRoot(pool: usize, root: u32): usize {
  return pool + P_ROOTS + (root << 2);
}

/** Under the stripe lock: the operation's object, 0 when there is none. */
export function findObject(): usize {
  const at = treeFind(trieRoot(hPool, hRoot), hKey, true);
  if (at == 0) return 0;
  let object = addressOf(atomic.load<u32>(at));
  for (let i: u32 = 0; object != 0 && !hasOid(object, hA, hB, hC); i++) object = nextInChain(object, i);
  return object;
}

/** Under the stripe lock: address of the slot word of an object's page, 0 when either is not there. */
@inline
export function pageSlot(object: usize, index: u32): usize {
  return object == 0 ? <usize>0 : treeFind(object + O_ROOT, index, false);
}

// ---- changes, under the stripe lock ---------------------------------------------------------------------------

/** By trie key, which follows from pool and oid: an object of the same name that comes later has the same versions. */
function versionAddress(object: usize, index: u32): usize {
  return VERSIONS + (((load<u32>(object + O_KEY) + index) & (VERSION_ENTRIES - 1)) << 2);
}

/** Changes with every change of the slot of a page (and of a few others): see partial.ts. */
export function pageVersion(object: usize, index: u32): u32 {
  return load<u32>(versionAddress(object, index));
}

export function raiseVersion(object: usize, index: u32): void {
  const cell = versionAddress(object, index);
  atomic.add<u32>(cell, 1);
}

/** Whether a page word names no page but where it is. Such words are always in zv. */
export function isRemote(word: u32): bool {
  const tag = tagOf(word);
  return (tag == TAG_ZV || tag == TAG_ZV8) && codecOf(descriptorOf(word)) == CODEC_REMOTE;
}

/** Charges a pool with a page word that is about to be published. */
export function charge(pool: usize, word: u32): void {
  const tag = tagOf(word);
  if (isRemote(word)) count(pool, N_REMOTE, 1);
  if (tag == TAG_FILL || tag == TAG_CELL) count(pool, N_SAME_FILLED, 1);
  else count(pool, N_ZBYTES, memoryBytes(word));
}

/** Takes a page word that has left the index off its pool. Before memoryFree, which forgets what it was. */
export function discharge(pool: usize, word: u32): void {
  if (isRemote(word)) orphanPut(memoryData(word), memoryBytes(word));
  uncharge(pool, word);
}

/** As discharge, for a word that nobody has seen, or whose remote copy is the caller's own from now on. */
export function uncharge(pool: usize, word: u32): void {
  const tag = tagOf(word);
  if (isRemote(word)) count(pool, N_REMOTE, -1);
  if (tag == TAG_FILL || tag == TAG_CELL) count(pool, N_SAME_FILLED, -1);
  else count(pool, N_ZBYTES, -(<i64>memoryBytes(word)));
  if (load<u32>(H_PERSISTENT_LIMIT_PAGES) != 0 && (load<u32>(pool + P_FLAGS) & POOL_PERSISTENT) != 0) {
    atomic.sub<u32>(H_PERSISTENT_PAGES, 1);
  }
}

/** Counts pages of a root slot up or down. */
export function addPages(pool: usize, root: u32, pages: i32): void {
  const cell = pool + P_PAGES + (root << 2);
  atomic.store<u32>(cell, load<u32>(cell) + pages);
}

/**
 * Takes a page that is there out of its object; the object disappears with its last page. Works on live objects and
 * on those that were flushed and wait to be freed, which are counted in no root slot any more.
 */
export function removePage(pool: usize, object: usize, index: u32): void {
  treeRemove(object + O_ROOT, index, false);
  raiseVersion(object, index);
  countOff(pool, object, 1);
  dropIfEmpty(pool, object);
}

/** Counts pages off that have left an object's tree. */
export function countOff(pool: usize, object: usize, taken: u32): void {
  store<u32>(object + O_PAGES, load<u32>(object + O_PAGES) - taken);
  if (placeState(objectPlace(object)) == OBJECT_DOOMED) return;
  if (isLiveTrie(pool, object, trieOf(pool, object))) {
    addPages(pool, placeRoot(objectPlace(object)), -taken);
  }
}

/** An object disappears with its last page; one that was flushed goes with what else waits to be freed. */
export function dropIfEmpty(pool: usize, object: usize): void {
  if (load<u32>(object + O_PAGES) != 0 || placeState(objectPlace(object)) != OBJECT_LIVE) return;
  detachFrom(trieOf(pool, object), object);
  forgetObject(pool, object);
}

/** Root word of the trie that an object hangs in: the pool's, or the one that a flush of the whole pool detached. */
export function trieOf(pool: usize, object: usize): usize {
  const root = placeRoot(objectPlace(object));
  const live = trieRoot(pool, root);
  const detached = pool + P_DOOMED_TREES + (root << 2);
  if (load<u32>(detached) == 0) return live;
  const at = treeFind(live, load<u32>(object + O_KEY), true);
  let other = at == 0 ? <usize>0 : addressOf(load<u32>(at));
  for (let i: u32 = 0; other != 0 && other != object; i++) other = nextInChain(other, i);
  return other == object ? live : detached;
}

/** Whether trieOf() gave the pool's own trie: then the object can be found, and its pages count. */
export function isLiveTrie(pool: usize, object: usize, trie: usize): bool {
  return trie == trieRoot(pool, placeRoot(objectPlace(object)));
}

/** Takes an object out of the trie with this root word. */
export function detachFrom(root: usize, object: usize): void {
  const key = load<u32>(object + O_KEY);
  const at = treeFind(root, key, true);
  const head = addressOf(load<u32>(at));
  const next = load<u32>(object + O_NEXT);
  if (head == object) {
    if (next == 0) treeRemove(root, key, true);
    else atomic.store<u32>(at, wordOf(TAG_OBJECT, next));
    return;
  }
  let before = head;
  for (let i: u32 = 0; load<u32>(before + O_NEXT) != <u32>object; i++) before = nextInChain(before, i);
  atomic.store<u32>(before + O_NEXT, next);
}

/** The cell of an object that is in no trie and has no pages: nothing takes it for an object any more. */
export function forgetObject(pool: usize, object: usize): void {
  atomic.store<u32>(object + O_PLACE, OBJECT_GONE);
  emptiedAdd(object);
  count(pool, N_OBJECTS, -1);
}
