// Whether build outputs are up to date: every output is newer than every input.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** The repository's directory, with a slash at its end removed. */
export const root = join(import.meta.dirname, '..');

/** Latest change of a file, or of anything below a directory (its own entries included: a removed file counts). */
function changedAtMs(path: string): number {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return readdirSync(path).reduce(
    (latest, name) => Math.max(latest, changedAtMs(join(path, name))),
    stat.mtimeMs,
  );
}

/** Inputs are files or directories relative to the repository; an input that does not exist is older than anything. */
export function isFresh(outputs: readonly string[], inputs: readonly string[]): boolean {
  if (!outputs.every((path) => existsSync(path))) return false;
  const oldestOutput = Math.min(...outputs.map((path) => statSync(path).mtimeMs));
  const paths = inputs.map((path) => join(root, path)).filter((path) => existsSync(path));
  return Math.max(...paths.map(changedAtMs)) < oldestOutput;
}
