/**
 * A front end on a simulated machine: what uses the store, and checks every answer against the model. It lives as long
 * as the machine's memory.
 */

import type { PageRef } from '../src/ramster/local/local-pages.ts';
import { Oid, type PoolKind } from '../src/zcache/index.ts';
import type { Machine } from './machine.ts';
import { Model, type ModelOptions, nameOf } from './model.ts';
import { pageOf } from './page-content.ts';
import type { Trace } from './trace.ts';
import type { Verdict } from './verdict.ts';
import type { Waits } from './waits.ts';

export interface FrontEndOptions
  extends Omit<ModelOptions, 'name' | 'isLossLegitimate' | 'isAwayLegitimate'> {
  readonly machine: Machine;
  readonly trace: Trace;
  readonly verdict: Verdict;
  readonly waits: Waits;
  /** Longest time of a fetch. */
  readonly fetchMostMs: number;
  readonly isLossLegitimate: (machine: Machine, page: PageRef) => boolean;
  readonly isAwayLegitimate: (machine: Machine, page: PageRef) => boolean;
}

/** Times a page is asked for when it is sent away again each time. */
const TRIES_MAX = 20;
/** Reads in progress on a machine; no more are begun. */
const READS_MAX = 64;
/** Handles: objects of a pool, pages of an object. Few, so that there is much going on with each. */
export const OBJECTS = 4;
export const PAGES = 12;

const OIDS = Array.from({ length: OBJECTS }, (_, i) => Oid.fromNumbers(i + 1));

export class FrontEnd {
  readonly pools: Record<PoolKind, number>;
  readonly #options: FrontEndOptions;
  readonly #model: Model;
  #reads = 0;

  constructor(options: FrontEndOptions) {
    const { machine } = options;
    this.#options = options;
    this.#model = new Model({
      ...options,
      name: machine.name,
      isLossLegitimate: (page) => options.isLossLegitimate(machine, page),
      isAwayLegitimate: (page) => options.isAwayLegitimate(machine, page),
    });
    this.pools = {
      persistent: machine.local.createPool('persistent'),
      ephemeral: machine.local.createPool('ephemeral'),
    };
  }

  /** Pages that should be there. */
  get pages(): PageRef[] {
    return this.#model.pages;
  }

  put(kind: PoolKind, object: number, index: number, stamp: number): void {
    const page = this.#page(kind, object, index);
    const outcome = this.#options.machine.local.put(page, pageOf(stamp));
    this.#tell(() => `put ${stamp} at ${nameOf(page)} (${kind}): ${outcome}`);
    this.#model.put(page, kind, stamp, outcome);
  }

  flush(kind: PoolKind, object: number, index: number): void {
    const page = this.#page(kind, object, index);
    this.#tell(() => `flush ${nameOf(page)}`);
    this.#options.machine.local.flush(page);
    this.#model.emptied(page);
  }

  flushObject(kind: PoolKind, object: number): void {
    const pool = this.pools[kind];
    const oid = OIDS[object] as Oid;
    this.#tell(() => `flush object ${pool}/${oid.w0}`);
    this.#options.machine.local.flushPages(pool, oid);
    this.#model.emptiedAll(pool, (page) => page.oid.equals(oid));
  }

  /** Destroys a pool, and makes another one. */
  destroyPool(kind: PoolKind): void {
    const { local } = this.#options.machine;
    const pool = this.pools[kind];
    this.#tell(() => `destroy pool ${pool}`);
    local.destroyPool(pool);
    this.#model.emptiedAll(pool);
    this.pools[kind] = local.createPool(kind);
  }

  /** Reads a page, also one that is away, and checks what comes. */
  read(kind: PoolKind, object: number, index: number): void {
    if (this.#reads >= READS_MAX) return;
    void this.#read(this.#page(kind, object, index), kind);
  }

  async readAll(): Promise<void> {
    const pages = this.#model.pages;
    await Promise.all(
      pages.map((page) => this.#read(page, this.#options.machine.local.kindOf(page.pool) ?? 'ephemeral')),
    );
  }

  /** The process ended; whatever it was about is over. */
  ended(): void {
    this.#reads = 0;
    this.#model.ended();
  }

  async #read(page: PageRef, kind: PoolKind): Promise<void> {
    const { machine, verdict } = this.#options;
    const { process } = machine;
    const reading = this.#model.begin(page, kind);
    verdict.count('reads');
    this.#reads++;
    try {
      for (let tries = 0; tries < TRIES_MAX; tries++) {
        const found = machine.local.get(page);
        if (found !== 'remote') {
          this.#tell(() => `get ${nameOf(page)}: ${found === undefined ? 'a miss' : 'a page'}`);
          this.#model.got(reading, found);
          return;
        }
        const bytes = await this.#fetch(page);
        if (bytes === 'local') continue;
        this.#tell(() => `fetched ${nameOf(page)}`);
        this.#model.fetched(reading, bytes);
        return;
      }
    } catch (error) {
      this.#tell(() => `get ${nameOf(page)}: ${String(error)}`);
      this.#model.failed(reading, error);
    } finally {
      this.#reads--;
      if (process === machine.process) this.#model.end(reading);
    }
  }

  #fetch(page: PageRef): Promise<'local' | Uint8Array> {
    const { machine, verdict, waits, fetchMostMs } = this.#options;
    const { node, process } = machine;
    if (node === undefined || process === undefined) throw new Error('no node runs here');
    verdict.count('fetches');
    return waits.for(process, `fetch of ${nameOf(page)}`, fetchMostMs, node.fetch(page));
  }

  #page(kind: PoolKind, object: number, index: number): PageRef {
    return { pool: this.pools[kind], oid: OIDS[object] as Oid, index };
  }

  #tell(words: () => string): void {
    this.#options.trace.tell(this.#options.machine.name, words);
  }
}
