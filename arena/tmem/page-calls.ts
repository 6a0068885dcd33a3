// Calls of the host on pages: each is one operation, from enter to leave, on the pool and oid that its first arguments
// name. Oids come as six 32-bit words, low word first of each of the three 64-bit words.

import { N_FLOBJ_FOUND, N_FLOBJ_TOTAL, N_FLUSH_FOUND, N_FLUSH_TOTAL, count } from '../memory/counters';
import { PAGE_SIZE, P_LIMIT_PAGES, S_ARGUMENTS } from '../memory/layout';
import { leave, slotAddress } from '../memory/slot';
import { demoteOverLimit } from './demote';
import { findRange, get } from './get';
import { begin, handlePool, locate } from './handle';
import { MISS, NOT_THERE, REFUSED_POOL_GONE, STORED } from './outcome';
import { bringHome, forget, look, sendAway } from './remote';
import { exchange, exchangedOutcome, readAt, writeAt } from './partial';
import { put, replace } from './put';
import { removeHandle } from './remove';
import { flushObject } from './teardown';

@inline
function word(low: u32, high: u32): u64 {
  return (<u64>high << 32) | low;
}

@inline
function at(pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32): bool {
  if (!begin(pool)) return false;
  locate(word(a, b), word(c, d), word(e, f));
  return true;
}

/** Where ranges leave a result for each page. */
@inline
function results(): usize {
  return slotAddress() + S_ARGUMENTS;
}

/** Stores a page of `length` bytes; an outcome (tmem/outcome.ts). */
export function pagePut(
  pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, index: u32, source: usize, length: u32,
): i32 {
  if (!at(pool, a, b, c, d, e, f)) return REFUSED_POOL_GONE;
  const outcome = put(index, source, length);
  if (outcome == STORED && load<u32>(handlePool() + P_LIMIT_PAGES) != 0) demoteOverLimit();
  leave();
  return outcome;
}

/** As pagePut, but a refusal leaves the page that was there. */
export function pageReplace(
  pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, index: u32, source: usize, length: u32,
): i32 {
  if (!at(pool, a, b, c, d, e, f)) return REFUSED_POOL_GONE;
  const outcome = replace(index, source, length);
  if (outcome == STORED && load<u32>(handlePool() + P_LIMIT_PAGES) != 0) demoteOverLimit();
  leave();
  return outcome;
}

/** Copies a page out; `mode` 0 by the pool, 1 keep, 2 free, 3 peek. Its length, or an outcome. */
export function pageGet(
  pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, index: u32, target: usize, capacity: u32, mode: u32,
): i32 {
  if (!at(pool, a, b, c, d, e, f)) return MISS;
  const length = get(index, target, capacity, mode);
  leave();
  return length;
}

export function pageFlush(pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, index: u32): i32 {
  if (!at(pool, a, b, c, d, e, f)) return 0;
  const found = removeHandle(index, 1);
  count(handlePool(), N_FLUSH_TOTAL, 1);
  if (found) count(handlePool(), N_FLUSH_FOUND, 1);
  leave();
  return found ? 1 : 0;
}

export function pageReadAt(
  pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, index: u32, offset: u32, target: usize, length: u32,
): i32 {
  if (!at(pool, a, b, c, d, e, f)) return NOT_THERE;
  const bytes = readAt(index, offset, target, length);
  leave();
  return bytes;
}

export function pageWriteAt(
  pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, index: u32, offset: u32, source: usize, length: u32,
): i32 {
  if (!at(pool, a, b, c, d, e, f)) return REFUSED_POOL_GONE;
  const outcome = writeAt(index, offset, source, length);
  leave();
  return outcome;
}

/** The old page's length (it is in the slot's out area); the new page's outcome is pageExchanged(). */
export function pageExchange(
  pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, index: u32, source: usize, length: u32,
): i32 {
  if (!at(pool, a, b, c, d, e, f)) return REFUSED_POOL_GONE;
  const old = exchange(index, source, length);
  if (load<u32>(handlePool() + P_LIMIT_PAGES) != 0) demoteOverLimit();
  leave();
  return old;
}

export function pageExchanged(): i32 {
  return exchangedOutcome();
}

/** What is there (LOOK_*), with its facts in the argument area; MISS. */
export function pageLook(pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, index: u32): i32 {
  if (!at(pool, a, b, c, d, e, f)) return MISS;
  const found = look(index);
  leave();
  return found;
}

/** A record in the place of what the token names; an outcome. */
export function pageSendAway(
  pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, index: u32,
  word: u32, version: u32, length: u32, sum: u32, record: usize, bytes: u32,
): i32 {
  if (!at(pool, a, b, c, d, e, f)) return REFUSED_POOL_GONE;
  const outcome = sendAway(index, word, version, length, sum, record, bytes);
  leave();
  return outcome;
}

/** Stored bytes in the place of the record that the token names; an outcome. */
export function pageBringHome(
  pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, index: u32,
  word: u32, version: u32, codec: u32, length: u32, sum: u32, source: usize, bytes: u32,
): i32 {
  if (!at(pool, a, b, c, d, e, f)) return REFUSED_POOL_GONE;
  const outcome = bringHome(index, word, version, codec, length, sum, source, bytes);
  leave();
  return outcome;
}

/** Removes the record that the token names; `orphaned` not 0: it is left with the orphans. */
export function pageForget(
  pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, index: u32, word: u32, version: u32, orphaned: u32,
): i32 {
  if (!at(pool, a, b, c, d, e, f)) return 0;
  const gone = forget(index, word, version, orphaned != 0);
  leave();
  return gone ? 1 : 0;
}

let rangeAt: u32 = 0;

/** Pages of the running or last range that are done; the next one may be, too (isCommitted). */
export function rangeDone(): u32 {
  return rangeAt;
}

/**
 * Stores pages `from` to `pages` - 1 of a range of whole pages: consecutive indexes, consecutive addresses. Outcomes go
 * to the argument area, one i32 each (at most 64). `from` is above 0 when a range goes on after a recovery.
 */
export function rangePut(
  pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, index: u32, source: usize, pages: u32, from: u32,
): void {
  for (rangeAt = from; rangeAt < pages; rangeAt++) {
    const outcome = pagePut(pool, a, b, c, d, e, f, index + rangeAt, source + rangeAt * PAGE_SIZE, PAGE_SIZE);
    store<i32>(results() + (rangeAt << 2), outcome);
  }
}

/** Copies consecutive pages out, page i to `target` + 4096 * i; lengths to the argument area; otherwise as rangePut. */
export function rangeGet(
  pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, index: u32,
  target: usize, pages: u32, from: u32, mode: u32,
): void {
  for (rangeAt = from; rangeAt < pages; rangeAt++) {
    const place = target + rangeAt * PAGE_SIZE;
    const length = pageGet(pool, a, b, c, d, e, f, index + rangeAt, place, PAGE_SIZE, mode);
    store<i32>(results() + (rangeAt << 2), length);
  }
}

/** Which of up to 64 consecutive pages are there: see findRange. Results in the argument area. */
export function rangeFind(pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, index: u32, pages: u32): i32 {
  memory.fill(results(), 0, pages << 2);
  if (!at(pool, a, b, c, d, e, f)) return 0;
  const found = findRange(index, pages, results());
  leave();
  return <i32>found;
}

export function objectFlush(pool: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32): u32 {
  if (!at(pool, a, b, c, d, e, f)) return 0;
  const pages = flushObject();
  count(handlePool(), N_FLOBJ_TOTAL, 1);
  if (pages > 0) count(handlePool(), N_FLOBJ_FOUND, 1);
  leave();
  return pages;
}
