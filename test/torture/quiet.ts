// The quiet moment after a round, when no process of it is left: everything is read back into the round's log, and the
// store's accounts are compared with those after a further recovery, which counts all of it anew. What it does not find
// again has leaked.

import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Arena } from '../../src/arena/index.ts';
import { checkStore, open, type Store } from '../../src/index.ts';
import { arenasOf } from '../../src/zcache/store.ts';
import { PATCHES } from '../threads/history.ts';
import { KIND, OperationLog, RESULT } from '../threads/operation-log.ts';
import { PAGE_BYTES, PageStamper } from '../threads/stamped-page.ts';
import { figures, freeFrames } from '../tmem/figures.ts';
import { Archive, oidOf } from './beside.ts';
import { generationOf, openChecked } from './player.ts';
import { ARCHIVE, CHECKED, CLIENT, HANDLES, HANDLES_A_POOL, INDEXES, type Scene } from './scenes.ts';
import type { SharedArea } from './shared-area.ts';
import { KIND_BITS, keyOf } from './verdict.ts';

const DRAIN_STEPS = 1_000_000;
const RECOVERY_WAIT_MS = 1000;
const FRAME_BYTES = 4096;

export interface Place {
  readonly directory: string;
  readonly name: string;
  readonly scene: Scene;
}

export interface Found {
  /** What the handles hold, for the next round. */
  readonly known: Map<string, number>;
  readonly leakedBytes: number;
  readonly problems: readonly string[];
}

export function openStore({ directory, name, scene }: Place): Store {
  return open({ ...scene.store, directory, name });
}

/** Every page of every pool: where it is, and a digest of it. */
function contents(store: Store): Map<string, string> {
  const found = new Map<string, string>();
  const out = new Uint8Array(PAGE_BYTES);
  for (const { name, pools } of store.stats().clients) {
    const client = store.client(name);
    for (const { name: poolName, kind } of pools) {
      const pool = client.pool(poolName, { kind });
      for (const { oid, index } of pool.walk()) {
        const length = pool.peek(oid, index, out);
        const digest = createHash('sha1').update(out.subarray(0, length)).digest('base64');
        const handle = `${name}/${poolName}/${oid}/${index}`;
        if (found.has(handle) || length === 0)
          throw new Error(`torn: the walk meets ${handle}, ${length} bytes`);
        found.set(handle, digest);
      }
    }
  }
  return found;
}

/** Frames that are neither free nor a client's. */
function unownedFrames(store: Store): number {
  const { frames_total, frames_fixed, frames_free } = store.stats().store;
  const owned = store.stats().clients.reduce((sum, client) => sum + client.frames.curr_frames, 0);
  return Math.abs(frames_total - frames_fixed - frames_free - owned);
}

/** Bytes that the accounts miss (1 when something else is wrong), and what is wrong, in words. */
function compareAccounts(
  store: Store,
  arenas: readonly Arena[],
  findings: readonly string[],
): { leakedBytes: number; problems: string[] } {
  for (const arena of arenas) arena.wasm.drainSteps(DRAIN_STEPS);
  const unowned = unownedFrames(store);
  const pages = contents(store);
  const before = figures(store, arenas);
  for (const arena of arenas) arena.wasm.recoverNow(1, RECOVERY_WAIT_MS);
  const after = figures(store, arenas);
  const problems = findings.map((finding) => `a check of the store finds: ${finding}`);
  if (unowned > 0) problems.push(`${unowned} frames are nobody's`);
  if (!isDeepStrictEqual(before, after)) {
    problems.push(`accounts differ:\n${JSON.stringify(before)}\n${JSON.stringify(after)}`);
  }
  if (!isDeepStrictEqual(contents(store), pages)) problems.push('a recovery changed pages');
  const bytes = (of: ReturnType<typeof figures>) =>
    of.clients.reduce((sum, client) => sum + client.zbud[2]! + client.zv[2]!, 0);
  const leakedFrames = Math.abs(after.free - before.free) + unowned;
  const leakedBytes = leakedFrames * FRAME_BYTES + Math.abs(bytes(after) - bytes(before));
  return { leakedBytes: problems.length > 0 ? Math.max(leakedBytes, 1) : 0, problems };
}

/** Reads all checked handles into the round's log; what they hold. Pages put before the last round leave. */
function readBack(store: Store, area: SharedArea, isOld: (id: number) => boolean): Map<string, number> {
  const known = new Map<string, number>();
  const out = new Uint8Array(PAGE_BYTES);
  const life = area.beginLife(0);
  const log = new OperationLog(life?.words ?? new Int32Array(0), area.clock);
  const client = store.client(CLIENT.name, { cap: CLIENT.cap });
  for (const [number, plan] of CHECKED.entries()) {
    const pool = openChecked(client, plan);
    const generation = generationOf(plan, pool);
    const stamper = new PageStamper(plan.mix.writeAt !== undefined);
    for (let within = 0; within < HANDLES_A_POOL && !log.isFull; within++) {
      const handle = number * HANDLES_A_POOL + within;
      const oid = oidOf(Math.floor(within / HANDLES.indexes));
      const index = INDEXES[within % HANDLES.indexes]!;
      log.begin(KIND.keep | (generation << KIND_BITS), handle);
      const length = pool.getAndKeep(oid, index, out);
      if (length === 0) {
        log.end(RESULT.no);
        continue;
      }
      const { id, patch } = stamper.read(out.subarray(0, length), handle);
      log.end(RESULT.yes, id, patch);
      if (isOld(id) || isOld(patch)) pool.flushPage(oid, index);
      else known.set(keyOf(generation, handle), id * PATCHES + patch);
    }
  }
  return known;
}

/** Looks at the store of a round that has ended. `isOld`: ids that the next round may give out again. */
export function lookAround(
  place: Place,
  area: SharedArea,
  hasArchive: boolean,
  isOld: (id: number) => boolean,
): Found {
  const { sound, findings } = checkStore(place.name, { directory: place.directory });
  using store = openStore(place);
  const arenas = arenasOf(store).all;
  const { leakedBytes, problems } = compareAccounts(store, arenas, sound ? [] : findings);
  const known = readBack(store, area, isOld);
  if (hasArchive) {
    const archive = new Archive(store);
    for (let page = 0; page < ARCHIVE.pages; page++) archive.check(page);
  }
  return { known, leakedBytes, problems };
}

/** Puts the pages that have to stay. */
export function fillArchive(place: Place): void {
  using store = openStore(place);
  const stored = new Archive(store).fill();
  if (stored !== ARCHIVE.pages) throw new Error(`only ${stored} pages of the archive were stored`);
}

/** Removes every client: bytes that are still taken then. */
export function bytesLeft(place: Place): number {
  using store = openStore(place);
  const arenas = arenasOf(store).all;
  for (const { name } of store.stats().clients) store.client(name).remove();
  const { frames_total, frames_fixed } = store.stats().store;
  return (frames_total - frames_fixed - freeFrames(arenas)) * FRAME_BYTES;
}
