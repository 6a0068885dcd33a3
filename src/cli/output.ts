/**
 * Writing to the standard output of a command.
 */

import type { Writable } from 'node:stream';
import { type Environment, type Output, usableColumns, usesColor } from './terminal.ts';
import { type Line, render } from './text/line.ts';

/**
 * Resolves when the text was taken. Also when it never will be: the output tells of a failure by its 'error' event, and
 * a reader that reads no more is not waited for once `signal` is aborted.
 */
export function write(out: Writable, text: string, signal?: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = () => {
    signal?.removeEventListener('abort', done);
    resolve();
  };
  signal?.addEventListener('abort', done);
  out.write(text, done);
  if (signal?.aborted) done();
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
