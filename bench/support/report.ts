// The end of a benchmark of several measurements: runs them one after the other and prints the table of their figures.

import type { Figures } from '../run.ts';
import { type Target, targetTable } from './targets.ts';

/** `argument` is what each measurement gets. */
export async function report<Argument>(
  measurements: readonly ((argument: Argument) => Figures | Promise<Figures>)[],
  argument: Argument,
  targets: readonly Target[],
  say: (line: string) => void,
): Promise<Figures> {
  const figures: Figures = {};
  for (const measure of measurements) Object.assign(figures, await measure(argument));
  say('');
  for (const line of targetTable(figures, targets)) say(line);
  return figures;
}
