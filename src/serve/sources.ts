/**
 * Where settings come from: a JSON file, the environment, flags of the command line. Flags win over the environment,
 * which wins over the file.
 *
 * Environment and flags have the same names: `--drain-timeout-ms` and TMEM_SERVE_DRAIN_TIMEOUT_MS. A list given there
 * takes the place of the file's; an export takes the place of the file's export of its name, or is one more.
 */

import { readFileSync } from 'node:fs';
import { TmemError } from '../zcache/index.ts';
import { parseExport } from './export-text.ts';
import { type ServeSettings, serveSettings } from './settings.ts';

/** A setting that can be given as text. */
export interface TextSetting {
  /** Of the flag, without its dashes. */
  readonly name: string;
  /** Where it is in the settings. */
  readonly path: readonly [string] | readonly [string, string];
  /** What stands for the value in a help text. */
  readonly value: string;
  readonly kind: 'text' | 'number' | 'boolean' | 'list' | 'exports';
  readonly description: string;
}

export const TEXT_SETTINGS: readonly TextSetting[] = [
  {
    ...{ name: 'memory', path: ['store', 'memory'], value: 'size', kind: 'text' },
    description: "all the memory the store may take, such as '1 GiB'",
  },
  {
    ...{ name: 'name', path: ['store', 'name'], value: 'name', kind: 'text' },
    description: 'name of the store, which then outlives the daemon',
  },
  {
    ...{ name: 'directory', path: ['store', 'directory'], value: 'path', kind: 'text' },
    description: 'where named stores are (default: /dev/shm)',
  },
  {
    ...{ name: 'listen', path: ['listen'], value: 'address', kind: 'list' },
    description: 'where clients connect: unix:PATH or tcp://HOST:PORT; may be repeated',
  },
  {
    ...{ name: 'export', path: ['exports'], value: 'export', kind: 'exports' },
    description: 'NAME=KIND:SIZE or NAME=KIND:FILE, with options after commas; may be repeated',
  },
  {
    ...{ name: 'http', path: ['http'], value: 'address', kind: 'text' },
    description: 'where /metrics and /healthz are served, such as 127.0.0.1:9105',
  },
  {
    ...{ name: 'threads', path: ['threads'], value: 'n', kind: 'number' },
    description: 'threads that serve connections (default: one for each core, at most 4)',
  },
  {
    ...{ name: 'tls-certificate', path: ['tls', 'certificate'], value: 'file', kind: 'text' },
    description: 'PEM file with the certificate of this server and its chain',
  },
  {
    ...{ name: 'tls-key', path: ['tls', 'key'], value: 'file', kind: 'text' },
    description: 'PEM file with its key',
  },
  {
    ...{ name: 'tls-authority', path: ['tls', 'authority'], value: 'file', kind: 'text' },
    description: 'PEM file with the authority whose certificates clients need',
  },
  {
    ...{ name: 'tls-required', path: ['tls', 'required'], value: 'true|false', kind: 'boolean' },
    description: 'serve nothing without TLS (default: true)',
  },
  {
    ...{ name: 'handshake-timeout-ms', path: ['handshakeTimeoutMs'], value: 'n', kind: 'number' },
    description: 'longest time until a client has chosen an export (default: 10000)',
  },
  {
    ...{ name: 'connections-max', path: ['connectionsMax'], value: 'n', kind: 'number' },
    description: 'connections at one time (default: 4096)',
  },
  {
    ...{ name: 'drain-timeout-ms', path: ['drainTimeoutMs'], value: 'n', kind: 'number' },
    description: 'longest wait for requests under way at the end (default: 5000)',
  },
];

const PREFIX = 'TMEM_SERVE_';
/** Names the settings file; it is no setting itself. */
const CONFIG_VARIABLE = `${PREFIX}CONFIG`;

export interface Sources {
  /** Path of the settings file; without one the environment may name it. */
  readonly file?: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** By the names of TEXT_SETTINGS; lists and exports as they were given, one after the other. */
  readonly flags: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Somebody else listens for the daemon already. */
  readonly inheritsSockets: boolean;
}

type Tree = Record<string, unknown>;

/**
 * Reads and checks all settings.
 *
 * @throws TmemError TMEM_ERR_SETTING listing every mistake
 */
export function readSettings({ file, environment, flags, inheritsSockets }: Sources): ServeSettings {
  const path = file ?? environment[CONFIG_VARIABLE];
  const tree = path === undefined ? {} : readTree(path);
  const complaints: string[] = [];
  for (const name of Object.keys(environment)) {
    if (!name.startsWith(PREFIX) || name === CONFIG_VARIABLE) continue;
    if (!TEXT_SETTINGS.some((setting) => variableOf(setting) === name))
      complaints.push(`${name}: unknown, known are ${TEXT_SETTINGS.map(variableOf).join(', ')}`);
  }
  for (const setting of TEXT_SETTINGS) {
    const isMany = setting.kind === 'list' || setting.kind === 'exports';
    const fromEnvironment = environment[variableOf(setting)];
    if (fromEnvironment !== undefined) {
      put(tree, setting, isMany ? fromEnvironment.split(/\s+/).filter(Boolean) : fromEnvironment);
    }
    const fromFlags = flags[setting.name];
    if (fromFlags !== undefined) put(tree, setting, fromFlags);
  }
  return serveSettings(tree, inheritsSockets, complaints);
}

/** The environment's name of a setting. */
export function variableOf({ name }: TextSetting): string {
  return PREFIX + name.replaceAll('-', '_').toUpperCase();
}

/** The object in a settings file, with those in it that others may be put into. */
function readTree(path: string): Tree {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    const isRead = cause instanceof SyntaxError;
    const what = isRead ? `is not JSON: ${cause.message}` : `cannot be read: ${(cause as Error).message}`;
    throw new TmemError('TMEM_ERR_SETTING', `settings file ${path}: ${what}`, { cause });
  }
  if (isTree(parsed)) return parsed;
  throw new TmemError('TMEM_ERR_SETTING', `settings file ${path}: has no object of settings`);
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Puts a value in its place. What it would have to go into and cannot is left to be complained about. */
function put(tree: Tree, { path, kind }: TextSetting, given: string | readonly string[]): void {
  const [first, second] = path;
  const value = meant(kind, given, tree[first]);
  if (second === undefined) tree[first] = value;
  else if (!Object.hasOwn(tree, first)) tree[first] = { [second]: value };
  else if (isTree(tree[first])) tree[first][second] = value;
}

/** The value that a text means; a text that means none stays text, for the check to complain about. */
function meant(kind: TextSetting['kind'], given: string | readonly string[], before: unknown): unknown {
  if (kind === 'exports') return mergedExports(before, given as readonly string[]);
  if (kind === 'number') return /^\d{1,15}$/.test(given as string) ? Number(given) : given;
  if (kind === 'boolean' && (given === 'true' || given === 'false')) return given === 'true';
  return given;
}

function mergedExports(before: unknown, given: readonly string[]): unknown {
  const added = given.map(parseExport);
  if (before === undefined) return added;
  if (!Array.isArray(before)) return before;
  const nameOf = (each: unknown) => (isTree(each) ? each.name : undefined);
  const names = added.map(nameOf);
  return [...before.filter((each) => nameOf(each) === undefined || !names.includes(nameOf(each))), ...added];
}
