/**
 * A share of a whole as a bar, drawn in eighths of a cell.
 *
 *   0.55 of 10 cells   █████▌░░░░
 *
 * Rule: the drawn length is the share, rounded to an eighth of a cell; only nothing is drawn as nothing, and only all
 * is drawn as all.
 */

import { type Span, span } from './line.ts';

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'] as const;

/** Eighths of a cell to draw of `cells` cells. A share that is no number is 0. */
export function barEighths(share: number, cells: number): number {
  const whole = cells * 8;
  if (!(share > 0)) return 0;
  return share >= 1 ? whole : Math.min(Math.max(1, Math.round(share * whole)), whole - 1);
}

export function bar(share: number, cells: number): readonly Span[] {
  const eighths = barEighths(share, cells);
  const filled = `${'█'.repeat(Math.floor(eighths / 8))}${EIGHTHS[eighths % 8]}`;
  return [span(filled, 'bar'), span('░'.repeat(cells - filled.length), 'faint')];
}
