/**
 * Survey: one walk through all records, in small steps. It finds which copies are named at which place, how many
 * persistent pages are away, and which of them have too few copies.
 */

import type { PageRef } from '../local/local-pages.ts';
import type { PageId } from '../page-id.ts';
import { decodeRecord, type RemoteRecord } from '../record.ts';
import { copyHealth, type OwnerParts, sleep } from './parts.ts';

/** Records of a step: well under a millisecond. */
const STEP_RECORDS = 256;
/** Pages to be repaired that are remembered; another survey finds the rest. */
const REPAIRS_MAX = 65_536;

export interface Survey {
  /** When it began. */
  readonly beganMs: number;
  /** Copies with ids below this were decided before the survey began. */
  readonly below: PageId;
  /** Ids that may lie where no record named them, or were moved since. */
  readonly unsettled: ReadonlySet<PageId>;
  /** Sorted ids of the copies named at a place (`placeKey`). */
  readonly named: ReadonlyMap<string, Float64Array>;
  /** Copies at each node that holds any, by its number. */
  readonly copies: ReadonlyMap<number, number>;
  /** Sorted ids of the persistent pages that are away. */
  readonly persistent: Float64Array;
  /** Pages with a place that is not good; `hasMore`: and others, for which there was no room here. */
  readonly repairs: readonly PageRef[];
  readonly hasMore: boolean;
  /** Persistent pages with fewer good copies than they should have. */
  readonly shortPages: number;
  /** To be called when the survey is not used any more. */
  end(): void;
}

export function placeKey(node: number, memory: number): string {
  return `${node}/${memory}`;
}

/** Where a sorted list has an id; -1: nowhere. */
export function indexOfId(ids: Float64Array, id: PageId): number {
  let low = 0;
  let high = ids.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ids[middle] as number) < id) low = middle + 1;
    else high = middle;
  }
  return ids[low] === id ? low : -1;
}

export async function survey(parts: OwnerParts): Promise<Survey> {
  const { local, clock, ids, unsettled, away } = parts;
  const beganMs = clock.now();
  const below = ids.next;
  const seen = unsettled.watch();
  away.begin();
  const named = new Map<string, number[]>();
  const copies = new Map<number, number>();
  const repairs: PageRef[] = [];
  const persistent: number[] = [];
  let hasMore = false;
  let shortPages = 0;
  let cursor: unknown;
  try {
    do {
      const batch = local.records(cursor, STEP_RECORDS);
      for (const { page, record: bytes } of batch.pages) {
        const record = decodeRecord(bytes);
        if (record === undefined || record.lost) continue;
        if (record.kind === 'persistent') persistent.push(record.id);
        for (const { node, memory } of record.places) {
          copies.set(node, (copies.get(node) ?? 0) + 1);
          const key = placeKey(node, memory);
          const list = named.get(key);
          if (list === undefined) named.set(key, [record.id]);
          else list.push(record.id);
        }
        const need = needOf(parts, record);
        if (need !== 'none') {
          if (repairs.length < REPAIRS_MAX) repairs.push(page);
          else hasMore = true;
        }
        if (need === 'short') shortPages++;
      }
      cursor = batch.next;
      if (cursor !== undefined) await sleep(clock, 0);
    } while (cursor !== undefined);
  } catch (error) {
    unsettled.unwatch(seen);
    throw error;
  }
  const sorted = new Map([...named].map(([key, list]) => [key, Float64Array.from(list).sort()]));
  return {
    ...{ beganMs, below, unsettled: seen, named: sorted, copies, repairs, hasMore, shortPages },
    persistent: Float64Array.from(persistent).sort(),
    end: () => unsettled.unwatch(seen),
  };
}

/** 'short': too few good copies. 'move': enough, but some holder leaves. Ephemeral pages are never copied anew. */
export function needOf(parts: OwnerParts, record: RemoteRecord): 'none' | 'short' | 'move' {
  if (record.kind === 'ephemeral') return 'none';
  const { settings } = parts;
  const health = record.places.map((place) => copyHealth(parts, place, record.id));
  const good = health.filter((each) => each === 'good').length;
  const leaving = health.filter((each) => each === 'leaving').length;
  if (good >= settings.replicas) return 'none';
  return good + leaving >= settings.replicas ? 'move' : 'short';
}
