import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CLIENT_COUNTERS, type ClientCounterName } from '../src/zcache/client-counters.ts';
import { POOL_COUNTERS, type PoolCounterName } from '../src/zcache/pool-counters.ts';

/** The arena's names of pool counters: short there, the original's here. */
const POOL_CELLS: Record<string, PoolCounterName> = {
  N_PUTS: 'puts',
  N_STORED: 'put_stored',
  N_REPLACED: 'put_replaced',
  N_PUT_TO_FLUSH: 'put_to_flush',
  N_SUCC_GETS: 'succ_gets',
  N_FAILED_GETS: 'failed_gets',
  N_FLUSH_TOTAL: 'flush_total',
  N_FLUSH_FOUND: 'flush_found',
  N_FLOBJ_TOTAL: 'flobj_total',
  N_FLOBJ_FOUND: 'flobj_found',
  N_FAILED_EPH_PUTS: 'failed_eph_puts',
  N_FAILED_PERS_PUTS: 'failed_pers_puts',
  N_COMPRESS_POOR: 'compress_poor',
  N_MEAN_COMPRESS_POOR: 'mean_compress_poor',
  N_PERCENT_EXCEEDED: 'policy_percent_exceeded',
  N_NO_FRAME: 'failed_get_free_pages',
  N_NO_CELL: 'failed_alloc',
  N_ABORTED_PRELOAD: 'aborted_preload',
  N_OVER_LIMIT: 'over_limit',
  N_OVER_CAP: 'over_cap',
  N_FROZEN: 'frozen',
  N_SWITCHED_OFF: 'switched_off',
  N_PAGES: 'curr_pages',
  N_ZBYTES: 'curr_zbytes',
  N_CUMUL_ZPAGES: 'cumul_zpages',
  N_CUMUL_ZBYTES: 'cumul_zbytes',
  N_SAME_FILLED: 'same_filled_pages',
  N_BYTES_IN: 'bytes_in',
  N_OBJECTS: 'curr_obj_count',
  N_NODES: 'curr_objnode_count',
  N_CHECKSUM_FAILURES: 'checksum_failures',
  N_EVICTED: 'evicted_zpages',
  N_DEMOTED: 'demoted_pages',
  N_REMOTE: 'remote_pages',
};

const CLIENT_CELLS: Record<string, ClientCounterName> = {
  K_EVICTED_FRAMES: 'evicted_raw_pages',
  K_EVICTED_UNBUDDIED: 'evicted_unbuddied_pages',
  K_EVICTED_BUDDIED: 'evicted_buddied_pages',
  K_EVICTED_PAGES: 'evicted_zpages',
  K_EVICTED_INLINE: 'evicted_inline_pages',
  K_EPH_ATE_TAIL: 'eph_ate_tail',
  K_PERS_ATE_EPH: 'pers_ate_eph',
  K_ABORTED_SHRINK: 'aborted_shrink',
};

/** Constants of an arena source whose names match `pattern`, with their values. */
function constants(file: string, pattern: RegExp): Map<string, number> {
  const source = readFileSync(new URL(`../arena/${file}`, import.meta.url), 'utf8');
  const found = [...source.matchAll(/^export const (\w+): u32 = (\d+);/gm)].filter(([, name]) =>
    pattern.test(name),
  );
  return new Map(found.map(([, name, value]) => [name, Number(value)]));
}

test.each([
  ['pools', 'memory/counters.ts', /^N_/, POOL_CELLS, POOL_COUNTERS.map(({ name }) => name)],
  ['clients', 'tmem/client-counters.ts', /^K_/, CLIENT_CELLS, CLIENT_COUNTERS.map(({ name }) => name)],
] as const)('the arena counts for %s in the order of the table', (_, file, pattern, cells, names) => {
  const found = constants(file, pattern);
  expect([...found.keys()].sort()).toEqual(Object.keys(cells).sort());
  for (const [cell, name] of Object.entries(cells))
    expect([cell, names[found.get(cell) ?? -1]]).toEqual([cell, name]);
});

test('the rows of the arena have a cell for each counter', () => {
  const words = constants('memory/layout.ts', /_COUNTER_WORDS$/);
  expect(words.get('POOL_COUNTER_WORDS')).toBeGreaterThanOrEqual(POOL_COUNTERS.length);
  expect(words.get('CLIENT_COUNTER_WORDS')).toBeGreaterThanOrEqual(CLIENT_COUNTERS.length);
});
