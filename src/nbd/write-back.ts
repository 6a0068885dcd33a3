/**
 * The policy that moves cold pages to their backing files while memory is short, so that pages in use find room.
 *
 *   free frames   0 .. low: move until high are free      low .. : do nothing
 *
 * Short is what an export's own limit or the whole store has little left of; frames of ephemeral pages count as free,
 * they are evicted first anyway, and while the store must not grow (memory pressure) what it does not have does not
 * count at all: then pages move, and the shrinker can give their frames back to the system. Of an export's pages those
 * go that were not read or written since the policy came by last (`SwapDevice.shrink`). One thread of a process runs
 * it.
 */

import { publish, type Store } from '../zcache/index.ts';
import type { AreaExport } from './area-export.ts';

const FRAME_BYTES = 4096;

/** Free frames below which pages are moved, and up to which. */
const LOW_SHARE = 1 / 32;
const HIGH_SHARE = 1 / 16;

/** How often it looks. A look reads a few words of the store and of each export. */
const LOOK_MS = 250;

export class WriteBack {
  readonly #store: Store;
  readonly #exports: () => Iterable<AreaExport>;
  readonly #onError: (failed: AreaExport, error: unknown) => void;
  readonly #onRecovered: (works: AreaExport) => void;
  /** Why pages of exports could not be moved the last time. */
  readonly #failing = new WeakMap<AreaExport, string>();
  /** Why the last step failed as a whole. */
  #failure: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;

  /**
   * `onError`: pages of an export could not be moved, as when its file cannot be written to; they stay. Called when
   * that begins and when the reason changes. `onRecovered`: then they could be moved again.
   */
  constructor(
    store: Store,
    exports: () => Iterable<AreaExport>,
    onError: (failed: AreaExport, error: unknown) => void,
    onRecovered: (works: AreaExport) => void = () => {},
  ) {
    this.#store = store;
    this.#exports = exports;
    this.#onError = onError;
    this.#onRecovered = onRecovered;
  }

  /** Looks from now on, also after a `stop` that has ended. */
  start(): void {
    this.#stopped = false;
    this.#lookSoon();
  }

  #lookSoon(): void {
    this.#timer = setTimeout(() => {
      this.#running = this.#look().finally(() => {
        if (!this.#stopped && !this.#store.closed) this.#lookSoon();
      });
    }, LOOK_MS);
    this.#timer.unref();
  }

  /** A failure is told once, until there is another one or none. */
  async #look(): Promise<void> {
    try {
      await this.step();
      this.#failure = undefined;
    } catch (error) {
      const reason = reasonOf(error);
      if (reason !== this.#failure) publish('tmem:nbd:write-back-failed', () => ({ error }));
      this.#failure = reason;
    }
  }

  /** Ends when what is done to one export has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  /** Looks once, and moves what has to move. */
  async step(): Promise<void> {
    const { frames, available } = this.#store.room();
    const short = missing(frames, available);
    const movable = [...this.#exports()].filter(
      ({ swap }) => swap.device !== undefined && swap.area.map.pages > 0,
    );
    const pages = movable.reduce((sum, { swap }) => sum + swap.area.map.pages, 0);
    for (const exported of movable) {
      if (this.#stopped) return;
      const share = (short * exported.swap.area.map.pages) / pages;
      await this.#move(exported, share);
    }
  }

  /** Moves pages of an export until `frames` frames have become free, or more if its own limit asks for it. */
  async #move(exported: AreaExport, frames: number): Promise<void> {
    try {
      const memory = exported.memory();
      const limit = memory.limit / FRAME_BYTES;
      const used = memory.used / FRAME_BYTES;
      const wanted = Math.max(frames, limit === 0 ? 0 : missing(limit, limit - used));
      if (wanted === 0 || used === 0) return;
      // Those with peers take hardly any memory here, and are not moved.
      const away = exported.pagesAway;
      const pages = exported.swap.area.map.pages - away;
      await exported.swap.shrink(away + Math.max(0, Math.floor(pages - (wanted * pages) / used)));
      if (this.#failing.delete(exported)) this.#onRecovered(exported);
    } catch (error) {
      const reason = reasonOf(error);
      if (reason === this.#failing.get(exported)) return;
      this.#failing.set(exported, reason);
      this.#onError(exported, error);
    }
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Frames to be freed where so many of all are free. */
function missing(all: number, free: number): number {
  return free >= all * LOW_SHARE ? 0 : Math.ceil(all * HIGH_SHARE - free);
}
