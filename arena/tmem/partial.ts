// Partial reads and writes, and exchange.
//
// write at takes the page out without removing it, changes its copy, and publishes the result only if the slot is
// still what it was. The slot word alone does not tell (the same block may have come back with another page), so
// every change of a slot also raises a version, one of a fixed table by hash of the handle.

import { N_FAILED_GETS, N_PUTS, N_PUT_TO_FLUSH, N_SUCC_GETS, count } from '../memory/counters';
import { H_VERIFY, PAGE_SIZE, S_OUT, S_PAGE } from '../memory/layout';
import { lock, unlock } from '../memory/lock';
import { slotAddress } from '../memory/slot';
import { memoryTouch } from '../pam/pam';
import { commit } from '../memory/commit';
import { copyOut, decode } from './encode';
import { findObject, handlePool, handleStripe, isRemote, pageSlot, pageVersion } from './handle';
import { damaged, get, GET_FREE } from './get';
import {
  DAMAGED,
  MISS,
  NOT_THERE,
  REFUSED_CONTENDED,
  REMOTE,
  STORED,
} from './outcome';
import {
  ANY_COPY_OUT,
  EXPECTED,
  NOT_CHANGED_MOVED,
  NOT_CHANGED_REMOTE,
  PUBLISHED,
  publish,
  replacedWord,
} from './publish';
import { countRefusal, prepare, prepareRefusal, publishRefusal, stored, unprepare } from './put';

/** Other writers of the same page that may get in between before a write at gives up. */
const CONTENDED_MAX: i32 = 1000;

let seenWord: u32 = 0;
let seenVersion: u32 = 0;

/** Copies the operation's page to `place` and leaves it in the store; its length, MISS or DAMAGED. */
function look(index: u32, place: usize): i32 {
  lock(handleStripe());
  const object = findObject();
  const at = pageSlot(object, index);
  if (at == 0) {
    unlock(handleStripe());
    return MISS;
  }
  seenWord = load<u32>(at);
  if (isRemote(seenWord)) {
    unlock(handleStripe());
    return REMOTE;
  }
  seenVersion = pageVersion(object, index);
  copyOut(seenWord, place);
  memoryTouch(seenWord);
  unlock(handleStripe());
  const length = decode(place, load<u32>(H_VERIFY) != 0);
  return length == 0 ? damaged(index, true) : <i32>length;
}

/** Copies up to `length` bytes from `offset` on; how many, NOT_THERE, or DAMAGED. */
export function readAt(index: u32, offset: u32, target: usize, length: u32): i32 {
  const place = slotAddress() + S_PAGE;
  const found = look(index, place);
  if (found == MISS) {
    count(handlePool(), N_FAILED_GETS, 1);
    return NOT_THERE;
  }
  if (found < 0) return found;
  count(handlePool(), N_SUCC_GETS, 1);
  if (offset >= <u32>found) return 0;
  const bytes = min<u32>(length, <u32>found - offset);
  memory.copy(target, place + offset, bytes);
  return <i32>bytes;
}

/**
 * Replaces `length` bytes from `offset` on; a page that ends before that grows, with zeroes in between. STORED,
 * NOT_THERE, or a refusal, which changes nothing.
 */
export function writeAt(index: u32, offset: u32, source: usize, length: u32): i32 {
  const outcome = change(index, offset, source, length);
  // Where there is no page, nothing was offered to the pool.
  if (outcome != NOT_THERE && outcome != DAMAGED && outcome != REMOTE) count(handlePool(), N_PUTS, 1);
  return outcome;
}

function change(index: u32, offset: u32, source: usize, length: u32): i32 {
  const place = slotAddress() + S_PAGE;
  for (let tries = 0; tries < CONTENDED_MAX; tries++) {
    const found = look(index, place);
    if (found == MISS) return NOT_THERE;
    if (found < 0) return found;
    const expected = seenWord;
    const version = seenVersion;
    if (offset > <u32>found) memory.fill(place + found, 0, offset - found);
    memory.copy(place + offset, source, length);
    const whole = max<u32>(<u32>found, offset + length);
    const word = prepare(index, place, whole);
    if (prepareRefusal() != 0) {
      countRefusal(prepareRefusal());
      return prepareRefusal();
    }
    const result = publish(index, word, EXPECTED, expected, version, 0);
    if (result == PUBLISHED) {
      commit(STORED);
      stored(word, whole);
      return STORED;
    }
    unprepare(word);
    if (result == NOT_CHANGED_MOVED) continue;
    const reason = publishRefusal(result);
    countRefusal(reason);
    return reason;
  }
  countRefusal(REFUSED_CONTENDED);
  return REFUSED_CONTENDED;
}

let exchangeOutcome: i32 = 0;

/** Whether the new page of the last exchange() was stored: an outcome. */
export function exchangedOutcome(): i32 {
  return exchangeOutcome;
}

/** Stores a page and copies the one it replaces to S_OUT; the old page's length, MISS, DAMAGED, or REMOTE. */
export function exchange(index: u32, source: usize, length: u32): i32 {
  const out = slotAddress() + S_OUT;
  const pool = handlePool();
  count(pool, N_PUTS, 1);
  const word = prepare(index, source, length);
  let reason = prepareRefusal();
  if (reason == 0) {
    const result = publish(index, word, ANY_COPY_OUT, 0, 0, out);
    if (result == PUBLISHED) {
      exchangeOutcome = STORED;
      const old = replacedWord();
      // The old page is in the caller's hands before what held it is freed.
      const oldLength: i32 = old == 0 ? MISS : <i32>decode(out, load<u32>(H_VERIFY) != 0);
      const outcome = old != 0 && oldLength == 0 ? DAMAGED : oldLength;
      commit(outcome);
      stored(word, length);
      count(pool, oldLength == 0 ? N_FAILED_GETS : N_SUCC_GETS, 1);
      return outcome;
    }
    unprepare(word);
    if (result == NOT_CHANGED_REMOTE) {
      exchangeOutcome = REMOTE;
      count(pool, N_PUTS, -1);
      return REMOTE;
    }
    reason = publishRefusal(result);
  }
  // Refused: the old page is still returned, and the same step leaves the handle empty.
  exchangeOutcome = reason;
  countRefusal(reason);
  const oldLength = get(index, out, PAGE_SIZE, GET_FREE);
  if (oldLength != MISS) count(pool, N_PUT_TO_FLUSH, 1);
  return oldLength;
}
