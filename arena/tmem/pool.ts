// Pools and clients: tables of frames, found by id, made and removed under ADMIN_LOCK.
//
// A pool is one frame: settings, name, 64 root slots of the trie of its objects (root slot and stripe lock follow
// from the hash of the oid), detached trees that wait to be freed, and its counters. A client is one frame: weight,
// cap, name, the lists of its slabs and memories, counters. Layout: memory/layout.ts.
//
// Ids are used again. What the host holds is a name: bits 0-15 the id, bits 16-30 the generation of its table entry,
// which every new owner raises; so a name from before never reaches another's pool.

import { frameAddress, frameGive, frameOf, frameSetKind, frameTake } from '../memory/frame';
import {
  ADMIN_LOCK,
  C_CAP_FRAMES,
  C_FRAMES,
  C_FRAMES_MAX,
  C_GROUPS,
  C_GROUPS_MAX,
  C_ID,
  C_KINDS,
  C_NAME,
  C_NAME_LENGTH,
  C_STATE,
  C_TWIN,
  C_WEIGHT,
  C_ZV_HEAPS,
  FRAME_SIZE,
  H_CLIENTS_MAX,
  H_CLIENT_TABLE,
  H_POOLS_HIGH,
  H_POOLS_MAX,
  H_POOL_TABLE,
  KIND_CLIENT,
  KIND_POOL,
  POOL_LIVE,
  POOL_SHARED,
  P_CLIENT,
  P_CODEC,
  P_DEMOTE_TO,
  P_FLAGS,
  P_ID,
  P_LIMIT_PAGES,
  P_MEMBERS,
  P_NAME,
  P_NAME_LENGTH,
  P_PAM,
  P_STATE,
  P_TWIN,
  P_UUID,
  RECLAIM_LOCK,
} from '../memory/layout';
import { lock, unlock } from '../memory/lock';
import { retireClient } from './client-counters';

export const NAME_BYTES_MAX: u32 = 64;

/** Results below zero of the functions that make things. */
export const E_TABLE_FULL: i32 = -1;
export const E_NO_MEMORY: i32 = -2;
export const E_GONE: i32 = -3;
export const E_STALE: i32 = -4;

@inline
export function poolFrameOf(id: u32): u32 {
  return atomic.load<u32>(load<u32>(H_POOL_TABLE) + (id << 3));
}

/** Address of a pool, 0 when there is none (destroyed, or never made). */
@inline
export function poolAddress(id: u32): usize {
  if (id >= load<u32>(H_POOLS_MAX)) return 0;
  return frameAddress(poolFrameOf(id));
}

@inline
export function poolIsLive(pool: usize): bool {
  return pool != 0 && atomic.load<u32>(pool + P_STATE) == POOL_LIVE;
}

/** Generations go from 1 to this and start over. */
const GENERATION_MAX: u32 = 0x7fff;

@inline
function entryOf(table: usize, id: u32): usize {
  return load<u32>(table) + (id << 3);
}

function nameOf(table: usize, id: u32): i32 {
  return <i32>(id | (load<u32>(entryOf(table, id) + 4) << 16));
}

function raiseGeneration(table: usize, id: u32): void {
  const cell = entryOf(table, id) + 4;
  const generation = load<u32>(cell) + 1;
  atomic.store<u32>(cell, generation > GENERATION_MAX ? 1 : generation);
}

/** Address of the pool of this name; 0 when it is gone, also when its id is another's by now. */
export function poolOfName(name: u32): usize {
  const id = name & 0xffff;
  // The frame first: a new owner raises the generation before its frame is there.
  const pool = poolAddress(id);
  if (pool == 0) return 0;
  return atomic.load<u32>(entryOf(H_POOL_TABLE, id) + 4) == name >>> 16 ? pool : 0;
}

/** The name by which the host knows a pool: that of its twin in the store's first arena. */
export function hostNameOf(pool: usize): u32 {
  const twin = load<u32>(pool + P_TWIN);
  return twin != 0 ? twin : <u32>nameOf(H_POOL_TABLE, load<u32>(pool + P_ID));
}

/** The id in a client's name; 0, nobody's, when the name is an old one. */
export function clientIdOf(name: u32): u32 {
  const id = name & 0xffff;
  if (id >= load<u32>(H_CLIENTS_MAX) || load<u32>(entryOf(H_CLIENT_TABLE, id)) == 0) return 0;
  return load<u32>(entryOf(H_CLIENT_TABLE, id) + 4) == name >>> 16 ? id : 0;
}

function sameName(stored: usize, storedLength: u32, name: usize, length: u32): bool {
  return storedLength == length && memory.compare(stored, name, length) == 0;
}

/** Id of the client with this name, -1 when there is none. Under ADMIN_LOCK. */
function clientNamed(name: usize, length: u32): i32 {
  const clients = load<u32>(H_CLIENTS_MAX);
  for (let id: u32 = 1; id < clients; id++) {
    const address = frameAddress(load<u32>(load<u32>(H_CLIENT_TABLE) + (id << 3)));
    if (address == 0 || load<u32>(address + C_STATE) == 0) continue;
    if (sameName(address + C_NAME, load<u32>(address + C_NAME_LENGTH), name, length)) return <i32>id;
  }
  return -1;
}

/**
 * Opens or creates a client; its name in the arena, or a negative result. Weight and cap count at creation. `twin` is
 * as for pools (poolOpen).
 */
export function clientOpen(name: usize, length: u32, weight: u32, capFrames: u32, twin: u32): i32 {
  lock(ADMIN_LOCK);
  const id = clientNamed(name, length);
  if (id >= 0) {
    const name = nameOf(H_CLIENT_TABLE, id);
    const isStale = load<u32>(frameAddress(load<u32>(entryOf(H_CLIENT_TABLE, id))) + C_TWIN) != twin;
    unlock(ADMIN_LOCK);
    if (!isStale) return name;
    stale = name;
    return E_STALE;
  }
  const table = load<u32>(H_CLIENT_TABLE);
  const clients = load<u32>(H_CLIENTS_MAX);
  // Id 0 is nobody: frames that belong to the arena itself.
  let free: u32 = 1;
  while (free < clients && load<u32>(table + (free << 3)) != 0) free++;
  if (free == clients) {
    unlock(ADMIN_LOCK);
    return E_TABLE_FULL;
  }
  const frame = frameTake(0, KIND_CLIENT, 0);
  if (frame == 0) {
    unlock(ADMIN_LOCK);
    return E_NO_MEMORY;
  }
  const client = frameAddress(frame);
  memory.fill(client, 0, FRAME_SIZE);
  store<u32>(client + C_ID, free);
  store<u32>(client + C_WEIGHT, weight);
  store<u32>(client + C_CAP_FRAMES, capFrames);
  store<u32>(client + C_TWIN, twin);
  store<u32>(client + C_NAME_LENGTH, length);
  memory.copy(client + C_NAME, name, length);
  // The client's own frame counts as its first.
  store<u32>(client + C_FRAMES, 1);
  store<u32>(client + C_FRAMES_MAX, 1);
  store<u32>(client + C_KINDS + (KIND_CLIENT << 2), 1);
  store<u32>(client + C_GROUPS + 12, 1);
  store<u32>(client + C_GROUPS_MAX + 12, 1);
  store<u32>(client + C_STATE, 1);
  frameSetKind(frame, free, KIND_CLIENT, 0);
  raiseGeneration(H_CLIENT_TABLE, free);
  atomic.store<u32>(table + (free << 3), frame);
  unlock(ADMIN_LOCK);
  return nameOf(H_CLIENT_TABLE, free);
}

/** Sets a word of a client's frame, at `offset`; false when the client of this name is gone. */
export function clientSetWord(name: u32, offset: usize, value: u32): bool {
  lock(ADMIN_LOCK); // the client stays while it is written to
  const id = clientIdOf(name);
  if (id != 0) atomic.store<u32>(frameAddress(load<u32>(entryOf(H_CLIENT_TABLE, id))) + offset, value);
  unlock(ADMIN_LOCK);
  return id != 0;
}

/** Forgets the client of a name, whose pools are all gone: the host destroys them first. False when frames are left. */
export function clientForget(name: u32): bool {
  // Reclaim works on clients that it has looked up: not while one goes.
  lock(RECLAIM_LOCK);
  lock(ADMIN_LOCK);
  const id = clientIdOf(name);
  if (id == 0) {
    unlock(ADMIN_LOCK);
    unlock(RECLAIM_LOCK);
    return true;
  }
  const cell = entryOf(H_CLIENT_TABLE, id);
  const frame = load<u32>(cell);
  const client = frameAddress(frame);
  // What is left are its own frame and the control areas of its zv heaps.
  let heaps: u32 = 0;
  for (let i: usize = 0; i < 8; i += 4) if (load<u32>(client + C_ZV_HEAPS + i) != 0) heaps++;
  // Anything more is a pool, so an operation may be about to use a heap.
  if (atomic.load<u32>(client + C_FRAMES) == 1 + heaps) {
    for (let i: usize = 0; i < 8; i += 4) {
      const heap = load<u32>(client + C_ZV_HEAPS + i);
      if (heap == 0) continue;
      store<u32>(client + C_ZV_HEAPS + i, 0);
      frameGive(frameOf(heap));
    }
  }
  const empty = atomic.load<u32>(client + C_FRAMES) == 1;
  if (empty) {
    retireClient(client);
    atomic.store<u32>(cell, 0);
    frameGive(frame);
  }
  unlock(ADMIN_LOCK);
  unlock(RECLAIM_LOCK);
  return empty;
}

/** Id of a live pool with this owner and name, -1 when there is none. */
export function poolNamed(client: u32, name: usize, length: u32): i32 {
  const pools = load<u32>(H_POOLS_HIGH);
  for (let id: u32 = 0; id < pools; id++) {
    const pool = poolAddress(id);
    if (!poolIsLive(pool) || load<u32>(pool + P_CLIENT) != client) continue;
    if (sameName(pool + P_NAME, load<u32>(pool + P_NAME_LENGTH), name, length)) return <i32>id;
  }
  return -1;
}

/** Id of the live shared pool with this UUID (16 bytes), -1 when there is none. */
export function poolWithUuid(uuid: usize): i32 {
  const pools = load<u32>(H_POOLS_HIGH);
  for (let id: u32 = 0; id < pools; id++) {
    const pool = poolAddress(id);
    if (!poolIsLive(pool) || (load<u32>(pool + P_FLAGS) & POOL_SHARED) == 0) continue;
    if (load<u64>(pool + P_UUID) == load<u64>(uuid) && load<u64>(pool + P_UUID + 8) == load<u64>(uuid + 8)) {
      return <i32>id;
    }
  }
  return -1;
}

/**
 * Opens or creates a pool of the client with the name `owner`: by UUID when `uuid` is not 0, else by its own name. The
 * flags, codec and so on only count at creation; the host compares what it got. Its arena name, or a negative result.
 *
 * `twin` names the pool in the store's first arena, 0 there. A pool that is found with another twin is what is left of
 * one that was destroyed in the first arena only: E_STALE, the host destroys it first (staleName says which it is).
 */
export function poolOpen(
  owner: u32,
  name: usize,
  length: u32,
  flags: u32,
  codec: u32,
  pam: u32,
  uuid: usize,
  limitPages: u32,
  demoteTo: u32,
  twin: u32,
): i32 {
  lock(ADMIN_LOCK);
  // Looked up under the lock: before, the id could become another client's.
  const client = clientIdOf(owner);
  if (client == 0) {
    unlock(ADMIN_LOCK);
    return E_GONE;
  }
  const found = uuid != 0 ? poolWithUuid(uuid) : poolNamed(client, name, length);
  if (found >= 0) {
    const name = nameOf(H_POOL_TABLE, found);
    const isStale = load<u32>(poolAddress(found) + P_TWIN) != twin;
    unlock(ADMIN_LOCK);
    if (!isStale) return name;
    stale = name;
    return E_STALE;
  }
  const table = load<u32>(H_POOL_TABLE);
  const pools = load<u32>(H_POOLS_MAX);
  let id: u32 = 0;
  while (id < pools && load<u32>(table + (id << 3)) != 0) id++;
  const frame = id == pools ? 0 : frameTake(client, KIND_POOL, 0);
  if (frame == 0) {
    unlock(ADMIN_LOCK);
    return id == pools ? E_TABLE_FULL : E_NO_MEMORY;
  }
  const pool = frameAddress(frame);
  memory.fill(pool, 0, FRAME_SIZE);
  store<u32>(pool + P_ID, id);
  store<u32>(pool + P_CLIENT, client);
  store<u32>(pool + P_FLAGS, flags);
  store<u32>(pool + P_CODEC, codec);
  store<u32>(pool + P_PAM, pam);
  store<u32>(pool + P_LIMIT_PAGES, limitPages);
  store<u32>(pool + P_DEMOTE_TO, demoteTo);
  store<u32>(pool + P_TWIN, twin);
  store<u32>(pool + P_NAME_LENGTH, length);
  memory.copy(pool + P_NAME, name, length);
  if (uuid != 0) memory.copy(pool + P_UUID, uuid, 16);
  setMember(pool, client, true);
  store<u32>(pool + P_STATE, POOL_LIVE);
  if (id >= load<u32>(H_POOLS_HIGH)) store<u32>(H_POOLS_HIGH, id + 1);
  frameSetKind(frame, client, KIND_POOL, 0);
  raiseGeneration(H_POOL_TABLE, id);
  atomic.store<u32>(table + (id << 3), frame);
  unlock(ADMIN_LOCK);
  return nameOf(H_POOL_TABLE, id);
}

/** Name of the pool or client that was last found to be stale by this thread. */
let stale: u32 = 0;

export function staleName(): u32 {
  return stale;
}

/** Grants or revokes a client's right to join a shared pool. */
export function setMember(pool: usize, client: u32, granted: bool): void {
  const word = pool + P_MEMBERS + ((client >>> 5) << 2);
  const bit: u32 = 1 << (client & 31);
  if (granted) atomic.or<u32>(word, bit);
  else atomic.and<u32>(word, ~bit);
}

export function isMember(pool: usize, client: u32): bool {
  return ((load<u32>(pool + P_MEMBERS + ((client >>> 5) << 2)) >>> (client & 31)) & 1) != 0;
}
