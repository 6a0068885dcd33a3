// Demotion: a raw pool over its limit hands its least recently used page to another pool, which compresses it. So a
// page cache has its hot level in the arena, one for all threads, and what falls out of it is kept compressed.
//
// The page is in one of the two pools at every moment (move.ts); where the other pool refuses it, it is dropped.

import { N_DEMOTED, N_PUTS, count } from '../memory/counters';
import { P_DEMOTE_TO, P_LIMIT_PAGES, S_PAGE } from '../memory/layout';
import { lock, unlock } from '../memory/lock';
import { enterSecond, slotAddress } from '../memory/slot';
import { TAG_RAW, wordOf } from '../memory/word';
import { memoryFree } from '../pam/pam';
import { rawCount, rawVictim, rawVictimIndex, rawVictimObject } from '../pam/raw';
import { copyOut, decode } from './encode';
import {
  discharge,
  handleClient,
  handlePool,
  handlePoolId,
  isLiveTrie,
  locate,
  trieOf,
  turnTo,
  usePool,
} from './handle';
import { moveFrom, moveIsPossible, moveTake, movedA, movedB, movedC, movedStripe, movedWord } from './move';
import { OBJECT_LIVE, O_ROOT, objectPlace, placeState } from './object';
import { MOVE, NOT_CHANGED_MOVED, PUBLISHED, publish } from './publish';
import { prepare, prepareRefusal, refuse, stored, unprepare } from './put';
import { REFUSED_NO_CELL, STORED } from './outcome';
import { letGoObject, lockObject, unlockObject } from './reclaim';
import { emptiedFree } from './reserve';
import { treeFind } from './tree';

/** Pages demoted after one put: two, so that a pool that is over its limit by more gets below it again. */
const DEMOTIONS_MAX: i32 = 2;

/** After a put was stored in the operation's pool: keeps it within its limit. */
export function demoteOverLimit(): void {
  const limit = load<u32>(handlePool() + P_LIMIT_PAGES);
  if (limit == 0) return;
  for (let i = 0; i < DEMOTIONS_MAX; i++) {
    if (rawCount(handlePoolId()) <= limit || !demoteOne()) return;
  }
}

let victimIndex: u32 = 0;
let victimLength: u32 = 0;

/** Demotes or drops the operation's pool's least recently used page; false when there is none to be had. */
function demoteOne(): bool {
  if (!look()) return false;
  const pool = handlePool();
  const id = handlePoolId();
  const target = load<u32>(pool + P_DEMOTE_TO);
  let moved = false;
  let mayDrop = true;
  enterSecond(target == 0 ? 0 : (target & 0xffff) + 1);
  if (target != 0 && turnTo(target)) {
    const result = moveTo();
    moved = result == PUBLISHED;
    mayDrop = result != NOT_CHANGED_MOVED;
  }
  usePool(pool, id);
  enterSecond(0);
  if (moved) count(pool, N_DEMOTED, 1);
  else if (mayDrop) moved = drop();
  if (!moved) return false;
  discharge(pool, movedWord());
  memoryFree(movedWord());
  emptiedFree();
  return true;
}

/** Copies the pool's least recently used page to S_PAGE and leaves it where it is. */
function look(): bool {
  const cell = rawVictim(handleClient(), handlePoolId());
  if (cell == 0) return false;
  const object = rawVictimObject();
  const word = wordOf(TAG_RAW, cell);
  const place = slotAddress() + S_PAGE;
  victimIndex = rawVictimIndex();
  const stripe = lockObject(object);
  if (stripe == 0) return false;
  const at = treeFind(object + O_ROOT, victimIndex, false);
  // What was flushed and waits to be freed must not come back in the other pool.
  const isLive =
    placeState(objectPlace(object)) == OBJECT_LIVE && isLiveTrie(handlePool(), object, trieOf(handlePool(), object));
  const found = isLive && at != 0 && load<u32>(at) == word;
  if (found) {
    moveFrom(handlePool(), handlePoolId(), object, victimIndex, word);
    copyOut(word, place);
  }
  unlockObject(stripe);
  letGoObject();
  if (!found) return false;
  victimLength = decode(place, false);
  return true;
}

/** Stores the page in the pool that was turned to, and takes it from the other in the same step; as publish(). */
function moveTo(): i32 {
  count(handlePool(), N_PUTS, 1);
  locate(movedA(), movedB(), movedC());
  const word = prepare(victimIndex, slotAddress() + S_PAGE, victimLength);
  if (prepareRefusal() != 0) {
    refuse(victimIndex, prepareRefusal(), STORED);
    return 0;
  }
  const result = publish(victimIndex, word, MOVE, 0, 0, 0);
  if (result == PUBLISHED) {
    stored(word, victimLength);
  } else {
    unprepare(word);
    if (result != NOT_CHANGED_MOVED) refuse(victimIndex, REFUSED_NO_CELL, STORED);
  }
  return result;
}

/** Takes the page out of its pool without storing it anywhere. */
function drop(): bool {
  lock(movedStripe());
  const taken = moveIsPossible();
  if (taken) moveTake();
  unlock(movedStripe());
  return taken;
}
