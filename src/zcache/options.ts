/**
 * The options of clients and pools, and their names.
 *
 * Clients and pools are opened or created by name, so "not given" and "given" are different things: what was not
 * given takes the default when the thing is created, and is not compared when it exists already.
 */

import * as v from 'valibot';
import { ARENA_BYTES_MAX, ARENAS_MAX } from '../arena/index.ts';
import { TmemError } from '../errors.ts';
import type { StoreSettings } from './settings.ts';
import { PAGE_BYTES } from './settings.ts';
import { byteSize, choice, show, validate, whole } from './validation.ts';

/** Weight of a client that was given none; shares follow the ratio of weights. */
export const CLIENT_WEIGHT_DEFAULT = 100;

/** Enough for any ratio of shares that can be measured, and weight * frames still fits 53 bits. */
const CLIENT_WEIGHT_MAX = 1_000_000;

/** A name has to fit its field in the arena. */
export const NAME_BYTES_MAX = 64;

const clientSchema = v.object({
  /** Share of the memory when it is short, relative to the other clients. */
  weight: v.optional(whole(1, CLIENT_WEIGHT_MAX)),
  /** Most bytes of frames the client may hold; one frame at least. */
  cap: v.optional(byteSize(PAGE_BYTES, ARENAS_MAX * ARENA_BYTES_MAX)),
});

/** A UUID in its usual notation, with or without hyphens. */
const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;

const UUID_ALLOWED = "a UUID such as 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6'";

const poolSchema = v.object({
  /** Ephemeral pages may vanish at any time; persistent ones stay until they are flushed. */
  kind: choice(['ephemeral', 'persistent']),
  /**
   * 'none': pages are kept as they are, in zv blocks of just their size (above 4080 bytes in a frame); for bytes that
   * are compressed or encrypted already. What the store refuses as badly compressible does not concern such a pool.
   */
  codec: v.optional(choice(['lz4', 'lzo', 'none'])),
  /** Where pages live; 'raw' keeps each uncompressed in a frame of its own (a hot level). */
  pam: v.optional(choice(['zbud', 'zv', 'raw'])),
  /** Clients that give the same UUID share the pool, if they were granted it. */
  shared: v.optional(v.pipe(v.string(UUID_ALLOWED), v.regex(UUID, UUID_ALLOWED))),
  /** Raw pools: most pages in the pool; above it the least recently used one is demoted, or dropped. */
  limit: v.optional(whole(1, 2 ** 32 - 1, 'pages')),
  /** The pool that takes the least recently used page when a put goes over `limit`. */
  demoteTo: v.optional(v.custom<object>((value) => typeof value === 'object' && value !== null, 'a pool')),
});

export type ClientOptions = v.InferInput<typeof clientSchema>;

/** Checked client options; undefined is "not given". */
export type ClientSettings = Readonly<v.InferOutput<typeof clientSchema>>;

/** What a new pool is made of. `DemoteTo` is the pool class of whoever calls. */
export type PoolOptions<DemoteTo extends object = object> = Omit<
  v.InferInput<typeof poolSchema>,
  'demoteTo'
> & {
  demoteTo?: DemoteTo | undefined;
};

/** Checked pool options; undefined is "not given". `shared` is in lower case with hyphens. */
export type PoolSettings<DemoteTo extends object = object> = Readonly<PoolOptions<DemoteTo>>;

/**
 * @throws TmemError TMEM_ERR_SETTING naming each wrong option
 */
export function clientOptions(options: ClientOptions = {}): ClientSettings {
  return validate(clientSchema, options, 'client', 'TMEM_ERR_SETTING');
}

/** Things of the old interface that are refused with a reason rather than as unknown words. */
const NOT_SUPPORTED: Readonly<Record<string, string>> = {
  precompressed:
    'precompressed: not supported, the store compresses pages itself and needs to see their bytes',
  pageSize: 'pageSize: not supported, a page has 1 to 4096 bytes',
};

/**
 * @throws TmemError TMEM_ERR_POOL_FLAGS naming each wrong or contradicting option
 */
export function poolOptions<DemoteTo extends object>(options: PoolOptions<DemoteTo>): PoolSettings<DemoteTo> {
  if (typeof options === 'object' && options !== null) {
    const reasons = Object.keys(options).flatMap((name) =>
      Object.hasOwn(NOT_SUPPORTED, name) ? [NOT_SUPPORTED[name]] : [],
    );
    if (reasons.length > 0) throw new TmemError('TMEM_ERR_POOL_FLAGS', `pool: ${reasons.join('; ')}`);
  }
  const given = validate(poolSchema, options, 'pool', 'TMEM_ERR_POOL_FLAGS', (pool) => {
    const found: string[] = [];
    if (pool.demoteTo !== undefined && pool.limit === undefined) {
      found.push('demoteTo: needs limit, the number of pages above which pages move');
    }
    if (pool.limit !== undefined && pool.pam !== 'raw')
      found.push("limit: needs pam 'raw'; use a client's cap");
    if (pool.limit !== undefined && pool.kind !== 'ephemeral') found.push("limit: needs kind 'ephemeral'");
    if (pool.demoteTo !== undefined && pool.pam !== 'raw') found.push("demoteTo: needs pam 'raw'");
    if (pool.pam === 'raw' && pool.codec !== undefined && pool.codec !== 'none')
      found.push("codec: none with pam 'raw', nothing is compressed");
    if (pool.pam === 'zbud' && pool.codec === 'none') found.push("codec: 'none' needs pam 'zv'");
    return found;
  });
  return {
    ...given,
    demoteTo: given.demoteTo as DemoteTo | undefined,
    shared: given.shared === undefined ? undefined : canonicalUuid(given.shared),
  };
}

function canonicalUuid(uuid: string): string {
  const digits = uuid.replaceAll('-', '').toLowerCase();
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** Codec and memory of a pool that is being created: what was given, else what the store's settings say. */
export function poolDefaults(pool: PoolSettings, settings: StoreSettings) {
  const usual = pool.kind === 'ephemeral' ? settings.ephemeralPam : settings.persistentPam;
  return { codec: pool.codec ?? settings.codec, pam: pool.pam ?? (pool.codec === 'none' ? 'zv' : usual) };
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/**
 * Checks the name of a client or pool: 1 to 64 bytes of UTF-8, no control characters.
 *
 * @throws TmemError TMEM_ERR_NAME, or TMEM_ERR_TYPE if it is no string
 */
export function checkedName(what: 'client' | 'pool', name: string): string {
  if (typeof name !== 'string')
    throw new TmemError('TMEM_ERR_TYPE', `${what}: the name must be a string, got ${show(name)}`);
  const bytes = Buffer.byteLength(name);
  let wrong: string | undefined;
  if (bytes === 0) wrong = 'is empty';
  else if (bytes > NAME_BYTES_MAX) wrong = `has ${bytes} bytes`;
  else if (!name.isWellFormed()) wrong = 'is not well-formed Unicode';
  else if (CONTROL_CHARACTERS.test(name)) wrong = 'has control characters';
  if (wrong === undefined) return name;
  throw new TmemError(
    'TMEM_ERR_NAME',
    `${what}: the name ${show(name)} ${wrong}; allowed are 1 to ${NAME_BYTES_MAX} bytes of UTF-8 without control ` +
      'characters',
  );
}
