/**
 * The settings of the daemon, checked as a whole: whoever gets something wrong learns about all of it at once.
 *
 * They are the same wherever they come from (sources.ts); the file has the shape of `ServeInput`. A size may be a
 * number of bytes or text such as '2 GiB'. Store and exports may be told what `open` and `AreaExport.open` take.
 */

import { availableParallelism } from 'node:os';
import { isAbsolute } from 'node:path';
import * as v from 'valibot';
import { ARENA_BYTES_MAX, ARENAS_MAX, CLIENTS_MAX, checkedStoreName } from '../arena/index.ts';
import { exportMistakes, SIZE_MAX } from '../nbd/area-export.ts';
import { storeNeeds } from '../nbd/export-clients.ts';
import type { Address, AreaExportOptions } from '../nbd/index.ts';
import { STRING_BYTES_MAX } from '../nbd/protocol.ts';
import { GRACE_DEFAULT_MS } from '../nbd/server.ts';
import { THREADS_MAX } from '../nbd/threaded-server.ts';
import { descriptors, type StoreOptions, TmemError } from '../zcache/index.ts';
import { contradictions, PAGE_BYTES, settingsSchema, threadsFor } from '../zcache/settings.ts';
import { byteSize, choice, flag, validate, whole } from '../zcache/validation.ts';
import { ADDRESS_ALLOWED, addressText, parseAddress } from './addresses.ts';
import { pathSchema } from './paths.ts';
import { ramsterSchema, type ServeRamster } from './ramster-settings.ts';

const THREADS_DEFAULT_MAX = 4;

/** The main thread is attached to the store, too; a second daemon and a tool that looks need a slot each. */
const THREADS_BESIDE = 3;

const EXPORTS_MAX = 1000;
/** Nodes whose pages are held, each a client of the store: some times the usual number of partners. */
const OWNERS_EXPECTED = 64;
const LISTEN_MAX = 16;

const EXPORT_ALLOWED =
  "an object such as { name: 'vm1', kind: 'swap', size: '2 GiB' }, or text such as vm1=swap:2GiB or " +
  'a=disk:./a.img (a file needs a slash)';

const LISTEN_MISSING = "listen: is required, such as 'unix:/run/tmem/nbd.sock'";

const addressSchema = v.pipe(
  v.string(ADDRESS_ALLOWED),
  v.rawTransform<string, Address>(({ dataset, addIssue, NEVER }) => {
    const address = parseAddress(dataset.value);
    if (address !== undefined) return address;
    addIssue({ message: ADDRESS_ALLOWED });
    return NEVER;
  }),
);

const TEXT_ALLOWED = `text of at most ${STRING_BYTES_MAX} bytes`;
const textSchema = v.pipe(
  v.string(TEXT_ALLOWED),
  v.check(
    (text) => Buffer.byteLength(text) <= STRING_BYTES_MAX && text.isWellFormed() && !text.includes('\0'),
    TEXT_ALLOWED,
  ),
);

const exportSchema = v.pipe(
  v.object(
    {
      name: textSchema,
      description: v.optional(textSchema),
      kind: choice(['swap', 'disk', 'ram']),
      size: v.optional(byteSize(1, SIZE_MAX)),
      sizeMax: v.optional(byteSize(1, SIZE_MAX)),
      file: v.optional(pathSchema),
      readOnly: v.optional(flag),
      writethrough: v.optional(flag),
      cache: v.optional(flag),
      memoryMax: v.optional(byteSize(PAGE_BYTES, ARENAS_MAX * ARENA_BYTES_MAX)),
    },
    EXPORT_ALLOWED,
  ),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    for (const message of exportMistakes(dataset.value as AreaExportOptions)) addIssue({ message });
  }),
);

const storeSchema = v.pipe(
  v.object(
    {
      ...settingsSchema.entries,
      memory: v.optional(settingsSchema.entries.memory),
      name: v.optional(v.pipe(v.string(), v.check(isStoreName, "letters, digits, '.', '_' and '-'"))),
      directory: v.optional(v.pipe(v.string(), v.check(isAbsolute, 'the absolute path of a directory'))),
    },
    "an object such as { memory: '1 GiB' }",
  ),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const { memory, name, directory } = dataset.value;
    const found =
      memory === undefined ? [] : contradictions({ ...dataset.value, memory }, name !== undefined);
    if (memory === undefined && name === undefined)
      found.push('memory: is required for a store without a name');
    if (directory !== undefined && name === undefined)
      found.push('directory: allowed only together with name');
    for (const message of found) addIssue({ message });
  }),
);

const tlsSchema = v.object(
  {
    /** Paths of PEM files. */
    certificate: pathSchema,
    key: pathSchema,
    /** Clients need a certificate signed by this authority; without it any client is let in. */
    authority: v.optional(pathSchema),
    required: v.optional(flag),
  },
  "an object such as { certificate: '/etc/tmem/cert.pem', key: '/etc/tmem/key.pem' }",
);

const serveSchema = v.object({
  store: v.optional(storeSchema, {}),
  listen: v.optional(
    v.pipe(v.array(addressSchema, 'a list of addresses'), v.maxLength(LISTEN_MAX, `at most ${LISTEN_MAX}`)),
    [],
  ),
  /** Threads that serve connections; 0: the main one does. */
  threads: v.optional(whole(0, THREADS_MAX)),
  /** Where metrics and health are served. */
  http: v.optional(addressSchema),
  tls: v.optional(tlsSchema),
  /** Longest time from the connection of a client to its choice of an export. */
  handshakeTimeoutMs: v.optional(whole(100, 600_000, 'milliseconds')),
  connectionsMax: v.optional(whole(1, 65_536)),
  /** Longest wait for requests under way when the daemon ends. */
  drainTimeoutMs: v.optional(whole(0, 600_000, 'milliseconds'), GRACE_DEFAULT_MS),
  exports: v.optional(
    v.pipe(
      v.array(exportSchema, 'a list of exports'),
      v.maxLength(EXPORTS_MAX, `at most ${EXPORTS_MAX} exports`),
    ),
    [],
  ),
  /** Makes it a node of a cluster. */
  ramster: v.optional(ramsterSchema),
});

/** What a settings file holds. */
export type ServeInput = v.InferInput<typeof serveSchema>;

type Checked = v.InferOutput<typeof serveSchema>;

export type ServeSettings = Readonly<Omit<Checked, 'store' | 'exports' | 'threads' | 'ramster'>> & {
  /** What a store is made with. */
  readonly store: StoreOptions;
  /** What was said of the store: a named one that exists has settings of its own beside it. */
  readonly storeGiven: StoreOptions;
  readonly threads: number;
  readonly exports: readonly AreaExportOptions[];
  readonly ramster?: ServeRamster | undefined;
};

/**
 * Checks settings and fills in the rest.
 *
 * @param inherited - there are sockets to listen on besides those the settings name
 * @param complaints - what is known to be wrong already
 * @throws TmemError TMEM_ERR_SETTING naming each wrong setting, its value and what is allowed
 */
export function serveSettings(
  input: unknown,
  inherited = false,
  complaints: readonly string[] = [],
): ServeSettings {
  const { listen, store = {}, exports, ramster } = (input ?? {}) as Record<string, unknown>;
  const lendsOnly = isNothing(exports) && ramster !== undefined;
  const isDeaf = !inherited && !lendsOnly && isNothing(listen);
  const known = isDeaf ? [...complaints, LISTEN_MISSING] : complaints;
  const checked = withComplaints(known, () =>
    validate(serveSchema, input, 'settings', 'TMEM_ERR_SETTING', (given) =>
      contradictionsOf(given, store as StoreOptions),
    ),
  );
  const threads = threadsOf(checked);
  return {
    ...checked,
    threads,
    store: storeOptions(store as StoreOptions, checked, threads),
    storeGiven: store as StoreOptions,
    exports: checked.exports as AreaExportOptions[],
  };
}

function isNothing(list: unknown): boolean {
  return list === undefined || (Array.isArray(list) && list.length === 0);
}

/** What `check` returns, unless there are complaints; its own come first. */
function withComplaints<Result>(complaints: readonly string[], check: () => Result): Result {
  let found = 'settings';
  try {
    const result = check();
    if (complaints.length === 0) return result;
    found += ':';
  } catch (error) {
    if (!TmemError.is(error) || complaints.length === 0) throw error;
    found = `${error.message};`;
  }
  throw new TmemError('TMEM_ERR_SETTING', `${found} ${complaints.join('; ')}`);
}

/** Without the calls of `descriptors` the main thread has to serve. */
function threadsOf({ threads }: Checked): number {
  if (threads !== undefined) return threads;
  return descriptors() === undefined ? 0 : Math.min(THREADS_DEFAULT_MAX, availableParallelism());
}

/** What was given, and the rest as a store that is made for these exports needs it. */
function storeOptions(
  given: StoreOptions,
  { exports, store, ramster }: Checked,
  threads: number,
): StoreOptions {
  const isNamed = given.name !== undefined;
  const needed = storeNeeds(exports).clients + (ramster === undefined ? 0 : OWNERS_EXPECTED);
  return {
    // Without a file nobody else takes what the store refuses; a named store may get such exports later.
    ...(isNamed || exports.some(({ file }) => file === undefined) ? { incompressible: 'store' } : {}),
    threads: Math.max(threadsFor(isNamed), threads + THREADS_BESIDE),
    // In a reload those that come are there before others go.
    ...(needed > store.clients ? { clients: Math.min(2 * needed, CLIENTS_MAX) } : {}),
    ...given,
  };
}

function contradictionsOf(given: Checked, storeGiven: StoreOptions): string[] {
  const { store, listen, exports, ramster } = given;
  const found: string[] = [];
  if (exports.length === 0 && ramster === undefined)
    found.push(
      'exports: got an empty array, allowed is at least one export (or none on a node, see ramster)',
    );
  const threads = threadsOf(given);
  if (store.threads !== undefined && store.threads < threads + 1) {
    found.push(
      `store.threads: got ${store.threads}, allowed is at least ${threads + 1} with threads ${threads}`,
    );
  }
  const needed = storeNeeds(exports);
  if (needed.clients > CLIENTS_MAX) {
    found.push(
      `exports: they need ${needed.clients} clients of the store (with cache two each), ` +
        `allowed are at most ${CLIENTS_MAX}`,
    );
  }
  for (const name of ['clients', 'pools'] as const) {
    if (storeGiven[name] === undefined || store[name] >= needed[name]) continue;
    found.push(`store.${name}: got ${store[name]}, allowed is at least ${needed[name]} with these exports`);
  }
  // Ports that are chosen are different ones.
  const places = listen.map(addressText).filter((text) => !text.endsWith(':0'));
  found.push(
    ...repeated(places).map((text) => `listen: ${text} is named twice`),
    ...repeated(exports.map(({ name }) => name)).map((name) => `exports: two are called '${name}'`),
  );
  return found;
}

/** Those that occur more than once. */
function repeated(texts: readonly string[]): string[] {
  return [...new Set(texts.filter((text, i) => texts.indexOf(text) !== i))];
}

function isStoreName(name: string): boolean {
  try {
    return checkedStoreName(name) === name;
  } catch (error) {
    if (TmemError.is(error)) return false;
    throw error;
  }
}
