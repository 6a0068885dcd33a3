// Formatting: lays a new arena out. The host chose its sizes; everything in it is zero so far.

import { backedBytes, setBacked } from './backed-bits';
import { frameEntry, framesRebuild } from './frame';
import { bitmapBytes } from './free-frames';
import {
  FIXED_END,
  FRAME_SIZE,
  H_ADDRESS_MAX,
  H_BACKED_BITS,
  H_CLIENTS_MAX,
  H_CLIENT_TABLE,
  H_FIRST_FRAME,
  H_FRAMES,
  H_FRAME_TABLE,
  H_FREE_BITS,
  H_FREE_FRAMES_MIN,
  H_KEY,
  H_LAST_FRAME,
  H_LOW_EDGE,
  H_MAGIC,
  H_POOLS_HIGH,
  H_POOLS_MAX,
  H_POOL_TABLE,
  H_SCAN_HAND,
  H_SLOTS,
  H_SLOT_BYTES,
  H_STAGING_PAGES,
  H_THREADS,
  H_UNBACKED,
  H_VERSION,
  KIND_FIXED,
  LAYOUT_MAGIC,
  LAYOUT_VERSION,
  S_STAGING,
} from './layout';

/** Fewest frames that must be left for pages; a smaller arena is not formatted. */
const USABLE_FRAMES_MIN: u32 = 64;

function align(address: usize, to: usize): usize {
  return (address + to - 1) & ~(to - 1);
}

// Where everything goes, as layOut found it.
let slotBytes: usize = 0;
let slots: usize = 0;
let frameTable: usize = 0;
let freeBits: usize = 0;
let backedBits: usize = 0;
let poolTable: usize = 0;
let clientTable: usize = 0;
let firstFrame: u32 = 0;

/** Places the tables of an arena of `frames` frames; false when too little would be left. */
function layOut(frames: u32, threads: u32, pools: u32, clients: u32, stagingPages: u32): bool {
  // One page more than is handed out: decoders may write a little behind the last one.
  slotBytes = S_STAGING + (stagingPages + 1) * FRAME_SIZE;
  slots = align(FIXED_END, FRAME_SIZE);
  frameTable = slots + <usize>threads * slotBytes;
  freeBits = align(frameTable + (frames << 3), 64);
  backedBits = align(freeBits + bitmapBytes(frames), 64);
  poolTable = align(backedBits + backedBytes(frames), 64);
  clientTable = align(poolTable + (pools << 3), 64);
  firstFrame = <u32>align(clientTable + (clients << 3), FRAME_SIZE) / FRAME_SIZE;
  return firstFrame + USABLE_FRAMES_MIN + 1 <= frames;
}

/**
 * First frame that would be handed out, 0 when too little would be left: frames below it, and the last one, need
 * memory before the arena is formatted.
 */
export function formatFirstFrame(frames: u32, threads: u32, pools: u32, clients: u32, stagingPages: u32): u32 {
  return layOut(frames, threads, pools, clients, stagingPages) ? firstFrame : 0;
}

/** Lays out an arena of `frames` frames; false when too little would be left. The key are 16 random bytes. */
export function format(
  frames: u32,
  threads: u32,
  pools: u32,
  clients: u32,
  stagingPages: u32,
  key0: u32,
  key1: u32,
  key2: u32,
  key3: u32,
): bool {
  if (!layOut(frames, threads, pools, clients, stagingPages)) return false;
  store<u32>(H_ADDRESS_MAX, 0xffffffff);
  store<u32>(H_FRAMES, frames);
  store<u32>(H_FIRST_FRAME, firstFrame);
  store<u32>(H_LAST_FRAME, frames - 1);
  store<u32>(H_THREADS, threads);
  store<u32>(H_SLOTS, <u32>slots);
  store<u32>(H_SLOT_BYTES, <u32>slotBytes);
  store<u32>(H_FRAME_TABLE, <u32>frameTable);
  store<u32>(H_FREE_BITS, <u32>freeBits);
  store<u32>(H_BACKED_BITS, <u32>backedBits);
  store<u32>(H_POOL_TABLE, <u32>poolTable);
  store<u32>(H_POOLS_MAX, pools);
  store<u32>(H_CLIENT_TABLE, <u32>clientTable);
  store<u32>(H_CLIENTS_MAX, clients);
  store<u32>(H_STAGING_PAGES, stagingPages);
  store<u32>(H_SCAN_HAND, firstFrame);
  store<u32>(H_LOW_EDGE, firstFrame);
  store<u32>(H_KEY, key0);
  store<u32>(H_KEY + 4, key1);
  store<u32>(H_KEY + 8, key2);
  store<u32>(H_KEY + 12, key3);
  for (let frame: u32 = 0; frame < firstFrame; frame++) store<u32>(frameEntry(frame), KIND_FIXED);
  store<u32>(frameEntry(frames - 1), KIND_FIXED);
  setBacked(0, firstFrame);
  setBacked(frames - 1, 1);
  framesRebuild();
  store<u32>(H_FREE_FRAMES_MIN, load<u32>(H_UNBACKED));
  store<u32>(H_VERSION, LAYOUT_VERSION);
  atomic.store<u32>(H_MAGIC, LAYOUT_MAGIC);
  return true;
}

/** Whether the header of an arena that was found says what format would have written for its sizes. */
export function headerIsSound(frames: u32, threads: u32, pools: u32, clients: u32, stagingPages: u32): bool {
  if (!layOut(frames, threads, pools, clients, stagingPages)) return false;
  return (
    load<u32>(H_MAGIC) == LAYOUT_MAGIC &&
    load<u32>(H_VERSION) == LAYOUT_VERSION &&
    load<u32>(H_ADDRESS_MAX) == 0xffffffff &&
    load<u32>(H_FRAMES) == frames &&
    load<u32>(H_FIRST_FRAME) == firstFrame &&
    load<u32>(H_LAST_FRAME) == frames - 1 &&
    load<u32>(H_THREADS) == threads &&
    load<u32>(H_SLOTS) == <u32>slots &&
    load<u32>(H_SLOT_BYTES) == <u32>slotBytes &&
    load<u32>(H_FRAME_TABLE) == <u32>frameTable &&
    load<u32>(H_FREE_BITS) == <u32>freeBits &&
    load<u32>(H_BACKED_BITS) == <u32>backedBits &&
    load<u32>(H_POOL_TABLE) == <u32>poolTable &&
    load<u32>(H_POOLS_MAX) == pools &&
    load<u32>(H_CLIENT_TABLE) == <u32>clientTable &&
    load<u32>(H_CLIENTS_MAX) == clients &&
    load<u32>(H_STAGING_PAGES) == stagingPages &&
    load<u32>(H_POOLS_HIGH) <= pools
  );
}
