/**
 * Watermarks of a scope: shrinking starts below `low` and ends at `high` available bytes.
 *
 * `low` is the margin: what others take between a look and the time when given back memory shows, so that the kernel
 * finds no reason to kill. One thread that touches fresh memory takes 2.4 GB/s (1.7 µs for 4 KiB), an ordinary
 * allocator that also does something with it up to 1 GB/s, and a look comes every 50 ms: hence the least margin of
 * 64 MiB. A percentage of a large machine is more than any allocator takes in that time, and would lie idle: hence the
 * largest one, 2 GiB. A small group would be all margin: hence at most a quarter of it.
 *
 * `high` lies a gap above, so that one spell of pressure is ended by real work, and the next one begins only after
 * somebody took the whole gap.
 */

import type { ShrinkerSettings } from './shrinker-settings.ts';

const LOW_BYTES_MIN = 64 * 2 ** 20;
const LOW_BYTES_MAX = 2 * 2 ** 30;
/** Largest share of a scope that the least margin may be. */
const LOW_SHARE_MAX = 1 / 4;
/** Least and largest gap: as the default percentages, half the margin. */
const GAP_OF_LOW = 1 / 2;

export interface Watermarks {
  readonly lowBytes: number;
  readonly highBytes: number;
}

export type WatermarkSettings = Pick<ShrinkerSettings, 'lowPercent' | 'highPercent'>;

export function watermarks(sizeBytes: number, { lowPercent, highPercent }: WatermarkSettings): Watermarks {
  const lowMin = Math.min(LOW_BYTES_MIN, sizeBytes * LOW_SHARE_MAX);
  const low = Math.max(Math.min((sizeBytes * lowPercent) / 100, LOW_BYTES_MAX), lowMin);
  const gapPercent = highPercent - lowPercent;
  const gapMax = LOW_BYTES_MAX * GAP_OF_LOW;
  const gap = Math.max(Math.min((sizeBytes * gapPercent) / 100, gapMax), lowMin * GAP_OF_LOW);
  return { lowBytes: Math.floor(low), highBytes: Math.floor(low + gap) };
}
