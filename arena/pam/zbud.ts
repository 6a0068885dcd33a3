// zbud: compression buddies. At most two compressed pages share one raw frame, so that reclaim frees whole frames.
//
//   frame:  0 left chunks u8, 1 right chunks u8, 2 flags u8 | 4 list previous, 8 list next | 12 age previous,
//           16 age next, 20 stamp when it was last queued | 32 left descriptor | 48 right descriptor
//           64 left buddy, left-justified ...                        ... right buddy, right-justified, ends at 4096
//
// A chunk is 64 bytes; 63 are for buddies. Lists of a client, separate for ephemeral and persistent pages:
// unbuddied[free chunks], buddied (counted only), and one age list of all frames, least recently used first.
// A new page goes to the fullest frame it still fits (best fit). A frame's use stamp is renewed without moving the
// frame; reclaim looks at it again (second chance), so a get that keeps costs one plain store.
//
// Rule: a frame being reclaimed is on no list, so nothing new goes in. What is left in it afterwards (a page that a put
// has not published yet, or that a flush is about to free) puts it back on its lists.

import { addTo } from '../memory/counters';
import { must } from '../memory/host';
import {
  clientAddress,
  frameAddress,
  frameEntry,
  frameGive,
  frameOf,
  frameSetKind,
  frameStamp,
  frameTake,
  frameTouch,
} from '../memory/frame';
import {
  C_ZBUD,
  C_ZBUD_HISTOGRAM,
  FRAME_SIZE,
  HISTOGRAM_BINS,
  KIND_ZBUD_EPH,
  KIND_ZBUD_PERS,
  ZBUD_LISTS_BYTES,
} from '../memory/layout';
import { lock, unlock, zbudLock } from '../memory/lock';
import { storedBytes } from './descriptor';

export const CHUNK_BYTES: u32 = 64;
/** Chunks for buddies: the first of the frame's 64 is the header. */
export const CHUNKS: u32 = 63;
/** Largest buddy: a page that compresses to more is refused. */
export const ZBUD_MAX_BYTES: u32 = CHUNKS * CHUNK_BYTES;

const F_LEFT: usize = 0;
const F_RIGHT: usize = 1;
const F_FLAGS: usize = 2;
const F_PREVIOUS: usize = 4;
const F_NEXT: usize = 8;
const F_OLDER: usize = 12;
const F_YOUNGER: usize = 16;
const F_QUEUED: usize = 20;
export const ZBUD_LEFT: usize = 32;
export const ZBUD_RIGHT: usize = 48;

/** Being reclaimed. */
const RECLAIMING: u32 = 1;
/** Recovery found the left or right buddy in the index. */
const LEFT_MARK: u32 = 2;
const RIGHT_MARK: u32 = 4;

// lists: 0 u64 bit a non-empty unbuddied list | 8 oldest, 12 youngest | 16 frames | 20 buddied frames
//        24 unbuddied[64]: first frame | 280 pages, 284 most | 288 bytes, 296 most, 304 pages ever, 312 bytes ever u64
const L_BITS: usize = 0;
const L_OLDEST: usize = 8;
const L_YOUNGEST: usize = 12;
const L_FRAMES: usize = 16;
const L_BUDDIED: usize = 20;
const L_UNBUDDIED: usize = 24;
const L_PAGES: usize = 280;
const L_PAGES_MAX: usize = 284;
const L_BYTES: usize = 288;
const L_BYTES_MAX: usize = 296;
const L_PAGES_EVER: usize = 304;
const L_BYTES_EVER: usize = 312;

/** A statistics call holds the lock for at most this many frames of one list; longer ones show this number. */
const LIST_COUNT_MAX: u32 = 4096;

/** Frames looked at for one that was not used since it was queued; then the oldest goes anyway. */
const SECOND_CHANCES: i32 = 32;

@inline
function listsOf(client: u32, ephemeral: bool): usize {
  return clientAddress(client) + C_ZBUD + (ephemeral ? 0 : ZBUD_LISTS_BYTES);
}

@inline
function isEphemeral(frame: u32): bool {
  return (load<u32>(frameEntry(frame)) & 15) == KIND_ZBUD_EPH;
}

/**
 * Room for `bytes` (1..ZBUD_MAX_BYTES): the descriptor's address, 0 when no frame was to be had.
 * The caller describes it with the same number of bytes before it frees it.
 */
export function zbudAlloc(client: u32, ephemeral: bool, bytes: u32): usize {
  const chunks = (bytes + CHUNK_BYTES - 1) / CHUNK_BYTES;
  must(chunks >= 1 && chunks <= CHUNKS, 201);
  const lists = listsOf(client, ephemeral);
  const guard = zbudLock(client);
  lock(guard);
  const fitting = load<u64>(lists + L_BITS) & (~(<u64>0) << chunks);
  if (fitting != 0) {
    const frame = load<u32>(lists + L_UNBUDDIED + (<u32>ctz<u64>(fitting) << 2));
    const base = frameAddress(frame);
    unlistUnbuddied(lists, frame);
    const right = load<u8>(base + F_LEFT) != 0;
    store<u8>(base + (right ? F_RIGHT : F_LEFT), <u8>chunks);
    store<u32>(lists + L_BUDDIED, load<u32>(lists + L_BUDDIED) + 1);
    unlistAge(lists, frame);
    queueAge(lists, frame);
    count(client, lists, bytes);
    unlock(guard);
    return base + (right ? ZBUD_RIGHT : ZBUD_LEFT);
  }
  unlock(guard);
  const kind = ephemeral ? KIND_ZBUD_EPH : KIND_ZBUD_PERS;
  const frame = frameTake(client, kind, 0);
  if (frame == 0) return 0;
  const base = frameAddress(frame);
  memory.fill(base, 0, CHUNK_BYTES);
  store<u8>(base + F_LEFT, <u8>chunks);
  frameSetKind(frame, client, kind, 0);
  lock(guard);
  listUnbuddied(lists, frame);
  queueAge(lists, frame);
  store<u32>(lists + L_FRAMES, load<u32>(lists + L_FRAMES) + 1);
  count(client, lists, bytes);
  unlock(guard);
  return base + ZBUD_LEFT;
}

/** Where the compressed bytes of a descriptor lie. */
@inline
export function zbudData(descriptor: usize): usize {
  const base = descriptor & ~4095;
  if ((descriptor & 4095) == ZBUD_LEFT) return base + CHUNK_BYTES;
  return base + FRAME_SIZE - <u32>load<u8>(base + F_RIGHT) * CHUNK_BYTES;
}

export function zbudFree(descriptor: usize): void {
  const frame = frameOf(descriptor);
  const base = frameAddress(frame);
  const client = load<u32>(frameEntry(frame)) >>> 16;
  const lists = listsOf(client, isEphemeral(frame));
  const right = (descriptor & 4095) == ZBUD_RIGHT;
  const guard = zbudLock(client);
  lock(guard);
  const listed = (load<u8>(base + F_FLAGS) & RECLAIMING) == 0;
  const other = load<u8>(base + (right ? F_LEFT : F_RIGHT));
  if (listed) {
    if (other == 0) unlistUnbuddied(lists, frame);
    else store<u32>(lists + L_BUDDIED, load<u32>(lists + L_BUDDIED) - 1);
  }
  must(load<u8>(base + (right ? F_RIGHT : F_LEFT)) != 0, 202);
  store<u8>(base + (right ? F_RIGHT : F_LEFT), 0);
  store<u32>(lists + L_PAGES, load<u32>(lists + L_PAGES) - 1);
  store<u64>(lists + L_BYTES, load<u64>(lists + L_BYTES) - storedBytes(descriptor));
  if (listed) {
    if (other == 0) {
      unlistAge(lists, frame);
      drop(lists, frame);
    } else {
      listUnbuddied(lists, frame);
    }
  }
  unlock(guard);
}

/** Takes the least recently used ephemeral frame off the lists for reclaim; 0 when there is none. */
export function zbudReclaimBegin(client: u32, unbuddiedFirst: bool): u32 {
  const lists = listsOf(client, true);
  const guard = zbudLock(client);
  lock(guard);
  let frame: u32 = 0;
  const bits = load<u64>(lists + L_BITS);
  if (unbuddiedFirst && bits != 0) {
    frame = load<u32>(lists + L_UNBUDDIED + (<u32>(63 - clz<u64>(bits)) << 2));
  } else {
    frame = load<u32>(lists + L_OLDEST);
    for (let i = 0; i < SECOND_CHANCES && frame != 0; i++) {
      if (<i32>(frameStamp(frame) - load<u32>(frameAddress(frame) + F_QUEUED)) <= 0) break;
      unlistAge(lists, frame);
      queueAgeAt(lists, frame, frameStamp(frame));
      frame = load<u32>(lists + L_OLDEST);
    }
  }
  if (frame != 0) {
    const base = frameAddress(frame);
    if (load<u8>(base + F_LEFT) == 0 || load<u8>(base + F_RIGHT) == 0) unlistUnbuddied(lists, frame);
    else store<u32>(lists + L_BUDDIED, load<u32>(lists + L_BUDDIED) - 1);
    unlistAge(lists, frame);
    store<u8>(base + F_FLAGS, <u8>RECLAIMING);
  }
  unlock(guard);
  return frame;
}

/** The stamp of the frame that zbudReclaimBegin would start with (a hint, read without the lock). */
export function zbudOldestStamp(client: u32): u32 {
  const frame = load<u32>(listsOf(client, true) + L_OLDEST);
  return frame == 0 ? 0 : frameStamp(frame);
}

/** The pages are out of the index: gives the frame back, or lists it again when a buddy is left; whether it gave it. */
export function zbudReclaimEnd(frame: u32): bool {
  const base = frameAddress(frame);
  const client = load<u32>(frameEntry(frame)) >>> 16;
  const lists = listsOf(client, true);
  const guard = zbudLock(client);
  lock(guard);
  store<u8>(base + F_FLAGS, 0);
  const left = load<u8>(base + F_LEFT) != 0;
  const right = load<u8>(base + F_RIGHT) != 0;
  if (!left && !right) {
    drop(lists, frame);
  } else {
    if (left && right) store<u32>(lists + L_BUDDIED, load<u32>(lists + L_BUDDIED) + 1);
    else listUnbuddied(lists, frame);
    queueAgeAt(lists, frame, frameStamp(frame));
  }
  unlock(guard);
  return !left && !right;
}

/** Whether a buddy is there (reclaim asks, between Begin and End). */
export function zbudHas(frame: u32, descriptor: usize): bool {
  return load<u8>(frameAddress(frame) + ((descriptor & 4095) == ZBUD_RIGHT ? F_RIGHT : F_LEFT)) != 0;
}

function count(client: u32, lists: usize, bytes: u32): void {
  const pages = load<u32>(lists + L_PAGES) + 1;
  store<u32>(lists + L_PAGES, pages);
  if (pages > load<u32>(lists + L_PAGES_MAX)) store<u32>(lists + L_PAGES_MAX, pages);
  const sum = load<u64>(lists + L_BYTES) + bytes;
  store<u64>(lists + L_BYTES, sum);
  if (sum > load<u64>(lists + L_BYTES_MAX)) store<u64>(lists + L_BYTES_MAX, sum);
  store<u64>(lists + L_PAGES_EVER, load<u64>(lists + L_PAGES_EVER) + 1);
  store<u64>(lists + L_BYTES_EVER, load<u64>(lists + L_BYTES_EVER) + bytes);
  const bin = clientAddress(client) + C_ZBUD_HISTOGRAM + (((bytes - 1) / CHUNK_BYTES) << 3);
  store<u64>(bin, load<u64>(bin) + 1);
}

/** Adds a client's zbud figures to a statistics row and its two histograms (src/zcache/client-counters.ts). */
export function zbudStatistics(client: u32, row: usize, unbuddied: usize, cumulative: usize): void {
  for (let kind = 0; kind < 2; kind++) {
    const lists = listsOf(client, kind == 0);
    const guard = zbudLock(client);
    lock(guard);
    addTo(row + 4 * 8, load<u32>(lists + L_PAGES));
    addTo(row + 5 * 8, load<u32>(lists + L_PAGES_MAX));
    addTo(row + 6 * 8, load<u64>(lists + L_BYTES));
    addTo(row + 7 * 8, load<u64>(lists + L_BYTES_MAX));
    addTo(row + 8 * 8, load<u64>(lists + L_PAGES_EVER));
    addTo(row + 9 * 8, load<u64>(lists + L_BYTES_EVER));
    addTo(row + 10 * 8, load<u32>(lists + L_BUDDIED));
    unlock(guard);
    for (let free: u32 = 0; free < CHUNKS; free++) {
      // The histogram is by used chunks: bucket b counts frames whose one buddy has b + 1 chunks.
      addTo(unbuddied + ((CHUNKS - free - 1) << 3), listLength(client, lists, free));
    }
  }
  memory.copy(cumulative, clientAddress(client) + C_ZBUD_HISTOGRAM, HISTOGRAM_BINS << 3);
}

/** Frames of one unbuddied list; counted up to LIST_COUNT_MAX, under the lock but without touching the index. */
function listLength(client: u32, lists: usize, free: u32): u32 {
  const guard = zbudLock(client);
  let length: u32 = 0;
  lock(guard);
  let frame = load<u32>(lists + L_UNBUDDIED + (free << 2));
  for (; frame != 0 && length < LIST_COUNT_MAX; length++) frame = load<u32>(frameAddress(frame) + F_NEXT);
  unlock(guard);
  return length;
}

// ---- recovery (nothing else runs) -------------------------------------------------------------------------

export function zbudForget(client: u32): void {
  for (let kind = 0; kind < 2; kind++) {
    const lists = listsOf(client, kind == 0);
    memory.fill(lists, 0, L_PAGES);
    store<u32>(lists + L_PAGES, 0);
    store<u64>(lists + L_BYTES, 0);
  }
}

export function zbudUnmark(frame: u32): void {
  store<u8>(frameAddress(frame) + F_FLAGS, 0);
}

/** A descriptor was found in the index; false when it already was. */
export function zbudMark(descriptor: usize): bool {
  const base = descriptor & ~4095;
  const mark = (descriptor & 4095) == ZBUD_RIGHT ? RIGHT_MARK : LEFT_MARK;
  const flags = <u32>load<u8>(base + F_FLAGS);
  store<u8>(base + F_FLAGS, <u8>(flags | mark));
  return (flags & mark) == 0;
}

/** After all marks: frees what was not found, and gives the frame back or puts it on its lists again. */
export function zbudRelist(frame: u32): void {
  const base = frameAddress(frame);
  const entry = load<u32>(frameEntry(frame));
  const flags = <u32>load<u8>(base + F_FLAGS);
  store<u8>(base + F_FLAGS, 0);
  if ((flags & LEFT_MARK) == 0) store<u8>(base + F_LEFT, 0);
  if ((flags & RIGHT_MARK) == 0) store<u8>(base + F_RIGHT, 0);
  if ((flags & (LEFT_MARK | RIGHT_MARK)) == 0) {
    frameGive(frame);
    return;
  }
  const lists = listsOf(entry >>> 16, (entry & 15) == KIND_ZBUD_EPH);
  store<u32>(lists + L_FRAMES, load<u32>(lists + L_FRAMES) + 1);
  for (let side = 0; side < 2; side++) {
    if ((flags & (side == 0 ? LEFT_MARK : RIGHT_MARK)) == 0) continue;
    store<u32>(lists + L_PAGES, load<u32>(lists + L_PAGES) + 1);
    const bytes = storedBytes(base + (side == 0 ? ZBUD_LEFT : ZBUD_RIGHT));
    store<u64>(lists + L_BYTES, load<u64>(lists + L_BYTES) + bytes);
  }
  if ((flags & LEFT_MARK) != 0 && (flags & RIGHT_MARK) != 0) {
    store<u32>(lists + L_BUDDIED, load<u32>(lists + L_BUDDIED) + 1);
  } else {
    listUnbuddied(lists, frame);
  }
  queueAgeAt(lists, frame, frameStamp(frame));
}

// ---- lists (under the client's zbud lock) -----------------------------------------------------------------

function drop(lists: usize, frame: u32): void {
  store<u32>(lists + L_FRAMES, load<u32>(lists + L_FRAMES) - 1);
  frameGive(frame);
}

function freeChunks(base: usize): u32 {
  return CHUNKS - load<u8>(base + F_LEFT) - load<u8>(base + F_RIGHT);
}

function listUnbuddied(lists: usize, frame: u32): void {
  const base = frameAddress(frame);
  const chunks = freeChunks(base);
  const list = lists + L_UNBUDDIED + (chunks << 2);
  const head = load<u32>(list);
  store<u32>(base + F_PREVIOUS, 0);
  store<u32>(base + F_NEXT, head);
  if (head != 0) store<u32>(frameAddress(head) + F_PREVIOUS, frame);
  store<u32>(list, frame);
  store<u64>(lists + L_BITS, load<u64>(lists + L_BITS) | (<u64>1 << chunks));
}

/** Must be called before the buddies' sizes change: they say which list the frame is on. */
function unlistUnbuddied(lists: usize, frame: u32): void {
  const base = frameAddress(frame);
  const chunks = freeChunks(base);
  const previous = load<u32>(base + F_PREVIOUS);
  const next = load<u32>(base + F_NEXT);
  if (next != 0) store<u32>(frameAddress(next) + F_PREVIOUS, previous);
  if (previous != 0) {
    store<u32>(frameAddress(previous) + F_NEXT, next);
  } else {
    must(load<u32>(lists + L_UNBUDDIED + (chunks << 2)) == frame, 203);
    store<u32>(lists + L_UNBUDDIED + (chunks << 2), next);
    if (next == 0) store<u64>(lists + L_BITS, load<u64>(lists + L_BITS) & ~(<u64>1 << chunks));
  }
}

/** Puts a frame that was just used at the young end. */
function queueAge(lists: usize, frame: u32): void {
  frameTouch(frame);
  queueAgeAt(lists, frame, frameStamp(frame));
}

function queueAgeAt(lists: usize, frame: u32, stamp: u32): void {
  const base = frameAddress(frame);
  const youngest = load<u32>(lists + L_YOUNGEST);
  store<u32>(base + F_QUEUED, stamp);
  store<u32>(base + F_OLDER, youngest);
  store<u32>(base + F_YOUNGER, 0);
  if (youngest != 0) store<u32>(frameAddress(youngest) + F_YOUNGER, frame);
  else store<u32>(lists + L_OLDEST, frame);
  store<u32>(lists + L_YOUNGEST, frame);
}

function unlistAge(lists: usize, frame: u32): void {
  const base = frameAddress(frame);
  const older = load<u32>(base + F_OLDER);
  const younger = load<u32>(base + F_YOUNGER);
  if (older != 0) store<u32>(frameAddress(older) + F_YOUNGER, younger);
  else store<u32>(lists + L_OLDEST, younger);
  if (younger != 0) store<u32>(frameAddress(younger) + F_OLDER, older);
  else store<u32>(lists + L_YOUNGEST, older);
}
