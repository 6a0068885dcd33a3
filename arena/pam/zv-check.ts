// Checker of a zv heap, for tests and for `tmem check`: every rule that zv.ts and its parts keep between operations.
// Nothing may change while it runs. Returns 0 or the first of these that is broken.

import { frameOf } from '../memory/frame';
import { FRAME_SHIFT, FRAME_SIZE } from '../memory/layout';
import { bytesOf, firstIn, FIRST_NONE, FREE, isMine, MARK, PREV_FREE, storedOf, unitInFrame } from './zv-block';
import {
  binHead,
  binIsMapped,
  binOf,
  BINS,
  freeNext,
  freePrevious,
  MIN_BLOCK_BYTES,
  Z_BLOCKS,
  Z_FRAMES,
  Z_FREE_BLOCKS,
  Z_FREE_BYTES,
  Z_HISTOGRAM,
  Z_STORED_BYTES,
  Z_USED_BYTES,
  ZV_HISTOGRAM_SHIFT,
} from './zv-heap';

export const ZV_CHAIN: u32 = 1; // block sizes do not tile a run
export const ZV_TOUCHING: u32 = 2; // two free blocks touch
export const ZV_WHOLE_FRAME: u32 = 3; // a free block covers a frame
export const ZV_SIZE_COPY: u32 = 4; // the size at the end of a free block is wrong
export const ZV_PREV_FREE: u32 = 5; // PREV_FREE is wrong
export const ZV_FIRST: u32 = 6; // a table entry names the wrong first block
export const ZV_MARKED: u32 = 7; // a mark of recovery was left
export const ZV_BINS: u32 = 8; // free lists and free blocks disagree
export const ZV_COUNTS: u32 = 9; // frames, blocks or bytes are counted wrongly
export const ZV_HISTOGRAM: u32 = 10; // the sizes are

/** Checks a heap whose frames lie in [frameLow, frameHigh). `scratch`: 64 bytes for the running totals. */
export function zvCheck(heap: usize, frameLow: u32, frameHigh: u32, scratch: usize): u32 {
  memory.fill(scratch, 0, 64);
  let frame = frameLow;
  while (frame < frameHigh) {
    const start = frame;
    while (frame < frameHigh && isMine(heap, frame)) frame++;
    if (frame == start) {
      frame++;
      continue;
    }
    store<u32>(scratch + T_FRAMES, load<u32>(scratch + T_FRAMES) + (frame - start));
    const code = checkRun(start << FRAME_SHIFT, frame << FRAME_SHIFT, scratch);
    if (code != 0) return code;
  }
  const code = checkBins(heap, load<u32>(scratch + T_BINNED));
  return code != 0 ? code : checkTotals(heap, scratch);
}

// running totals
const T_FRAMES: usize = 0;
const T_BLOCKS: usize = 4;
const T_FREE_BLOCKS: usize = 8;
const T_BINNED: usize = 12;
const T_USED_BYTES: usize = 16;
const T_FREE_BYTES: usize = 24;
const T_STORED_BYTES: usize = 32;

function checkRun(start: usize, end: usize, totals: usize): u32 {
  let block = start;
  let wasFree = false;
  let frame = frameOf(start) - 1; // the last one whose first block was checked
  while (block < end) {
    const word = load<u32>(block);
    const bytes = bytesOf(word);
    const isFree = (word & FREE) != 0;
    if (bytes == 0 || bytes > <u32>(end - block)) return ZV_CHAIN;
    if (!isFree && (storedOf(word) == 0 || storedOf(word) > FRAME_SIZE)) return ZV_CHAIN;
    while (frame < frameOf(block)) {
      frame++;
      const here = frame == frameOf(block);
      if (firstIn(frame) != (here ? unitInFrame(block) : FIRST_NONE)) return ZV_FIRST;
    }
    if (isFree) {
      if (wasFree) return ZV_TOUCHING;
      const whole = (block + FRAME_SIZE - 1) & ~(FRAME_SIZE - 1);
      if (whole + FRAME_SIZE <= block + bytes) return ZV_WHOLE_FRAME;
      if (load<u32>(block + bytes - 4) != bytes) return ZV_SIZE_COPY;
      count(totals, T_FREE_BLOCKS, T_FREE_BYTES, bytes);
      if (bytes >= MIN_BLOCK_BYTES) store<u32>(totals + T_BINNED, load<u32>(totals + T_BINNED) + 1);
    } else {
      if ((word & MARK) != 0) return ZV_MARKED;
      if (((word & PREV_FREE) != 0) != wasFree) return ZV_PREV_FREE;
      count(totals, T_BLOCKS, T_USED_BYTES, bytes);
      store<u64>(totals + T_STORED_BYTES, load<u64>(totals + T_STORED_BYTES) + storedOf(word));
    }
    wasFree = isFree;
    block += bytes;
  }
  while (++frame < frameOf(end)) {
    if (firstIn(frame) != FIRST_NONE) return ZV_FIRST;
  }
  return 0;
}

function count(totals: usize, number: usize, sum: usize, bytes: u32): void {
  store<u32>(totals + number, load<u32>(totals + number) + 1);
  store<u64>(totals + sum, load<u64>(totals + sum) + bytes);
}

/** The lists hold free blocks of their sizes, as many as there are: so they hold each of them once. */
function checkBins(heap: usize, expected: u32): u32 {
  let listed: u32 = 0;
  for (let bin: u32 = 0; bin < BINS; bin++) {
    if (!binIsMapped(heap, bin)) return ZV_BINS;
    let previous: usize = 0;
    for (let block = binHead(heap, bin); block != 0; block = freeNext(block)) {
      const word = load<u32>(block);
      if (!isMine(heap, frameOf(block)) || (word & FREE) == 0) return ZV_BINS;
      if (binOf(bytesOf(word)) != bin || freePrevious(block) != previous) return ZV_BINS;
      if (++listed > expected) return ZV_BINS;
      previous = block;
    }
  }
  return listed == expected ? 0 : ZV_BINS;
}

function checkTotals(heap: usize, totals: usize): u32 {
  const used = load<u64>(totals + T_USED_BYTES);
  const free = load<u64>(totals + T_FREE_BYTES);
  if (load<u32>(heap + Z_FRAMES) != load<u32>(totals + T_FRAMES)) return ZV_COUNTS;
  if (load<u32>(heap + Z_BLOCKS) != load<u32>(totals + T_BLOCKS)) return ZV_COUNTS;
  if (load<u32>(heap + Z_FREE_BLOCKS) != load<u32>(totals + T_FREE_BLOCKS)) return ZV_COUNTS;
  if (load<u64>(heap + Z_USED_BYTES) != used || load<u64>(heap + Z_FREE_BYTES) != free) return ZV_COUNTS;
  if (load<u64>(heap + Z_STORED_BYTES) != load<u64>(totals + T_STORED_BYTES)) return ZV_COUNTS;
  if (used + free != <u64>load<u32>(totals + T_FRAMES) * FRAME_SIZE) return ZV_COUNTS;
  let pages: u32 = 0;
  for (let step: u32 = 0; step < FRAME_SIZE >>> ZV_HISTOGRAM_SHIFT; step++) {
    pages += load<u32>(heap + Z_HISTOGRAM + (step << 2));
  }
  return pages == load<u32>(totals + T_BLOCKS) ? 0 : ZV_HISTOGRAM;
}
