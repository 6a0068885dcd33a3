// Demotion: a raw pool over its limit hands its least recently used page to another pool, which compresses it. So a
// page cache has its hot level in the arena, one for all threads, and what falls out of it is kept compressed.
//
// The page leaves the hot pool before it enters the other one; in between it is a miss. Both are ephemeral.

import { N_DEMOTED, N_NODES, count } from '../memory/counters';
import { P_DEMOTE_TO, P_LIMIT_PAGES, S_PAGE } from '../memory/layout';
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
  removePage,
  trieOf,
  turnTo,
} from './handle';
import { OBJECT_LIVE, O_ROOT, objectPlace, placeState } from './object';
import { put } from './put';
import { letGoObject, lockObject, unlockObject } from './reclaim';
import { emptiedFree, nodesChanged } from './reserve';
import { treeFind } from './tree';

/** Pages demoted after one put: two, so that a pool that is over its limit by more gets below it again. */
const DEMOTIONS_MAX: i32 = 2;

let movedA: u64 = 0;
let movedB: u64 = 0;
let movedC: u64 = 0;

/** After a put into the operation's pool: keeps it within its limit. */
export function demoteOverLimit(): void {
  const pool = handlePool();
  const limit = load<u32>(pool + P_LIMIT_PAGES);
  const target = load<u32>(pool + P_DEMOTE_TO);
  if (limit == 0) return;
  const id = handlePoolId();
  for (let i = 0; i < DEMOTIONS_MAX; i++) {
    if (rawCount(id) <= limit) return;
    const index = takeVictim(id);
    if (index < 0) return;
    if (target == 0) continue;
    count(pool, N_DEMOTED, 1);
    enterSecond(target);
    if (turnTo(target - 1)) {
      locate(movedA, movedB, movedC);
      put(<u32>index, slotAddress() + S_PAGE, victimLength);
    }
    turnTo(id);
    enterSecond(0);
  }
}

let victimLength: u32 = 0;

/** Takes the pool's least recently used raw page to S_PAGE; its index, -1 when there is none. */
function takeVictim(id: u32): i64 {
  const cell = rawVictim(handleClient(), id);
  if (cell == 0) return -1;
  const object = rawVictimObject();
  const index = rawVictimIndex();
  const word = wordOf(TAG_RAW, cell);
  const place = slotAddress() + S_PAGE;
  const stripe = lockObject(object);
  if (stripe == 0) return -1;
  const at = treeFind(object + O_ROOT, index, false);
  // What was flushed and waits to be freed must not come back in the other pool.
  const isLive = placeState(objectPlace(object)) == OBJECT_LIVE;
  const found =
    at != 0 && load<u32>(at) == word && isLive && isLiveTrie(handlePool(), object, trieOf(handlePool(), object));
  if (found) {
    movedA = load<u64>(object);
    movedB = load<u64>(object + 8);
    movedC = load<u64>(object + 16);
    copyOut(word, place);
    removePage(handlePool(), object, index);
    discharge(handlePool(), word);
    count(handlePool(), N_NODES, nodesChanged());
  }
  unlockObject(stripe);
  if (found) memoryFree(word);
  letGoObject();
  if (!found) return -1;
  emptiedFree();
  victimLength = decode(place, false);
  return index;
}
