// put: copy a page in. Refused or stored; a refused put leaves the handle empty, so that no older page survives it.

import {
  N_ABORTED_PRELOAD,
  N_BYTES_IN,
  N_COMPRESS_POOR,
  N_CUMUL_ZBYTES,
  N_CUMUL_ZPAGES,
  N_FAILED_EPH_PUTS,
  N_FAILED_PERS_PUTS,
  N_FROZEN,
  N_MEAN_COMPRESS_POOR,
  N_NO_CELL,
  N_NO_FRAME,
  N_OVER_CAP,
  N_PERCENT_EXCEEDED,
  N_PUTS,
  N_PUT_TO_FLUSH,
  N_REPLACED,
  N_STORED,
  count,
} from '../memory/counters';
import { TAKE_OVER_CAP, frameTakeFailure } from '../memory/frame';
import {
  C_FROZEN,
  H_DOOMED_POOLS,
  H_FROZEN,
  H_PERSISTENT_LIMIT_PAGES,
  H_PERSISTENT_PAGES,
  H_STORE_INCOMPRESSIBLE,
  H_ZV_MAX_MEAN_BYTES,
  H_ZV_MAX_PAGE_BYTES,
  PAM_RAW,
  PAM_ZBUD,
  PAM_ZV,
  P_CODEC,
  P_PAM,
} from '../memory/layout';
import { lock, unlock } from '../memory/lock';
import { CODEC_FILL, CODEC_RAW } from '../pam/descriptor';
import { memoryAlloc, memoryAllocFill, memoryBytes, memoryData, memoryFree, zvHeap } from '../pam/pam';
import { ZBUD_MAX_BYTES } from '../pam/zbud';
import { ZV_ALONE_MAX } from '../pam/zv';
import { zvMeanBytes } from '../pam/zv-statistics';
import { TAG_CELL, TAG_FILL, tagOf } from '../memory/word';
import { commit } from '../memory/commit';
import {
  encode,
  encodedBytes,
  encodedCodec,
  encodedData,
  encodedFill,
  encodedSum,
  encodedValue,
} from './encode';
import {
  charge,
  discharge,
  findObject,
  handleClient,
  handleClientAddress,
  handlePersistent,
  handlePool,
  handlePoolId,
  handleStripe,
  pageSlot,
  uncharge,
} from './handle';
import {
  REFUSED_CAP,
  REFUSED_FROZEN,
  REFUSED_LIMIT,
  REFUSED_MEAN_POOR,
  REFUSED_NO_CELL,
  REFUSED_NO_FRAME,
  REFUSED_PRELOAD,
  REFUSED_POOL_GONE,
  REFUSED_POOR,
  STORED,
} from './outcome';
import { ANY, NOT_CHANGED_POOL_GONE, NOT_CHANGED_ROUNDS, PUBLISHED, publish, replacedWord } from './publish';
import { reclaimForTake } from './reclaim';
import { removeHandle } from './remove';
import { drain } from './teardown';

/** Frames taken and lost again to other threads before a put gives up. */
const TRIES_MAX: i32 = 1000;
/** Steps of left-over teardown that every put helps with. */
const DRAIN_STEPS: i32 = 1;
/** Steps of it in one go for a put that finds the limit of persistent pages reached. */
const LIMIT_DRAIN_STEPS: i32 = 64;

/** Whether the store or the operation's client refuses all puts. */
export function isFrozen(): bool {
  return load<u32>(H_FROZEN) != 0 || load<u32>(handleClientAddress() + C_FROZEN) != 0;
}

/** Stores a page at the operation's handle; an outcome. A refusal leaves the handle empty. */
export function put(index: u32, source: usize, length: u32): i32 {
  const outcome = offer(index, source, length);
  return outcome == STORED ? STORED : refuse(index, outcome, outcome);
}

/** As put, but a refusal changes nothing: the page that was there stays. */
export function replace(index: u32, source: usize, length: u32): i32 {
  const outcome = offer(index, source, length);
  if (outcome != STORED) countRefusal(outcome);
  return outcome;
}

/** STORED, or why not: then nothing has changed yet, and nothing was counted but the put. */
function offer(index: u32, source: usize, length: u32): i32 {
  count(handlePool(), N_PUTS, 1);
  if (load<u32>(H_DOOMED_POOLS) != 0) drain(DRAIN_STEPS);
  const word = prepare(index, source, length);
  if (prepareFailure != 0) return prepareFailure;
  const result = publish(index, word, ANY, 0, 0, 0);
  if (result != PUBLISHED) {
    unprepare(word);
    return publishRefusal(result);
  }
  commit(STORED);
  stored(word, length);
  return STORED;
}

/** Accounts for a page that was published, and frees what it replaced. */
export function stored(word: u32, length: u32): void {
  const pool = handlePool();
  count(pool, N_STORED, 1);
  count(pool, N_BYTES_IN, length);
  const tag = tagOf(word);
  if (tag != TAG_FILL && tag != TAG_CELL) {
    count(pool, N_CUMUL_ZPAGES, 1);
    count(pool, N_CUMUL_ZBYTES, memoryBytes(word));
  }
  const old = replacedWord();
  if (old == 0) return;
  count(pool, N_REPLACED, 1);
  discharge(pool, old);
  memoryFree(old);
}

let prepareFailure: i32 = 0;

/** Why prepare() gave no word. */
export function prepareRefusal(): i32 {
  return prepareFailure;
}

/**
 * Encodes a page and finds room for it: a word that nobody sees yet and that the pool is charged with. When
 * prepareRefusal() is not 0 there is none. The charge comes first because others may free the page once it is seen.
 */
export function prepare(index: u32, source: usize, length: u32): u32 {
  prepareFailure = 0;
  if (isFrozen()) return fail(REFUSED_FROZEN);
  const pool = handlePool();
  let pam = load<u32>(pool + P_PAM);
  const bytesMax = pam == PAM_ZBUD ? ZBUD_MAX_BYTES : load<u32>(H_ZV_MAX_PAGE_BYTES);
  encode(source, length, load<u32>(pool + P_CODEC), pam, bytesMax);
  let bytes = encodedBytes();
  let codec = encodedCodec();
  let data = encodedData();
  if (bytes == 0) {
    if (load<u32>(H_STORE_INCOMPRESSIBLE) == 0) return fail(REFUSED_POOR);
    bytes = length;
    codec = CODEC_RAW;
    data = source;
  }
  if (codec == CODEC_RAW) pam = memoryOfWhole(pool, bytes);
  else if (pam == PAM_ZV && codec != CODEC_FILL && tooPoorOnTheMean(bytes)) return fail(REFUSED_MEAN_POOR);
  if (!reserveLimit(index)) return fail(REFUSED_LIMIT);
  let word: u32 = codec == CODEC_FILL ? encodedFill(length) : 0;
  for (let tries = 0; word == 0; tries++) {
    word =
      codec == CODEC_FILL
        ? memoryAllocFill(handleClient(), !handlePersistent(), encodedValue(), codec, length, encodedSum(), index)
        : memoryAlloc(
            handleClient(),
            handlePoolId(),
            !handlePersistent(),
            pam,
            bytes,
            codec,
            length,
            encodedSum(),
            index,
          );
    if (word != 0) break;
    if (tries >= TRIES_MAX || !reclaimForTake(handleClient(), handlePersistent())) {
      unreserveLimit();
      return fail(memoryFailure(codec == CODEC_FILL ? REFUSED_NO_CELL : REFUSED_NO_FRAME));
    }
  }
  if (codec != CODEC_FILL) memory.copy(memoryData(word), data, bytes);
  charge(pool, word);
  return word;
}

/** Where bytes are kept as they came: in zv if the pool compresses nothing, else in a frame of their own. */
export function memoryOfWhole(pool: usize, bytes: u32): u32 {
  const compressesNothing = load<u32>(pool + P_CODEC) == CODEC_RAW && load<u32>(pool + P_PAM) == PAM_ZV;
  return compressesNothing && bytes <= ZV_ALONE_MAX ? PAM_ZV : PAM_RAW;
}

/** Undoes prepare() for a word that was not published. */
export function unprepare(word: u32): void {
  uncharge(handlePool(), word);
  memoryFree(word);
}

function fail(reason: i32): u32 {
  prepareFailure = reason;
  return 0xffffffff;
}

/** A page above the mean limit goes in only while the mean is below it, or when nothing is refused at all. */
function tooPoorOnTheMean(bytes: u32): bool {
  const limit = load<u32>(H_ZV_MAX_MEAN_BYTES);
  if (bytes <= limit || load<u32>(H_STORE_INCOMPRESSIBLE) != 0) return false;
  const heap = zvHeap(handleClient(), !handlePersistent());
  return heap != 0 && zvMeanBytes(heap) > limit;
}

/**
 * The store's limit of persistent pages: counted before the page is stored, so that it is exact. At the limit a page
 * may still replace another one; if that goes meanwhile, its place in the count is free.
 */
function reserveLimit(index: u32): bool {
  const limit = load<u32>(H_PERSISTENT_LIMIT_PAGES);
  if (limit == 0 || !handlePersistent()) return true;
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    if (atomic.add<u32>(H_PERSISTENT_PAGES, 1) < limit || holdsPage(index)) return true;
    unreserveLimit();
    // Pages that were flushed or destroyed count until they are freed.
    if (load<u32>(H_DOOMED_POOLS) == 0 || drain(LIMIT_DRAIN_STEPS) == 0) return false;
  }
  return false;
}

/** Whether there is a page at the operation's handle now. */
function holdsPage(index: u32): bool {
  lock(handleStripe());
  const there = pageSlot(findObject(), index) != 0;
  unlock(handleStripe());
  return there;
}

function unreserveLimit(): void {
  if (load<u32>(H_PERSISTENT_LIMIT_PAGES) != 0 && handlePersistent()) atomic.sub<u32>(H_PERSISTENT_PAGES, 1);
}

/** Why publish() did not: the pool ended, or there was no memory for the index. */
export function publishRefusal(result: i32): i32 {
  if (result == NOT_CHANGED_POOL_GONE) return REFUSED_POOL_GONE;
  return result == NOT_CHANGED_ROUNDS ? REFUSED_PRELOAD : memoryFailure(REFUSED_NO_CELL);
}

function memoryFailure(otherwise: i32): i32 {
  return frameTakeFailure() == TAKE_OVER_CAP ? REFUSED_CAP : otherwise;
}

/** Counts a refusal and empties the handle; the result of the whole operation is `outcome` then. */
export function refuse(index: u32, reason: i32, outcome: i32): i32 {
  countRefusal(reason);
  if (removeHandle(index, outcome)) count(handlePool(), N_PUT_TO_FLUSH, 1);
  return reason;
}

export function countRefusal(reason: i32): void {
  const pool = handlePool();
  count(pool, handlePersistent() ? N_FAILED_PERS_PUTS : N_FAILED_EPH_PUTS, 1);
  if (reason == REFUSED_FROZEN) count(pool, N_FROZEN, 1);
  else if (reason == REFUSED_POOR) count(pool, N_COMPRESS_POOR, 1);
  else if (reason == REFUSED_MEAN_POOR) count(pool, N_MEAN_COMPRESS_POOR, 1);
  else if (reason == REFUSED_LIMIT) count(pool, N_PERCENT_EXCEEDED, 1);
  else if (reason == REFUSED_CAP) count(pool, N_OVER_CAP, 1);
  else if (reason == REFUSED_NO_FRAME) count(pool, N_NO_FRAME, 1);
  else if (reason == REFUSED_NO_CELL) count(pool, N_NO_CELL, 1);
  else if (reason == REFUSED_PRELOAD) count(pool, N_ABORTED_PRELOAD, 1);
}
