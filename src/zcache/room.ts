/**
 * How much room a store has: what a policy looks at that moves pages out before puts are refused, or lends memory.
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
  /** Those that a put can get and nothing gives way. */
  readonly free: number;
  /** The machine is short of memory: the store does not grow until that is over. */
  readonly pressed: boolean;
}

export type FreeRoom = Omit<Room, 'available'>;

export function roomOf(arenas: readonly Arena[]): Room {
  const room = freeRoomOf(arenas);
  return { ...room, available: room.free + sum(arenas.map(ephemeralFrames)) };
}

/** Without a look at the clients: for those who ask often. */
export function freeRoomOf(arenas: readonly Arena[]): FreeRoom {
  let [frames, free, pressed] = [0, 0, false];
  for (const arena of arenas) {
    const { layout } = arena;
    const unbacked = arena.word(layout.H_UNBACKED);
    const isStopped = arena.word(layout.H_GROWTH_STOPPED) !== 0;
    const grows = !isStopped && arena.word(layout.H_BACKING_FAILED) === 0;
    free += arena.word(layout.H_FREE_FRAMES) + (grows ? unbacked : 0);
    frames += arena.word(layout.H_FRAMES) - (grows ? 0 : unbacked);
    pressed ||= isStopped;
  }
  return { frames, free, pressed };
}

function ephemeralFrames(arena: Arena): number {
  const { C_KINDS, KIND_ZBUD_EPH, KIND_ZV_EPH, KIND_RAW_EPH } = arena.layout;
  const kinds = [KIND_ZBUD_EPH, KIND_ZV_EPH, KIND_RAW_EPH];
  return sum(
    clientsOf(arena).flatMap(({ address }) => kinds.map((kind) => arena.word(address + C_KINDS + kind * 4))),
  );
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
