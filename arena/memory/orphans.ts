// Orphans: records of remote pages that nobody names any more. Whoever takes a remote page out of the index leaves its
// record here, whichever thread or process that is; the node that lent it the memory of others takes the records and
// tells the holders.
//
//   H_ORPHANS_PUT, H_ORPHANS_TAKEN    count up; entry n is at ORPHANS + (n % ORPHAN_ENTRIES) * ORPHAN_BYTES
//   entry                             u32 length | record
//
// The ring is a hint. When it is full, or when its taker ends with records in its hands, the copies stay with their
// holders until these ask which of them are still wanted.

import {
  H_ORPHANS_LOST,
  H_ORPHANS_PUT,
  H_ORPHANS_TAKEN,
  ORPHANS,
  ORPHAN_BYTES,
  ORPHAN_ENTRIES,
  ORPHAN_LOCK,
} from './layout';
import { lock, unlock } from './lock';

/** Longest record. */
export const RECORD_BYTES_MAX: u32 = ORPHAN_BYTES - 4;

@inline
function entry(number: u32): usize {
  return ORPHANS + (number & (ORPHAN_ENTRIES - 1)) * ORPHAN_BYTES;
}

export function orphanPut(record: usize, bytes: u32): void {
  lock(ORPHAN_LOCK);
  const number = load<u32>(H_ORPHANS_PUT);
  if (number - load<u32>(H_ORPHANS_TAKEN) >= ORPHAN_ENTRIES) {
    store<u32>(H_ORPHANS_LOST, load<u32>(H_ORPHANS_LOST) + 1);
  } else {
    const at = entry(number);
    store<u32>(at, bytes);
    memory.copy(at + 4, record, bytes);
    // Counted when it is whole: who ends before this leaves nothing.
    store<u32>(H_ORPHANS_PUT, number + 1);
  }
  unlock(ORPHAN_LOCK);
}

/** Copies the oldest record to `out` and takes it; its length, 0 when there is none. */
export function orphanTake(out: usize): u32 {
  lock(ORPHAN_LOCK);
  const number = load<u32>(H_ORPHANS_TAKEN);
  let bytes: u32 = 0;
  if (number != load<u32>(H_ORPHANS_PUT)) {
    const at = entry(number);
    bytes = min<u32>(load<u32>(at), RECORD_BYTES_MAX);
    memory.copy(out, at + 4, bytes);
    store<u32>(H_ORPHANS_TAKEN, number + 1);
  }
  unlock(ORPHAN_LOCK);
  return bytes;
}
