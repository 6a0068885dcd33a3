// The table at the end of a benchmark: each figure beside what it has to reach.

import type { Figures } from '../run.ts';

/** `least` and `most` are bounds to reach; a field without either is only reported. */
export interface Target {
  field: string;
  least?: number;
  most?: number;
}

/** Lines of a table of all figures, those with targets first and in their order. */
export function targetTable(figures: Figures, targets: readonly Target[]): string[] {
  const named = targets.filter(({ field }) => field in figures);
  const others = Object.keys(figures).filter((field) => !targets.some((target) => target.field === field));
  const rows = [...named, ...others.map((field): Target => ({ field }))].map((target) =>
    rowOf(target, figures[target.field]!),
  );
  const width = (column: number) => Math.max(...rows.map((row) => row[column]!.length));
  return rows.map(([field, figure, bound, verdict]) =>
    `${field!.padEnd(width(0))}  ${figure!.padStart(width(1))}  ${bound!.padEnd(width(2))}  ${verdict}`.trimEnd(),
  );
}

function rowOf({ field, least, most }: Target, figure: number): string[] {
  const bound = least !== undefined ? `at least ${least}` : most !== undefined ? `at most ${most}` : '';
  const missed = (least !== undefined && figure < least) || (most !== undefined && figure > most);
  return [field, String(figure), bound, bound === '' ? '' : missed ? 'MISSED' : 'ok'];
}
