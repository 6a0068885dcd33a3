/**
 * Statistics as Prometheus text (exposition format 0.0.4).
 *
 *   # HELP tmem_pool_puts_total Pages offered to the pool.
 *   # TYPE tmem_pool_puts_total counter
 *   tmem_pool_puts_total{client="web",pool="pages",kind="ephemeral"} 17
 *
 * Every counter of a pool is exported for each pool, of a client for each client, of the store once: sums are the
 * reader's to make. Counters end in _total; current values and high-water marks are gauges. The sizes of all pages
 * ever compressed are histograms in bytes; the sizes of pages held now can fall, so they are plain gauges by size.
 */

import { CLIENT_COUNTERS, HISTOGRAM_BUCKETS } from './client-counters.ts';
import type { Counter } from './counters.ts';
import { POOL_COUNTERS } from './pool-counters.ts';
import type { ClientStatistics, PoolStatistics, StoreStatistics } from './statistics.ts';
import { bucketBytes, countUpTo, type Histogram } from './statistics-groups.ts';
import { STORE_COUNTERS } from './store-counters.ts';

/** The content type to serve the text with. */
export const PROMETHEUS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export type Labels = Readonly<Record<string, string | number>>;

export interface Sample {
  readonly suffix?: string;
  readonly labels: Labels;
  readonly value: number;
}

/** Size classes of 256 bytes, plus the original's marks at 21 and 42 chunks (32 chunks are a class already). */
const SIZE_MARKS = [...Array.from({ length: 16 }, (_, i) => (i + 1) * 4), 21, 42].sort((a, b) => a - b);

/** Buckets of 64 bytes in one class of a gauge by size. */
const CLASS_BUCKETS = 4;

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function sampleLine(name: string, { suffix = '', labels, value }: Sample): string {
  const pairs = Object.entries(labels).map(([key, given]) => `${key}="${escapeLabel(String(given))}"`);
  return `${name}${suffix}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}`;
}

/** One metric with all its samples; nothing at all if it has none. */
export function family(
  name: string,
  type: 'counter' | 'gauge' | 'histogram',
  help: string,
  samples: readonly Sample[],
): string[] {
  if (samples.length === 0) return [];
  return [
    `# HELP ${name} ${escapeHelp(help)}`,
    `# TYPE ${name} ${type}`,
    ...samples.map((sample) => sampleLine(name, sample)),
  ];
}

/** One family for each counter of a table, with a sample for each of `parts`. */
export function tableFamilies<Part>(
  prefix: string,
  table: readonly Counter[],
  parts: readonly Part[],
  labelsOf: (part: Part) => Labels,
  valuesOf: (part: Part) => Readonly<Record<string, number>>,
): string[] {
  const known = parts.map((part) => ({ labels: labelsOf(part), values: valuesOf(part) }));
  return table.flatMap(({ name, kind, help }) => {
    const fullName = `tmem_${prefix}_${name}${kind === 'counter' ? '_total' : ''}`;
    const samples = known.map(({ labels, values }) => ({ labels, value: values[name] }));
    return family(fullName, kind, help, samples);
  });
}

function poolValues(pool: PoolStatistics): Record<string, number> {
  return { ...pool.traffic, ...pool.refusals, ...pool.index, ...pool.content, ...pool.moves };
}

function clientValues(client: ClientStatistics): Record<string, number> {
  const values: Record<string, number> = { ...client.frames, ...client.reclaim };
  for (const memory of ['zbud', 'zv'] as const) {
    for (const [name, value] of Object.entries(client[memory])) {
      if (typeof value === 'number') values[`${memory}_${name}`] = value;
    }
  }
  return values;
}

function histogramSamples(labels: Labels, histogram: Histogram, sum: number): Sample[] {
  const count = countUpTo(histogram, HISTOGRAM_BUCKETS);
  return [
    ...SIZE_MARKS.map((chunks) => ({
      suffix: '_bucket',
      labels: { ...labels, le: bucketBytes(chunks - 1) },
      value: countUpTo(histogram, chunks),
    })),
    { suffix: '_bucket', labels: { ...labels, le: '+Inf' }, value: count },
    { suffix: '_sum', labels, value: sum },
    { suffix: '_count', labels, value: count },
  ];
}

function sizeSamples(labels: Labels, histogram: Histogram): Sample[] {
  const classes = Array.from(
    { length: HISTOGRAM_BUCKETS / CLASS_BUCKETS },
    (_, i) => (i + 1) * CLASS_BUCKETS,
  );
  return classes.map((chunks) => ({
    labels: { ...labels, up_to_bytes: bucketBytes(chunks - 1) },
    value: countUpTo(histogram, chunks) - countUpTo(histogram, chunks - CLASS_BUCKETS),
  }));
}

/** The statistics of a store as Prometheus text, ending with a line feed. */
export function prometheusText(statistics: StoreStatistics): string {
  const { clients } = statistics;
  const pools = clients.flatMap((client) => client.pools);
  const ofClient = (client: ClientStatistics) => ({ client: client.name });
  const ofPool = (pool: PoolStatistics) => ({ client: pool.client, pool: pool.name, kind: pool.kind });
  const each = (samples: (client: ClientStatistics) => Sample[]) => clients.flatMap(samples);

  const lines = [
    ...family('tmem_store_memory_bytes', 'gauge', 'The setting memory.', [
      { labels: {}, value: statistics.memory_bytes },
    ]),
    ...family('tmem_store_frozen', 'gauge', '1 while the store is frozen.', [
      { labels: {}, value: Number(statistics.frozen) },
    ]),
    ...tableFamilies(
      'store',
      STORE_COUNTERS,
      [statistics.store],
      () => ({}),
      (values) => values,
    ),
    ...family(
      'tmem_client_weight',
      'gauge',
      'Share of the memory relative to other clients.',
      each((client) => [{ labels: ofClient(client), value: client.weight }]),
    ),
    ...family(
      'tmem_client_cap_bytes',
      'gauge',
      'Most bytes of frames the client may hold; absent without a cap.',
      each((client) =>
        client.cap_bytes === null ? [] : [{ labels: ofClient(client), value: client.cap_bytes }],
      ),
    ),
    ...tableFamilies('client', CLIENT_COUNTERS, clients, ofClient, clientValues),
    ...family(
      'tmem_client_zbud_page_bytes',
      'histogram',
      'Compressed sizes of all pages zbud has taken.',
      each((client) =>
        histogramSamples(ofClient(client), client.zbud.cumul_chunk_counts, client.zbud.cumul_zbytes),
      ),
    ),
    ...family(
      'tmem_client_zv_page_bytes',
      'histogram',
      'Compressed sizes of all pages zv has taken.',
      each((client) =>
        histogramSamples(ofClient(client), client.zv.cumul_size_counts, client.zv.cumul_zbytes),
      ),
    ),
    ...family(
      'tmem_client_zbud_unbuddied_frames',
      'gauge',
      'zbud frames with one page, by the bytes it uses.',
      each((client) => sizeSamples(ofClient(client), client.zbud.unbuddied_list_counts)),
    ),
    ...family(
      'tmem_client_zv_pages_by_size',
      'gauge',
      'Pages held by zv, by compressed size.',
      each((client) => sizeSamples(ofClient(client), client.zv.curr_size_counts)),
    ),
    ...tableFamilies('pool', POOL_COUNTERS, pools, ofPool, poolValues),
  ];
  return `${lines.join('\n')}\n`;
}
