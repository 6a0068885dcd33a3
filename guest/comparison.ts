// The same work on several devices, in alternating rounds, and what came out as a table.

import { median } from '../bench/support/measure.ts';
import type { DeviceName } from './devices/index.ts';
import { SWAP_LOAD, type SwapLoad, type SwapResult, swapOn } from './workloads/swap.ts';

export type Comparison = Readonly<Record<string, readonly SwapResult[]>>;

export interface CompareOptions {
  readonly devices: readonly DeviceName[];
  readonly rounds: number;
  readonly load?: SwapLoad;
  /** Told after each run. */
  readonly done?: (device: DeviceName, result: SwapResult) => void;
}

/** Each round takes every device once; every other round begins with the last one. @throws Error of a failed guest */
export async function compareDevices({ devices, rounds, load, done }: CompareOptions): Promise<Comparison> {
  const results: Record<string, SwapResult[]> = {};
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? devices : [...devices].reverse();
    for (const device of order) {
      const result = await swapOn(device, load ?? SWAP_LOAD);
      results[device] ??= [];
      results[device].push(result);
      done?.(device, result);
    }
  }
  return results;
}

/** Median seconds of the guest's work. */
export function medianSeconds(results: readonly SwapResult[]): number {
  return median(results.map(({ seconds }) => seconds));
}

/** Lines of a table: times are medians, `ratio` is the time of the first device divided by that of this one. */
export function comparisonTable(comparison: Comparison): string[] {
  const columns = ['device', 'rounds', 'seconds', 'hog', 'programs', 'pages out', 'pages in', 'ratio'];
  const entries = Object.entries(comparison);
  const first = entries[0] && medianSeconds(entries[0][1]);
  const rows = entries.map(([device, results]) => {
    const middle = (field: 'hogSeconds' | 'programsSeconds' | 'pagesOut' | 'pagesIn', digits: number) =>
      median(results.map((result) => result[field])).toFixed(digits);
    const seconds = medianSeconds(results);
    return [
      ...[device, String(results.length), seconds.toFixed(1), middle('hogSeconds', 1)],
      ...[middle('programsSeconds', 1), middle('pagesOut', 0), middle('pagesIn', 0)],
      ((first ?? seconds) / seconds).toFixed(2),
    ];
  });
  const widths = columns.map((column, i) => Math.max(column.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]): string =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ');
  return [line(columns), ...rows.map(line)];
}
