/**
 * What an export holds, in the terms of the kernel's zram (Documentation/admin-guide/blockdev/zram.rst), so that the
 * two can be compared, and what its clients asked for.
 */

import type { FrontswapArea } from '../frontswap/index.ts';
import type { ClientStatistics } from '../zcache/index.ts';
import type { AreaVolume, ExportKind } from './area-volume.ts';
import { areaContent } from './export-clients.ts';
import type { VolumeCounters } from './volume-counters.ts';

const FRAME_BYTES = 4096;

/** Sizes in bytes, `_pages` in pages of 4096. All is of all threads. */
export interface ExportStatistics extends VolumeCounters {
  readonly name: string;
  readonly kind: ExportKind;
  /** zram's disksize. */
  readonly disksize: number;
  /** Data in the store before compression. */
  readonly orig_data_size: number;
  readonly compr_data_size: number;
  /** Frames of the store that the export has, its index included. */
  readonly mem_used_total: number;
  readonly mem_used_max: number;
  /** 0: no limit. */
  readonly mem_limit: number;
  /** Pages of one repeated value, which take no frame. */
  readonly same_pages: number;
  /** Pages that do not compress and are kept as they are. */
  readonly huge_pages: number;
}

export function exportStatistics(
  name: string,
  volume: AreaVolume,
  area: FrontswapArea,
  client: ClientStatistics,
): ExportStatistics {
  const content = areaContent(client.pools);
  return {
    name,
    kind: volume.kind,
    disksize: volume.size,
    orig_data_size: area.stats().curr_pages * FRAME_BYTES,
    compr_data_size: content?.curr_zbytes ?? 0,
    mem_used_total: client.frames.curr_frames * FRAME_BYTES,
    mem_used_max: client.frames.curr_frames_max * FRAME_BYTES,
    mem_limit: client.cap_bytes ?? 0,
    same_pages: content?.same_filled_pages ?? 0,
    huge_pages: client.frames.raw_curr_pages,
    ...volume.counters.total(),
  };
}
