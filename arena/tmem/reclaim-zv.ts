// Reclaim of zv frames that hold ephemeral pages: a hand goes round the frames of a client, so that pages leave about
// in the order in which their frames were last filled; a frame used since the hand passed is spared once.

import { clientAddress, frameEntry, frameStamp } from '../memory/frame';
import {
  C_ZV_HAND,
  C_ZV_HEAPS,
  H_CLOCK,
  H_FIRST_FRAME,
  H_LAST_FRAME,
  KIND_ZV_EPH,
  S_VICTIM,
} from '../memory/layout';
import { slotAddress } from '../memory/slot';
import { zvWord } from '../memory/word';
import { indexOf, objectOf } from '../pam/descriptor';
import { zvNextPage } from '../pam/zv';
import { countEvicted, evict } from './reclaim';

/** Frames spared in one call because they were used lately; then the next goes anyway. */
const SPARED_MAX: u32 = 16;
/** Pages that can have a byte in one frame: the smallest block has 24 bytes. */
const PAGES_MAX: i32 = 172;

/** Evicts all pages with a byte in the next zv frame; how many. */
export function reclaimZvFrame(client: u32): u32 {
  const address = clientAddress(client);
  const heap = <usize>load<u32>(address + C_ZV_HEAPS);
  if (heap == 0) return 0;
  const first = load<u32>(H_FIRST_FRAME);
  const last = load<u32>(H_LAST_FRAME);
  const mine = KIND_ZV_EPH | (client << 16);
  let frame = load<u32>(address + C_ZV_HAND);
  let spared: u32 = 0;
  // At most once round, and as far again as it takes to come back to those it spared.
  for (let pass: u32 = 0; pass < 2 * (last - first); pass++, frame++) {
    if (frame < first || frame >= last) frame = first;
    if ((load<u32>(frameEntry(frame)) & 0xffff000f) != mine) continue;
    if (usedLately(frame) && spared < SPARED_MAX) {
      spared++;
      continue;
    }
    const pages = evictFrame(heap, client, frame);
    if (pages == 0) continue;
    store<u32>(address + C_ZV_HAND, frame + 1);
    countEvicted(client, 1, pages);
    return pages;
  }
  store<u32>(address + C_ZV_HAND, frame);
  return 0;
}

/** Used within the last sixteenth of a turn: frames are stamped when they are filled and by gets that keep. */
function usedLately(frame: u32): bool {
  return load<u32>(H_CLOCK) - frameStamp(frame) < (load<u32>(H_LAST_FRAME) >>> 4);
}

function evictFrame(heap: usize, client: u32, frame: u32): u32 {
  const copy = slotAddress() + S_VICTIM;
  let pages: u32 = 0;
  let block: usize = 0;
  for (let i = 0; i < PAGES_MAX; i++) {
    block = zvNextPage(heap, frame, block, copy);
    if (block == 0) break;
    if (evict(objectOf(copy), indexOf(copy), zvWord(block))) pages++;
  }
  return pages;
}
