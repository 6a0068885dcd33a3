import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RAMSTER_COUNTERS } from '../src/ramster/counters.ts';
import {
  CLIENT_COUNTERS,
  CLIENT_HISTOGRAMS,
  type ClientHistogramName,
  HISTOGRAM_BUCKETS,
} from '../src/zcache/client-counters.ts';
import { type Counter, counter, emptyRow, foldRows, namedTotals, tide } from '../src/zcache/counters.ts';
import { POOL_COUNTERS } from '../src/zcache/pool-counters.ts';
import {
  clientStatistics,
  poolStatistics,
  type RawClient,
  type RawPool,
  type RawStore,
  storeStatistics,
} from '../src/zcache/statistics.ts';
import { STORE_COUNTERS } from '../src/zcache/store-counters.ts';

/** A row in which the cell of each counter is unlike all others. */
function distinctRow(table: readonly Counter[], start: number): BigUint64Array {
  return BigUint64Array.from(table, (_, i) => BigInt(start + i));
}

function rowOf(table: readonly Counter[], values: Record<string, number>): BigUint64Array {
  const row = emptyRow(table);
  for (const [name, value] of Object.entries(values)) {
    const at = table.findIndex((entry) => entry.name === name);
    if (at < 0) throw new Error(`no counter ${name}`);
    row[at] = BigInt(value);
  }
  return row;
}

function histograms(): Record<ClientHistogramName, BigUint64Array> {
  const all = CLIENT_HISTOGRAMS.map(({ name }) => [name, new BigUint64Array(HISTOGRAM_BUCKETS)]);
  return Object.fromEntries(all);
}

function rawPool(row: BigUint64Array, more: Partial<RawPool> = {}): RawPool {
  const about = {
    id: 1,
    name: 'pages',
    client: 'web',
    kind: 'ephemeral',
    codec: 'lz4',
    pam: 'zbud',
    shared: null,
  };
  return { ...(about as Omit<RawPool, 'row'>), row, ...more };
}

function rawClient(more: Partial<RawClient> = {}): RawClient {
  return {
    ...{ id: 1, name: 'web', weight: 100, capBytes: null, frozen: false },
    ...{
      row: emptyRow(CLIENT_COUNTERS),
      histograms: histograms(),
      pools: [],
      retiredPools: emptyRow(POOL_COUNTERS),
    },
    ...more,
  };
}

function rawStore(more: Partial<RawStore> = {}): RawStore {
  return {
    ...{ memoryBytes: 2 ** 28, frozen: false, row: emptyRow(STORE_COUNTERS), clients: [] },
    ...{ retiredPools: emptyRow(POOL_COUNTERS), retiredClients: emptyRow(CLIENT_COUNTERS) },
    ...more,
  };
}

/** All numbers of the groups of a snapshot, by name. */
function leaves(groups: object, prefix = ''): [string, number][] {
  return Object.entries(groups).flatMap(([name, value]) => {
    if (typeof value === 'number') return [[`${prefix}${name}`, value] as [string, number]];
    const nested = typeof value === 'object' && value !== null && !Array.isArray(value);
    return nested ? leaves(value, name === 'zbud' || name === 'zv' ? `${name}_` : prefix) : [];
  });
}

describe('tables', () => {
  test('fit the rows the arena has for them, and no name occurs twice', () => {
    expect(POOL_COUNTERS.length).toBeLessThanOrEqual(48);
    expect(CLIENT_COUNTERS.length).toBeLessThanOrEqual(48);
    expect(STORE_COUNTERS.length).toBeLessThanOrEqual(16);
    for (const table of [POOL_COUNTERS, [...CLIENT_COUNTERS, ...CLIENT_HISTOGRAMS], STORE_COUNTERS]) {
      const names = table.map(({ name }) => name);
      expect(new Set(names).size).toBe(names.length);
    }
  });

  test('every current value of something that grows and falls has its high-water mark', () => {
    for (const table of [POOL_COUNTERS, CLIENT_COUNTERS] as readonly (readonly Counter[])[]) {
      const names = table.map(({ name }) => name);
      for (const name of names.filter((each) => /(^|_)curr_/.test(each) && !each.endsWith('_max'))) {
        expect(names[names.indexOf(name) + 1]).toBe(`${name}_max`);
      }
    }
  });

  test('docs/operating/statistics.md has every counter with its text, and no other', () => {
    const page = readFileSync(new URL('../docs/operating/statistics.md', import.meta.url), 'utf8');
    const documented = [
      ...page.matchAll(/^\| `(\w+)`( \(with `_max`\))? \| (\w+) \| (counter|gauge) \| (.+) \| (.+) \|$/gm),
    ].map(([, name, marked, unit, kind, help, advice]) => ({
      name,
      unit,
      kind,
      help,
      advice,
      marked: !!marked,
    }));
    const ofStore = [POOL_COUNTERS, CLIENT_COUNTERS, CLIENT_HISTOGRAMS, STORE_COUNTERS] as const;
    const tables = [...ofStore, RAMSTER_COUNTERS] as const;
    const known = (tables as readonly (readonly Counter[])[]).flatMap((table) => {
      const names = new Set(table.map(({ name }) => name));
      const isMark = (name: string) => name.endsWith('_max') && names.has(name.slice(0, -'_max'.length));
      return table
        .filter(({ name }) => !isMark(name))
        .map((entry) => ({ ...entry, marked: names.has(`${entry.name}_max`) }));
    });
    expect(documented).toEqual(known);
  });
});

describe('rows', () => {
  const table = [counter('puts', 'pages', '', ''), ...tide('curr_pages', 'pages', '', '')] as const;

  test('shards add up, gauges modulo 2^64, and the greatest mark is the mark', () => {
    const move = fc.record({
      shard: fc.nat({ max: 3 }),
      delta: fc.integer({ min: -5, max: 9 }),
    });
    fc.assert(
      fc.property(fc.array(move, { maxLength: 60 }), (moves) => {
        const shards = Array.from({ length: 4 }, () => emptyRow(table));
        let now = 0;
        let highest = 0;
        let puts = 0;
        for (const { shard, delta } of moves) {
          const taken = Math.max(delta, -now);
          now += taken;
          puts++;
          shards[shard][0] += 1n;
          shards[shard][1] += BigInt(taken);
          if (now > highest) shards[shard][2] = BigInt(now);
          highest = Math.max(highest, now);
        }
        expect(namedTotals(table, foldRows(table, shards))).toEqual({
          puts,
          curr_pages: now,
          curr_pages_max: highest,
        });
      }),
    );
  });

  test('a gauge caught in the middle of a move is 0, never negative or huge', () => {
    const row = emptyRow(table);
    row[1] -= 3n;
    expect(namedTotals(table, foldRows(table, [row])).curr_pages).toBe(0);
  });

  test('a mark is never below the value it marks', () => {
    expect(namedTotals(table, [0n, 7n, 3n]).curr_pages_max).toBe(7);
  });
});

describe('snapshots', () => {
  test('a pool shows every counter exactly once, with its value', () => {
    const row = distinctRow(POOL_COUNTERS, 1000);
    const seen = leaves({ ...poolStatistics(rawPool(row)), id: undefined });
    const expected = namedTotals(POOL_COUNTERS, row);
    for (const { name } of POOL_COUNTERS) {
      expect(seen.filter(([each]) => each === name)).toEqual([[name, expected[name]]]);
    }
  });

  test('a client shows every counter exactly once, with its value', () => {
    const row = distinctRow(CLIENT_COUNTERS, 5000);
    const { frames, zbud, zv, reclaim } = clientStatistics(rawClient({ row }));
    const seen = leaves({ frames, zbud, zv, reclaim });
    const expected = namedTotals(CLIENT_COUNTERS, row);
    for (const { name } of CLIENT_COUNTERS) {
      expect(seen.filter(([each]) => each === name)).toEqual([[name, expected[name]]]);
    }
  });

  test('a client is the sum of its pools and of what destroyed pools left', () => {
    const client = clientStatistics(
      rawClient({
        pools: [
          rawPool(rowOf(POOL_COUNTERS, { puts: 5, succ_gets: 3, curr_pages: 2, curr_pages_max: 4 })),
          rawPool(rowOf(POOL_COUNTERS, { puts: 7, failed_gets: 1, curr_pages: 6, curr_pages_max: 6 }), {
            kind: 'persistent',
          }),
        ],
        retiredPools: rowOf(POOL_COUNTERS, { puts: 100, failed_gets: 8 }),
      }),
    );
    expect(client.traffic).toMatchObject({ puts: 112, succ_gets: 3, failed_gets: 9, hit_ratio: 0.25 });
    expect(client.index).toMatchObject({
      curr_eph_pampd_count: 2,
      curr_eph_pampd_count_max: 4,
      curr_pers_pampd_count: 6,
      curr_pers_pampd_count_max: 6,
    });
  });

  test('no counter of a store falls when a pool is destroyed or a client removed', () => {
    const pool = rowOf(POOL_COUNTERS, { puts: 10, succ_gets: 4 });
    const own = rowOf(CLIENT_COUNTERS, { evicted_raw_pages: 3 });
    const living = storeStatistics(rawStore({ clients: [rawClient({ row: own, pools: [rawPool(pool)] })] }));
    const poolGone = storeStatistics(rawStore({ clients: [rawClient({ row: own, retiredPools: pool })] }));
    const clientGone = storeStatistics(rawStore({ retiredPools: pool, retiredClients: own }));
    for (const { traffic, reclaim } of [living, poolGone, clientGone]) {
      expect([traffic.puts, traffic.succ_gets, reclaim.evicted_raw_pages]).toEqual([10, 4, 3]);
    }
  });

  test('derived figures follow from the counters, and nothing divided by nothing is 0', () => {
    const shapes = histograms();
    shapes.cumul_chunk_counts[20] = 4n;
    shapes.cumul_chunk_counts[21] = 2n;
    shapes.cumul_chunk_counts[41] = 1n;
    shapes.cumul_chunk_counts[42] = 1n;
    const row = rowOf(CLIENT_COUNTERS, {
      zbud_curr_raw_pages: 10,
      zbud_curr_zbytes: 20_480,
      zbud_cumul_zpages: 8,
      zbud_cumul_zbytes: 12_000,
    });
    const pool = rowOf(POOL_COUNTERS, { bytes_in: 32_768, cumul_zpages: 8, cumul_zbytes: 12_000 });
    const client = clientStatistics(rawClient({ row, histograms: shapes, pools: [rawPool(pool)] }));
    expect(client.zbud).toMatchObject({
      ...{ at_most_21_chunks: 4, at_most_32_chunks: 6, at_most_42_chunks: 7 },
      ...{ mean_chunks: (4 * 21 + 2 * 22 + 42 + 43) / 8, mean_zsize: 1500, density: 0.5 },
    });
    expect(client.content.ratio).toBeCloseTo(32_768 / 12_000, 12);
    const idle = storeStatistics(rawStore());
    expect([idle.traffic.hit_ratio, idle.content.ratio, idle.zbud.density, idle.zv.mean_zsize]).toEqual([
      0, 0, 0, 0,
    ]);
  });

  test('a snapshot is plain data', () => {
    const store = storeStatistics(
      rawStore({ clients: [rawClient({ pools: [rawPool(distinctRow(POOL_COUNTERS, 1))] })] }),
    );
    expect(JSON.parse(JSON.stringify(store))).toEqual(structuredClone(store));
  });
});
