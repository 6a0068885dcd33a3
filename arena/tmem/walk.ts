// Walk: the handles of a pool, a batch at a time, while others change it. In order of (root slot, trie key, oid,
// index): the cursor names a handle, so it stays good whatever happens to the tree, and a handle that is there all
// the time is met exactly once.
//
//   slot + S_WALK:  cursor: 0 root slot | 4 trie key | 8 oid (24) | 32 next index u64 | 40 more u32 | 44 count u32
//                   48 indexes of the batch, u32 x WALK_BATCH; all of the object whose oid is in the cursor

import { P_ROOTS, ROOTS, S_WALK, WALK_BATCH } from '../memory/layout';
import { lock, stripeLock, unlock, visitSlots } from '../memory/lock';
import { slotAddress } from '../memory/slot';
import { TAG_LEAF15, TAG_LEAF5, TAG_NODE, addressOf, tagOf } from '../memory/word';
import { O_KEY, O_ROOT, O_SINGLE_INDEX, nextInChain } from './object';
import { LEAF_ENTRIES, leafCapacity, nodeLevel } from './node';

const W_ROOT: usize = 0;
const W_KEY: usize = 4;
export const W_OID: usize = 8;
const W_NEXT: usize = 32;
const W_MORE: usize = 40;
export const W_COUNT: usize = 44;
export const W_INDEXES: usize = 48;
/** Above every 32-bit key. */
const NONE: u64 = 1 << 32;

/** Fills the next batch; false at the end. The host keeps the cursor between calls. */
export function walkNext(pool: usize, id: u32): bool {
  const walk = slotAddress() + S_WALK;
  store<u32>(walk + W_COUNT, 0);
  // Each round ends a root slot or finds a batch: bounded by objects, for empty batches by pages removed meanwhile.
  while (load<u32>(walk + W_ROOT) < ROOTS) {
    const root = load<u32>(walk + W_ROOT);
    const stripe = stripeLock(id, root);
    lock(stripe);
    const object = nextObject(pool + P_ROOTS + (root << 2), walk);
    if (object != 0) takeIndexes(object, walk);
    unlock(stripe);
    if (object == 0) {
      store<u32>(walk + W_ROOT, root + 1);
      store<u32>(walk + W_KEY, 0);
      store<u32>(walk + W_MORE, 0);
      memory.fill(walk + W_OID, 0, 24);
      store<u64>(walk + W_NEXT, 0);
      continue;
    }
    if (load<u32>(walk + W_COUNT) != 0) return true;
  }
  return false;
}

/** The object of the cursor if it has more (W_NEXT > 0), else the next one in order; 0 at the end. */
function nextObject(trie: usize, walk: usize): usize {
  const same = load<u64>(walk + W_NEXT) != 0;
  let from: u64 = load<u32>(walk + W_KEY);
  for (let rounds = 0; rounds < 2; rounds++) {
    const at = seek(trie, from, true);
    if (at == 0) return 0;
    const head = addressOf(load<u32>(at));
    const key = load<u32>(head + O_KEY);
    const sameKey = key == load<u32>(walk + W_KEY);
    const object = smallestOid(head, walk, sameKey && (load<u32>(walk + W_MORE) != 0), same);
    if (object != 0) {
      const continued = same && sameKey && equalOid(object, walk + W_OID);
      store<u32>(walk + W_KEY, key);
      store<u32>(walk + W_MORE, 1);
      memory.copy(walk + W_OID, object, 24);
      if (!continued) store<u64>(walk + W_NEXT, 0);
      return object;
    }
    from = <u64>key + 1;
  }
  return 0;
}

/** The object with the smallest oid of a chain; above the cursor's (or, `orEqual`, at it) when `bounded`. */
function smallestOid(head: usize, walk: usize, bounded: bool, orEqual: bool): usize {
  let best: usize = 0;
  let at: u32 = 0;
  for (let object = head; object != 0; object = nextInChain(object, at++)) {
    if (bounded) {
      const order = memory.compare(object, walk + W_OID, 24);
      if (order < 0 || (order == 0 && !orEqual)) continue;
    }
    if (best == 0 || memory.compare(object, best, 24) < 0) best = object;
  }
  return best;
}

function equalOid(object: usize, oid: usize): bool {
  return memory.compare(object, oid, 24) == 0;
}

/** Takes up to WALK_BATCH indexes of an object from W_NEXT on; W_NEXT is 0 afterwards when there are no more. */
function takeIndexes(object: usize, walk: usize): void {
  let next = load<u64>(walk + W_NEXT);
  let count: u32 = 0;
  while (count < WALK_BATCH && next < NONE) {
    const key = smallestKey(object, next);
    if (key == NONE) {
      next = NONE;
      break;
    }
    store<u32>(walk + W_INDEXES + (count << 2), <u32>key);
    visitSlots(1);
    count++;
    next = key + 1;
  }
  store<u32>(walk + W_COUNT, count);
  store<u64>(walk + W_NEXT, next >= NONE ? 0 : next);
}

let foundKey: u64 = NONE;

function smallestKey(object: usize, from: u64): u64 {
  const root = object + O_ROOT;
  const word = load<u32>(root);
  if (word == 0) return NONE;
  const tag = tagOf(word);
  if (tag != TAG_NODE && tag != TAG_LEAF5 && tag != TAG_LEAF15) {
    const single: u64 = load<u32>(object + O_SINGLE_INDEX);
    return single >= from ? single : NONE;
  }
  return seek(root, from, false) == 0 ? NONE : foundKey;
}

/** Address of the word with the smallest key of at least `from`; 0 = none. The key is in foundKey. */
function seek(root: usize, from: u64, trie: bool): usize {
  foundKey = NONE;
  if (from >= NONE) return 0;
  return seekIn(root, from, 0, trie);
}

/** `base`: the bits of the key above this word's part of the tree. */
function seekIn(at: usize, from: u64, base: u64, trie: bool): usize {
  const word = load<u32>(at);
  if (word == 0) return 0;
  const tag = tagOf(word);
  if (tag == TAG_LEAF5 || tag == TAG_LEAF15) {
    const leaf = addressOf(word);
    const capacity = leafCapacity(word);
    let best: usize = 0;
    for (let i: u32 = 0; i < capacity; i++) {
      const entry = leaf + LEAF_ENTRIES + (i << 3);
      const key: u64 = load<u32>(entry);
      if (load<u32>(entry + 4) == 0 || key < from || (best != 0 && key >= foundKey)) continue;
      best = entry + 4;
      foundKey = key;
    }
    return best;
  }
  if (tag == TAG_NODE) {
    const node = addressOf(word);
    const level = nodeLevel(node);
    const shift: u64 = 6 * <u64>level;
    let slot: u64 = from > base ? (from - base) >> shift : 0;
    for (; slot < 64; slot++) {
      const child = node + (<u32>slot << 2);
      if (load<u32>(child) == 0) continue;
      const childBase = base + (slot << shift);
      if (level == 0) {
        foundKey = trie ? <u64>load<u32>(addressOf(load<u32>(child)) + O_KEY) : childBase;
        return child;
      }
      const found = seekIn(child, from, childBase, trie);
      if (found != 0) return found;
    }
    return 0;
  }
  // An object in a trie.
  const key: u64 = load<u32>(addressOf(word) + O_KEY);
  if (key < from) return 0;
  foundKey = key;
  return at;
}
