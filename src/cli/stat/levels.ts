/**
 * Where the memory of a store is, as bars: what uses its frames, and how much of its file is resident.
 *
 *   used       ████████████████▌░░░░░░░   161 MiB  62.9 %
 *     zbud     ██████████▏░░░░░░░░░░░░░  98.2 MiB  38.4 %
 */

import { formatByteSize } from '../../zcache/byte-size.ts';
import { PAGE_BYTES } from '../../zcache/settings.ts';
import { bar } from '../text/bar.ts';
import { percent } from '../text/figures.ts';
import { type Line, span } from '../text/line.ts';
import type { Sample } from './sample.ts';

const LABEL_COLUMNS = 13;
const SIZE_COLUMNS = 10;
const PERCENT_COLUMNS = 9;
const BAR_CELLS_MIN = 6;
/** Longer bars are no better to read. */
const BAR_CELLS_MAX = 40;

export interface Level {
  readonly name: string;
  readonly bytes: number;
  /** Of the whole store. */
  readonly share: number;
  /** Part of another one, and left out where there is little room. */
  readonly isPart: boolean;
}

/** The levels in the order they are shown. The parts of `used` add up to it. */
export function levels({ statistics, file }: Sample): Level[] {
  const { store, zbud, zv, frames } = statistics;
  const of = (name: string, bytes: number, isPart: boolean): Level => {
    const share = bytes / statistics.memory_bytes;
    return { name, bytes, share: Number.isFinite(share) ? share : 0, isPart };
  };
  const part = (name: string, framesHeld: number) => of(name, framesHeld * PAGE_BYTES, true);
  return [
    of('used', (store.frames_total - store.frames_free) * PAGE_BYTES, false),
    part('zbud', zbud.curr_raw_pages),
    part('zv', zv.curr_pages),
    part('uncompressed', frames.raw_curr_pages),
    part('index', frames.meta_curr_pages),
    part('fixed', store.frames_fixed),
    of('free', store.frames_free * PAGE_BYTES, false),
    of('resident', file.residentBytes, false),
  ];
}

/** @param columns - what the bars are made to fill */
export function levelLines(shown: readonly Level[], columns: number): Line[] {
  const room = columns - LABEL_COLUMNS - 2 - SIZE_COLUMNS - PERCENT_COLUMNS;
  const cells = Math.min(Math.max(room, BAR_CELLS_MIN), BAR_CELLS_MAX);
  return shown.map(({ name, bytes, share, isPart }) => [
    span(`${isPart ? ' ' : ''}${name}`.padEnd(LABEL_COLUMNS + 1), isPart ? 'faint' : 'plain'),
    ...bar(share, cells),
    span(formatByteSize(bytes).padStart(SIZE_COLUMNS)),
    span(percent(share, 1).padStart(PERCENT_COLUMNS), 'faint'),
  ]);
}
