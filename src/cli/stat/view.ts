/**
 * The picture of a store: a sample in, lines out, no wider and (where that matters) no higher than they may be.
 *
 *   web  256 MiB in /dev/shm …
 *   levels   | summary            side by side where there is room
 *   histograms                    left out first if there is too little height
 *   clients and pools
 *   what is wrong
 */

import { dirname } from 'node:path';
import { formatByteSize } from '../../zcache/byte-size.ts';
import { duration } from '../text/figures.ts';
import { beside, type Line, span } from '../text/line.ts';
import { printable } from '../text/width.ts';
import { levelLines, levels } from './levels.ts';
import { poolLines } from './pools.ts';
import { Changes, type Sample } from './sample.ts';
import { sizeLines } from './sizes.ts';
import { summaryLines, troubleLines } from './summary.ts';

export interface Frame {
  readonly columns: number;
  /** Infinite if what is too long may scroll. */
  readonly rows: number;
  /** Whether samples follow each other, so that there are rates. */
  readonly watched: boolean;
}

/** From here on levels and summary stand side by side. */
const WIDE_COLUMNS = 110;
const GAP_COLUMNS = 4;

/** What is shown, from everything to the least. */
const VARIANTS = [
  { parts: true, sizes: true },
  { parts: true, sizes: false },
  { parts: false, sizes: false },
] as const;

type Variant = (typeof VARIANTS)[number];

/** @param before - the sample taken before `now`, if there was one */
export function statView(now: Sample, before: Sample | undefined, frame: Frame): Line[] {
  let lines: Line[] = [];
  for (const variant of VARIANTS) {
    lines = variantLines(now, before, frame, variant);
    if (lines.length <= frame.rows) return lines;
  }
  const kept = lines.slice(0, frame.rows - 1);
  return [...kept, [span(`… and ${lines.length - kept.length} lines more`, 'faint')]];
}

function variantLines(now: Sample, before: Sample | undefined, frame: Frame, variant: Variant): Line[] {
  const { columns, watched } = frame;
  const rates = new Changes(now, before).ofStore();
  const shown = levels(now).filter(({ isPart }) => variant.parts || !isPart);
  const summary = summaryLines(now, rates, watched);
  const top =
    columns < WIDE_COLUMNS
      ? [...levelLines(shown, columns), [], ...summary]
      : beside(levelLines(shown, Math.floor(columns / 2) - GAP_COLUMNS), summary, GAP_COLUMNS);
  const sections = [
    [titleLine(now)],
    top,
    variant.sizes ? sizeLines(now.statistics, columns) : [],
    poolLines(now, before, watched, columns),
    troubleLines(now),
  ];
  const lines = sections.filter((section) => section.length > 0);
  return lines.flatMap((section, i) => (i === 0 ? section : [[], ...section]));
}

function titleLine({ file, statistics, atMs }: Sample): Line {
  const { threads_attached } = statistics.store;
  const about = [
    `${formatByteSize(statistics.memory_bytes)} in ${printable(dirname(file.path))}`,
    `${threads_attached} of ${file.threads} threads attached`,
    `made ${duration(atMs - file.createdMs)} ago`,
  ];
  const frozen = statistics.frozen ? [span('frozen: puts are refused', 'notice'), span(' · ', 'faint')] : [];
  return [span(printable(file.name), 'strong'), span('  '), ...frozen, span(about.join(' · '), 'faint')];
}
