/**
 * The options of `tmem read`, and what they are when not given.
 */

import { existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

export interface ReadOptions {
  /** Bytes for either contender; by default a share of the data. */
  readonly memory?: number | undefined;
  readonly threads: number;
  readonly seed: number;
  readonly skew: number;
  /** Share of the memory for uncompressed pages. */
  readonly hot: number;
  readonly codec: 'lz4' | 'lzo';
  readonly seconds: number;
  /** Operations of each thread; if given, `seconds` is no bound. */
  readonly operations?: number | undefined;
  readonly json: boolean;
}

/**
 * A cache is bought because the data does not fit: with a sixth of it, a plain cache holds the popular part only, and
 * compressed to less than half, a store holds twice as much.
 */
const MEMORY_DEFAULT_SHARE = 1 / 6;

/** Below it the fixed part of the store (some MiB) and not its policy would be measured. */
export const MEMORY_MIN_BYTES = 16 * 2 ** 20;

const MEMORY_STEP_BYTES = 2 ** 20;

export function memoryFor(dataBytes: number): number {
  const steps = Math.round((dataBytes * MEMORY_DEFAULT_SHARE) / MEMORY_STEP_BYTES);
  return Math.max(MEMORY_MIN_BYTES, steps * MEMORY_STEP_BYTES);
}

/**
 * What is read if nothing is named: the packages installed for the project around `from`, and the program that is
 * running. Both are there wherever this command can be.
 */
export function defaultPaths(from: string, execPath: string): string[] {
  const modules = nearestModules(from);
  return modules === undefined ? [execPath] : [relative(from, modules) || '.', execPath];
}

function nearestModules(from: string): string | undefined {
  const here = join(from, 'node_modules');
  if (existsSync(here)) return here;
  const above = dirname(from);
  return above === from ? undefined : nearestModules(above);
}
