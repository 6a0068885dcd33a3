/**
 * Before anything is read through a cache: which files there are, and the sums of their pages.
 */

import { formatByteSize } from '../../zcache/byte-size.ts';
import { firstPass } from './checksums.ts';
import { makePlan, type Plan, PlanError, withoutFiles } from './plan.ts';
import type { Progress } from './progress.ts';

export interface Prepared {
  /** Only files that could be read to their end. */
  readonly plan: Plan;
  readonly sums: Uint32Array<SharedArrayBuffer>;
}

/**
 * @throws PlanError if a path named here cannot be read, or nothing is left to read
 */
export async function prepare(
  paths: readonly string[],
  progress: Progress,
  signal: AbortSignal,
): Promise<Prepared> {
  progress.update({ title: 'looking for files', share: 0, parts: [] });
  const found = await makePlan(paths);
  const { sums, unreadable } = await firstPass(found, (done) => {
    signal.throwIfAborted();
    const parts = [`${formatByteSize(done)} of ${formatByteSize(found.bytes)}`];
    progress.update({ title: 'first pass', share: done / found.bytes, parts });
  });
  const named = unreadable.find(({ path }) => paths.includes(path));
  if (named !== undefined) throw new PlanError(`cannot read ${named.path}: ${named.reason}`);
  return { plan: withoutFiles(found, unreadable), sums };
}
