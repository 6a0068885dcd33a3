/**
 * Twins: a client or pool of a store with several arenas is one in each of them, under the same name. The one in the
 * first arena is made first and ended first, and the others name it (C_TWIN, P_TWIN). So whatever a process was killed
 * in the middle of, a client or pool whose twin is gone is what is left of one that was ended, and anyone may end the
 * rest of it.
 */

import type { Arena } from '../arena/index.ts';
import type { Arenas } from '../tmem/index.ts';
import { clientsOf, poolsOf } from './raw.ts';

const DRAIN_STEPS = 1_000_000;
/** Rounds of freeing before others that are still at work in a client's pools are given up on. */
const END_ROUNDS_MAX = 100;
const POOL_LIVE = 1;

/** Ends pools and clients of which only the first arena's part was ended. */
export function settleTwins(arenas: Arenas): void {
  const [first, ...others] = arenas.all;
  for (const arena of others) {
    for (const { id } of poolsOf(arena)) {
      if (!hasLiveTwin(first, arena, id)) arenas.run(arena, () => arena.wasm.removePool(id));
    }
    for (const { id } of clientsOf(arena)) {
      // Who still works in it is left alone until the next time.
      if (!hasLiveClientTwin(first, arena, id)) endClient(arenas, arena, id);
    }
  }
}

/**
 * Ends a client in one arena, with its pools; also what is left of a removal that was cut short. False when others
 * are still working in its pools.
 */
export function endClient(arenas: Arenas, arena: Arena, client: number): boolean {
  const pools = poolsOf(arena, client);
  for (const { id } of pools) {
    // If the client is there after its pools were listed, they are not those of one that came after it.
    if (arena.wasm.clientFrame(client) === 0) return true;
    arenas.run(arena, () => arena.wasm.removePool(id));
  }
  for (let round = 0; round < END_ROUNDS_MAX; round++) {
    arenas.run(arena, () => arena.wasm.drainSteps(DRAIN_STEPS));
    if (arenas.run(arena, () => arena.wasm.forgetClient(client)) === 1) return true;
  }
  return false;
}

/**
 * Whether the pool that a pool of another arena belongs to is there. Once it is not it never will be, so then the pool
 * may be removed.
 */
export function hasLiveTwin(first: Arena, arena: Arena, pool: number): boolean {
  const address = arena.wasm.poolFrame(pool) >>> 0;
  return address !== 0 && isLive(first, arena.word(address + arena.layout.P_TWIN));
}

/** The same for a client. */
export function hasLiveClientTwin(first: Arena, arena: Arena, client: number): boolean {
  const address = arena.wasm.clientFrame(client) >>> 0;
  return address !== 0 && first.wasm.clientFrame(arena.word(address + arena.layout.C_TWIN)) !== 0;
}

/** Whether something was found in every arena. */
export function isWhole(ids: readonly (number | undefined)[]): ids is number[] {
  return !ids.includes(undefined);
}

/** Whether a pool is there and not being destroyed. */
export function isLive(arena: Arena, pool: number): boolean {
  const address = arena.wasm.poolFrame(pool) >>> 0;
  return address !== 0 && arena.word(address + arena.layout.P_STATE) === POOL_LIVE;
}
