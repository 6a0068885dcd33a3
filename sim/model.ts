/**
 * The model: what every handle of a machine must hold. It knows what the front end did and what it was told, and finds
 * every answer that the promises of the store do not allow:
 *
 * - no answer is older than the last put, nor comes after a flush; a miss stays one until the next put;
 * - a persistent page is there as it was put, or its loss is an error that says so, and legitimate: every memory that
 *   its record named is lost;
 * - an ephemeral page is there as it was put, or is a miss.
 *
 * A call that takes time may see what the handle held at any moment from its start to its end.
 */

import type { PageRef } from '../src/ramster/local/local-pages.ts';
import type { PoolKind } from '../src/zcache/index.ts';
import { isPageOf } from './page-content.ts';
import type { Verdict } from './verdict.ts';

/** No page. */
const EMPTY = 0;

interface Handle {
  readonly page: PageRef;
  readonly kind: PoolKind;
  /** Number of the put whose page it holds, or EMPTY. */
  stamp: number;
  /** It was said that its page is lost. */
  isLost: boolean;
  /** Changes, so that a call in progress sees whether there were any. */
  changes: number;
  /** Readings in progress, and what the handle held since the first of them began. */
  readings: number;
  held: number[];
}

/** A call in progress. */
export interface Reading {
  readonly handle: Handle;
  readonly from: number;
  readonly changes: number;
}

export interface ModelOptions {
  readonly name: string;
  readonly verdict: Verdict;
  /** Whether every memory that a page's record named last is lost. */
  readonly isLossLegitimate: (page: PageRef) => boolean;
  /** Whether nobody who has a copy of the page can surely be reached. */
  readonly isAwayLegitimate: (page: PageRef) => boolean;
}

export class Model {
  readonly #options: ModelOptions;
  readonly #handles = new Map<string, Handle>();

  constructor(options: ModelOptions) {
    this.#options = options;
  }

  /** Pages it holds, lost ones included. */
  get pages(): PageRef[] {
    return [...this.#handles.values()].filter(({ stamp }) => stamp !== EMPTY).map(({ page }) => page);
  }

  put(page: PageRef, kind: PoolKind, stamp: number, outcome: 'stored' | 'refused'): void {
    this.#change(this.#handle(page, kind), outcome === 'stored' ? stamp : EMPTY);
  }

  /** A page was flushed. */
  emptied(page: PageRef): void {
    const handle = this.#handles.get(nameOf(page));
    if (handle !== undefined) this.#change(handle, EMPTY);
  }

  /** An object, or a pool, was flushed. */
  emptiedAll(pool: number, isMeant: (page: PageRef) => boolean = () => true): void {
    for (const handle of this.#handles.values()) {
      if (handle.page.pool === pool && isMeant(handle.page)) this.#change(handle, EMPTY);
    }
  }

  begin(page: PageRef, kind: PoolKind): Reading {
    const handle = this.#handle(page, kind);
    if (handle.readings++ === 0) handle.held = [handle.stamp];
    return { handle, from: handle.held.length - 1, changes: handle.changes };
  }

  /** The store's own answer, given at once. */
  got({ handle }: Reading, bytes: Uint8Array | undefined): void {
    const { kind, stamp, isLost } = handle;
    if (bytes === undefined) {
      if (kind === 'persistent' && stamp !== EMPTY) {
        this.#found(
          'lost_persistent_beyond_replicas',
          handle,
          `a miss, put ${stamp} was there${isLost ? ' and lost' : ''}`,
        );
      }
      this.#change(handle, EMPTY);
    } else {
      if (stamp === EMPTY || !isPageOf(stamp, bytes))
        this.#found('stale', handle, `the store gave ${show(bytes)}`);
      if (kind === 'ephemeral') this.#change(handle, EMPTY);
    }
  }

  /** The node's answer: the page itself. A persistent one stays where it was. */
  fetched({ handle, from, changes }: Reading, bytes: Uint8Array): void {
    const isAllowed = handle.held.slice(from).some((stamp) => stamp !== EMPTY && isPageOf(stamp, bytes));
    if (!isAllowed) this.#found('stale', handle, `the node gave ${show(bytes)}`);
    if (handle.kind === 'ephemeral' && changes === handle.changes) this.#change(handle, EMPTY);
  }

  /** The node's answer: an error. */
  failed({ handle, changes }: Reading, error: unknown): void {
    const { verdict, isLossLegitimate, isAwayLegitimate } = this.#options;
    const code = (error as { code?: unknown }).code;
    if (handle.kind === 'persistent' && code === 'TMEM_ERR_PEERS_AWAY') {
      verdict.count('away_errors');
      // A copy that was moved meanwhile may have been out of reach.
      if (changes === handle.changes && !isAwayLegitimate(handle.page)) {
        this.#found('away_within_reach', handle, String(error));
      }
    } else if (handle.kind === 'persistent' && code === 'TMEM_ERR_PAGE_LOST') {
      // Another page, which may be there, took the place of the one that is lost.
      if (changes !== handle.changes) return;
      if (!isLossLegitimate(handle.page))
        this.#found('lost_persistent_beyond_replicas', handle, String(error));
      else if (!handle.isLost) verdict.count('lost_legitimately');
      handle.isLost = true;
    } else {
      this.#found(
        'errors',
        handle,
        `fetch failed with ${error instanceof Error ? error.stack : String(error)}`,
      );
    }
  }

  end({ handle }: Reading): void {
    handle.readings--;
  }

  /** The process ended: nothing is in progress any more. */
  ended(): void {
    for (const handle of this.#handles.values()) handle.readings = 0;
  }

  #change(handle: Handle, stamp: number): void {
    handle.stamp = stamp;
    handle.isLost = false;
    handle.changes++;
    if (handle.readings > 0) handle.held.push(stamp);
  }

  #handle(page: PageRef, kind: PoolKind): Handle {
    const name = nameOf(page);
    let handle = this.#handles.get(name);
    if (handle === undefined) {
      handle = { page, kind, stamp: EMPTY, isLost: false, changes: 0, readings: 0, held: [] };
      this.#handles.set(name, handle);
    }
    return handle;
  }

  #found(what: Parameters<Verdict['found']>[0], { page, kind, stamp }: Handle, words: string): void {
    const { name, verdict } = this.#options;
    verdict.found(what, name, `${kind} page ${nameOf(page)} (put ${stamp || 'none'}): ${words}`);
  }
}

/** A handle in words: pool, object, index. */
export function nameOf({ pool, oid, index }: PageRef): string {
  return `${pool}/${oid.w0}/${index}`;
}

function show(bytes: Uint8Array): string {
  const shown = Buffer.from(bytes.subarray(0, 8)).toString('hex');
  return `${bytes.length} bytes, ${shown}... (put ${Buffer.concat([bytes, Buffer.alloc(4)]).readUInt32LE(0)}?)`;
}
