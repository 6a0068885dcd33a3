/**
 * What may be written to an output: on a terminal colours and pictures, elsewhere plain text.
 */

export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** What every terminal has. */
const COLUMNS_DEFAULT = 80;
const ROWS_DEFAULT = 24;

/** Whether what was written can be drawn over. */
export function isLive(out: Output, env: Environment): boolean {
  return out.isTTY === true && env.TERM !== 'dumb';
}

export function usesColor(out: Output, env: Environment): boolean {
  // https://no-color.org: present and not empty, whatever its value
  return isLive(out, env) && (env.NO_COLOR ?? '') === '';
}

/** Columns that text may fill. Some terminals say 0 for unknown; one stays free, as a terminal may wrap in the last. */
export function usableColumns(out: Output): number {
  return Math.max(0, (out.columns || COLUMNS_DEFAULT) - 1);
}

/** Lines that text may fill: one stays free for the cursor. */
export function usableRows(out: Output): number {
  return Math.max(1, (out.rows || ROWS_DEFAULT) - 1);
}
