/**
 * The owner's side of a node: sends pages away, gets them back, and looks after the copies.
 *
 *   every tick       orphans are taken, copies freed, pressure looked at
 *   every interval   pages come home (repatriate)
 *   when needed      a survey of all records, and what follows from it: repairs, sweeps, links to keep
 */

import type { Timer } from '../clock.ts';
import type { PageRef } from '../local/local-pages.ts';
import { decodeRecord } from '../record.ts';
import { Fetch, type Fetched } from './fetch.ts';
import { type OwnerParts, sleep } from './parts.ts';
import { Remotify } from './remotify.ts';
import { Repair } from './repair.ts';
import { QUIET_INTERVALS, Repatriate } from './repatriate.ts';
import { Resting } from './resting.ts';
import { type Survey, survey } from './survey.ts';
import { Sweep } from './sweep.ts';

/** Records taken from the ring of orphans in one tick: as many as it has room for. */
const ORPHANS_MOST = 512;
/** Pages repaired at a time. */
const REPAIRS_UNDER_WAY_MAX = 16;
/**
 * Between surveys that found work which could not be finished: at least so long, and so many times as long as the walk
 * through all records took.
 */
const AGAIN_MS = 2000;
const AGAIN_WALKS = 10;
/** Steps of a drain: pages brought home before it is looked at what is left. */
const DRAIN_STEP_PAGES = 4096;
const DRAIN_PAUSE_MS = 100;
/** Repairs and sweeps go on for this long at least before they make room for another survey that is wanted. */
const TURN_MS = 10_000;
/** Longest that one page can be on its way, in deadlines of requests: several stores are tried one after the other. */
const SENDING_DEADLINES = 8;

export interface OwnerOptions extends OwnerParts {
  /** These nodes hold pages, and of the others only those do to which pages were put after `sinceMs`. */
  readonly holders: (nodes: ReadonlySet<number>, sinceMs: number) => void;
}

export class Owner {
  readonly #options: OwnerOptions;
  readonly #fetch: Fetch;
  readonly #remotify: Remotify;
  readonly #repair: Repair;
  readonly #repatriate: Repatriate;
  readonly #sweep: Sweep;
  readonly #startedMs: number;
  #timers: Timer[] = [];
  #surveyAtMs: number;
  #sweepWanted = true;
  #sweepAtMs: number;
  #copies: ReadonlyMap<number, number> = new Map();
  #counted = Promise.withResolvers<void>();
  /** How long the last walk took. */
  #walkMs = 0;
  #orphansLost = 0;
  #surveying = false;
  #draining = false;
  #stopped = false;

  constructor(options: OwnerOptions) {
    this.#options = options;
    const resting = new Resting(options.clock, QUIET_INTERVALS * options.settings.homeIntervalMs);
    this.#fetch = new Fetch(options);
    this.#remotify = new Remotify(options, resting);
    this.#repair = new Repair(options, this.#fetch);
    this.#repatriate = new Repatriate(options, this.#fetch, resting);
    this.#startedMs = options.clock.now();
    this.#surveyAtMs = this.#startedMs;
    this.#sweepAtMs = this.#startedMs;
    this.#sweep = new Sweep(options);
  }

  start(): void {
    this.#tick();
    this.#homeInterval();
  }

  stop(): void {
    this.#stopped = true;
    this.#remotify.stop();
    this.#repatriate.stop();
    this.#fetch.stop();
    for (const timer of this.#timers) timer.cancel();
  }

  /** As Fetch.fetch. */
  fetch(page: PageRef): Promise<Fetched> {
    return this.#fetch.fetch(page);
  }

  /** Sends one page now, pressure or not. */
  send(page: PageRef): Promise<'sent' | 'stays'> {
    return this.#remotify.send(page);
  }

  /** Something about holders changed: copies may be too few, or there may be some that nobody names. */
  surveyWithin(delayMs: number, alsoSweep: boolean): void {
    this.#sweepWanted ||= alsoSweep;
    this.#surveyAtMs = Math.min(this.#surveyAtMs, this.#options.clock.now() + delayMs);
  }

  #surveyAgain(alsoSweep: boolean): void {
    this.surveyWithin(Math.max(AGAIN_MS, AGAIN_WALKS * this.#walkMs), alsoSweep);
  }

  /** Copies at each node by its number, as the last survey found. */
  get copies(): ReadonlyMap<number, number> {
    return this.#copies;
  }

  /** Looks through all records; ends when they are counted, or in `mostMs`. */
  async count(mostMs: number): Promise<void> {
    this.surveyWithin(0, false);
    await Promise.race([this.#counted.promise, sleep(this.#options.clock, mostMs)]);
  }

  /** Brings everything home; how many pages are away still when there is no more room, or `untilMs` has come. */
  async drain(untilMs: number): Promise<number> {
    const { clock, local, away } = this.#options;
    this.#draining = true;
    this.#remotify.stop();
    const goOn = (): boolean => !this.#stopped && clock.now() < untilMs && local.room().freeBytes > 0;
    // Just started, it is not known yet what is away.
    while (goOn() && (away.count > 0 || !away.isCounted)) {
      const brought = await this.#repatriate.bring(DRAIN_STEP_PAGES, goOn);
      if (brought === 0) await sleep(clock, DRAIN_PAUSE_MS);
    }
    while (!this.#options.releases.isEmpty && clock.now() < untilMs && !this.#stopped) {
      await sleep(clock, DRAIN_PAUSE_MS);
    }
    return away.count;
  }

  readonly #tick = (): void => {
    this.#after(this.#options.settings.tickMs, this.#tick);
    try {
      this.#step();
    } catch {
      // The store was busy, or is being closed: all of this is done again at the next tick.
    }
  };

  #step(): void {
    const { clock, settings, releases } = this.#options;
    this.#takeOrphans();
    this.#takeDestroyedPools();
    releases.step();
    if (releases.takeDropped()) this.#surveyAgain(true);
    if (!this.#draining) this.#remotify.step();
    if (!this.#surveying && clock.now() >= this.#surveyAtMs) {
      this.#surveying = true;
      this.#surveyAtMs = clock.now() + settings.sweepIntervalMs;
      void this.#survey().finally(() => {
        this.#surveying = false;
      });
    }
  }

  readonly #homeInterval = (): void => {
    const { settings } = this.#options;
    const again = (): void => this.#after(settings.homeIntervalMs, this.#homeInterval);
    if (this.#draining) again();
    // What fails is tried again after another interval: the store was busy, or is being closed.
    else this.#repatriate.step().then(again, again);
  };

  #after(delayMs: number, task: () => void): void {
    if (this.#stopped) return;
    const timer = this.#options.clock.after(delayMs, () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
      if (!this.#stopped) task();
    });
    this.#timers.push(timer);
  }

  /** What puts and flushes took out of the index: its copies are wanted no more. */
  #takeOrphans(): void {
    const { local, releases, away } = this.#options;
    const taken = local.takeOrphans(ORPHANS_MOST);
    for (const bytes of taken) {
      const record = decodeRecord(bytes);
      if (record === undefined) continue;
      // Those of a destroyed pool come when they come: the survey that follows it leaves them out.
      const isCounted = record.kind === 'persistent' && !record.lost;
      if (isCounted && local.kindOf(record.pool) !== undefined) away.back(record.id);
      releases.add(record.pool, record.id, record.places);
    }
    if (local.orphansLost === this.#orphansLost) return;
    this.#orphansLost = local.orphansLost;
    this.#surveyAgain(true);
  }

  #takeDestroyedPools(): void {
    const { local, statistics, stores } = this.#options;
    for (const pool of local.takeDestroyedPools()) {
      // For the count; what a holder was not told of is with the orphans.
      this.#surveyAgain(false);
      for (const store of stores.holding()) {
        if (store.state !== 'up') continue;
        store.destroyPool(pool).then(
          () => {
            statistics.remote_objects_flushed++;
          },
          () => {
            statistics.remote_object_flushes_failed++;
            this.#surveyAgain(true);
          },
        );
      }
    }
  }

  async #survey(): Promise<void> {
    const { clock, settings, statistics, holders, away, releases } = this.#options;
    const isSweep = this.#sweepWanted || clock.now() >= this.#sweepAtMs;
    this.#sweepWanted = false;
    if (isSweep) this.#sweepAtMs = clock.now() + settings.sweepIntervalMs;
    let found: Survey | undefined;
    try {
      found = await survey(this.#options);
      if (this.#stopped) return;
      this.#walkMs = clock.now() - found.beganMs;
      this.#takeOrphans();
      away.end(found.persistent);
      statistics.replicas_short = found.shortPages;
      const sinceMs = found.beganMs - SENDING_DEADLINES * settings.requestTimeoutMs;
      holders(new Set([...found.copies.keys(), ...releases.nodes()]), sinceMs);
      this.#copies = found.copies;
      this.#counted.resolve();
      this.#counted = Promise.withResolvers();
      const isWhole = await this.#repairAll(found);
      const isSwept = !isSweep || (await this.#sweepAll(found));
      if (!isWhole || !isSwept || this.#sweep.hasMissing) this.#surveyAgain(!isSwept);
      this.#sweep.hasMissing = false;
    } catch {
      // The store was busy, or is being closed; nothing is lost by looking later.
      this.#surveyAgain(isSweep);
    } finally {
      found?.end();
    }
  }

  /** False: something is left to be done. */
  async #repairAll({ repairs, hasMore, shortPages }: Survey): Promise<boolean> {
    const { clock, settings, statistics } = this.#options;
    if (repairs.length === 0) return true;
    // Just started, this node knows of nobody: that is no reason to make copies.
    if (clock.now() - this.#startedMs < settings.downMs + settings.repairDelayMs) return false;
    let short = 0;
    const mustEnd = this.#turn();
    for (let at = 0; at < repairs.length; at += REPAIRS_UNDER_WAY_MAX) {
      if (mustEnd()) return false;
      const batch = repairs.slice(at, at + REPAIRS_UNDER_WAY_MAX);
      const outcomes = await Promise.all(batch.map((page) => this.#repair.repair(page)));
      short += outcomes.filter((outcome) => outcome === 'short').length;
    }
    statistics.replicas_short = short + (hasMore ? Math.max(0, shortPages - repairs.length) : 0);
    return short === 0 && !hasMore;
  }

  /** All at once: a slow one keeps none of the others waiting. */
  async #sweepAll(found: Survey): Promise<boolean> {
    const mustEnd = this.#turn();
    const all = this.#options.stores.holding().map((store) => {
      return store.state === 'up' && this.#sweep.sweep(store, found, mustEnd);
    });
    return (await Promise.all(all)).every(Boolean);
  }

  /** Begins something long; whether it has to end. */
  #turn(): () => boolean {
    const { clock } = this.#options;
    const untilMs = clock.now() + TURN_MS;
    return () => this.#stopped || (clock.now() >= untilMs && clock.now() >= this.#surveyAtMs);
  }
}
