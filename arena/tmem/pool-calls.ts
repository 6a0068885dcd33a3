// Calls of the host on pools, clients and the whole arena. Pools and clients go by their names in the arena (pool.ts).

import { backAll, touchAll, unbackFrames } from '../memory/backing';
import { N_REMOTE, counted, poolPages } from '../memory/counters';
import { clientAddress } from '../memory/frame';
import {
  ADMIN_LOCK,
  C_ZV_HEAPS,
  H_FIRST_FRAME,
  H_LAST_FRAME,
  H_UNBACKED,
  P_CODEC,
  S_ARGUMENTS,
  S_OUT,
} from '../memory/layout';
import { lock, unlock } from '../memory/lock';
import { orphanTake } from '../memory/orphans';
import { enter, leave, slotAddress } from '../memory/slot';
import { zvCheck } from '../pam/zv-check';
import { decodeFrom } from './encode';
import { framePages } from './frame-pages';
import { begin, handlePool, handlePoolId } from './handle';
import {
  E_NO_MEMORY,
  clientForget,
  clientIdOf,
  clientOpen,
  clientSetWord,
  isMember,
  poolOfName,
  poolOpen,
  setMember,
} from './pool';
import { enforceCap, reclaimForTake, shrink } from './reclaim';
import { recover } from './recovery';
import { isStored } from './remote';
import { clientRow, poolRow } from './statistics';
import { destroyPool, drain, flushPool } from './teardown';
import { walkNext } from './walk';
import { walkRecords } from './walk-records';

/** Names and UUIDs that the host hands in. */
@inline
function callArguments(): usize {
  return slotAddress() + S_ARGUMENTS;
}

/** Frames reclaimed for a client or pool and lost again to other threads before it is not opened. */
const OPEN_TRIES_MAX: i32 = 100;

export function openClient(nameLength: u32, weight: u32, capFrames: u32, twin: u32): i32 {
  enter(0);
  let id = clientOpen(callArguments(), nameLength, weight, capFrames, twin);
  for (let i = 0; i < OPEN_TRIES_MAX && id == E_NO_MEMORY && reclaimForTake(0, true); i++) {
    id = clientOpen(callArguments(), nameLength, weight, capFrames, twin);
  }
  leave();
  return id;
}

/** 1 = forgotten (or was so already), 0 = pools or frames are left. */
export function forgetClient(client: u32): i32 {
  enter(0);
  const done = clientForget(client);
  leave();
  return done ? 1 : 0;
}

/** Sets a word of a client's frame: 1, or 0 when the client is gone. */
export function setClientWord(client: u32, offset: u32, value: u32): i32 {
  enter(0);
  const done = clientSetWord(client, offset, value);
  leave();
  return done ? 1 : 0;
}

/** The name is at the start of the argument area, the UUID of a shared pool (`byUuid`) at offset 64. */
export function openPool(
  client: u32, nameLength: u32, flags: u32, codec: u32, pam: u32, byUuid: u32, limitPages: u32, demoteTo: u32,
  twin: u32,
): i32 {
  enter(0);
  const name = callArguments();
  const uuid = byUuid != 0 ? name + 64 : 0;
  let id = poolOpen(client, name, nameLength, flags, codec, pam, uuid, limitPages, demoteTo, twin);
  for (let i = 0; i < OPEN_TRIES_MAX && id == E_NO_MEMORY && reclaimForTake(clientIdOf(client), true); i++) {
    id = poolOpen(client, name, nameLength, flags, codec, pam, uuid, limitPages, demoteTo, twin);
  }
  leave();
  return id;
}

/** Pages flushed, -1 when the pool is gone. */
export function emptyPool(pool: u32): i32 {
  if (!begin(pool)) return -1;
  const pages = flushPool(handlePool(), handlePoolId());
  leave();
  return <i32>pages;
}

export function removePool(pool: u32): i32 {
  if (!begin(pool)) return -1;
  destroyPool(handlePool(), handlePoolId());
  leave();
  return 0;
}

export function grant(pool: u32, client: u32, granted: u32): i32 {
  if (!begin(pool)) return -1;
  if (clientIdOf(client) != 0) setMember(handlePool(), clientIdOf(client), granted != 0);
  leave();
  return 0;
}

export function isGranted(pool: u32, client: u32): i32 {
  if (!begin(pool)) return -1;
  const member = clientIdOf(client) != 0 && isMember(handlePool(), clientIdOf(client));
  leave();
  return member ? 1 : 0;
}

/** Next batch of a walk: see tmem/walk.ts. 1 = there is one, 0 = the end, -1 = the pool is gone. */
export function poolWalk(pool: u32): i32 {
  if (!begin(pool)) return -1;
  const more = walkNext(handlePool(), handlePoolId());
  leave();
  return more ? 1 : 0;
}

/** Records among the next batch of a walk: see tmem/walk-records.ts. -1 at the end, and when the pool is gone. */
export function poolWalkRecords(pool: u32): i32 {
  if (!begin(pool)) return -1;
  const records = walkRecords();
  leave();
  return records;
}

/** Address of a pool's frame, 0 when it is gone. */
export function poolFrame(pool: u32): usize {
  return poolOfName(pool);
}

/** Address of a client's frame, 0 when it is gone. */
export function clientFrame(client: u32): usize {
  const id = clientIdOf(client);
  return id == 0 ? <usize>0 : clientAddress(id);
}

// ---- the whole arena --------------------------------------------------------------------------------------------

export function shrinkBy(frames: u32): u32 {
  enter(0);
  const freed = shrink(frames);
  leave();
  return freed;
}

/** Gives free frames back to the operating system, at most `frames`; how many. */
export function giveBack(frames: u32): u32 {
  enter(0);
  const given = unbackFrames(frames);
  leave();
  return given;
}

/** Gets memory behind every frame, as far as the system has any, and touches it: 1 = behind all of them. */
export function backEverything(): i32 {
  enter(0);
  backAll();
  const all = load<u32>(H_UNBACKED) == 0;
  if (all) touchAll();
  leave();
  return all ? 1 : 0;
}

/** Evicts what a client holds above its cap, as far as it is ephemeral. */
export function trimClient(client: u32): i32 {
  enter(0);
  if (clientIdOf(client) != 0) enforceCap(clientIdOf(client));
  leave();
  return 0;
}

export function drainSteps(steps: i32): i32 {
  enter(0);
  const taken = drain(steps);
  leave();
  return taken;
}

/** Recovers if needed (or always), waiting at most `waitMs` for others: 1 = done, 0 = another thread did it. */
export function recoverNow(always: u32, waitMs: u32): i32 {
  return recover(always != 0, waitMs) ? 1 : 0;
}

/** Address of a row of statistics, 0 when the pool is gone. */
export function poolStatistics(pool: u32): usize {
  if (!begin(pool)) return 0;
  const row = poolRow(handlePool());
  leave();
  return row;
}

/** Address of a client's row and histograms, 0 when it is gone. */
export function clientStatistics(client: u32): usize {
  enter(0);
  lock(ADMIN_LOCK); // the client stays while its lists are read
  const id = clientIdOf(client);
  const row = id == 0 ? <usize>0 : clientRow(id);
  unlock(ADMIN_LOCK);
  leave();
  return row;
}

/** Checks a client's zv heap, the ephemeral (0) or the persistent one (1): 0 or what is broken (pam/zv-check.ts). */
export function zvHeapCheck(client: u32, heap: u32): u32 {
  const id = clientIdOf(client);
  if (id == 0) return 0;
  const address = load<u32>(clientAddress(id) + C_ZV_HEAPS + (heap << 2));
  if (address == 0) return 0;
  return zvCheck(address, load<u32>(H_FIRST_FRAME), load<u32>(H_LAST_FRAME), callArguments());
}

/** Takes the oldest record of a remote page that left the index, to the slot's out area; its length, 0 = none. */
export function orphanNext(): i32 {
  enter(0);
  const bytes = orphanTake(slotAddress() + S_OUT);
  leave();
  return <i32>bytes;
}

/** Handles of the pages of a frame, in the slot's out area: see tmem/frame-pages.ts. How many. */
export function pagesOfFrame(frame: u32): u32 {
  enter(0);
  const pages = framePages(frame);
  leave();
  return pages;
}

/** Codec of pages put from now on; pages that are there keep theirs. */
export function setCodec(pool: u32, codec: u32): i32 {
  if (!begin(pool)) return -1;
  store<u32>(handlePool() + P_CODEC, codec);
  leave();
  return 0;
}

/** Pages of a pool that are with peers. */
export function remotePagesOf(pool: u32): u32 {
  if (!begin(pool)) return 0;
  const pages = counted(handlePool(), N_REMOTE);
  leave();
  return <u32>pages;
}

/** Whether stored bytes decode to a page of this length and checksum; it is in the slot's out area then. */
export function decodeStored(codec: u32, length: u32, sum: u32, source: usize, bytes: u32): i32 {
  enter(0);
  const done = isStored(codec, length, bytes) && decodeFrom(source, bytes, codec, length, sum, slotAddress() + S_OUT);
  leave();
  return done ? 1 : 0;
}

export function pagesOf(pool: u32): u32 {
  if (!begin(pool)) return 0;
  const pages = poolPages(handlePool());
  leave();
  return pages;
}
