/**
 * Twins: a pool of a store with several arenas is one pool in each of them, under the same name. The one in the first
 * arena is made first and destroyed first, and the others name it (P_TWIN). So whatever a process was killed in the
 * middle of, a pool whose twin is gone is what is left of a destroyed one, and anyone may finish its destruction.
 */

import type { Arena } from '../arena/index.ts';
import type { Arenas } from '../tmem/index.ts';
import { clientsOf, poolsOf } from './raw.ts';

const DRAIN_STEPS = 100_000;
const POOL_LIVE = 1;

/** Ends pools and clients of which only the first arena's part was removed. */
export function settleTwins(arenas: Arenas): void {
  const [first, ...others] = arenas.all;
  if (others.length === 0) return;
  for (const arena of others) {
    for (const { id } of poolsOf(arena)) {
      if (!hasLiveTwin(first, arena, id)) arenas.run(arena, () => arena.wasm.removePool(id));
    }
    for (const { id, name } of clientsOf(arena)) {
      if (clientsOf(first).some((client) => client.name === name)) continue;
      arenas.run(arena, () => arena.wasm.drainSteps(DRAIN_STEPS));
      arenas.run(arena, () => arena.wasm.forgetClient(id));
    }
  }
}

/**
 * Whether the pool that a pool of another arena belongs to is there. Once it is not it never will be, so then the pool
 * may be removed.
 */
export function hasLiveTwin(first: Arena, arena: Arena, pool: number): boolean {
  const address = arena.wasm.poolFrame(pool) >>> 0;
  return address !== 0 && isLive(first, arena.word(address + arena.layout.P_TWIN));
}

/** Whether a pool is there and not being destroyed. */
export function isLive(arena: Arena, pool: number): boolean {
  const address = arena.wasm.poolFrame(pool) >>> 0;
  return address !== 0 && arena.word(address + arena.layout.P_STATE) === POOL_LIVE;
}
