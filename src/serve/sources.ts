/**
 * Where settings come from: a JSON file, the environment, flags of the command line. Flags win over the environment,
 * which wins over the file.
 *
 * Environment and flags have the same names: `--drain-timeout-ms` and TMEM_SERVE_DRAIN_TIMEOUT_MS. A list given there
 * takes the place of the file's; an export or a peer takes the place of the file's one of its name, or is one more.
 */

import { readFileSync } from 'node:fs';
import { TmemError } from '../zcache/index.ts';
import { parseExport } from './export-text.ts';
import { parsePeer } from './peer-text.ts';
import { type ServeSettings, serveSettings } from './settings.ts';
import { isList, TEXT_SETTINGS, type TextSetting } from './text-settings.ts';

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
    const isMany = isList(setting);
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
  let group = tree;
  for (const name of path.slice(0, -1)) {
    if (!Object.hasOwn(group, name)) group[name] = {};
    const inner = group[name];
    if (!isTree(inner)) return;
    group = inner;
  }
  const last = path.at(-1) as string;
  group[last] = meant(kind, given, Object.hasOwn(group, last) ? group[last] : undefined);
}

/** The value that a text means; a text that means none stays text, for the check to complain about. */
function meant(kind: TextSetting['kind'], given: string | readonly string[], before: unknown): unknown {
  if (kind === 'exports') return merged(before, (given as readonly string[]).map(parseExport));
  if (kind === 'peers') return merged(before, (given as readonly string[]).map(parsePeer));
  if (kind === 'number') return /^\d{1,15}$/.test(given as string) ? Number(given) : given;
  if (kind === 'boolean' && (given === 'true' || given === 'false')) return given === 'true';
  return given;
}

/** What was given, and what there was of other names. */
function merged(before: unknown, added: readonly unknown[]): unknown {
  if (before === undefined) return added;
  if (!Array.isArray(before)) return before;
  const nameOf = (each: unknown) => (isTree(each) ? each.name : undefined);
  const names = added.map(nameOf);
  return [...before.filter((each) => nameOf(each) === undefined || !names.includes(nameOf(each))), ...added];
}
