// Spreading: a full leaf and one more entry become a node, or a chain of nodes down to the level where the keys part,
// with leaves (or, in a trie, objects) below it. All 16 entries stand in S_SPREAD; everything is built complete from
// the reserve before one store publishes it.

import { SLAB_LEAF15, SLAB_LEAF5, SLAB_NODE } from '../memory/slab';
import { TAG_LEAF15, TAG_LEAF5, TAG_NODE, wordOf } from '../memory/word';
import { newLeaf, newNode, setBit, setEntry } from './node';
import { reserveHas } from './reserve';

/** Entries of a full leaf, and the one that does not fit. */
export const SPREAD_ENTRIES: u32 = 16;

/** Lowest level of a node that all keys fit into. */
export function levelFor(spread: usize): i32 {
  let all: u32 = 0;
  for (let i: u32 = 0; i < SPREAD_ENTRIES; i++) all |= load<u32>(spread + (i << 3));
  return all == 0 ? 0 : (31 - clz<u32>(all)) / 6;
}

/** Level at which the 16 keys first part: above it, nodes have one child each. */
function partingLevel(spread: usize, level: i32): i32 {
  const first = load<u32>(spread);
  let differing: u32 = 0;
  for (let i: u32 = 1; i < SPREAD_ENTRIES; i++) differing |= first ^ load<u32>(spread + (i << 3));
  const parting: i32 = (31 - <i32>clz<u32>(differing)) / 6;
  return min(level, parting);
}

/** Keys among the 16 whose slot at this level equals entry i's, counted from entry i on; 0 if an earlier one has it. */
function groupSize(spread: usize, level: i32, i: u32): u32 {
  const slot = (load<u32>(spread + (i << 3)) >>> (6 * level)) & 63;
  let size: u32 = 0;
  for (let j: u32 = 0; j < SPREAD_ENTRIES; j++) {
    if (((load<u32>(spread + (j << 3)) >>> (6 * level)) & 63) != slot) continue;
    if (j < i) return 0;
    size++;
  }
  return size;
}

/** Asks the reserve for all cells that spreadBuild will take. */
export function spreadFits(spread: usize, top: i32, trie: bool): bool {
  const parting = partingLevel(spread, top);
  let fits = reserveHas(SLAB_NODE, top - parting + 1);
  if (parting == 0) return fits;
  let leaves5: u32 = 0;
  let leaves15: u32 = 0;
  for (let i: u32 = 0; i < SPREAD_ENTRIES; i++) {
    const size = groupSize(spread, parting, i);
    if (size == 0 || (size == 1 && trie)) continue;
    if (size <= 5) leaves5++;
    else leaves15++;
  }
  if (!reserveHas(SLAB_LEAF5, leaves5)) fits = false;
  if (!reserveHas(SLAB_LEAF15, leaves15)) fits = false;
  return fits;
}

/** Builds the nodes and leaves of 16 entries, complete; the word that publishes them. */
export function spreadBuild(spread: usize, top: i32, trie: bool, object: usize): u32 {
  const parting = partingLevel(spread, top);
  const lowest = newNode(parting, load<u32>(spread), object);
  for (let i: u32 = 0; i < SPREAD_ENTRIES; i++) {
    const size = groupSize(spread, parting, i);
    if (size == 0) continue;
    const key = load<u32>(spread + (i << 3));
    let word = load<u32>(spread + (i << 3) + 4);
    if (parting > 0 && (size > 1 || !trie)) word = spreadLeaf(spread, parting, i, size, object);
    const slot = (key >>> (6 * parting)) & 63;
    store<u32>(lowest + (slot << 2), word);
    setBit(lowest, slot);
  }
  let word = wordOf(TAG_NODE, lowest);
  for (let level = parting + 1; level <= top; level++) {
    const node = newNode(level, load<u32>(spread), object);
    const slot = (load<u32>(spread) >>> (6 * level)) & 63;
    store<u32>(node + (slot << 2), word);
    setBit(node, slot);
    word = wordOf(TAG_NODE, node);
  }
  return word;
}

function spreadLeaf(spread: usize, level: i32, first: u32, size: u32, object: usize): u32 {
  const leaf = newLeaf(size <= 5 ? SLAB_LEAF5 : SLAB_LEAF15, object);
  const slot = (load<u32>(spread + (first << 3)) >>> (6 * level)) & 63;
  let entries: u32 = 0;
  for (let i = first; i < SPREAD_ENTRIES; i++) {
    const key = load<u32>(spread + (i << 3));
    if (((key >>> (6 * level)) & 63) != slot) continue;
    setEntry(leaf, entries, key, load<u32>(spread + (i << 3) + 4));
    entries++;
  }
  return wordOf(size <= 5 ? TAG_LEAF5 : TAG_LEAF15, leaf);
}
