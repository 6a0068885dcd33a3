// Formatting: lays a new arena out. The host chose its sizes; everything in it is zero so far.

import { bitmapBytes, frameEntry, framesRebuild } from './frame';
import {
  FIXED_END,
  FRAME_SIZE,
  H_ADDRESS_MAX,
  H_CLIENTS_MAX,
  H_CLIENT_TABLE,
  H_FIRST_FRAME,
  H_FRAMES,
  H_FRAME_TABLE,
  H_FREE_BITS,
  H_FREE_FRAMES,
  H_FREE_FRAMES_MIN,
  H_KEY,
  H_LAST_FRAME,
  H_MAGIC,
  H_POOLS_MAX,
  H_POOL_TABLE,
  H_SCAN_HAND,
  H_SLOTS,
  H_SLOT_BYTES,
  H_STAGING_PAGES,
  H_THREADS,
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
  // One page more than is handed out: decoders may write a little behind the last one.
  const slotBytes: usize = S_STAGING + (stagingPages + 1) * FRAME_SIZE;
  const slots: usize = align(FIXED_END, FRAME_SIZE);
  const frameTable: usize = slots + <usize>threads * slotBytes;
  const freeBits: usize = align(frameTable + (frames << 3), 64);
  const poolTable: usize = align(freeBits + bitmapBytes(frames), 64);
  const clientTable: usize = align(poolTable + (pools << 3), 64);
  const first: u32 = <u32>align(clientTable + (clients << 3), FRAME_SIZE) / FRAME_SIZE;
  if (first + USABLE_FRAMES_MIN + 1 > frames) return false;
  store<u32>(H_ADDRESS_MAX, 0xffffffff);
  store<u32>(H_FRAMES, frames);
  store<u32>(H_FIRST_FRAME, first);
  store<u32>(H_LAST_FRAME, frames - 1);
  store<u32>(H_THREADS, threads);
  store<u32>(H_SLOTS, <u32>slots);
  store<u32>(H_SLOT_BYTES, <u32>slotBytes);
  store<u32>(H_FRAME_TABLE, <u32>frameTable);
  store<u32>(H_FREE_BITS, <u32>freeBits);
  store<u32>(H_POOL_TABLE, <u32>poolTable);
  store<u32>(H_POOLS_MAX, pools);
  store<u32>(H_CLIENT_TABLE, <u32>clientTable);
  store<u32>(H_CLIENTS_MAX, clients);
  store<u32>(H_STAGING_PAGES, stagingPages);
  store<u32>(H_SCAN_HAND, first);
  store<u32>(H_KEY, key0);
  store<u32>(H_KEY + 4, key1);
  store<u32>(H_KEY + 8, key2);
  store<u32>(H_KEY + 12, key3);
  for (let frame: u32 = 0; frame < first; frame++) store<u32>(frameEntry(frame), KIND_FIXED);
  store<u32>(frameEntry(frames - 1), KIND_FIXED);
  framesRebuild();
  store<u32>(H_FREE_FRAMES_MIN, load<u32>(H_FREE_FRAMES));
  store<u32>(H_VERSION, LAYOUT_VERSION);
  atomic.store<u32>(H_MAGIC, LAYOUT_MAGIC);
  return true;
}
