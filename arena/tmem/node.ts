// Nodes and leaves: the parts that page trees and tries (tree.ts) are made of.
//
//   node, level l:  64 words for bits 6l..6l+5 of the key, 256 bytes
//                   header (memory/slab.ts): 0 level (3 bits) | key / 64 of a key in it | 4 object | 8 u64 bitmap
//   leaf:           4 object | 8 entries {key, word}: 5 in 48 bytes, 15 in 128; unsorted, word 0 = unused
//
// The bitmap says which slots are used; it is derived, the words are the truth. In an entry the key is written before
// its word.

import { SLAB_LEAF5, SLAB_NODE, nodeHeader } from '../memory/slab';
import { TAG_LEAF5, addressOf, tagOf } from '../memory/word';
import { reserveTake } from './reserve';

export const LEAF_OBJECT: usize = 4;
export const LEAF_ENTRIES: usize = 8;
/** Level of the root of a tree of 32-bit keys: six levels of 6 bits. */
export const TREE_LEVEL_MAX: i32 = 5;

@inline
export function nodeLevel(node: usize): i32 {
  return load<i32>(nodeHeader(node)) & 7;
}

/** A key that lies in a node of level 0: the way back from a slab frame to the node's place in its tree. */
@inline
export function nodeKey(node: usize): u32 {
  return (load<u32>(nodeHeader(node)) >>> 3) << 6;
}

@inline
export function nodeObject(node: usize): usize {
  return load<u32>(nodeHeader(node) + 4);
}

@inline
export function nodeBits(node: usize): u64 {
  return load<u64>(nodeHeader(node) + 8);
}

@inline
export function leafCapacity(word: u32): u32 {
  return tagOf(word) == TAG_LEAF5 ? 5 : 15;
}

/** Address of the slot for a key. */
@inline
export function slotOf(node: usize, level: i32, key: u32): usize {
  return node + (((key >>> (6 * level)) & 63) << 2);
}

/** Whether a node at the root of a page tree is too low for a key. */
@inline
export function beyond(level: i32, key: u32): bool {
  return level < TREE_LEVEL_MAX && (key >>> (6 * (level + 1))) != 0;
}

/** Address of the entry of a key in a leaf, 0 when there is none. */
export function leafFind(word: u32, key: u32): usize {
  let entry = addressOf(word) + LEAF_ENTRIES;
  const end = entry + (leafCapacity(word) << 3);
  for (; entry < end; entry += 8) {
    if (load<u32>(entry) == key && atomic.load<u32>(entry + 4) != 0) return entry;
  }
  return 0;
}

export function leafIsEmpty(word: u32): bool {
  const leaf = addressOf(word);
  const capacity = leafCapacity(word);
  for (let i: u32 = 0; i < capacity; i++) {
    if (load<u32>(leaf + LEAF_ENTRIES + (i << 3) + 4) != 0) return false;
  }
  return true;
}

/** An empty node from the reserve; `key` is any key that will be in it. */
export function newNode(level: i32, key: u32, object: usize): usize {
  const node = reserveTake(SLAB_NODE);
  memory.fill(node, 0, 256);
  const header = nodeHeader(node);
  store<u32>(header, <u32>level | ((key >>> 6) << 3));
  store<u32>(header + 4, <u32>object);
  store<u64>(header + 8, 0);
  return node;
}

/** An empty leaf from the reserve. */
export function newLeaf(cls: u32, object: usize): usize {
  const leaf = reserveTake(cls);
  memory.fill(leaf, 0, LEAF_ENTRIES + (cls == SLAB_LEAF5 ? 40 : 120));
  store<u32>(leaf + LEAF_OBJECT, <u32>object);
  return leaf;
}

@inline
export function setEntry(leaf: usize, i: u32, key: u32, word: u32): void {
  store<u32>(leaf + LEAF_ENTRIES + (i << 3), key);
  store<u32>(leaf + LEAF_ENTRIES + (i << 3) + 4, word);
}

@inline
export function setBit(node: usize, slot: u32): void {
  const bits = nodeHeader(node) + 8;
  store<u64>(bits, load<u64>(bits) | (<u64>1 << slot));
}

@inline
export function clearBit(node: usize, slot: u32): void {
  const bits = nodeHeader(node) + 8;
  store<u64>(bits, load<u64>(bits) & ~(<u64>1 << slot));
}
