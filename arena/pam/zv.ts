// zv: dense memory for compressed pages. Best fit over runs of frames, with free lists of exact sizes (zv-heap.ts)
// and blocks that cross frame borders (zv-block.ts): about 1.3 % of the frames are free after long churn.
//
// Allocate and free take constant time under the client's zv lock. Frames are taken with no lock held; a frame
// in which nothing is left goes back at once. zv never evicts: when there is no frame, its caller does that.
//
//   stored page = 16-byte descriptor (descriptor.ts) + stored bytes, rounded up to 8; a block never moves
//
// Rule: a block is its allocator's own until it is published; zvAlloc leaves its object 0, so that reclaim, which
// finds blocks by frame, passes over those that are not described yet.

import { frameOf, frameTake } from '../memory/frame';
import { FRAME_SIZE, PAGE_SIZE } from '../memory/layout';
import { must } from '../memory/host';
import { lock, unlock, zvLock } from '../memory/lock';
import { DESCRIPTOR_BYTES } from './descriptor';
import {
  blockAcross,
  bytesOf,
  carve,
  FREE,
  isMine,
  joinFrame,
  makeFree,
  MARK,
  PREV_FREE,
  returnFrame,
  runGoesOn,
  storedOf,
  trimFrame,
  usedBytesFor,
} from './zv-block';
import {
  countEver,
  countUnused,
  countUsed,
  freeFind,
  freeRemove,
  heapClient,
  heapKind,
  UNIT_SHIFT,
  Z_IDENTITY,
  Z_NEXT_FRAME,
  ZV_HEAP_BYTES,
} from './zv-heap';

/** Most stored bytes of a block that fits a frame: 4080. A longer one may need two that are adjacent. */
export const ZV_ALONE_MAX: u32 = FRAME_SIZE - DESCRIPTOR_BYTES;

/** Prepares a control area of ZV_HEAP_BYTES; `kind` is KIND_ZV_EPH or KIND_ZV_PERS. */
export function zvFormat(heap: usize, client: u32, kind: u32): void {
  memory.fill(heap, 0, ZV_HEAP_BYTES);
  store<u32>(heap + Z_IDENTITY, kind | (client << 16));
}

/**
 * Room for a page of `stored` bytes (1 to 4096). Returns the address of its descriptor, 0 when there is no frame
 * for it (frameTakeFailure says why). Word 0 holds the stored bytes, the object is 0; zvDescribe and then
 * describeObject fill in the rest. Above ZV_ALONE_MAX bytes a block may need two adjacent frames, and is refused when
 * the two it could have are not; keep such a page in a raw frame then.
 */
export function zvAlloc(heap: usize, stored: u32): usize {
  must(stored >= 1 && stored <= PAGE_SIZE, 703);
  const bytes = usedBytesFor(stored);
  const guard = zvLock(heapClient(heap));
  lock(guard);
  let block = freeFind(heap, bytes);
  if (block != 0) take(heap, block, bytes, stored);
  const hint = load<u32>(heap + Z_NEXT_FRAME);
  unlock(guard);
  if (block != 0) return block;

  const client = heapClient(heap);
  const kind = heapKind(heap);
  const frame = frameTake(client, kind, hint);
  if (frame == 0) return 0;
  const second = bytes > FRAME_SIZE ? frameTake(client, kind, frame + 1) : 0;
  lock(guard);
  block = freeFind(heap, bytes); // somebody may have freed a block meanwhile
  if (block != 0) {
    returnFrame(heap, frame);
  } else {
    joinFrame(heap, frame);
    block = freeFind(heap, bytes);
  }
  if (block == 0 && second != 0) {
    joinFrame(heap, second);
    block = freeFind(heap, bytes);
  } else if (second != 0) {
    returnFrame(heap, second);
  }
  if (block != 0) take(heap, block, bytes, stored);
  if (bytes > FRAME_SIZE) {
    // Of the two frames one may have been enough, or neither of use.
    trimFrame(heap, frame);
    if (second != 0) trimFrame(heap, second);
  }
  unlock(guard);
  return block;
}

function take(heap: usize, block: usize, bytes: u32, stored: u32): void {
  carve(heap, block, bytes, stored);
  countUsed(heap, stored, bytes);
  countEver(heap, stored);
}

/** Fills in all of a new block's descriptor but the object; the block's flags survive, whoever changes them now. */
export function zvDescribe(block: usize, codec: u32, length: u32, sum: u32, index: u32): void {
  store<u32>(block + 4, sum);
  store<u32>(block + 12, index);
  atomic.or<u32>(block, (codec << 13) | ((length - 1) << 16));
}

/** Frees a block. Called once: by whoever cleared the slot that named it, or by its allocator before that. */
export function zvFree(heap: usize, block: usize): void {
  const guard = zvLock(heapClient(heap));
  lock(guard);
  const word = load<u32>(block);
  must((word & FREE) == 0 && storedOf(word) != 0, 704);
  must(isMine(heap, frameOf(block)), 705);
  const bytes = bytesOf(word);
  countUnused(heap, storedOf(word), bytes);
  let start = block;
  let end = block + bytes;
  if ((word & PREV_FREE) != 0) {
    const before = load<u32>(block - 4);
    start -= before;
    must(load<u32>(start) == (FREE | (before >>> UNIT_SHIFT)), 706);
    freeRemove(heap, start, before);
  }
  if (runGoesOn(heap, end)) {
    const after = load<u32>(end);
    if ((after & FREE) != 0) {
      freeRemove(heap, end, bytesOf(after));
      end += bytesOf(after);
    }
  }
  makeFree(heap, start, end, true);
  unlock(guard);
}

/** Where the stored bytes of a block start: 8-byte aligned; what follows the block may belong to another page. */
@inline
export function zvData(block: usize): usize {
  return block + DESCRIPTOR_BYTES;
}

/** Bytes of the heap that a block takes, descriptor and rounding included. */
@inline
export function zvBlockBytes(block: usize): u32 {
  return bytesOf(load<u32>(block));
}

/**
 * For reclaim of a frame: the first used block above `after` (0 = from the start) that has a byte in the frame;
 * 0 = none. Copies its descriptor to `out` (16 bytes), because the block may be gone once this returns: look for
 * the page by that copy, and free the block only if its slot still names it. An object of 0 means not described
 * yet: pass over it. Looks at no more blocks than three frames can hold.
 */
export function zvNextPage(heap: usize, frame: u32, after: usize, out: usize): usize {
  const guard = zvLock(heapClient(heap));
  lock(guard);
  let block: usize = isMine(heap, frame) ? blockAcross(heap, frame) : 0;
  while (block != 0 && (block <= after || (load<u32>(block) & FREE) != 0)) {
    block = zvNextBlock(heap, block);
    if (frameOf(block) > frame) block = 0;
  }
  if (block != 0) memory.copy(out, block, DESCRIPTOR_BYTES);
  unlock(guard);
  return block;
}

/** The block behind a block, used or free; 0 at the end of the run. Under the zv lock, or with all else stopped. */
export function zvNextBlock(heap: usize, block: usize): usize {
  const next = block + bytesOf(load<u32>(block));
  return runGoesOn(heap, next) ? next : 0;
}

/** For recovery: notes that the index reaches a block, so that zvRebuild keeps it. */
export function zvMark(block: usize): void {
  atomic.or<u32>(block, MARK);
}
