/**
 * How much room a store has for persistent pages: what a policy looks at that moves pages out before puts are refused.
 *
 * A few words of each arena are read, no counters: it takes microseconds.
 */

import type { Arena } from '../arena/index.ts';
import { clientsOf } from './raw.ts';

/** Frames of 4096 bytes. */
export interface Room {
  /** All that the store may have now: fewer while memory is short and the store must not grow. */
  readonly frames: number;
  /** Those that a put can get: free ones, and those of ephemeral pages, which give way. */
  readonly available: number;
}

export function roomOf(arenas: readonly Arena[]): Room {
  const each = arenas.map((arena) => {
    const { layout } = arena;
    const unbacked = arena.word(layout.H_UNBACKED);
    const grows = arena.word(layout.H_GROWTH_STOPPED) === 0 && arena.word(layout.H_BACKING_FAILED) === 0;
    const free = arena.word(layout.H_FREE_FRAMES) + (grows ? unbacked : 0);
    const frames = arena.word(layout.H_FRAMES) - (grows ? 0 : unbacked);
    return { frames, available: free + ephemeralFrames(arena) };
  });
  return {
    frames: each.reduce((sum, { frames }) => sum + frames, 0),
    available: each.reduce((sum, { available }) => sum + available, 0),
  };
}

function ephemeralFrames(arena: Arena): number {
  const { C_KINDS, KIND_ZBUD_EPH, KIND_ZV_EPH, KIND_RAW_EPH } = arena.layout;
  const kinds = [KIND_ZBUD_EPH, KIND_ZV_EPH, KIND_RAW_EPH];
  return clientsOf(arena).reduce(
    (sum, { address }) =>
      sum + kinds.reduce((held, kind) => held + arena.word(address + C_KINDS + kind * 4), 0),
    0,
  );
}
