/**
 * A table that fits: where it is too wide, its first column is shortened, then columns are left out, the least
 * important first.
 */

import { clipLine, type Line, lineWidth, padLine, type Span, span } from './line.ts';

export interface Column {
  readonly title: string;
  readonly align: 'left' | 'right';
  /** Of two columns the one with the lower rank stays. The first column always stays. */
  readonly rank: number;
}

export type Cell = Span;

const GAP_COLUMNS = 2;

/** The first column holds names: fewer characters tell too little, so other columns go first. */
const FIRST_COLUMNS_MIN = 16;

/**
 * @param rows - a cell for each column
 * @returns the line of titles, then the rows; no line is wider than `columnsMax`
 */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  columnsMax: number,
): Line[] {
  const widths = columns.map(({ title }, i) =>
    Math.max(title.length, ...rows.map((row) => lineWidth([row[i]]))),
  );
  const shown = shownColumns(columns, widths, columnsMax);
  const first = Math.min(widths[0], Math.max(0, columnsMax - sumWidths(shown.slice(1), widths)));
  const titles = columns.map(({ title }) => span(title, 'faint'));
  return [titles, ...rows].map((row) =>
    shown.flatMap((i) => {
      const width = i === 0 ? first : widths[i];
      const cell = clipLine([row[i]], width);
      const space = span(' '.repeat(width - lineWidth(cell)));
      const aligned = columns[i].align === 'left' ? padLine(cell, width) : [space, ...cell];
      return i === 0 ? aligned : [span(' '.repeat(GAP_COLUMNS)), ...aligned];
    }),
  );
}

/** Width of columns that follow another one. */
function sumWidths(shown: readonly number[], widths: readonly number[]): number {
  return shown.reduce((sum, i) => sum + GAP_COLUMNS + widths[i], 0);
}

/** Positions of the columns that fit beside the first one, in their order. */
function shownColumns(columns: readonly Column[], widths: readonly number[], columnsMax: number): number[] {
  let others = columns.map((_, i) => i).slice(1);
  const first = Math.min(widths[0], FIRST_COLUMNS_MIN);
  while (others.length > 0 && first + sumWidths(others, widths) > columnsMax) {
    const rank = Math.max(...others.map((i) => columns[i].rank));
    const last = others.findLast((i) => columns[i].rank === rank);
    others = others.filter((i) => i !== last);
  }
  return [0, ...others];
}
