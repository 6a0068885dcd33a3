// get: copy a page out, and with it take the page from the index or leave it there.

import { N_CHECKSUM_FAILURES, N_FAILED_GETS, N_SUCC_GETS, count } from '../memory/counters';
import { ABORT_DAMAGED, abortOperation } from '../memory/host';
import { H_VERIFY, POOL_SHARED, P_FLAGS, S_OUT } from '../memory/layout';
import { lock, unlock } from '../memory/lock';
import { slotAddress } from '../memory/slot';
import { TAG_FILL, descriptorOf, tagOf } from '../memory/word';
import { indexOf, objectOf } from '../pam/descriptor';
import { memoryTouch } from '../pam/pam';
import { commit } from '../memory/commit';
import { copyOut, decode, pageLength } from './encode';
import { findObject, handlePersistent, handlePool, handleStripe, isRemote, pageSlot, removePage } from './handle';
import { DAMAGED, MISS, REMOTE, TOO_SHORT } from './outcome';
import { releaseWord, removeHandle } from './remove';

/** By the pool: private ephemeral pools give the page away, others keep it. */
export const GET_DEFAULT: u32 = 0;
export const GET_KEEP: u32 = 1;
export const GET_FREE: u32 = 2;
/** Keeps the page, counts nothing, and is no use of it: for tools. */
export const GET_PEEK: u32 = 3;

/** Whether a word of the index leads to a page of that handle. One repeated byte says of no handle. */
function isPageOf(word: u32, object: usize, index: u32): bool {
  if (tagOf(word) == TAG_FILL) return true;
  const descriptor = descriptorOf(word);
  return objectOf(descriptor) == object && indexOf(descriptor) == index;
}

function keeps(mode: u32): bool {
  if (mode != GET_DEFAULT) return mode != GET_FREE;
  return handlePersistent() || (load<u32>(handlePool() + P_FLAGS) & POOL_SHARED) != 0;
}

/**
 * Copies the operation's page to `target` (in the slot's S_OUT area, or anywhere with `capacity` bytes). Its
 * length, MISS, TOO_SHORT (nothing changed), or DAMAGED.
 */
export function get(index: u32, target: usize, capacity: u32, mode: u32): i32 {
  // Decoders write up to SLACK bytes too many: into the slot's own area, not behind the caller's.
  const out = slotAddress() + S_OUT;
  const direct = target >= out && target < out + 4096;
  const place = direct ? target : out;
  const keep = keeps(mode);
  lock(handleStripe());
  const object = findObject();
  const at = pageSlot(object, index);
  if (at == 0) {
    unlock(handleStripe());
    if (mode != GET_PEEK) count(handlePool(), N_FAILED_GETS, 1);
    return MISS;
  }
  const word = load<u32>(at);
  // A page that is whole, but another handle's, was not put here: something overwrote the index.
  if (!isPageOf(word, object, index)) abortOperation(ABORT_DAMAGED, 403);
  const remote = isRemote(word);
  if (remote || pageLength(word) > capacity) {
    unlock(handleStripe());
    return remote ? REMOTE : TOO_SHORT;
  }
  copyOut(word, place);
  if (mode == GET_PEEK) {
    // left as it is
  } else if (keep) memoryTouch(word);
  else removePage(handlePool(), object, index);
  unlock(handleStripe());
  // The page is in the caller's hands before what held it is freed.
  const length = decode(place, mode == GET_PEEK || load<u32>(H_VERIFY) != 0);
  if (length != 0 && !direct) memory.copy(target, place, length);
  if (!keep) {
    commit(length != 0 ? <i32>length : damagedOutcome());
    releaseWord(handlePool(), word);
  }
  if (mode == GET_PEEK) return length == 0 ? DAMAGED : <i32>length;
  if (length == 0) return damaged(index, keep);
  count(handlePool(), N_SUCC_GETS, 1);
  return <i32>length;
}

/** Pages looked for under one lock: a look passes at most seven slots on its way down, and 64 is the bound. */
const FIND_AT_ONCE: u32 = 8;

/**
 * Which of `pages` consecutive pages are there: 1 or 0 for each, u32, at `results`; how many are. Those that are not
 * count as failed gets: the caller asks to get the others.
 */
export function findRange(index: u32, pages: u32, results: usize): u32 {
  let found: u32 = 0;
  for (let i: u32 = 0; i < pages; ) {
    const end = min<u32>(i + FIND_AT_ONCE, pages);
    lock(handleStripe());
    const object = findObject();
    for (; i < end; i++) {
      const there: u32 = pageSlot(object, index + i) != 0 ? 1 : 0;
      store<u32>(results + (i << 2), there);
      found += there;
    }
    unlock(handleStripe());
  }
  if (found != pages) count(handlePool(), N_FAILED_GETS, pages - found);
  return found;
}

/** An ephemeral page that does not decode is dropped and missed; a persistent one is an error (kept, it stays). */
export function damaged(index: u32, kept: bool): i32 {
  count(handlePool(), N_CHECKSUM_FAILURES, 1);
  if (!handlePersistent()) {
    if (kept) removeHandle(index, MISS);
    count(handlePool(), N_FAILED_GETS, 1);
  }
  return damagedOutcome();
}

function damagedOutcome(): i32 {
  return handlePersistent() ? DAMAGED : MISS;
}
