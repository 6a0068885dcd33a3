// A made-up machine of 1 GiB for the shrinker: a clock of its own, a store that only counts, and what the events said.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import * as v from 'valibot';
import { onTestFinished } from 'vitest';
import { EVENT_NAMES } from '../../src/zcache/events.ts';
import { Shrinker, shrinkerSchema } from '../../src/zcache/pressure/index.ts';
import { watermarks } from '../../src/zcache/pressure/watermark.ts';
import { MIB } from './pressure-tree.ts';

export const FRAME = 4096;
export const SIZE = 1024 * MIB;
export const SETTINGS = v.parse(shrinkerSchema, {});
export const { lowBytes: LOW, highBytes: HIGH } = watermarks(SIZE, SETTINGS);

/** Time that passes only in `pass`, and while the store works. */
class VirtualTimer {
  ms = 0;
  planned: { dueMs: number; run: () => void }[] = [];

  nowMs(): number {
    return this.ms;
  }

  after(delayMs: number, run: () => void): () => void {
    const entry = { dueMs: this.ms + delayMs, run };
    this.planned.push(entry);
    return () => {
      this.planned = this.planned.filter((other) => other !== entry);
    };
  }

  pass(durationMs: number): void {
    const endMs = this.ms + durationMs;
    for (;;) {
      const next = this.planned.toSorted((a, b) => a.dueMs - b.dueMs)[0];
      if (next === undefined || next.dueMs > endMs) break;
      this.planned = this.planned.filter((other) => other !== next);
      this.ms = Math.max(this.ms, next.dueMs);
      next.run();
    }
    this.ms = Math.max(this.ms, endMs);
  }
}

/** A machine of 1 GiB with a store on it; `others` bytes are used by the rest. */
export class World {
  readonly timer = new VirtualTimer();
  ephemeral = 0;
  persistent = 0;
  free = 0;
  others = 0;
  canGiveBack = true;
  isLeader = true;
  /** Times the shrinker left leading to others. */
  resigned = 0;
  frameUs = 5;
  failure: unknown;
  /** As the store was told last. */
  growth: boolean | undefined;
  onShrink: () => void = () => {};
  reads = 0;
  longestSliceMs = 0;
  evicted = 0;
  readonly events: { name: string; event: object }[] = [];
  readonly shrinker: Shrinker;

  constructor(settings = SETTINGS) {
    this.shrinker = new Shrinker({
      store: {
        shrink: (frames) => this.#shrink(frames),
        giveBack: (frames) => this.#giveBack(frames),
        allowGrowth: (isAllowed) => {
          this.growth = isAllowed;
        },
      },
      sources: {
        read: () => {
          this.reads++;
          return [{ name: 'machine', memory: { sizeBytes: SIZE, availableBytes: this.available } }];
        },
      },
      settings,
      timer: {
        nowMs: () => this.timer.nowMs(),
        after: (delayMs, run) =>
          this.timer.after(delayMs, () => {
            const beganMs = this.timer.ms;
            run();
            this.longestSliceMs = Math.max(this.longestSliceMs, this.timer.ms - beganMs);
          }),
      },
      leadership: {
        isLeader: () => this.isLeader,
        resign: () => {
          this.resigned++;
        },
      },
    });
  }

  get available(): number {
    return Math.max(0, SIZE - this.others - (this.ephemeral + this.persistent + this.free) * FRAME);
  }

  #shrink(frames: number): { freed: number } {
    if (this.failure !== undefined) throw this.failure;
    const freed = Math.min(frames, this.ephemeral);
    this.timer.ms += (freed * this.frameUs) / 1000;
    this.ephemeral -= freed;
    this.free += freed;
    this.evicted += freed;
    this.onShrink();
    return { freed };
  }

  #giveBack(frames: number): number {
    const given = this.canGiveBack ? Math.min(frames, this.free) : 0;
    this.timer.ms += (given * this.frameUs) / 1000;
    this.free -= given;
    return given;
  }

  named(name: string): object[] {
    return this.events.filter((entry) => entry.name === `tmem:shrinker:${name}`).map(({ event }) => event);
  }

  /** Bytes that all but the store may use for `available` to be this much. */
  leave(available: number): void {
    this.others = SIZE - (this.ephemeral + this.persistent + this.free) * FRAME - available;
  }
}

/** A world whose events are kept until the test ends. */
export function makeWorld(
  frames: { ephemeral?: number; persistent?: number; free?: number },
  settings = SETTINGS,
): World {
  const world = Object.assign(new World(settings), frames);
  for (const name of EVENT_NAMES.filter((known) => known.startsWith('tmem:shrinker:'))) {
    const listen = (event: unknown) => void world.events.push({ name, event: event as object });
    subscribe(name, listen);
    onTestFinished(() => void unsubscribe(name, listen));
  }
  return world;
}
