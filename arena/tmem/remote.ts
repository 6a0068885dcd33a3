// Remote pages: a slot may name, instead of a page, a record that says where the page is (CODEC_REMOTE in zv). What a
// record means is the business of those who move pages between machines; the core keeps it like a small page, with the
// length and checksum of the page it stands for.
//
//   look        what a slot holds, with the stored bytes and a token: word and version
//   sendAway    the page is replaced by a record (or a record by another)     if the token still holds
//   bringHome   a record is replaced by stored bytes that were away           if the token still holds
//   forget      a record is removed, its remote copy is the caller's          if the token still holds
//   abandon     a record is removed and left with the orphans                 if the token still holds
//
// Whatever happens to the handle in between, a put, a flush, another move, changes the token: then nothing is done, and
// the caller knows that its remote copy is wanted no more. All else that takes a record out of the index leaves it with
// the orphans (memory/orphans.ts).

import {
  H_PERSISTENT_LIMIT_PAGES,
  H_PERSISTENT_PAGES,
  PAM_ZBUD,
  PAM_ZV,
  P_PAM,
  S_ARGUMENTS,
  S_OUT,
  S_PACKED,
  S_PAGE,
} from '../memory/layout';
import { lock, unlock } from '../memory/lock';
import { RECORD_BYTES_MAX } from '../memory/orphans';
import { slotAddress } from '../memory/slot';
import { TAG_CELL, TAG_FILL, descriptorOf, tagOf } from '../memory/word';
import { CODEC_LZ4, CODEC_LZO1X, CODEC_RAW, CODEC_REMOTE, checksumOf, codecOf, storedBytes } from '../pam/descriptor';
import { memoryAlloc, memoryData, memoryFree } from '../pam/pam';
import { ZBUD_MAX_BYTES } from '../pam/zbud';
import { commit } from '../memory/commit';
import { N_NODES, count } from '../memory/counters';
import { copyOut, decodeFrom, pageLength } from './encode';
import {
  charge,
  discharge,
  findObject,
  handleClient,
  handlePersistent,
  handlePool,
  handlePoolId,
  handleStripe,
  isRemote,
  pageSlot,
  pageVersion,
  removePage,
  uncharge,
} from './handle';
import { DAMAGED, MISS, REFUSED_NO_FRAME, STORED } from './outcome';
import { EXPECTED, NOT_CHANGED_MOVED, PUBLISHED, publish, replacedWord } from './publish';
import { isFrozen, memoryOfWhole, publishRefusal } from './put';
import { reclaimForTake } from './reclaim';
import { emptiedFree, nodesChanged } from './reserve';

/** What look() found. */
export const LOOK_STORED: i32 = 1; // stored bytes are at the address in the facts
export const LOOK_TINY: i32 = 2; // one repeated value: a record would be no smaller
export const LOOK_REMOTE: i32 = 3; // the stored bytes are a record

/** Facts of a look, u32 each in the argument area. */
const F_WORD: usize = 0;
const F_VERSION: usize = 4;
const F_CODEC: usize = 8;
const F_LENGTH: usize = 12;
const F_SUM: usize = 16;
const F_BYTES: usize = 20;
const F_ADDRESS: usize = 24;

/** Frames taken and lost again to other threads before room is given up. */
const TRIES_MAX: i32 = 1000;

/** What the operation's slot holds; MISS, or LOOK_*. Counts nothing and is no use of the page. */
export function look(index: u32): i32 {
  const facts = slotAddress() + S_ARGUMENTS;
  lock(handleStripe());
  const object = findObject();
  const at = pageSlot(object, index);
  if (at == 0) {
    unlock(handleStripe());
    return MISS;
  }
  const word = load<u32>(at);
  store<u32>(facts + F_WORD, word);
  store<u32>(facts + F_VERSION, pageVersion(object, index));
  store<u32>(facts + F_LENGTH, pageLength(word));
  if (tagOf(word) == TAG_FILL || tagOf(word) == TAG_CELL) {
    unlock(handleStripe());
    return LOOK_TINY;
  }
  const descriptor = descriptorOf(word);
  const codec = codecOf(descriptor);
  store<u32>(facts + F_CODEC, codec);
  store<u32>(facts + F_SUM, checksumOf(descriptor));
  store<u32>(facts + F_BYTES, storedBytes(descriptor));
  copyOut(word, slotAddress() + S_OUT);
  unlock(handleStripe());
  store<u32>(facts + F_ADDRESS, <u32>(slotAddress() + (codec == CODEC_RAW ? S_OUT : S_PACKED)));
  return codec == CODEC_REMOTE ? LOOK_REMOTE : LOOK_STORED;
}

/**
 * Puts a record in the place of what `word` and `version` say is there. STORED, MISS (it is not there any more), or a
 * refusal; then nothing was changed.
 */
export function sendAway(index: u32, word: u32, version: u32, length: u32, sum: u32, record: usize, bytes: u32): i32 {
  if (bytes == 0 || bytes > RECORD_BYTES_MAX) return DAMAGED;
  const made = make(PAM_ZV, bytes, CODEC_REMOTE, length, sum, index, record);
  return made == 0 ? REFUSED_NO_FRAME : exchangeFor(index, made, word, version);
}

/**
 * Puts stored bytes that come from elsewhere in the place of the record that `word` and `version` say is there. They
 * are decoded first: DAMAGED when they are not the page with this length and checksum. Else as sendAway. Frozen stores
 * take nothing.
 */
export function bringHome(
  index: u32,
  word: u32,
  version: u32,
  codec: u32,
  length: u32,
  sum: u32,
  source: usize,
  bytes: u32,
): i32 {
  if (!isStored(codec, length, bytes)) return DAMAGED;
  if (!decodeFrom(source, bytes, codec, length, sum, slotAddress() + S_PAGE)) return DAMAGED;
  if (isFrozen()) return REFUSED_NO_FRAME;
  let pam = load<u32>(handlePool() + P_PAM);
  if (codec == CODEC_RAW) pam = memoryOfWhole(handlePool(), bytes);
  else if (pam == PAM_ZBUD && bytes > ZBUD_MAX_BYTES) pam = PAM_ZV;
  const made = make(pam, bytes, codec, length, sum, index, source);
  return made == 0 ? REFUSED_NO_FRAME : exchangeFor(index, made, word, version);
}

/** Whether there can be stored bytes like that. */
export function isStored(codec: u32, length: u32, bytes: u32): bool {
  if (bytes == 0 || bytes > 4096 || length == 0 || length > 4096) return false;
  return codec == CODEC_RAW ? bytes == length : codec == CODEC_LZ4 || codec == CODEC_LZO1X;
}

/**
 * Removes the record that `word` and `version` say is there. Its remote copy is the caller's, or `orphaned`: nobody's.
 * Whether it was there.
 */
export function forget(index: u32, word: u32, version: u32, orphaned: bool): bool {
  lock(handleStripe());
  const object = findObject();
  const at = pageSlot(object, index);
  const holds = at != 0 && load<u32>(at) == word && pageVersion(object, index) == version && isRemote(word);
  if (holds) removePage(handlePool(), object, index);
  unlock(handleStripe());
  if (!holds) return false;
  commit(1);
  if (orphaned) discharge(handlePool(), word);
  else uncharge(handlePool(), word);
  count(handlePool(), N_NODES, nodesChanged());
  memoryFree(word);
  emptiedFree();
  return true;
}

/** Room with these stored bytes in it, described and charged, that nobody sees yet; 0 = no memory. */
function make(pam: u32, bytes: u32, codec: u32, length: u32, sum: u32, index: u32, source: usize): u32 {
  let word: u32 = 0;
  for (let tries = 0; word == 0; tries++) {
    word = memoryAlloc(handleClient(), handlePoolId(), !handlePersistent(), pam, bytes, codec, length, sum, index);
    if (word != 0) break;
    if (tries >= TRIES_MAX || !reclaimForTake(handleClient(), handlePersistent())) return 0;
  }
  memory.copy(memoryData(word), source, bytes);
  charge(handlePool(), word);
  // As a put counts it: uncharge takes off this word, or the one that it replaces.
  if (handlePersistent() && load<u32>(H_PERSISTENT_LIMIT_PAGES) != 0) atomic.add<u32>(H_PERSISTENT_PAGES, 1);
  return word;
}

/** Publishes `made` over what is expected there, and frees that: its remote copy, if it has one, is the caller's. */
function exchangeFor(index: u32, made: u32, word: u32, version: u32): i32 {
  const result = publish(index, made, EXPECTED, word, version, 0);
  if (result == PUBLISHED) {
    commit(STORED);
    const old = replacedWord();
    uncharge(handlePool(), old);
    memoryFree(old);
    return STORED;
  }
  uncharge(handlePool(), made);
  memoryFree(made);
  return result == NOT_CHANGED_MOVED ? MISS : publishRefusal(result);
}
