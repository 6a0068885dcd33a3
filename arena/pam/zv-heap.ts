// The control area of a zv heap: statistics, and the free blocks sorted by size. One heap a client and lifetime
// (ephemeral, persistent); everything here changes under the client's zv lock only.
//
//   0     identity: kind | client << 16, as in a frame's table entry
//   4     frame that would extend the run that grew last (hint)
//   8     summary: bit w = bitmap word w has a bit set
//   12    frames, blocks in use, free blocks (u32)         24   used, free, stored bytes (u64)
//   48    blocks and stored bytes ever allocated (u64)
//   128   bitmap: bit b = bin b has a free block (BIN_WORDS u32)
//   256   histogram of stored bytes, now (64 u32)          512  the same, cumulative (64 u64)
//   1024  bins: first free block of each size (BINS u32)
//
// Bin b holds the free blocks of exactly 8 * b bytes, last freed first; the last bin those of its size or more,
// all of which hold the largest block. So the lowest sufficient bin is the best fit, found in constant time. Free
// blocks below MIN_BLOCK_BYTES are in no bin (no page fits into one); they wait for a neighbour to be freed.
// Measured with the LZ4 sizes of 3,736 real pages, after replacing ten times the content: 1.3 % of the frames free
// at 140,000 pages (2.4 % at 30,000, 0.9 % at 400,000). Refusing to leave splinters of 64 to 200 bytes made it
// worse (2.2 to 3.5 %), the order inside a bin made no difference, and units of 16 bytes cost 0.1 % of density.
//
// All of it but the two "ever" counts and the cumulative histogram can be rebuilt from the blocks.

import { DESCRIPTOR_BYTES } from './descriptor';

/** Sizes and addresses of blocks are multiples of this. */
export const UNIT_SHIFT: u32 = 3;
export const UNIT: u32 = 1 << UNIT_SHIFT;
/** Smallest block in use: a descriptor and one unit. */
export const MIN_BLOCK_BYTES: u32 = DESCRIPTOR_BYTES + UNIT;

/** Size of the control area. */
export const ZV_HEAP_BYTES: u32 = 4096;
/** Stored bytes a step of the histograms; step i counts pages of 64 * i + 1 to 64 * (i + 1) bytes. */
export const ZV_HISTOGRAM_SHIFT: u32 = 6;

export const Z_IDENTITY: usize = 0;
export const Z_NEXT_FRAME: usize = 4;
export const Z_SUMMARY: usize = 8;
export const Z_FRAMES: usize = 12;
export const Z_BLOCKS: usize = 16;
export const Z_FREE_BLOCKS: usize = 20;
export const Z_USED_BYTES: usize = 24;
export const Z_FREE_BYTES: usize = 32;
export const Z_STORED_BYTES: usize = 40;
export const Z_EVER_BLOCKS: usize = 48;
export const Z_EVER_STORED_BYTES: usize = 56;
export const Z_BITMAP: usize = 128;
export const Z_HISTOGRAM: usize = 256;
export const Z_EVER_HISTOGRAM: usize = 512;
export const Z_BINS: usize = 1024;

/** The last bin starts at 4344 bytes; the largest block has 4112. */
export const BINS: u32 = 544;
export const BIN_WORDS: u32 = BINS / 32;

// A free block's links; word 0 is its size, its last word the size again.
const B_NEXT: u32 = 4;
const B_PREVIOUS: u32 = 8;

/** Forgets all blocks and frames, as before the first allocation; identity and "ever" counts stay. */
export function heapClear(heap: usize): void {
  memory.fill(heap + Z_NEXT_FRAME, 0, Z_EVER_BLOCKS - Z_NEXT_FRAME);
  memory.fill(heap + Z_BITMAP, 0, Z_EVER_HISTOGRAM - Z_BITMAP);
  memory.fill(heap + Z_BINS, 0, BINS << 2);
}

@inline
export function heapClient(heap: usize): u32 {
  return load<u32>(heap + Z_IDENTITY) >>> 16;
}

@inline
export function heapKind(heap: usize): u32 {
  return load<u32>(heap + Z_IDENTITY) & 15;
}

@inline
export function binOf(bytes: u32): u32 {
  return min<u32>(bytes >>> UNIT_SHIFT, BINS - 1);
}

@inline
export function binHead(heap: usize, bin: u32): usize {
  return load<u32>(heap + Z_BINS + (bin << 2));
}

@inline
export function freeNext(block: usize): usize {
  return load<u32>(block + B_NEXT);
}

@inline
export function freePrevious(block: usize): usize {
  return load<u32>(block + B_PREVIOUS);
}

/** True when the bitmaps say of this bin what its head says. */
export function binIsMapped(heap: usize, bin: u32): bool {
  const word = load<u32>(heap + Z_BITMAP + ((bin >>> 5) << 2));
  if (((load<u32>(heap + Z_SUMMARY) >>> (bin >>> 5)) & 1) != <u32>(word != 0)) return false;
  return ((word >>> (bin & 31)) & 1) == <u32>(binHead(heap, bin) != 0);
}

/** Counts a free block, writes the copy of its size at its end, and makes it available. */
export function freeInsert(heap: usize, block: usize, bytes: u32): void {
  store<u32>(block + bytes - 4, bytes);
  store<u32>(heap + Z_FREE_BLOCKS, load<u32>(heap + Z_FREE_BLOCKS) + 1);
  store<u64>(heap + Z_FREE_BYTES, load<u64>(heap + Z_FREE_BYTES) + bytes);
  if (bytes < MIN_BLOCK_BYTES) return;
  const bin = binOf(bytes);
  const head = heap + Z_BINS + (bin << 2);
  const next = load<u32>(head);
  store<u32>(block + B_NEXT, next);
  store<u32>(block + B_PREVIOUS, 0);
  store<u32>(head, <u32>block);
  if (next != 0) {
    store<u32>(next + B_PREVIOUS, <u32>block);
    return;
  }
  const word = heap + Z_BITMAP + ((bin >>> 5) << 2);
  store<u32>(word, load<u32>(word) | (1 << (bin & 31)));
  store<u32>(heap + Z_SUMMARY, load<u32>(heap + Z_SUMMARY) | (1 << (bin >>> 5)));
}

/** The reverse of freeInsert. */
export function freeRemove(heap: usize, block: usize, bytes: u32): void {
  store<u32>(heap + Z_FREE_BLOCKS, load<u32>(heap + Z_FREE_BLOCKS) - 1);
  store<u64>(heap + Z_FREE_BYTES, load<u64>(heap + Z_FREE_BYTES) - bytes);
  if (bytes < MIN_BLOCK_BYTES) return;
  const next = load<u32>(block + B_NEXT);
  const previous = load<u32>(block + B_PREVIOUS);
  if (next != 0) store<u32>(next + B_PREVIOUS, previous);
  if (previous != 0) {
    store<u32>(previous + B_NEXT, next);
    return;
  }
  const bin = binOf(bytes);
  store<u32>(heap + Z_BINS + (bin << 2), next);
  if (next != 0) return;
  const word = heap + Z_BITMAP + ((bin >>> 5) << 2);
  const bits = load<u32>(word) & ~(1 << (bin & 31));
  store<u32>(word, bits);
  if (bits == 0) store<u32>(heap + Z_SUMMARY, load<u32>(heap + Z_SUMMARY) & ~(1 << (bin >>> 5)));
}

/** The smallest free block of at least `bytes`; 0 = none. It stays where it is. */
export function freeFind(heap: usize, bytes: u32): usize {
  const bin = binOf(bytes);
  let index = bin >>> 5;
  let bits = load<u32>(heap + Z_BITMAP + (index << 2)) & (<u32>0xffffffff << (bin & 31));
  if (bits == 0) {
    const words = load<u32>(heap + Z_SUMMARY) & (<u32>0xfffffffe << index);
    if (words == 0) return 0;
    index = ctz<u32>(words);
    bits = load<u32>(heap + Z_BITMAP + (index << 2));
  }
  return binHead(heap, (index << 5) + ctz<u32>(bits));
}

/** Counts a block coming into use. */
export function countUsed(heap: usize, stored: u32, bytes: u32): void {
  store<u32>(heap + Z_BLOCKS, load<u32>(heap + Z_BLOCKS) + 1);
  store<u64>(heap + Z_USED_BYTES, load<u64>(heap + Z_USED_BYTES) + bytes);
  store<u64>(heap + Z_STORED_BYTES, load<u64>(heap + Z_STORED_BYTES) + stored);
  const now = heap + Z_HISTOGRAM + (((stored - 1) >>> ZV_HISTOGRAM_SHIFT) << 2);
  store<u32>(now, load<u32>(now) + 1);
}

/** Counts a block going out of use. */
export function countUnused(heap: usize, stored: u32, bytes: u32): void {
  store<u32>(heap + Z_BLOCKS, load<u32>(heap + Z_BLOCKS) - 1);
  store<u64>(heap + Z_USED_BYTES, load<u64>(heap + Z_USED_BYTES) - bytes);
  store<u64>(heap + Z_STORED_BYTES, load<u64>(heap + Z_STORED_BYTES) - stored);
  const now = heap + Z_HISTOGRAM + (((stored - 1) >>> ZV_HISTOGRAM_SHIFT) << 2);
  store<u32>(now, load<u32>(now) - 1);
}

/** Counts an allocation in the figures that never fall. */
export function countEver(heap: usize, stored: u32): void {
  store<u64>(heap + Z_EVER_BLOCKS, load<u64>(heap + Z_EVER_BLOCKS) + 1);
  store<u64>(heap + Z_EVER_STORED_BYTES, load<u64>(heap + Z_EVER_STORED_BYTES) + stored);
  const ever = heap + Z_EVER_HISTOGRAM + (((stored - 1) >>> ZV_HISTOGRAM_SHIFT) << 3);
  store<u64>(ever, load<u64>(ever) + 1);
}
