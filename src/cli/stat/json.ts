/**
 * A sample for machines: what `store.stats()` returns, and about the file what only the outside knows.
 */

import type { Sample } from './sample.ts';

/** Plain data, sizes in bytes, times in milliseconds since 1970; names as in the statistics. */
export function sampleJson({ file, statistics, atMs }: Sample): object {
  return {
    name: file.name,
    path: file.path,
    created_ms: file.createdMs,
    taken_ms: atMs,
    resident_bytes: file.residentBytes,
    threads: file.threads,
    ...statistics,
  };
}
