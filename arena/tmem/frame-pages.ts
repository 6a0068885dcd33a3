// The pages of a frame: their handles, found bottom up as reclaim finds them (reclaim.ts), for those who move pages
// that were not used lately to other machines. Nothing is taken out, and everything may change right after.
//
//   results (slot + S_OUT), 32 bytes a page:   0 pool, by its name in the first arena | 4 index | 8 oid (24)

import { clientAddress, frameEntry, frameIs, frameOf } from '../memory/frame';
import {
  C_ZV_HEAPS,
  H_LAST_FRAME,
  KIND_RAW_EPH,
  KIND_RAW_PERS,
  KIND_ZBUD_EPH,
  KIND_ZBUD_PERS,
  KIND_ZV_EPH,
  KIND_ZV_PERS,
  RECLAIM_LOCK,
  S_OUT,
  S_VICTIM,
} from '../memory/layout';
import { lock, unlock, zbudLock } from '../memory/lock';
import { slotAddress } from '../memory/slot';
import { TAG_RAW, TAG_ZBUD, wordOf, zvWord } from '../memory/word';
import { CODEC_REMOTE, DESCRIPTOR_BYTES, codecOf, indexOf, objectOf, storedBytes } from '../pam/descriptor';
import { rawPage } from '../pam/raw';
import { ZBUD_LEFT, ZBUD_RIGHT, zbudHas } from '../pam/zbud';
import { zvNextPage } from '../pam/zv';
import { OBJECT_LIVE, O_ROOT, objectPlace, placeState } from './object';
import { hostNameOf } from './pool';
import { letGoObject, lockObject, lockedObjectPool, unlockObject } from './reclaim';
import { treeFind } from './tree';

const PAGE_BYTES: usize = 32;
/** Pages that begin in one frame: the smallest block has 24 bytes. */
const PAGES_MAX: u32 = 171;

/** A record takes about 80 bytes: what is hardly larger frees nothing worth the way. */
const WORTH_BYTES_MIN: u32 = 256;

let found: u32 = 0;

/** Lists the pages that begin in a frame, but for records of remote ones and small ones; how many. */
export function framePages(frame: u32): u32 {
  found = 0;
  if (frame >= load<u32>(H_LAST_FRAME)) return 0;
  // A client that was looked up stays while this is held.
  lock(RECLAIM_LOCK);
  const entry = atomic.load<u32>(frameEntry(frame));
  const client = entry >>> 16;
  const kind = entry & 15;
  if (clientAddress(client) != 0) {
    if (kind == KIND_ZV_EPH || kind == KIND_ZV_PERS) zvPages(frame, kind, client);
    else if (kind == KIND_ZBUD_EPH || kind == KIND_ZBUD_PERS) zbudPages(frame, kind, client);
    else if (kind == KIND_RAW_EPH || kind == KIND_RAW_PERS) rawPages(frame, kind, client);
  }
  unlock(RECLAIM_LOCK);
  return found;
}

function zvPages(frame: u32, kind: u32, client: u32): void {
  const copy = slotAddress() + S_VICTIM;
  const heap = <usize>load<u32>(clientAddress(client) + C_ZV_HEAPS + (kind == KIND_ZV_EPH ? 0 : 4));
  let block: usize = 0;
  while (heap != 0 && found < PAGES_MAX) {
    block = zvNextPage(heap, frame, block, copy);
    if (block == 0) break;
    // One that begins in the frame before is listed with that.
    if (frameOf(block) == frame) addIfThere(copy, zvWord(block));
  }
}

function zbudPages(frame: u32, kind: u32, client: u32): void {
  const copy = slotAddress() + S_VICTIM;
  for (let side = 0; side < 2; side++) {
    const descriptor: usize = (<usize>frame << 12) + (side == 0 ? ZBUD_LEFT : ZBUD_RIGHT);
    const guard = zbudLock(client);
    lock(guard);
    const isThere = frameIs(frame, kind, client) && zbudHas(frame, descriptor);
    if (isThere) memory.copy(copy, descriptor, DESCRIPTOR_BYTES);
    unlock(guard);
    if (isThere) addIfThere(copy, wordOf(TAG_ZBUD, descriptor));
  }
}

function rawPages(frame: u32, kind: u32, client: u32): void {
  const copy = slotAddress() + S_VICTIM;
  const cell = rawPage(frame, kind, client, copy);
  if (cell != 0) addIfThere(copy, wordOf(TAG_RAW, cell));
}

/** Adds the page of a descriptor if a slot of a live object names `word`. */
function addIfThere(descriptor: usize, word: u32): void {
  if (codecOf(descriptor) == CODEC_REMOTE || storedBytes(descriptor) < WORTH_BYTES_MIN) return;
  const object = objectOf(descriptor);
  const index = indexOf(descriptor);
  const stripe = lockObject(object);
  if (stripe == 0) return;
  const at = treeFind(object + O_ROOT, index, false);
  if (at != 0 && load<u32>(at) == word && placeState(objectPlace(object)) == OBJECT_LIVE) {
    const result = slotAddress() + S_OUT + <usize>found * PAGE_BYTES;
    store<u32>(result, hostNameOf(lockedObjectPool()));
    store<u32>(result + 4, index);
    memory.copy(result + 8, object, 24);
    found++;
  }
  unlockObject(stripe);
  letGoObject();
}
