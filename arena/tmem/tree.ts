// The radix tree: a map from a 32-bit key to a slot word, 64 slots a node. Serves twice, as the page tree of an
// object (key = index) and as a pool's trie of objects (key = 30 bits of the keyed hash, `trie` = true).
//
//   root word -> page (an object's only page) | leaf | node            trie: -> object | leaf | node
//   nodes and leaves: node.ts
//   a slot of a node of level > 0 names a node of the next lower level, a leaf, or (trie) an object
//
// Few pages cost a leaf, not a node; a full leaf is spread over a node. The page tree grows and shrinks at its
// root; the trie always starts at level 4. Objects with equal keys are chained (object.ts).
//
// Why not an existing module: none works on addresses inside a shared memory, takes its cells from outside, and
// publishes every change with one aligned store, so that a reader after a kill finds the old or the new tree.
//
// Everything here runs under the stripe lock of the tree.

import { S_GATHER, S_PATH, S_SPREAD } from '../memory/layout';
import { visitSlots } from '../memory/lock';
import { SLAB_LEAF15, SLAB_LEAF5, SLAB_NODE } from '../memory/slab';
import { slotAddress } from '../memory/slot';
import { TAG_LEAF15, TAG_LEAF5, TAG_NODE, addressOf, tagOf, wordOf } from '../memory/word';
import {
  LEAF_ENTRIES,
  TREE_LEVEL_MAX,
  beyond,
  clearBit,
  leafCapacity,
  leafFind,
  leafIsEmpty,
  newLeaf,
  newNode,
  nodeBits,
  nodeLevel,
  setBit,
  setEntry,
  slotOf,
} from './node';
import { O_KEY, O_ROOT, O_SINGLE_INDEX } from './object';
import { emptiedAddNode, reserveHas } from './reserve';
import { levelFor, spreadBuild, spreadFits } from './spread';

/** Level of a trie's top node: 5 levels of 6 bits. */
const TRIE_LEVEL: i32 = 4;
/** Steps of any descent: at most six nodes and a leaf, with room for growing at the root. */
const STEPS_MAX: i32 = 16;

export const INSERTED: i32 = 0;
/** Cells are wanted (reserve.ts): nothing was changed. */
export const WANTS_CELLS: i32 = 1;

/** Level of the lowest node at the root of a page tree that a key (not 0) fits in. */
@inline
function levelOf(key: u32): i32 {
  return (31 - <i32>clz<u32>(key)) / 6;
}

/** Address of the word stored for a key, 0 when there is none. `root` is the address of the root word. */
export function treeFind(root: usize, key: u32, trie: bool): usize {
  let at = root;
  let word = atomic.load<u32>(at);
  for (let step = 0; step < STEPS_MAX; step++) {
    if (word == 0) return 0;
    const tag = tagOf(word);
    if (tag == TAG_NODE) {
      const node = addressOf(word);
      const level = nodeLevel(node);
      if (!trie && at == root && beyond(level, key)) return 0;
      at = slotOf(node, level, key);
      word = atomic.load<u32>(at);
      visitSlots(1);
      if (level == 0) return word == 0 ? 0 : at;
      continue;
    }
    if (tag == TAG_LEAF5 || tag == TAG_LEAF15) {
      const entry = leafFind(word, key);
      return entry == 0 ? 0 : entry + 4;
    }
    if (trie) return load<u32>(addressOf(word) + O_KEY) == key ? at : 0;
    return load<u32>(root - O_ROOT + O_SINGLE_INDEX) == key ? at : 0;
  }
  return 0;
}

/** Stores a word for a key that treeFind did not find. `object` owns the page tree's nodes (trie: 0). */
export function treeInsert(root: usize, key: u32, word: u32, trie: bool, object: usize): i32 {
  let at = root;
  let parent: usize = 0;
  let level: i32 = trie ? TRIE_LEVEL + 1 : TREE_LEVEL_MAX + 1;
  for (let step = 0; step < STEPS_MAX; step++) {
    const old = atomic.load<u32>(at);
    visitSlots(1);
    if (old == 0) return insertEmpty(at, parent, level, key, word, trie, object);
    const tag = tagOf(old);
    if (tag == TAG_NODE) {
      const node = addressOf(old);
      if (!trie && at == root && beyond(nodeLevel(node), key)) {
        if (!growRoot(root, node, key, object)) return WANTS_CELLS;
        continue;
      }
      level = nodeLevel(node);
      parent = node;
      at = slotOf(node, level, key);
      continue;
    }
    if (tag == TAG_LEAF5 || tag == TAG_LEAF15) return insertLeaf(at, old, level, key, word, trie, object);
    // The slot names a terminal of another key: both go into a leaf.
    if (!reserveHas(SLAB_LEAF5, 1)) return WANTS_CELLS;
    const oldKey = load<u32>(trie ? addressOf(old) + O_KEY : root - O_ROOT + O_SINGLE_INDEX);
    const leaf = newLeaf(SLAB_LEAF5, object);
    setEntry(leaf, 0, oldKey, old);
    setEntry(leaf, 1, key, word);
    atomic.store<u32>(at, wordOf(TAG_LEAF5, leaf));
    return INSERTED;
  }
  return WANTS_CELLS;
}

function insertEmpty(at: usize, parent: usize, level: i32, key: u32, word: u32, trie: bool, object: usize): i32 {
  if (parent == 0 && !trie) store<u32>(at - O_ROOT + O_SINGLE_INDEX, key);
  if (parent != 0 && level > 0 && !trie) {
    if (!reserveHas(SLAB_LEAF5, 1)) return WANTS_CELLS;
    const leaf = newLeaf(SLAB_LEAF5, object);
    setEntry(leaf, 0, key, word);
    word = wordOf(TAG_LEAF5, leaf);
  }
  if (parent != 0) setBit(parent, (<u32>(at - parent)) >>> 2);
  atomic.store<u32>(at, word);
  return INSERTED;
}

/** Puts nodes above the root until a key fits; nothing unless there are cells for them and for the key's leaf. */
function growRoot(root: usize, node: usize, key: u32, object: usize): bool {
  const levels = levelOf(key) - nodeLevel(node);
  const fits = reserveHas(SLAB_NODE, levels);
  if (!reserveHas(SLAB_LEAF5, 1) || !fits) return false;
  for (let i = 0; i < levels; i++) {
    const below = load<u32>(root);
    const grown = newNode(nodeLevel(addressOf(below)) + 1, 0, object);
    store<u32>(grown, below);
    setBit(grown, 0);
    atomic.store<u32>(root, wordOf(TAG_NODE, grown));
  }
  return true;
}

function insertLeaf(at: usize, old: u32, level: i32, key: u32, word: u32, trie: bool, object: usize): i32 {
  const leaf = addressOf(old);
  const capacity = leafCapacity(old);
  for (let i: u32 = 0; i < capacity; i++) {
    const entry = leaf + LEAF_ENTRIES + (i << 3);
    if (atomic.load<u32>(entry + 4) != 0) continue;
    store<u32>(entry, key);
    atomic.store<u32>(entry + 4, word);
    return INSERTED;
  }
  if (tagOf(old) == TAG_LEAF5) {
    if (!reserveHas(SLAB_LEAF15, 1)) return WANTS_CELLS;
    const larger = newLeaf(SLAB_LEAF15, object);
    memory.copy(larger + LEAF_ENTRIES, leaf + LEAF_ENTRIES, 5 << 3);
    setEntry(larger, 5, key, word);
    atomic.store<u32>(at, wordOf(TAG_LEAF15, larger));
    emptiedAddNode(leaf);
    return INSERTED;
  }
  const spread = slotAddress() + S_SPREAD;
  memory.copy(spread, leaf + LEAF_ENTRIES, 15 << 3);
  store<u32>(spread + (15 << 3), key);
  store<u32>(spread + (15 << 3) + 4, word);
  // Under a node: the next lower level. At the root: as low as the keys allow (the trie always starts at the top).
  let top = level - 1;
  if (!trie && level > TREE_LEVEL_MAX) top = levelFor(spread);
  if (!spreadFits(spread, top, trie)) return WANTS_CELLS;
  atomic.store<u32>(at, spreadBuild(spread, top, trie, object));
  emptiedAddNode(leaf);
  return INSERTED;
}

/** Removes a key that is there; nodes and leaves that become empty leave the tree. */
export function treeRemove(root: usize, key: u32, trie: bool): void {
  const path = slotAddress() + S_PATH;
  let depth: u32 = 0;
  let at = root;
  for (let step = 0; step < STEPS_MAX; step++) {
    const word = atomic.load<u32>(at);
    visitSlots(1);
    const tag = tagOf(word);
    if (tag == TAG_NODE) {
      store<u32>(path + (depth << 2), <u32>at);
      depth++;
      const node = addressOf(word);
      const level = nodeLevel(node);
      at = slotOf(node, level, key);
      if (level > 0) continue;
    } else if (tag == TAG_LEAF5 || tag == TAG_LEAF15) {
      atomic.store<u32>(leafFind(word, key) + 4, 0);
      if (!leafIsEmpty(word)) return;
      emptiedAddNode(addressOf(word));
    }
    break;
  }
  unlinkUp(root, at, depth, trie);
}

/** Empties a slot, then every node above it that has become empty; S_PATH holds `depth` of them. */
function unlinkUp(root: usize, at: usize, depth: u32, trie: bool): void {
  const path = slotAddress() + S_PATH;
  atomic.store<u32>(at, 0);
  while (depth > 0) {
    depth--;
    const above = <usize>load<u32>(path + (depth << 2));
    const node = addressOf(load<u32>(above));
    clearBit(node, (<u32>(at - node)) >>> 2);
    if (nodeBits(node) != 0) break;
    atomic.store<u32>(above, 0);
    emptiedAddNode(node);
    at = above;
  }
  if (!trie) shrinkRoot(root);
}

/** A root node whose only child is in its first slot is not needed. */
function shrinkRoot(root: usize): void {
  for (let step = 0; step < TREE_LEVEL_MAX; step++) {
    const word = load<u32>(root);
    if (tagOf(word) != TAG_NODE) return;
    const node = addressOf(word);
    if (nodeLevel(node) == 0 || nodeBits(node) != 1) return;
    atomic.store<u32>(root, load<u32>(node));
    emptiedAddNode(node);
  }
}

/**
 * Takes one leaf, one lowest node or the only page out of a page tree: that with `key` in it if it is the cell
 * `expected`, or the first one when `expected` is 0. The words go to S_GATHER (count first, at most 64), emptied
 * cells to the emptied list. Returns the number of words, -1 when the key's cell is another one.
 */
export function treeTakeUnit(root: usize, key: u32, expected: usize): i32 {
  const path = slotAddress() + S_PATH;
  const gather = slotAddress() + S_GATHER;
  store<u32>(gather, 0);
  let depth: u32 = 0;
  let at = root;
  for (let step = 0; step < STEPS_MAX; step++) {
    const word = atomic.load<u32>(at);
    const tag = tagOf(word);
    if (tag == TAG_NODE) {
      const node = addressOf(word);
      const level = nodeLevel(node);
      if (level > 0) {
        if (expected != 0 && at == root && beyond(level, key)) return -1;
        store<u32>(path + (depth << 2), <u32>at);
        depth++;
        at = expected != 0 ? slotOf(node, level, key) : node + (<u32>ctz<u64>(nodeBits(node)) << 2);
        continue;
      }
      if (expected != 0 && node != expected) return -1;
      for (let i: u32 = 0; i < 64; i++) gatherWord(gather, load<u32>(node + (i << 2)));
      emptiedAddNode(node);
    } else if (tag == TAG_LEAF5 || tag == TAG_LEAF15) {
      const leaf = addressOf(word);
      if (expected != 0 && leaf != expected) return -1;
      const capacity = leafCapacity(word);
      for (let i: u32 = 0; i < capacity; i++) gatherWord(gather, load<u32>(leaf + LEAF_ENTRIES + (i << 3) + 4));
      emptiedAddNode(leaf);
    } else {
      if (expected != 0) return -1;
      gatherWord(gather, word);
    }
    break;
  }
  visitSlots(load<i32>(gather));
  unlinkUp(root, at, depth, false);
  return load<i32>(gather);
}

@inline
function gatherWord(gather: usize, word: u32): void {
  if (word == 0) return;
  const count = load<u32>(gather) + 1;
  store<u32>(gather, count);
  store<u32>(gather + (count << 2), word);
}
