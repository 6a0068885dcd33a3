/**
 * Histograms of compressed sizes, side by side as far as they fit.
 */

import type { StoreStatistics } from '../../zcache/index.ts';
import { count } from '../text/figures.ts';
import { HISTOGRAM_COLUMNS, type HistogramColumns, histogram } from '../text/histogram.ts';
import { beside, clipLine, type Line, span } from '../text/line.ts';

/** Enough to see a shape in. */
const HISTOGRAM_LINES = 4;
const GAP_COLUMNS = 4;

interface Sizes {
  readonly title: string;
  readonly counts: readonly number[];
}

/** @returns no lines if there are no pages to show */
export function sizeLines({ zbud, zv }: StoreStatistics, columns: number): Line[] {
  const all: readonly Sizes[] = [
    { title: `zbud: ${count(zbud.cumul_zpages)} pages ever, by size`, counts: zbud.cumul_chunk_counts },
    { title: `zv: ${count(zv.curr_zpages)} pages now, by size`, counts: zv.curr_size_counts },
  ];
  const shown = all.filter(({ counts }) => counts.some((each) => each > 0));
  const width = widthFor(shown.length, columns);
  const blocks = shown.map(({ title, counts }) => [
    clipLine([span(title, 'faint')], width),
    ...histogram(counts, width, HISTOGRAM_LINES),
  ]);
  return blocks.reduce<Line[]>((left, right) => beside(left, right, GAP_COLUMNS), []);
}

/** The widest of which `pictures` fit side by side; the narrowest if none does. */
function widthFor(pictures: number, columns: number): HistogramColumns {
  const fits = (width: number) => pictures * width + (pictures - 1) * GAP_COLUMNS <= columns;
  return HISTOGRAM_COLUMNS.find(fits) ?? 16;
}
