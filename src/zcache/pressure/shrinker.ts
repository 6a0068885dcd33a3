/**
 * The shrinker: looks at memory pressure from time to time and gives frames of the store back to the system.
 *
 * Rules: one of all threads and processes of a store does it, the leader; the others only ask now and then whether they
 * are. Work is done in slices of about a millisecond (slice.ts), with pauses in which the event loop goes on, and
 * after 50 ms at most there is a new look. Frames that are free already go first: they cost nobody a page. When nothing
 * can be given back, it tries ever less often, and says so once. While memory is short the store may not grow: what was
 * given back would be taken again at once. No error leaves the shrinker: nobody could catch one.
 */

import { TmemError } from '../../errors.ts';
import { publish, type TmemEvents } from '../events.ts';
import { type Decision, decide, INITIAL_STATE, type PolicyState, type Pressure } from './policy.ts';
import type { PressureSources } from './reading.ts';
import type { ShrinkerSettings } from './shrinker-settings.ts';
import { SliceSize } from './slice.ts';
import type { Timer } from './timer.ts';

/** A follower asks this often whether it leads now; asking costs some 4 µs. */
const FOLLOWER_INTERVAL_MS = 250;
/** Between two slices: the shortest time a timer knows. */
const PAUSE_MS = 1;
/** Work without a new look takes at most this long, pauses included. */
const WORK_MS = 50;
/** Frames of a try after one that gave nothing back: pages may be lost by it for no gain. */
const TRY_FRAMES = 8;

export interface ShrinkableStore {
  /** Evicts ephemeral pages until `frames` frames became free; never a persistent one. */
  shrink(frames: number): { readonly freed: number };
  /** Returns at most `frames` free frames to the system. @returns how many left it; 0 when it cannot */
  giveBack(frames: number): number;
  /** Whether the store may take more from the system than it has now; not while memory is short. Never throws. */
  allowGrowth(isAllowed: boolean): void;
}

export interface Leadership {
  /** Whether this thread leads now; becomes the leader if there is none. */
  isLeader(): boolean;
  /** Leaves it to others. */
  resign(): void;
}

export interface ShrinkerParts {
  readonly store: ShrinkableStore;
  readonly sources: PressureSources;
  readonly settings: ShrinkerSettings;
  readonly timer: Timer;
  readonly leadership: Leadership;
}

type ExhaustedReason = TmemEvents['tmem:shrinker:exhausted']['reason'];

/** A time of pressure, from its first look to the first one without. */
interface Spell {
  readonly startMs: number;
  evictedFrames: number;
  returnedFrames: number;
  /** The wait after a try that gave nothing back; 0 while there is progress. */
  backOffMs: number;
  told: ExhaustedReason | undefined;
}

export class Shrinker {
  readonly #parts: ShrinkerParts;
  readonly #slice = new SliceSize();
  #isRunning = false;
  #state: PolicyState = INITIAL_STATE;
  #spell: Spell | undefined;
  #cancel: (() => void) | undefined;

  constructor(parts: ShrinkerParts) {
    this.#parts = parts;
  }

  /** Whether it saw pressure at its last look. Always false in a follower. */
  get pressed(): boolean {
    return this.#spell !== undefined;
  }

  /** Looks from now on; does nothing if it does already, or was switched off. */
  start(): void {
    if (this.#isRunning || !this.#parts.settings.enabled) return;
    this.#isRunning = true;
    this.#plan(PAUSE_MS, this.#look);
  }

  stop(): void {
    this.#isRunning = false;
    this.#cancel?.();
    // Nobody may be left to allow it later.
    if (this.pressed) this.#parts.store.allowGrowth(true);
    this.#forget();
    this.#parts.leadership.resign();
  }

  /** The next step, in place of any other. After a step that stopped the shrinker (a listener may) none follows. */
  #plan(delayMs: number, step: () => void): void {
    if (!this.#isRunning) return;
    this.#cancel?.();
    this.#cancel = this.#parts.timer.after(delayMs, () => {
      try {
        step();
      } catch (error) {
        if (this.#isRunning) this.#failed(error);
      }
    });
  }

  /** A lock that somebody holds for too long is free again some time; anything else would only come again. */
  #failed(error: unknown): void {
    const stopped = !(TmemError.is(error) && error.code === 'TMEM_ERR_BUSY');
    if (stopped) this.stop();
    else this.#plan(this.#parts.settings.idleIntervalMs, this.#look);
    publish('tmem:shrinker:failed', () => ({ error, stopped }));
  }

  readonly #look = (): void => {
    const { leadership, sources, settings, store, timer } = this.#parts;
    if (!leadership.isLeader()) {
      this.#forget();
      this.#plan(FOLLOWER_INTERVAL_MS, this.#look);
      return;
    }
    const timeMs = timer.nowMs();
    const decision = decide(this.#state, { timeMs, scopes: sources.read() }, settings);
    this.#state = decision.state;
    // At each look: the leader before may have been killed between forbidding and allowing it.
    store.allowGrowth(decision.pressure === undefined);
    const ended = this.#spell;
    if (decision.pressure === undefined) {
      this.#spell = undefined;
      this.#plan(decision.nextLookMs, this.#look);
      if (ended !== undefined) tellIdle(ended, timeMs);
    } else {
      this.#underPressure(decision, decision.pressure, timeMs);
    }
  };

  #underPressure({ frames, nextLookMs }: Decision, pressure: Pressure, timeMs: number): void {
    const isNew = this.#spell === undefined;
    this.#spell ??= { startMs: timeMs, evictedFrames: 0, returnedFrames: 0, backOffMs: 0, told: undefined };
    const spell = this.#spell;
    if (frames > 0) this.#plan(PAUSE_MS, () => this.#work(spell, frames, false, timeMs + WORK_MS));
    else this.#plan(Math.max(nextLookMs, spell.backOffMs), this.#look);
    if (isNew) publish('tmem:shrinker:pressure', () => ({ ...pressure, frames }));
  }

  /** One slice. @param noneFree - frames that were free already have all been given back */
  #work(spell: Spell, frames: number, noneFree: boolean, endMs: number): void {
    const { store, settings, timer } = this.#parts;
    const size = Math.min(frames, spell.backOffMs > 0 ? TRY_FRAMES : this.#slice.frames);
    const beganMs = timer.nowMs();
    const free = noneFree ? 0 : store.giveBack(size);
    const wanted = size - free;
    const evicted = wanted > 0 ? store.shrink(wanted).freed : 0;
    const returned = free + (evicted > 0 ? store.giveBack(evicted) : 0);
    const nowMs = timer.nowMs();
    this.#slice.took(size, nowMs - beganMs);
    spell.evictedFrames += evicted;
    spell.returnedFrames += returned;
    if (returned === 0) {
      this.#backOff(spell, evicted > 0 ? 'system takes no frames' : 'nothing to evict');
      return;
    }
    spell.backOffMs = 0;
    const left = frames - returned;
    if (left <= 0) this.#plan(settings.nearIntervalMs, this.#look);
    else if (nowMs >= endMs) this.#plan(PAUSE_MS, this.#look);
    else this.#plan(PAUSE_MS, () => this.#work(spell, left, wanted > 0, endMs));
  }

  /** Nothing could be given back: the wait doubles up to the idle interval. New pages may come at any time. */
  #backOff(spell: Spell, reason: ExhaustedReason): void {
    const { nearIntervalMs, idleIntervalMs } = this.#parts.settings;
    spell.backOffMs = Math.min(Math.max(spell.backOffMs * 2, nearIntervalMs), idleIntervalMs);
    this.#plan(spell.backOffMs, this.#look);
    if (spell.told === reason) return;
    spell.told = reason;
    publish('tmem:shrinker:exhausted', () => ({ reason }));
  }

  #forget(): void {
    this.#state = INITIAL_STATE;
    this.#spell = undefined;
  }
}

function tellIdle({ startMs, evictedFrames, returnedFrames }: Spell, nowMs: number): void {
  publish('tmem:shrinker:idle', () => ({ durationMs: nowMs - startMs, evictedFrames, returnedFrames }));
}
