/**
 * Writing to the standard output of a command.
 */

import type { Writable } from 'node:stream';
import { type Environment, type Output, usableColumns, usesColor } from './terminal.ts';
import { type Line, render } from './text/line.ts';

/** Resolves when the text was taken, or never will be: then the output tells of it by its 'error' event. */
export function write(out: Writable, text: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  out.write(text, () => resolve());
  return promise;
}

/** The lines as they are to be written to `out`; only a terminal bounds their width. */
export function linesText(out: Output, env: Environment, view: (columns: number) => readonly Line[]): string {
  const columns = out.isTTY === true ? usableColumns(out) : Number.POSITIVE_INFINITY;
  const color = usesColor(out, env);
  return view(columns)
    .map((line) => `${render(line, columns, color)}\n`)
    .join('');
}
