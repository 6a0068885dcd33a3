/**
 * What may be chosen for one cached file, and the check of it.
 */

import { TmemError } from '../zcache/index.ts';
import { READAHEAD_BYTES_MAX } from './readahead.ts';

export interface CachedFileOptions {
  /** How old a look at the file may be to answer a read: 0 (default) looks at every read. Milliseconds. */
  maxStaleMs?: number;
  /** Largest piece that is read ahead of a sequential reader: 0 to 262144 bytes, 256 KiB by default. */
  readaheadBytes?: number;
}

export type CachedFileSettings = Readonly<Required<CachedFileOptions>>;

/** @throws TmemError TMEM_ERR_SETTING naming the wrong option */
export function cachedFileSettings(options: CachedFileOptions): CachedFileSettings {
  const { maxStaleMs = 0, readaheadBytes = READAHEAD_BYTES_MAX } = options;
  if (!(maxStaleMs >= 0)) throw wrong('maxStaleMs', maxStaleMs, '0 or more milliseconds');
  if (!(Number.isInteger(readaheadBytes) && readaheadBytes >= 0 && readaheadBytes <= READAHEAD_BYTES_MAX)) {
    throw wrong('readaheadBytes', readaheadBytes, `0 to ${READAHEAD_BYTES_MAX} bytes`);
  }
  return { maxStaleMs, readaheadBytes };
}

function wrong(name: string, given: unknown, allowed: string): TmemError {
  return new TmemError(
    'TMEM_ERR_SETTING',
    `openCached: ${name}: got ${String(given)}, allowed is ${allowed}`,
  );
}
