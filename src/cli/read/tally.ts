/**
 * What a thread has done so far: sent to the main thread as it is, and added up there.
 *
 * Pages of a request are counted at the level that answered them: `hot` uncompressed in memory, `compressed` in
 * memory, `source` read from the file.
 */
export interface Tally {
  operations: number;
  /** Bytes handed to the reader. */
  bytes: number;
  hotPages: number;
  compressedPages: number;
  sourcePages: number;
  /** Bytes read from the files, readahead included. */
  sourceBytes: number;
  /** Bytes whose sums were those of the first pass, or that the file itself confirmed. */
  verifiedBytes: number;
  /** Requests whose file had changed after the first pass, and which agreed with the file as it is now. */
  changed: number;
  /** Requests whose bytes were not the file's. Must be 0. */
  wrong: number;
  /** Requests that failed because a file could no longer be read. */
  failed: number;
}

export function emptyTally(): Tally {
  return {
    operations: 0,
    bytes: 0,
    hotPages: 0,
    compressedPages: 0,
    sourcePages: 0,
    sourceBytes: 0,
    verifiedBytes: 0,
    changed: 0,
    wrong: 0,
    failed: 0,
  };
}

export function sumTallies(tallies: Iterable<Readonly<Tally>>): Tally {
  const sum = emptyTally();
  for (const tally of tallies) {
    for (const key of Object.keys(sum) as (keyof Tally)[]) sum[key] += tally[key];
  }
  return sum;
}

/** Share of pages that were answered from memory; 0 before the first. */
export function hitRatio(tally: Readonly<Tally>): number {
  const hits = tally.hotPages + tally.compressedPages;
  const all = hits + tally.sourcePages;
  return all === 0 ? 0 : hits / all;
}
