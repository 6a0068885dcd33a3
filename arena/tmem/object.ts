// Object: the pages of one file, swap area slice or key.
//
//   0 oid (24 bytes) | 24 trie key (30 bits) | 28 next object with the same key (address) | 32 root word
//   36 pages now | 40 index of the only page while the root word is a page | 44 pool (bits 0-15), root slot (16-21),
//   state (24-25)
//
// An object is made complete, with its first page, before it is published, and disappears with its last page. All
// fields change only under the stripe lock of (pool, root slot); pool, root slot and key never change while it lives.

import { ABORT_DAMAGED, abortOperation } from '../memory/host';

export const O_KEY: usize = 24;
export const O_NEXT: usize = 28;
export const O_ROOT: usize = 32;
export const O_PAGES: usize = 36;
export const O_SINGLE_INDEX: usize = 40;
export const O_PLACE: usize = 44;

/** Never a live state, so that a cell that was never an object is not taken for one. */
export const OBJECT_GONE: u32 = 0;
export const OBJECT_LIVE: u32 = 1;
/** Out of the trie; its pages wait to be freed in steps. */
export const OBJECT_DOOMED: u32 = 2;

/** Pool, root slot and state in one word, so that they can be checked with one load. */
@inline
export function placeOf(pool: u32, root: u32, state: u32): u32 {
  return pool | (root << 16) | (state << 24);
}

@inline
export function placePool(place: u32): u32 {
  return place & 0xffff;
}

@inline
export function placeRoot(place: u32): u32 {
  return (place >>> 16) & 63;
}

@inline
export function placeState(place: u32): u32 {
  return place >>> 24;
}

@inline
export function objectPlace(object: usize): u32 {
  return atomic.load<u32>(object + O_PLACE);
}

@inline
export function hasOid(object: usize, a: u64, b: u64, c: u64): bool {
  return load<u64>(object) == a && load<u64>(object + 8) == b && load<u64>(object + 16) == c;
}

/** Objects of one key: keys are 30 bits of a keyed hash, so a longer chain is one that was overwritten. */
const CHAIN_MAX: u32 = 1000;

/** The object behind the one that is `at` objects behind the first of its chain; 0 = none. */
@inline
export function nextInChain(object: usize, at: u32): usize {
  if (at >= CHAIN_MAX) abortOperation(ABORT_DAMAGED, 402);
  return load<u32>(object + O_NEXT);
}
