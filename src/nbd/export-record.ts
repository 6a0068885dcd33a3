/**
 * What the store keeps of an export beside its area's own metadata: what its pages belong to.
 *
 *   page 1 of the pool `areas`   JSON: kind, and which file is behind the export
 *
 * So pages that are newer than one file are never written to another.
 */

import type { ZcacheFrontswapBackend } from '../frontswap/index.ts';
import { Oid, TmemError } from '../zcache/index.ts';
import type { ExportKind } from './area-volume.ts';

/** An export's client has one area. */
export const AREA_TYPE = 0;

/** Beside the area's own metadata, which has index 0. */
const RECORD_INDEX = 1;

const PAGE_BYTES = 4096;

/** Pages in the store must be of the same kind and file; those of an empty export may be anything's. */
export function checkRecord(
  backend: ZcacheFrontswapBackend,
  { name, kind }: { readonly name: string; readonly kind: ExportKind },
  file: string | null,
): void {
  const record = JSON.stringify({ kind, file });
  const metadata = backend.initMetadata();
  const oid = Oid.fromNumbers(AREA_TYPE);
  const page = Buffer.alloc(PAGE_BYTES);
  const length = metadata.load(oid, RECORD_INDEX, page);
  const kept = page.toString('utf8', 0, length);
  if (
    length > 0 &&
    kept !== record &&
    backend.init(AREA_TYPE).walk()[Symbol.iterator]().next().done !== true
  ) {
    throw new TmemError(
      'TMEM_ERR_NAME_MISMATCH',
      `export '${name}': the store has pages of it as ${kept}, not ${record}; ` +
        'open it as it was, or open it as it was and remove it first (tmem serve: serve it, then reload without it)',
    );
  }
  if (!metadata.store(oid, RECORD_INDEX, Buffer.from(record))) {
    throw new TmemError('TMEM_ERR_NO_MEMORY', `export '${name}': the store has no room for its record`);
  }
}
