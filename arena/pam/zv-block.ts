// Blocks of a zv heap: they tile its frames without gaps, crossing frame borders inside a run of adjacent frames.
//
//   used:  16-byte page descriptor | stored bytes | up to 7 bytes of rounding
//   free:  0 flags and size | 4 next, 8 previous of its bin | ... | last word: size in bytes
//
//   word 0, used:  bits 0-12 stored bytes, which give the size | 13-27 codec, length | 28 = 0 | 29 PREV_FREE | 30 MARK
//   word 0, free:  bits 0-27 size in units                                           | 28 = 1
//
// Sizes are multiples of a unit of 8 bytes, down to a free block of one unit, so that nothing is ever absorbed and
// every whole frame can be cut out of a free block. Two free blocks never touch, and between operations no free
// block covers a whole frame: such a frame goes back at once. A frame's table entry names the first block that
// starts in it.
//
// Rule: whatever instruction a thread dies at, the sizes in word 0, followed from the start of a run, lead exactly
// to its end. A header is written before the block before it shrinks, and blocks merge by one store that enlarges
// the first. The rest (bins, copies of sizes, PREV_FREE, first blocks, counts) may be torn; zvRebuild makes it anew.
//
// PREV_FREE is set in blocks that other threads own, so word 0 of a used block changes by atomic operations only.

import { frameEntry, frameGive, frameOf, frameSetKind, frameUntake } from '../memory/frame';
import { FRAME_SHIFT, FRAME_SIZE } from '../memory/layout';
import { must } from '../memory/host';
import {
  freeInsert,
  freeRemove,
  heapClient,
  heapKind,
  UNIT,
  UNIT_SHIFT,
  Z_FRAMES,
  Z_IDENTITY,
  Z_NEXT_FRAME,
} from './zv-heap';
import { DESCRIPTOR_BYTES } from './descriptor';

export const FREE: u32 = 1 << 28;
export const PREV_FREE: u32 = 1 << 29;
/** Recovery found the block in the index. */
export const MARK: u32 = 1 << 30;
const SIZE_MASK: u32 = FREE - 1;
const STORED_MASK: u32 = 0x1fff;

const FIRST_SHIFT: u32 = 4;
/** In a frame's table entry: no block starts in this frame. */
export const FIRST_NONE: u32 = 0x3ff;
const IDENTITY_MASK: u32 = 0xffff000f;
const IN_FRAME: u32 = FRAME_SIZE - 1;

@inline
export function usedBytesFor(stored: u32): u32 {
  return (stored + DESCRIPTOR_BYTES + UNIT - 1) & ~(UNIT - 1);
}

@inline
export function storedOf(word: u32): u32 {
  return word & STORED_MASK;
}

/** Size in bytes of the block whose word 0 is given. */
@inline
export function bytesOf(word: u32): u32 {
  return (word & FREE) != 0 ? (word & SIZE_MASK) << UNIT_SHIFT : usedBytesFor(storedOf(word));
}

@inline
export function isMine(heap: usize, frame: u32): bool {
  return (load<u32>(frameEntry(frame)) & IDENTITY_MASK) == load<u32>(heap + Z_IDENTITY);
}

/** True when a block of this heap starts at `address`, the end of another one. */
@inline
export function runGoesOn(heap: usize, address: usize): bool {
  return (address & IN_FRAME) != 0 || isMine(heap, frameOf(address));
}

/** Where in its frame an address is, in units: what a table entry says of a first block. */
@inline
export function unitInFrame(address: usize): u32 {
  return (<u32>address & IN_FRAME) >>> UNIT_SHIFT;
}

@inline
export function firstIn(frame: u32): u32 {
  return (load<u32>(frameEntry(frame)) >>> FIRST_SHIFT) & FIRST_NONE;
}

export function setFirstIn(frame: u32, first: u32): void {
  const entry = frameEntry(frame);
  atomic.store<u32>(entry, (load<u32>(entry) & ~(FIRST_NONE << FIRST_SHIFT)) | (first << FIRST_SHIFT));
}

/** Notes that a block starts at `block`. */
export function noteStart(block: usize): void {
  if (unitInFrame(block) < firstIn(frameOf(block))) setFirstIn(frameOf(block), unitInFrame(block));
}

/** Notes that between `block` and `end` no block starts any more. */
function noteSpan(block: usize, end: usize): void {
  const last = frameOf(end - 1);
  for (let frame = frameOf(block) + 1; frame <= last; frame++) {
    setFirstIn(frame, frameOf(end) == frame ? unitInFrame(end) : FIRST_NONE);
  }
}

@inline
function writeFree(block: usize, bytes: u32): void {
  atomic.store<u32>(block, FREE | (bytes >>> UNIT_SHIFT));
}

/** The block that holds the first byte of one of the heap's frames. */
export function blockAcross(heap: usize, frame: u32): usize {
  const start: usize = frame << FRAME_SHIFT;
  if (firstIn(frame) == 0) return start;
  let before = frame - 1;
  while (firstIn(before) == FIRST_NONE) before--; // at most twice: blocks have less than three frames
  must(isMine(heap, before), 701);
  let block: usize = (before << FRAME_SHIFT) + (firstIn(before) << UNIT_SHIFT);
  let next = block + bytesOf(load<u32>(block));
  while (next <= start) {
    block = next;
    next += bytesOf(load<u32>(block));
  }
  return block;
}

/** The last block of a run; `frame` is the run's last one. */
function lastOfRun(heap: usize, frame: u32): usize {
  const end: usize = (frame + 1) << FRAME_SHIFT;
  let block = blockAcross(heap, frame);
  let next = block + bytesOf(load<u32>(block));
  while (next < end) {
    block = next;
    next += bytesOf(load<u32>(block));
  }
  must(next == end, 702);
  return block;
}

/**
 * Makes one free block of [block, end), which existing blocks tile and in which no binned free block is left.
 * With `cut`, the whole frames in it go back to the frame pool.
 */
export function makeFree(heap: usize, block: usize, end: usize, cut: bool): void {
  writeFree(block, <u32>(end - block));
  noteSpan(block, end);
  let rest = block;
  if (cut) {
    const firstWhole = frameOf(block + IN_FRAME);
    const endWhole = frameOf(end);
    if (firstWhole < endWhole) rest = cutFrames(heap, block, end, firstWhole, endWhole);
  }
  if (rest < end) freeInsert(heap, rest, <u32>(end - rest));
  if (runGoesOn(heap, end)) {
    if (rest < end) atomic.or<u32>(end, PREV_FREE);
    else atomic.and<u32>(end, ~PREV_FREE);
  }
}

/** Gives back the whole frames in a free block; returns where what is left behind them starts. */
function cutFrames(heap: usize, block: usize, end: usize, firstWhole: u32, endWhole: u32): usize {
  const left: usize = firstWhole << FRAME_SHIFT;
  const right: usize = endWhole << FRAME_SHIFT;
  if (right < end) {
    writeFree(right, <u32>(end - right));
    setFirstIn(endWhole, 0);
  }
  // Each frame becomes a block of its own, because they leave one by one. From the last to the first: the store
  // that shortens the block they are cut from must be the last one.
  for (let frame = endWhole - 1; frame >= firstWhole; frame--) writeFree(frame << FRAME_SHIFT, FRAME_SIZE);
  if (block < left) {
    writeFree(block, <u32>(left - block));
    freeInsert(heap, block, <u32>(left - block));
  }
  store<u32>(heap + Z_FRAMES, load<u32>(heap + Z_FRAMES) - (endWhole - firstWhole));
  for (let frame = firstWhole; frame < endWhole; frame++) frameGive(frame);
  return right;
}

/** Adds a frame just taken; it becomes part of the free block on either side, if there is one. Cuts nothing. */
export function joinFrame(heap: usize, frame: u32): void {
  let block: usize = frame << FRAME_SHIFT;
  let end: usize = block + FRAME_SIZE;
  writeFree(block, FRAME_SIZE);
  frameSetKind(frame, heapClient(heap), heapKind(heap), 0);
  store<u32>(heap + Z_FRAMES, load<u32>(heap + Z_FRAMES) + 1);
  store<u32>(heap + Z_NEXT_FRAME, frame + 1);
  if (isMine(heap, frame - 1)) {
    const left = lastOfRun(heap, frame - 1);
    const word = load<u32>(left);
    if ((word & FREE) != 0) {
      freeRemove(heap, left, bytesOf(word));
      block = left;
    }
  }
  if (isMine(heap, frame + 1)) {
    const word = load<u32>(end);
    if ((word & FREE) != 0) {
      freeRemove(heap, end, bytesOf(word));
      end += bytesOf(word);
    }
  }
  makeFree(heap, block, end, false);
}

/** Gives back a frame just taken and not needed. It belongs to the heap for a moment: not without a header. */
export function returnFrame(heap: usize, frame: u32): void {
  writeFree(frame << FRAME_SHIFT, FRAME_SIZE);
  frameUntake(frame, heapClient(heap), heapKind(heap));
}

/** Gives a frame back if it lies wholly in a free block. */
export function trimFrame(heap: usize, frame: u32): void {
  if (!isMine(heap, frame)) return;
  const block = blockAcross(heap, frame);
  const word = load<u32>(block);
  const end = block + bytesOf(word);
  if ((word & FREE) == 0 || end < <usize>((frame + 1) << FRAME_SHIFT)) return;
  freeRemove(heap, block, bytesOf(word));
  makeFree(heap, block, end, true);
}

/** Puts a block of `bytes` for a page of `stored` bytes at the start of a free block. */
export function carve(heap: usize, block: usize, bytes: u32, stored: u32): void {
  const whole = bytesOf(load<u32>(block));
  const rest = block + bytes;
  freeRemove(heap, block, whole);
  if (bytes < whole) {
    writeFree(rest, whole - bytes);
    if (frameOf(rest) != frameOf(block)) noteStart(rest);
    freeInsert(heap, rest, whole - bytes);
  } else if (runGoesOn(heap, rest)) {
    atomic.and<u32>(rest, ~PREV_FREE);
  }
  store<u32>(block + 8, 0); // no object: whoever walks the frame sees that the page is not described yet
  atomic.store<u32>(block, stored);
}
