// Walk over the records of remote pages: as walk.ts, a batch of handles at a time, and of each batch those that name a
// page elsewhere, with their records.
//
//   results (slot + S_OUT), 68 bytes a record:   0 index | 4 length of the record | 8 record (60)

import { S_OUT, S_WALK } from '../memory/layout';
import { lock, unlock } from '../memory/lock';
import { slotAddress } from '../memory/slot';
import { memoryBytes, memoryData } from '../pam/pam';
import { findObject, handlePool, handlePoolId, handleStripe, isRemote, locate, pageSlot } from './handle';
import { W_COUNT, W_INDEXES, W_OID, walkNext } from './walk';

const RESULT_BYTES: usize = 68;
/** Handles looked at under one lock: each look passes at most seven slots. */
const LOOK_AT_ONCE: u32 = 8;

/** The records among the next batch of handles of the operation's pool: how many, -1 at the end. */
export function walkRecords(): i32 {
  if (!walkNext(handlePool(), handlePoolId())) return -1;
  const walk = slotAddress() + S_WALK;
  locate(load<u64>(walk + W_OID), load<u64>(walk + W_OID + 8), load<u64>(walk + W_OID + 16));
  const handles = load<u32>(walk + W_COUNT);
  let result = slotAddress() + S_OUT;
  let found = 0;
  for (let i: u32 = 0; i < handles; ) {
    const end = min<u32>(i + LOOK_AT_ONCE, handles);
    lock(handleStripe());
    const object = findObject();
    for (; i < end; i++) {
      const index = load<u32>(walk + W_INDEXES + (i << 2));
      const at = pageSlot(object, index);
      if (at == 0 || !isRemote(load<u32>(at))) continue;
      const word = load<u32>(at);
      store<u32>(result, index);
      store<u32>(result + 4, memoryBytes(word));
      memory.copy(result + 8, memoryData(word), memoryBytes(word));
      result += RESULT_BYTES;
      found++;
    }
    unlock(handleStripe());
  }
  return found;
}
