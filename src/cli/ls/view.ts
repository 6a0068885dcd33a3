/**
 * The stores of a directory as a table.
 */

import { formatByteSize } from '../../zcache/byte-size.ts';
import type { NamedStore } from '../../zcache/index.ts';
import { duration } from '../text/figures.ts';
import { type Line, span } from '../text/line.ts';
import { type Cell, type Column, table } from '../text/table.ts';
import { printable } from '../text/width.ts';

const COLUMNS: readonly Column[] = [
  { title: 'name', align: 'left', rank: 0 },
  { title: 'state', align: 'left', rank: 1 },
  { title: 'memory', align: 'right', rank: 2 },
  { title: 'resident', align: 'right', rank: 3 },
  { title: 'threads', align: 'right', rank: 4 },
  { title: 'made', align: 'right', rank: 5 },
];

const STATES = {
  ready: 'ready',
  'other-layout': 'other layout',
  damaged: 'damaged',
  'not-ours': 'not ours',
} as const satisfies Record<NamedStore['state'], string>;

export function listView(
  files: readonly NamedStore[],
  directory: string,
  nowMs: number,
  columns: number,
): Line[] {
  if (files.length === 0) return [[span(`no stores in ${printable(directory)}`)]];
  return table(
    COLUMNS,
    files.map((file) => row(file, nowMs)),
    columns,
  );
}

/** Of a store that cannot be attached nothing is known but what its file says. */
function row({ name, state, ...file }: NamedStore, nowMs: number): Cell[] {
  const isReady = state === 'ready';
  const known = (text: string): Cell => span(isReady ? text : '-');
  return [
    span(printable(name), isReady ? 'strong' : 'plain'),
    span(STATES[state], isReady ? 'plain' : 'alarm'),
    span(formatByteSize(file.memoryBytes)),
    span(formatByteSize(file.residentBytes)),
    known(`${file.attached} of ${file.threads}`),
    known(`${duration(nowMs - file.createdMs)} ago`),
  ];
}
