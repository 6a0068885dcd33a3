/** Writes the settings that the code inside an arena looks at into its header, where all threads see them. */

import type { Arena } from '../arena/index.ts';
import type { StoreSettings } from './settings.ts';

const PAGE_BYTES = 4096;

export function applySettings(arena: Arena, settings: StoreSettings): void {
  const { layout } = arena;
  arena.setWord(layout.H_VERIFY, settings.verify ? 1 : 0);
  arena.setWord(layout.H_STORE_INCOMPRESSIBLE, settings.incompressible === 'store' ? 1 : 0);
  arena.setWord(layout.H_UNBUDDIED_FIRST, settings.reclaimOrder === 'unbuddied-first' ? 1 : 0);
  arena.setWord(layout.H_ZV_MAX_PAGE_BYTES, settings.zvMaxPageBytes);
  arena.setWord(layout.H_ZV_MAX_MEAN_BYTES, settings.zvMaxMeanBytes);
  arena.setWord(layout.H_LOCK_TIMEOUT_MS, settings.lockTimeoutMs);
  const percent = settings.persistentLimitPercent;
  const pages = arena.bytes.length / PAGE_BYTES;
  arena.setWord(
    layout.H_PERSISTENT_LIMIT_PAGES,
    percent === 'off' ? 0 : Math.max(1, Math.floor((pages * percent) / 100)),
  );
}
