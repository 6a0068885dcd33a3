/**
 * What the daemon tells a monitoring system: the store's figures, those of each export in zram's terms and in requests,
 * its connections, and its cluster.
 */

import type { ExportStatistics } from '../nbd/index.ts';
import { RAMSTER_COUNTERS } from '../ramster/counters.ts';
import type { PeerView, Ramster } from '../ramster/index.ts';
import { prometheusText, type StoreStatistics } from '../zcache/index.ts';
import { family, tableFamilies } from '../zcache/prometheus.ts';

/** Figures of an export: name after `tmem_export_`, kind, where it is, help. */
const EXPORT_FIGURES: readonly (readonly [
  name: string,
  type: 'counter' | 'gauge',
  key: keyof ExportStatistics,
  help: string,
])[] = [
  ['disksize_bytes', 'gauge', 'disksize', 'Size of the export.'],
  ['orig_data_size_bytes', 'gauge', 'orig_data_size', 'Data in the store before compression.'],
  ['compr_data_size_bytes', 'gauge', 'compr_data_size', 'Data in the store after compression.'],
  ['mem_used_bytes', 'gauge', 'mem_used_total', 'Memory of the store the export has, its index included.'],
  ['mem_used_max_bytes', 'gauge', 'mem_used_max', 'The most it has had.'],
  ['mem_limit_bytes', 'gauge', 'mem_limit', 'The most it may have; 0 without a limit.'],
  ['same_pages', 'gauge', 'same_pages', 'Pages of one repeated value, which take no memory but their index.'],
  ['huge_pages', 'gauge', 'huge_pages', 'Pages that do not compress and are kept as they are.'],
  ['refused_pages_total', 'counter', 'refused_pages', 'Pages the store refused.'],
  ['reads_total', 'counter', 'reads', 'Read requests.'],
  ['read_bytes_total', 'counter', 'read_bytes', 'Bytes read.'],
  ['writes_total', 'counter', 'writes', 'Write requests.'],
  ['written_bytes_total', 'counter', 'written_bytes', 'Bytes written.'],
  ['zeroes_total', 'counter', 'zeroes', 'Requests to write zeroes.'],
  ['trims_total', 'counter', 'trims', 'Trim requests.'],
  ['flushes_total', 'counter', 'flushes', 'Flush requests.'],
];

/** Figures of a peer: name after `tmem_ramster_peer_`, help, value. */
const PEER_FIGURES: readonly (readonly [name: string, help: string, value: (peer: PeerView) => number])[] = [
  ['up', '1 while the peer answers.', ({ state }) => Number(state === 'up')],
  ['draining', '1 while the peer leaves in order.', ({ draining }) => Number(draining)],
  ['latency_seconds', 'Round trip of late.', ({ latencyMs }) => latencyMs / 1000],
  ['free_bytes', 'Memory that the peer can take for others.', ({ freeBytes }) => freeBytes],
  ['lent_pages', 'Pages held here for the peer.', ({ lentPages }) => lentPages],
  ['lent_bytes', 'Memory that its pages take here.', ({ lentBytes }) => lentBytes],
  [
    'borrowed_pages',
    'Copies of pages of this node at the peer, as of the last look through all records.',
    ({ borrowedPages }) => borrowedPages,
  ],
];

/** Figures of the daemon itself. */
export interface ServerFigures {
  readonly connections: number;
  /** Clients that were not let in since the start. */
  readonly refused: number;
}

/** All of it as Prometheus text. */
export function metricsText(
  store: StoreStatistics,
  exports: readonly ExportStatistics[],
  { connections, refused }: ServerFigures,
  ramster?: Ramster,
): string {
  const plain = (value: number) => [{ labels: {}, value }];
  const lines = [
    ...family('tmem_nbd_connections', 'gauge', 'Connections of clients.', plain(connections)),
    ...family('tmem_nbd_refused_total', 'counter', 'Clients that were not let in.', plain(refused)),
    ...EXPORT_FIGURES.flatMap(([name, type, key, help]) =>
      family(
        `tmem_export_${name}`,
        type,
        help,
        exports.map((each) => ({
          labels: { export: each.name, kind: each.kind },
          value: Number(each[key]),
        })),
      ),
    ),
    ...(ramster === undefined ? [] : ramsterLines(ramster)),
  ];
  return `${prometheusText(store)}${lines.join('\n')}\n`;
}

function ramsterLines(ramster: Ramster): string[] {
  const statistics = ramster.statistics();
  const peers = ramster.peers();
  return [
    ...tableFamilies(
      'ramster',
      RAMSTER_COUNTERS,
      [statistics],
      () => ({}),
      (values) => ({ ...values }),
    ),
    ...family('tmem_ramster_membership_problem', 'gauge', '1 while something is wrong with the membership.', [
      { labels: {}, value: Number(ramster.problem !== undefined) },
    ]),
    ...PEER_FIGURES.flatMap(([name, help, value]) =>
      family(
        `tmem_ramster_peer_${name}`,
        'gauge',
        help,
        peers.map((peer) => ({ labels: { peer: peer.name }, value: value(peer) })),
      ),
    ),
  ];
}
