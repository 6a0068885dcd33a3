// Recovery of a zv heap: everything that can be derived is made anew from the blocks and the marks of recovery.
//
// Called while every other thread is stopped and all locks are broken, after zvMark was called for each block that
// the index reaches, and after framesRebuild, which makes frames fit to be given back. What has no mark becomes free:
// blocks that were being filled or freed when their thread died. May be cut short and called again, if the marks are
// set again first.

import { FRAME_SHIFT, FRAME_SIZE } from '../memory/layout';
import {
  bytesOf,
  FIRST_NONE,
  FREE,
  isMine,
  makeFree,
  MARK,
  noteStart,
  PREV_FREE,
  setFirstIn,
  storedOf,
} from './zv-block';
import { countUsed, heapClear, Z_FRAMES } from './zv-heap';

/** Rebuilds a heap whose frames lie in [frameLow, frameHigh). Returns 0, or where a block makes no sense. */
export function zvRebuild(heap: usize, frameLow: u32, frameHigh: u32): usize {
  heapClear(heap);
  let frame = frameLow;
  while (frame < frameHigh) {
    if (!isMine(heap, frame)) {
      frame++;
      continue;
    }
    const start = frame;
    while (frame < frameHigh && isMine(heap, frame)) setFirstIn(frame++, FIRST_NONE);
    store<u32>(heap + Z_FRAMES, load<u32>(heap + Z_FRAMES) + (frame - start));
    const damaged = rebuildRun(heap, start << FRAME_SHIFT, frame << FRAME_SHIFT);
    if (damaged != 0) return damaged;
  }
  return 0;
}

function rebuildRun(heap: usize, start: usize, end: usize): usize {
  let free: usize = 0; // start of the free blocks just before `block`
  let block = start;
  while (block < end) {
    const word = load<u32>(block);
    const bytes = bytesOf(word);
    if (!isSound(word) || bytes > <u32>(end - block)) return block;
    if ((word & (FREE | MARK)) != MARK) {
      if (free == 0) free = block;
    } else {
      atomic.and<u32>(block, ~(MARK | PREV_FREE));
      noteStart(block);
      countUsed(heap, storedOf(word), bytes);
      if (free != 0) {
        noteStart(free);
        makeFree(heap, free, block, true);
        free = 0;
      }
    }
    block += bytes;
  }
  if (free != 0) {
    noteStart(free);
    makeFree(heap, free, end, true);
  }
  return 0;
}

function isSound(word: u32): bool {
  if ((word & FREE) != 0) return bytesOf(word) != 0;
  return storedOf(word) != 0 && storedOf(word) <= FRAME_SIZE;
}
