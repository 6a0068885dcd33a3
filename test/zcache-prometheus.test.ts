import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CLIENT_COUNTERS, CLIENT_HISTOGRAMS, HISTOGRAM_BUCKETS } from '../src/zcache/client-counters.ts';
import { EVENT_NAMES, publish } from '../src/zcache/events.ts';
import { POOL_COUNTERS } from '../src/zcache/pool-counters.ts';
import { prometheusText } from '../src/zcache/prometheus.ts';
import { type RawStore, storeStatistics } from '../src/zcache/statistics.ts';
import { STORE_COUNTERS } from '../src/zcache/store-counters.ts';

interface Sample {
  family: string;
  name: string;
  labels: Record<string, string>;
  value: number;
}

const ESCAPES: Record<string, string> = { '\\\\': '\\', '\\"': '"', '\\n': '\n' };

/** Reads the text strictly: HELP, TYPE, then samples of that family only; every line must be understood. */
function parse(text: string): { samples: Sample[]; types: Map<string, string> } {
  if (!text.endsWith('\n')) throw new Error('the text must end with a line feed');
  const samples: Sample[] = [];
  const types = new Map<string, string>();
  const seen = new Set<string>();
  let helped = '';
  let family = '';
  for (const line of text.slice(0, -1).split('\n')) {
    const help = /^# HELP ([a-z_][a-z0-9_]*) \S/.exec(line);
    const type = /^# TYPE ([a-z_][a-z0-9_]*) (counter|gauge|histogram)$/.exec(line);
    const sample =
      /^([a-z_][a-z0-9_]*)(?:\{((?:[a-z_]+="(?:[^"\\]|\\["\\n])*",?)+)\})? (\d+(?:\.\d+)?(?:e\+\d+)?)$/.exec(
        line,
      );
    if (help) helped = help[1];
    else if (type) {
      family = type[1];
      if (helped !== family || types.has(family)) throw new Error(`TYPE without its HELP, or twice: ${line}`);
      types.set(family, type[2]);
    } else if (sample) {
      const bare =
        types.get(family) === 'histogram' ? sample[1].replace(/_(bucket|sum|count)$/, '') : sample[1];
      if (bare !== family) throw new Error(`a sample outside its family: ${line}`);
      const key = line.slice(0, line.lastIndexOf(' '));
      if (seen.has(key)) throw new Error(`the same sample twice: ${line}`);
      seen.add(key);
      const pairs = [...(sample[2] ?? '').matchAll(/([a-z_]+)="((?:[^"\\]|\\["\\n])*)"/g)];
      const labels = pairs.map(([, name, value]) => [
        name,
        value.replace(/\\["\\n]/g, (each) => ESCAPES[each]),
      ]);
      samples.push({ family, name: sample[1], labels: Object.fromEntries(labels), value: Number(sample[3]) });
    } else throw new Error(`not understood: ${line}`);
  }
  return { samples, types };
}

function rawStore(client = 'web', pool = 'pages'): RawStore {
  const shapes = CLIENT_HISTOGRAMS.map(({ name }) => {
    const cells = BigUint64Array.from({ length: HISTOGRAM_BUCKETS }, (_, bucket) => BigInt(bucket));
    return [name, cells];
  });
  const row = (length: number, start: number) => BigUint64Array.from({ length }, (_, i) => BigInt(start + i));
  const about = { id: 1, name: client, weight: 100, capBytes: 2 ** 20, frozen: false };
  const poolAbout = {
    id: 1,
    name: pool,
    client,
    kind: 'ephemeral',
    codec: 'lz4',
    pam: 'zbud',
    shared: null,
  } as const;
  return {
    memoryBytes: 2 ** 28,
    frozen: false,
    row: row(STORE_COUNTERS.length, 10),
    clients: [
      {
        ...about,
        row: row(CLIENT_COUNTERS.length, 100),
        histograms: Object.fromEntries(shapes),
        pools: [{ ...poolAbout, row: row(POOL_COUNTERS.length, 1000) }],
        retiredPools: row(POOL_COUNTERS.length, 0),
      },
    ],
    retiredPools: row(POOL_COUNTERS.length, 0),
    retiredClients: row(CLIENT_COUNTERS.length, 0),
  };
}

describe('Prometheus text', () => {
  const { samples, types } = parse(prometheusText(storeStatistics(rawStore())));

  test('has every counter of pools, clients and the store with its value, labels and type', () => {
    const levels = [
      {
        prefix: 'pool',
        table: POOL_COUNTERS,
        start: 1000,
        labels: { client: 'web', pool: 'pages', kind: 'ephemeral' },
      },
      { prefix: 'client', table: CLIENT_COUNTERS, start: 100, labels: { client: 'web' } },
      { prefix: 'store', table: STORE_COUNTERS, start: 10, labels: {} },
    ] as const;
    for (const { prefix, table, start, labels } of levels) {
      for (const [i, { name, kind }] of table.entries()) {
        const full = `tmem_${prefix}_${name}${kind === 'counter' ? '_total' : ''}`;
        expect(types.get(full)).toBe(kind);
        expect(samples.filter((each) => each.name === full)).toEqual([
          { family: full, name: full, labels, value: start + i },
        ]);
      }
    }
  });

  test('histograms are cumulative, end at +Inf, and count what is there', () => {
    const name = 'tmem_client_zbud_page_bytes';
    const buckets = samples.filter((each) => each.name === `${name}_bucket`);
    const bounds = buckets.map(({ labels }) =>
      labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.le),
    );
    expect(bounds).toEqual(bounds.toSorted((a, b) => a - b));
    expect(bounds).toEqual(
      expect.arrayContaining([21 * 64, 32 * 64, 42 * 64, 4096, Number.POSITIVE_INFINITY]),
    );
    for (const [i, { value }] of buckets.entries()) {
      const chunks = Math.min(bounds[i] / 64, HISTOGRAM_BUCKETS);
      expect(value).toBe((chunks * (chunks - 1)) / 2);
    }
    const [count] = samples.filter((each) => each.name === `${name}_count`);
    expect(count.value).toBe(buckets.at(-1)?.value);
    const [sum] = samples.filter((each) => each.name === `${name}_sum`);
    expect(sum.value).toBe(100 + CLIENT_COUNTERS.findIndex((each) => each.name === 'zbud_cumul_zbytes'));
  });

  test('sizes of pages held now lose none of them', () => {
    const held = samples.filter((each) => each.name === 'tmem_client_zv_pages_by_size');
    expect(held.reduce((sum, { value }) => sum + value, 0)).toBe((63 * 64) / 2);
    expect(types.get('tmem_client_zv_pages_by_size')).toBe('gauge');
  });

  test('any name of a client or pool survives escaping', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 1, unit: 'grapheme' }),
        fc.string({ minLength: 1 }),
        (client, pool) => {
          const read = parse(prometheusText(storeStatistics(rawStore(client, pool))));
          const puts = read.samples.find((each) => each.name === 'tmem_pool_puts_total');
          expect(puts?.labels).toEqual({ client, pool, kind: 'ephemeral' });
        },
      ),
      { numRuns: 30 },
    );
  });

  test('a store without clients is still valid text', () => {
    const { samples: few } = parse(prometheusText(storeStatistics({ ...rawStore(), clients: [] })));
    expect(few.every(({ name }) => name.startsWith('tmem_store_'))).toBe(true);
    expect(few.length).toBe(STORE_COUNTERS.length + 2);
  });
});

describe('events', () => {
  test('a payload is built for listeners only, and reaches them', () => {
    const name = 'tmem:thread:dead';
    expect(EVENT_NAMES).toContain(name);
    let built = 0;
    const payload = () => {
      built++;
      return { thread: 3, busy: true };
    };
    publish(name, payload);
    expect(built).toBe(0);
    const heard: unknown[] = [];
    const listen = (event: unknown) => heard.push(event);
    subscribe(name, listen);
    try {
      publish(name, payload);
    } finally {
      unsubscribe(name, listen);
    }
    publish(name, payload);
    expect(heard).toEqual([{ thread: 3, busy: true }]);
    expect(built).toBe(1);
  });
});
