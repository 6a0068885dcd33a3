// A move: a page that goes from one pool to another without ever being in both or in neither. The page is looked at
// in its old pool, encoded for the new one without a lock, and published there (publish.ts, mode MOVE) while both
// stripes are locked, if the old slot is still what it was. So a flush or put of the page that comes in between wins.
//
// The old place is kept here between the look and the move; it is found again by oid, not by address.

import { N_NODES, count } from '../memory/counters';
import { stripeLock } from '../memory/lock';
import { addressOf } from '../memory/word';
import { handlePool, pageSlot, pageVersion, removePage, trieRoot } from './handle';
import { O_KEY, hasOid, nextInChain, objectPlace, placeRoot } from './object';
import { nodesChanged } from './reserve';
import { treeFind } from './tree';

let pool: usize = 0;
let stripe: usize = 0;
let root: u32 = 0;
let key: u32 = 0;
let a: u64 = 0;
let b: u64 = 0;
let c: u64 = 0;
let index: u32 = 0;
let word: u32 = 0;
let version: u32 = 0;

/** Under the stripe lock: notes where a page is. */
export function moveFrom(fromPool: usize, poolId: u32, object: usize, pageIndex: u32, pageWord: u32): void {
  pool = fromPool;
  root = placeRoot(objectPlace(object));
  stripe = stripeLock(poolId, root);
  key = load<u32>(object + O_KEY);
  a = load<u64>(object);
  b = load<u64>(object + 8);
  c = load<u64>(object + 16);
  index = pageIndex;
  word = pageWord;
  version = pageVersion(object, pageIndex);
}

export function movedA(): u64 {
  return a;
}

export function movedB(): u64 {
  return b;
}

export function movedC(): u64 {
  return c;
}

export function movedWord(): u32 {
  return word;
}

export function movedStripe(): usize {
  return stripe;
}

/** Under its stripe lock: the page's object if the slot is still what it was, else 0. */
function movedObject(): usize {
  const at = treeFind(trieRoot(pool, root), key, true);
  let object = at == 0 ? <usize>0 : addressOf(load<u32>(at));
  for (let i: u32 = 0; object != 0 && !hasOid(object, a, b, c); i++) object = nextInChain(object, i);
  const slot = pageSlot(object, index);
  return slot != 0 && load<u32>(slot) == word && pageVersion(object, index) == version ? object : 0;
}

/** What moveIsPossible found. */
let found: usize = 0;

/** Under its stripe lock: whether the page is still where it was. */
export function moveIsPossible(): bool {
  found = movedObject();
  return found != 0;
}

/**
 * Under the same lock, after moveIsPossible: takes the page out of its old pool. The caller frees movedWord(). It is
 * not looked at again: publishing may have raised the version in between, which handles share by hash.
 */
export function moveTake(): void {
  count(handlePool(), N_NODES, nodesChanged()); // what the operation's own pool gained comes first
  removePage(pool, found, index);
  count(pool, N_NODES, nodesChanged());
}
