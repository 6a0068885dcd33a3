// Page-addressable memory ("PAM"): the narrow interface through which the core reaches zbud, zv and raw. A slot
// word's tag says which memory made it, so every operation but allocation finds its memory by the word.
//
//   memoryAlloc    room for compressed bytes, or for a raw page; a word that nobody sees yet, 0 = no frame
//   memoryData     where the bytes lie            memoryFree     gives the room back
//   memoryTouch    the page was used
//
// A memory never evicts and never knows who calls it. A further one needs a tag, these functions, and its part in
// reclaim and recovery (tmem/reclaim.ts, tmem/recovery.ts).

import {
  clientAddress,
  frameAddress,
  frameEntry,
  frameOf,
  frameSetKind,
  frameTake,
  frameTouch,
  frameUntake,
} from '../memory/frame';
import { abortOperation, ABORT_DAMAGED } from '../memory/host';
import {
  C_ZV_HEAPS,
  KIND_ZV_EPH,
  KIND_ZV_HEAP,
  KIND_ZV_PERS,
  PAM_RAW,
  PAM_ZBUD,
  PAM_ZV,
} from '../memory/layout';
import { SLAB_CELL, slabAlloc, slabFree } from '../memory/slab';
import {
  TAG_CELL,
  TAG_FILL,
  TAG_RAW,
  TAG_ZBUD,
  TAG_ZV,
  TAG_ZV8,
  descriptorOf,
  tagOf,
  wordOf,
  zvWord,
} from '../memory/word';
import { DESCRIPTOR_BYTES, describe, storedBytes } from './descriptor';
import { rawAlloc, rawData, rawFree, rawQueue, rawTouch } from './raw';
import { zbudAlloc, zbudData, zbudFree } from './zbud';
import { zvAlloc, zvData, zvDescribe, zvFormat, zvFree } from './zv';

/** Address of a client's zv heap, made on first use; 0 when there is no frame for it. */
export function zvHeap(client: u32, ephemeral: bool): usize {
  const cell = clientAddress(client) + C_ZV_HEAPS + (ephemeral ? 0 : 4);
  const heap = atomic.load<u32>(cell);
  if (heap != 0) return heap;
  const frame = frameTake(client, KIND_ZV_HEAP, 0);
  if (frame == 0) return 0;
  zvFormat(frameAddress(frame), client, ephemeral ? KIND_ZV_EPH : KIND_ZV_PERS);
  frameSetKind(frame, client, KIND_ZV_HEAP, 0);
  const other = atomic.cmpxchg<u32>(cell, 0, <u32>frameAddress(frame));
  if (other == 0) return frameAddress(frame);
  frameUntake(frame, client, KIND_ZV_HEAP);
  return other;
}

/** The heap of a zv block, from the frame it lies in. */
export function zvHeapOf(descriptor: usize): usize {
  const entry = load<u32>(frameEntry(frameOf(descriptor)));
  return load<u32>(clientAddress(entry >>> 16) + C_ZV_HEAPS + ((entry & 15) == KIND_ZV_EPH ? 0 : 4));
}

/**
 * Room for `bytes` of a page, described but for its object. Compressed bytes go to zbud or zv; `pam` PAM_RAW takes a
 * whole frame. The caller copies the bytes to memoryData and names the object before it publishes the word.
 */
export function memoryAlloc(
  client: u32,
  pool: u32,
  ephemeral: bool,
  pam: u32,
  bytes: u32,
  codec: u32,
  length: u32,
  sum: u32,
  index: u32,
): u32 {
  if (pam == PAM_ZBUD) {
    const descriptor = zbudAlloc(client, ephemeral, bytes);
    if (descriptor == 0) return 0;
    describe(descriptor, bytes, codec, length, sum, index);
    return wordOf(TAG_ZBUD, descriptor);
  }
  if (pam == PAM_ZV) {
    const heap = zvHeap(client, ephemeral);
    if (heap == 0) return 0;
    const block = zvAlloc(heap, bytes);
    if (block == 0) return 0;
    zvDescribe(block, codec, length, sum, index);
    return zvWord(block);
  }
  if (pam != PAM_RAW) abortOperation(ABORT_DAMAGED, 311);
  const cell = rawAlloc(client, ephemeral, pool);
  if (cell == 0) return 0;
  describe(cell, bytes, codec, length, sum, index);
  rawQueue(cell);
  return wordOf(TAG_RAW, cell);
}

/** A cell for a page that is one repeated 64-bit value; 0 when there is no memory. */
export function memoryAllocFill(
  client: u32,
  ephemeral: bool,
  value: u64,
  codec: u32,
  length: u32,
  sum: u32,
  index: u32,
): u32 {
  const cell = slabAlloc(client, ephemeral, SLAB_CELL);
  if (cell == 0) return 0;
  store<u64>(cell, 0);
  store<u64>(cell + 8, 0);
  describe(cell, 8, codec, length, sum, index);
  store<u64>(cell + DESCRIPTOR_BYTES, value);
  return wordOf(TAG_CELL, cell);
}

/** Where the stored bytes of a word lie; not for TAG_FILL. */
export function memoryData(word: u32): usize {
  const tag = tagOf(word);
  const descriptor = descriptorOf(word);
  if (tag == TAG_ZBUD) return zbudData(descriptor);
  if (tag == TAG_ZV || tag == TAG_ZV8) return zvData(descriptor);
  if (tag == TAG_RAW) return rawData(descriptor);
  if (tag != TAG_CELL) abortOperation(ABORT_DAMAGED, 312);
  return descriptor + DESCRIPTOR_BYTES;
}

/** Frees what a word names. Only for whoever cleared the slot, or made the word and did not publish it. */
export function memoryFree(word: u32): void {
  const tag = tagOf(word);
  if (tag == TAG_FILL) return;
  const descriptor = descriptorOf(word);
  if (tag == TAG_ZBUD) zbudFree(descriptor);
  else if (tag == TAG_ZV || tag == TAG_ZV8) zvFree(zvHeapOf(descriptor), descriptor);
  else if (tag == TAG_RAW) rawFree(descriptor);
  else if (tag == TAG_CELL) slabFree(descriptor);
  else abortOperation(ABORT_DAMAGED, 313);
}

/** The page was used and stays: renews its use stamp. Under the stripe lock. */
export function memoryTouch(word: u32): void {
  const tag = tagOf(word);
  if (tag == TAG_RAW) rawTouch(descriptorOf(word));
  else if (tag == TAG_ZBUD || tag == TAG_ZV || tag == TAG_ZV8) frameTouch(frameOf(descriptorOf(word)));
}

/** Compressed bytes that a word is charged with in its pool; same-filled pages take none. */
export function memoryBytes(word: u32): u32 {
  const tag = tagOf(word);
  return tag == TAG_FILL || tag == TAG_CELL ? 0 : storedBytes(descriptorOf(word));
}
