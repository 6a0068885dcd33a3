/**
 * The caretaker of a store: what has to be done from time to time, by one thread of all that have the store open.
 *
 * It gives memory back when the machine runs short of it (the shrinker), finds the slots of processes that were killed
 * and recovers what they left, finishes what they had begun (twins.ts), and tells when the store's file was removed.
 * Who does it holds the lock of a byte of the store's file, one for the shrinker and one for the rest, and another
 * takes over when it ends. A store without a name has one process; there it is the thread that opened it.
 */

import { CARETAKER_BYTE, SHRINKER_BYTE } from '../arena/index.ts';
import type { Arenas } from '../tmem/index.ts';
import { publish } from './events.ts';
import { KernelSources, Shrinker, type ShrinkerSettings, systemTimer } from './pressure/index.ts';
import type { Store } from './store.ts';
import { settleTwins } from './twins.ts';

/** Between two rounds. What is missed meanwhile is memory that a dead process still holds. */
const ROUND_INTERVAL_MS = 1000;
/** Longest wait of a round for running operations; a recovery that is not possible now comes with the next. */
const RECOVERY_WAIT_MS = 20;
/** Steps of freeing what a dead process had begun to free, a round; some hundred microseconds. */
const DRAIN_STEPS = 1000;

export class Caretaker {
  readonly #arenas: Arenas;
  /** Bytes of the file whose locks this thread has. */
  readonly #held = new Set<number>();
  #isGone = false;
  #round: NodeJS.Timeout | undefined;
  #shrinker: Shrinker | undefined;

  constructor(arenas: Arenas) {
    this.#arenas = arenas;
  }

  start(store: Store, settings: ShrinkerSettings): void {
    if (this.#arenas.thread !== undefined) {
      this.#round = setInterval(() => this.#look(), ROUND_INTERVAL_MS).unref();
    }
    const timer = systemTimer;
    this.#shrinker = new Shrinker({
      ...{ store: this.#shrinkable(store), sources: new KernelSources(), settings, timer },
      leadership: {
        isLeader: () => this.#has(SHRINKER_BYTE),
        resign: () => this.#letGo(SHRINKER_BYTE),
      },
    });
    this.#liftGrowthStop();
    this.#shrinker.start();
  }

  stop(): void {
    clearInterval(this.#round);
    this.#shrinker?.stop();
  }

  #shrinkable(store: Store) {
    return {
      shrink: (frames: number) => store.shrink(frames),
      giveBack: (frames: number) => store.giveBack(frames),
      allowGrowth: (isAllowed: boolean) => this.#allowGrowth(isAllowed),
    };
  }

  #allowGrowth(isAllowed: boolean): void {
    for (const arena of this.#arenas.all) arena.setWord(arena.layout.H_GROWTH_STOPPED, isAllowed ? 0 : 1);
  }

  /**
   * A shrinker that was killed may have stopped growth. While another leads that one decides; where there is none, by
   * setting or because its first look is still to come, nobody else allows it again.
   */
  #liftGrowthStop(): void {
    const isStopped = this.#arenas.all.some((arena) => arena.word(arena.layout.H_GROWTH_STOPPED) !== 0);
    if (!isStopped || this.#held.has(SHRINKER_BYTE)) return;
    const file = this.#arenas.thread?.file;
    if (file !== undefined && !file.lock(SHRINKER_BYTE)) return;
    this.#allowGrowth(true);
    file?.unlock(SHRINKER_BYTE);
  }

  /** Whether this thread has the lock of a byte; takes it if nobody has. */
  #has(byte: number): boolean {
    const file = this.#arenas.thread?.file;
    if (file === undefined || this.#held.has(byte)) return true;
    if (!file.lock(byte)) return false;
    this.#held.add(byte);
    return true;
  }

  #letGo(byte: number): void {
    if (this.#held.delete(byte)) this.#arenas.thread?.file.unlock(byte);
  }

  #look(): void {
    const { thread } = this.#arenas;
    if (thread === undefined || this.#arenas.closed) return;
    if (!this.#isGone && thread.file.isGone) {
      this.#isGone = true;
      publish('tmem:store:gone', () => ({ path: thread.file.path }));
    }
    try {
      if (this.#has(CARETAKER_BYTE)) this.#tidy();
    } catch (error) {
      // Nobody could catch it. Who is busy now is not for ever; damage shows itself to those who run into it.
      publish('tmem:caretaker:failed', () => ({ error }));
    }
  }

  #tidy(): void {
    this.#liftGrowthStop();
    const dead = this.#arenas.thread?.buryTheDead() ?? 0;
    if (!this.#arenas.tryRecover(RECOVERY_WAIT_MS)) return;
    if (dead > 0) publish('tmem:process:dead', () => ({ slots: dead }));
    settleTwins(this.#arenas);
    for (const arena of this.#arenas.all) {
      if (arena.word(arena.layout.H_DOOMED_POOLS) === 0) continue;
      this.#arenas.run(arena, () => arena.wasm.drainSteps(DRAIN_STEPS));
    }
  }
}
