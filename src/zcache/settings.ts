/**
 * The settings of a store: everything `open` takes, checked and filled in.
 *
 * Each bound has its reason beside it. A wrong setting throws TMEM_ERR_SETTING; all mistakes are listed at once.
 */

import { isDeepStrictEqual } from 'node:util';
import * as v from 'valibot';
import {
  ARENA_BYTES_MAX,
  ARENAS_MAX,
  CLIENTS_MAX,
  POOLS_MAX,
  SLOTS_MAX,
  STAGING_PAGES_MAX,
} from '../arena/index.ts';
import { TmemError } from '../errors.ts';
import { formatByteSize } from './byte-size.ts';
import { type ShrinkerSettings, shrinkerContradictions, shrinkerSchema } from './pressure/index.ts';
import { byteSize, choice, flag, validate, whole } from './validation.ts';

export const PAGE_BYTES = 4096;

/** The fixed part of an arena takes one to two MiB; below 8 MiB it would be more than a quarter. */
export const ARENA_BYTES_MIN = 8 * 2 ** 20;

/** A thread for each core of a usual machine and some more; with a name for a few such processes. */
const THREADS_DEFAULT = 8;
const NAMED_THREADS_DEFAULT = 32;

/** Staging pages may take at most this share of the memory: a quarter. */
const STAGING_SHARE = 1 / 4;

/** Default staging: a 64th of the memory for all threads together, within these bounds. */
const STAGING_DEFAULT_SHARE = 1 / 64;
const STAGING_PAGES_MIN = 8;
/** 64 pages hold one request of 256 KiB, the largest that readahead and block devices send. */
const STAGING_PAGES_DEFAULT_MAX = 64;

/** With its descriptor of 16 bytes a page of this size fills a frame; larger ones are kept raw or refused. */
const ZV_PAGE_BYTES_MAX = PAGE_BYTES - 16;

/** Off: puts become flushes. */
const enabled = v.optional(flag, true);

const cleancacheSettings = v.object(
  {
    enabled,
    /** Take only pages that their owner used at least twice. */
    ignoreInactive: v.optional(flag, false),
  },
  'an object such as { enabled: false }',
);

const frontswapSettings = v.object(
  {
    enabled,
    /** A successful load frees the store's copy. Only for callers that then own the only copy. */
    exclusiveLoads: v.optional(flag, false),
    /** Low bits of the offset that go into the oid; above 16 each object would hold next to nothing. */
    swizzleBits: v.optional(whole(0, 16, 'bits'), 4),
  },
  'an object such as { swizzleBits: 4 }',
);

export const settingsSchema = v.object({
  /** Hard bound on everything the store uses, metadata and fixed tables included. */
  memory: byteSize(ARENA_BYTES_MIN, ARENAS_MAX * ARENA_BYTES_MAX),
  /** WebAssembly memories the store consists of; by default as few as hold `memory`. */
  arenas: v.optional(whole(1, ARENAS_MAX)),
  /** Threads that may be attached at one time, of all processes. Each has a slot with counters and staging pages. */
  threads: v.optional(whole(1, SLOTS_MAX)),
  /** Pools at one time. A pool id has 16 bits and 0 is none. */
  pools: v.optional(whole(1, POOLS_MAX), 4096),
  /** Clients at one time. A pool has a bit for each client that may share it. */
  clients: v.optional(whole(1, CLIENTS_MAX), 255),
  /** Pages of each thread's staging area inside the arena. */
  stagingPages: v.optional(whole(STAGING_PAGES_MIN, STAGING_PAGES_MAX, 'pages')),
  /** Codec of pools that name none. */
  codec: v.optional(choice(['lz4', 'lzo']), 'lz4'),
  /** Memory of ephemeral pools that name none: zbud frees whole frames at little cost, zv is denser. */
  ephemeralPam: v.optional(choice(['zbud', 'zv']), 'zbud'),
  /** Memory of persistent pools that name none. */
  persistentPam: v.optional(choice(['zv', 'zbud']), 'zv'),
  /** Check each page against its checksum when it is read. By default as `debug`. */
  verify: v.optional(flag),
  /** Largest compressed page zv takes: 7/8 page, as in the original; above it holding saves too little. */
  zvMaxPageBytes: v.optional(whole(64, ZV_PAGE_BYTES_MAX, 'bytes'), 3584),
  /** A page above this is refused while the running mean is above it too: 5/8 page, as in the original. */
  zvMaxMeanBytes: v.optional(whole(64, PAGE_BYTES, 'bytes'), 2560),
  /** Most persistent pages, in percent of memory / 4096. Above 100 makes sense: pages are compressed. */
  persistentLimitPercent: v.optional(
    v.union([v.literal('off'), whole(1, 1000, "percent (or 'off')")], "'off' or percent from 1 to 1000"),
    'off',
  ),
  /** Pages that do not compress: refuse them, or (with no device behind the store) keep them raw. */
  incompressible: v.optional(choice(['refuse', 'store']), 'refuse'),
  /** Order of reclaim: by last use, or the original's (all half-filled frames before any full one). */
  reclaimOrder: v.optional(choice(['lru', 'unbuddied-first']), 'lru'),
  /** Touch all memory at open: then no put pays for it (1.7 µs for each fresh page), but all of it is resident. */
  prefault: v.optional(flag, false),
  /** Use the debug build of the arena: assertions and sentinels, several times slower. */
  debug: v.optional(flag, false),
  /** Longest wait for a lock before TMEM_ERR_BUSY. Locks are held for microseconds. */
  lockTimeoutMs: v.optional(whole(10, 600_000, 'milliseconds'), 5000),
  cleancache: v.optional(cleancacheSettings, {}),
  frontswap: v.optional(frontswapSettings, {}),
  shrinker: v.optional(shrinkerSchema, {}),
});

/** What a store is made with; only `memory` is required. */
export type SettingsOptions = v.InferInput<typeof settingsSchema>;

/** Where a named store is. */
interface PlaceOptions {
  /** 1 to 64 letters, digits, '.', '_' and '-', the first a letter or digit. */
  readonly name?: string | undefined;
  /** Where named stores are: a directory in memory (tmpfs), by default /dev/shm. */
  readonly directory?: string | undefined;
}

/**
 * What `open` takes. A store without a name needs `memory` and ends with its process. A store with a name is a file in
 * `directory`, for all processes of the user; `memory` may be left out when it exists, and what is given has to agree.
 */
export type StoreOptions =
  | (SettingsOptions & PlaceOptions)
  | (Partial<SettingsOptions> & PlaceOptions & { readonly name: string });

type Checked = v.InferOutput<typeof settingsSchema>;

/** All settings of a store, every one present. Plain data: it can be sent to a worker. */
export type StoreSettings = Readonly<
  Required<Omit<Checked, 'cleancache' | 'frontswap' | 'shrinker'>> & {
    cleancache: Readonly<Checked['cleancache']>;
    frontswap: Readonly<Checked['frontswap']>;
    shrinker: ShrinkerSettings;
  }
>;

/** Thread slots of a store that is made without a number. */
export function threadsFor(isNamed: boolean): number {
  return isNamed ? NAMED_THREADS_DEFAULT : THREADS_DEFAULT;
}

/** The fewest arenas that hold `memory` bytes. */
function arenasFor(memory: number): number {
  return Math.ceil(memory / ARENA_BYTES_MAX);
}

function stagingPagesFor(memory: number, threads: number): number {
  const share = Math.floor((memory * STAGING_DEFAULT_SHARE) / PAGE_BYTES / threads);
  return Math.min(Math.max(share, STAGING_PAGES_MIN), STAGING_PAGES_DEFAULT_MAX);
}

/** Rules between settings. Each complaint names the setting to change and both values. */
export function contradictions(given: Checked, isNamed: boolean): string[] {
  const { memory, threads = threadsFor(isNamed) } = given;
  const size = formatByteSize(memory);
  const found: string[] = [];
  const arenasMost = Math.min(ARENAS_MAX, Math.floor(memory / ARENA_BYTES_MIN));
  if (given.arenas !== undefined && (given.arenas < arenasFor(memory) || given.arenas > arenasMost)) {
    found.push(
      `arenas: got ${given.arenas}, allowed is ${arenasFor(memory)} to ${arenasMost} with memory ${size} ` +
        '(an arena has 8 MiB to 4 GiB)',
    );
  }
  const stagingPages = given.stagingPages ?? stagingPagesFor(memory, threads);
  if (threads * stagingPages * PAGE_BYTES > memory * STAGING_SHARE) {
    found.push(
      `threads: got ${threads} with ${stagingPages} staging pages each, allowed is at most a quarter of ` +
        `memory ${size} for staging`,
    );
  }
  if (given.zvMaxMeanBytes > given.zvMaxPageBytes) {
    found.push(
      `zvMaxMeanBytes: got ${given.zvMaxMeanBytes}, allowed is at most zvMaxPageBytes (${given.zvMaxPageBytes})`,
    );
  }
  return [...found, ...shrinkerContradictions(given.shrinker)];
}

/**
 * Checks what was given to `open` and fills in the rest.
 *
 * @throws TmemError TMEM_ERR_SETTING naming each wrong setting, its value and what is allowed
 */
export function storeSettings(options: SettingsOptions, isNamed = false): StoreSettings {
  const given = validate(settingsSchema, options, 'open', 'TMEM_ERR_SETTING', (checked) =>
    contradictions(checked, isNamed),
  );
  const threads = given.threads ?? threadsFor(isNamed);
  return {
    ...given,
    arenas: given.arenas ?? arenasFor(given.memory),
    threads,
    stagingPages: given.stagingPages ?? stagingPagesFor(given.memory, threads),
    verify: given.verify ?? given.debug,
  };
}

/** What each thread decides for itself, whatever the store was created with. */
const OWN_SETTINGS: readonly string[] = ['debug', 'prefault', 'shrinker'];

/**
 * The settings of a store that exists, from the text it was created with, for a thread that opens it with `options`.
 *
 * @throws TmemError TMEM_ERR_SETTING as storeSettings; TMEM_ERR_NAME_MISMATCH when something given differs from what
 *   the store has; TMEM_ERR_DAMAGED when the text is none
 */
export function existingSettings(
  text: string,
  options: Partial<SettingsOptions>,
  path: string,
): StoreSettings {
  let stored: StoreSettings;
  try {
    // A later version may have written more.
    const known = Object.entries(JSON.parse(text)).filter(([key]) => key in settingsSchema.entries);
    stored = storeSettings(Object.fromEntries(known) as unknown as SettingsOptions, true);
  } catch (cause) {
    throw new TmemError('TMEM_ERR_DAMAGED', `${path}: its settings are not readable`, { cause });
  }
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const wanted = storeSettings({ ...stored, ...given }, true) as unknown as Record<string, unknown>;
  const differing = Object.keys(given).filter(
    (key) =>
      !OWN_SETTINGS.includes(key) &&
      !isDeepStrictEqual(wanted[key], (stored as unknown as Record<string, unknown>)[key]),
  );
  if (differing.length > 0) {
    const list = differing.map(
      (key) =>
        `${key} is ${JSON.stringify((stored as unknown as Record<string, unknown>)[key])}, not ` +
        JSON.stringify(wanted[key]),
    );
    throw new TmemError(
      'TMEM_ERR_NAME_MISMATCH',
      `${path} exists with other settings: ${list.join(', ')}; leave them out, or remove the store first`,
    );
  }
  return wanted as unknown as StoreSettings;
}
