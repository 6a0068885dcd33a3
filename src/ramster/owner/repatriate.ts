/**
 * Repatriate (the original's selfshrinker): while there is room, persistent pages come home little by little, so that
 * less is at stake when a peer dies.
 *
 *   pages away that have not become more for 3 intervals: a twentieth of them comes home in each (all, of 20 or fewer)
 *
 * Nothing comes home while memory is short, and what came home rests for as long before it is sent again.
 */

import type { PageRef } from '../local/local-pages.ts';
import { decodeRecord } from '../record.ts';
import type { Fetch } from './fetch.ts';
import { type OwnerParts, sleep } from './parts.ts';
import type { Resting } from './resting.ts';

export const QUIET_INTERVALS = 3;
const SHARE = 20;
/** On their way home at a time. */
const UNDER_WAY_MAX = 16;
const STEP_RECORDS = 256;

export class Repatriate {
  readonly #parts: OwnerParts;
  readonly #fetch: Fetch;
  readonly #resting: Resting;
  #before = 0;
  #quietIntervals = 0;
  #cursor: unknown;
  #stopped = false;

  constructor(parts: OwnerParts, fetch: Fetch, resting: Resting) {
    this.#parts = parts;
    this.#fetch = fetch;
    this.#resting = resting;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Called once an interval. */
  async step(): Promise<void> {
    const away = this.#parts.statistics.remote_pers_pages;
    this.#quietIntervals = away > this.#before ? 0 : this.#quietIntervals + 1;
    this.#before = away;
    if (this.#quietIntervals < QUIET_INTERVALS || away <= 0) return;
    await this.bring(away <= SHARE ? away : Math.ceil(away / SHARE), () => this.#hasRoom());
  }

  /** Brings up to `most` persistent pages home while `goOn`; how many came. */
  async bring(most: number, goOn: () => boolean): Promise<number> {
    let brought = 0;
    let sinceStart = 0;
    const atStart = this.#cursor === undefined;
    // Once around at most, from where the last time ended.
    while (brought < most && goOn() && !this.#stopped) {
      const { pages, next } = this.#parts.local.records(this.#cursor, STEP_RECORDS);
      const own = pages.filter(({ record }) => isPersistent(record)).map(({ page }) => page);
      const came = await this.#bringAll(own.slice(0, most - brought), goOn);
      brought += came;
      if (came < own.length && brought >= most) return brought;
      this.#cursor = next;
      if (next === undefined && (atStart || sinceStart++ > 0)) return brought;
      await sleep(this.#parts.clock, 0);
    }
    return brought;
  }

  async #bringAll(pages: readonly PageRef[], goOn: () => boolean): Promise<number> {
    let brought = 0;
    for (let at = 0; at < pages.length && goOn() && !this.#stopped; at += UNDER_WAY_MAX) {
      const batch = pages.slice(at, at + UNDER_WAY_MAX);
      const outcomes = await Promise.all(batch.map((page) => this.#bringOne(page)));
      brought += outcomes.filter(Boolean).length;
    }
    return brought;
  }

  async #bringOne(page: PageRef): Promise<boolean> {
    try {
      if (!(await this.#fetch.bring(page))) return false;
    } catch {
      // Its holders are away; who reads it is told.
      return false;
    }
    this.#resting.add(page);
    this.#parts.statistics.pages_repatriated++;
    return true;
  }

  #hasRoom(): boolean {
    const { local, settings } = this.#parts;
    const { totalBytes, freeBytes, pressed } = local.room();
    return !pressed && freeBytes * 100 >= totalBytes * settings.homeAbovePercent;
  }
}

function isPersistent(bytes: Uint8Array): boolean {
  const record = decodeRecord(bytes);
  return record !== undefined && !record.lost && record.kind === 'persistent';
}
