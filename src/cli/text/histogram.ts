/**
 * Counts by size as upright bars over an axis in KiB.
 *
 *     ▂█▅
 *   ▁▄███▂  ▁
 *   0  1K 2K 3K 4K
 *
 * Heights are in eighths of a line, the highest bar is as high as the picture. Neighbouring buckets are added up where
 * there are fewer columns than buckets.
 */

import { type Line, span } from './line.ts';

const EIGHTHS = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;

/** What the whole axis spans: compressed pages have 1 to 4096 bytes. */
const AXIS_LABELS = ['0', '1K', '2K', '3K'] as const;
const AXIS_END = '4 KiB';

/** Columns of a histogram: bars of 64, 128 or 256 bytes. */
export const HISTOGRAM_COLUMNS = [64, 32, 16] as const;
export type HistogramColumns = (typeof HISTOGRAM_COLUMNS)[number];

/** Adds neighbours up to `columns` bars. The number of buckets is a multiple of it. */
export function merged(counts: readonly number[], columns: number): number[] {
  const each = counts.length / columns;
  return Array.from({ length: columns }, (_, column) =>
    counts.slice(column * each, (column + 1) * each).reduce((sum, count) => sum + count, 0),
  );
}

/** Height of each bar in eighths of a line; what is not empty can be seen. */
export function barHeights(bars: readonly number[], lines: number): number[] {
  const highest = Math.max(0, ...bars);
  return bars.map((count) => (count > 0 ? Math.max(1, Math.round((count / highest) * lines * 8)) : 0));
}

/** The picture: `lines` lines of bars and one of the axis, all exactly `columns` wide. */
export function histogram(counts: readonly number[], columns: HistogramColumns, lines: number): Line[] {
  const heights = barHeights(merged(counts, columns), lines);
  const picture = Array.from({ length: lines }, (_, i) => {
    const below = (lines - 1 - i) * 8;
    const cells = heights.map((height) => EIGHTHS[Math.min(Math.max(height - below, 0), 8)]);
    return [span(cells.join(''), 'bar')];
  });
  return [...picture, [span(axis(columns), 'faint')]];
}

function axis(columns: HistogramColumns): string {
  const labels = AXIS_LABELS.map((label) => label.padEnd(columns / AXIS_LABELS.length)).join('');
  return `${labels.slice(0, columns - AXIS_END.length)}${AXIS_END}`;
}
