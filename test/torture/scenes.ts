// What the processes of a torture run do: the stores they share, their pools, and how often they do what.
//
// The pools below are checked: a few handles that all threads work on at the same time, every operation logged. Beside
// them pages that nobody logs keep the store full, trees growing and frames changing hands; each of those says itself
// which page it is.

import type { StoreOptions } from '../../src/index.ts';
import type { PoolOptions } from '../../src/zcache/options.ts';
import type { Mix } from '../threads/workload.ts';

export interface CheckedPool {
  readonly name: string;
  readonly options: Omit<PoolOptions, 'demoteTo'>;
  /** What falls out of it goes to the pool `cold`. */
  readonly demotes?: boolean;
  /** It is destroyed now and then, and created anew by whoever comes next. */
  readonly isFleeting?: boolean;
  /** With writeAt all pages are of the kind that can be patched. */
  readonly mix: Mix;
}

const mix: Mix = { put: 30, keep: 18, free: 9, flushPage: 6, flushObject: 2, exchange: 8 };
const patching: Mix = { ...mix, writeAt: 12, readAt: 8 };

export const CHECKED: readonly CheckedPool[] = [
  { name: 'kept', options: { kind: 'persistent', pam: 'zv' }, mix },
  { name: 'cache', options: { kind: 'ephemeral', pam: 'zbud' }, mix: { ...patching, flushPool: 1 } },
  { name: 'hot', options: { kind: 'ephemeral', pam: 'raw', limit: 12 }, mix, demotes: true },
  { name: 'fleeting', options: { kind: 'persistent', pam: 'zbud' }, mix: patching, isFleeting: true },
];

export const HANDLES = { objects: 3, indexes: 5 };
export const HANDLES_A_POOL = HANDLES.objects * HANDLES.indexes;
/** Indexes of an object's handles: in the first node, in the next, far away. */
export const INDEXES = [0, 5, 64, 70_000, 0xffff_ffff];

/** Client of the checked pools; its cap is small enough that puts are refused. */
export const CLIENT = { name: 'checked', cap: 1_200_000 };
export const COLD = { name: 'cold', options: { kind: 'ephemeral', pam: 'zv' } } as const;
/** Ephemeral pages that fill what is left. */
export const PRESSURE = {
  client: 'pressure',
  name: 'pressure',
  options: { kind: 'ephemeral' },
  objects: 150,
  indexes: 20,
} as const;
/** Persistent pages that are put once and have to be there for ever. */
export const ARCHIVE = {
  client: 'archive',
  name: 'archive',
  options: { kind: 'persistent', pam: 'raw' },
  pages: 400,
} as const;

export interface Scene {
  readonly name: string;
  readonly store: Omit<StoreOptions, 'name' | 'directory'> & { readonly memory: string };
}

const store = { threads: 14, pools: 16, clients: 6, stagingPages: 8 };

export const SCENES: readonly Scene[] = [
  { name: 'one arena', store: { ...store, memory: '8 MiB' } },
  { name: 'two arenas', store: { ...store, memory: '16 MiB', arenas: 2 } },
];

/** Of a thousand operations of a thread, about so many; the rest are logged ones. */
export const BESIDE = {
  ...{ pressure: 180, neighbour: 120, archive: 40, cold: 6, walk: 2, stats: 2, shrink: 8, giveBack: 6 },
  ...{ destroy: 3 },
} as const;
