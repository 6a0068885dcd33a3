// What each thread of a torture run does: prepares how it instantiates the arena's code, and plays.

import type { Store, StoreToken } from '../../src/index.ts';
import { OperationLog } from '../threads/operation-log.ts';
import { Player } from './player.ts';
import type { SharedArea } from './shared-area.ts';
import { takeAim, timeRecoveries } from './trigger.ts';

export interface ChildTask {
  readonly area: string;
  readonly directory: string;
  readonly name: string;
  readonly scene: number;
  readonly seed: number;
  readonly lane: number;
  /** Undefined: no worker. */
  readonly workerLane: number | undefined;
  readonly baseId: number;
  readonly hasArchive: boolean;
  /** Number of the aim, and the file of the instrumented module. */
  readonly aim: number | undefined;
  readonly instrumented: string;
}

export interface WorkerTask {
  readonly task: ChildTask;
  readonly area: WebAssembly.Memory;
  readonly store: StoreToken;
  readonly instrumented: WebAssembly.Module | undefined;
  readonly seed: number;
}

/** Prepares this thread: whatever it instantiates from now on is timed, or aimed at. */
export function prepare(
  area: SharedArea,
  { aim }: ChildTask,
  instrumented: WebAssembly.Module | undefined,
  seed: number,
): void {
  if (aim === undefined || instrumented === undefined) timeRecoveries(area);
  else takeAim(area, instrumented, aim, seed);
}

export class Game {
  readonly #area: SharedArea;
  readonly #player: Player;
  readonly #lane: number;
  #longestMs = 0;
  #unlogged = 0;
  #busy = 0;

  constructor(area: SharedArea, store: Store, task: ChildTask, lane: number, seed: number) {
    this.#area = area;
    const { baseId, hasArchive } = task;
    const life = area.beginLife(lane);
    const log = new OperationLog(life?.words ?? new Int32Array(0), area.clock);
    const plan = { seed, lane, baseId, firstRecord: life?.first ?? 0, hasArchive };
    this.#player = new Player(store, plan, log);
    this.#lane = lane;
    area.beat(lane);
  }

  /** Plays for some time; false when the round is over. */
  turn(durationMs: number): boolean {
    const startMs = performance.now();
    let beforeMs = startMs;
    while (beforeMs - startMs < durationMs) {
      if (this.#area.isStopped) break;
      this.#player.step();
      const afterMs = performance.now();
      if (afterMs - beforeMs > this.#longestMs) {
        this.#longestMs = afterMs - beforeMs;
        this.#area.noteOperation(Math.ceil(this.#longestMs * 1000));
      }
      beforeMs = afterMs;
    }
    const { unlogged, busy } = this.#player;
    this.#area.noteUnlogged(unlogged - this.#unlogged);
    this.#unlogged = unlogged;
    for (; this.#busy < busy; this.#busy++) this.#area.noteBusy();
    this.#area.beat(this.#lane);
    return !this.#area.isStopped;
  }
}
