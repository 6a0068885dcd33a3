/**
 * One row for each client, and below it one for each of its pools.
 */

import { formatByteSize } from '../../zcache/byte-size.ts';
import type { ClientStatistics, PoolStatistics } from '../../zcache/index.ts';
import { PAGE_BYTES } from '../../zcache/settings.ts';
import type { PoolGroups } from '../../zcache/statistics-groups.ts';
import { count, percent, perSecond } from '../text/figures.ts';
import { type Line, span } from '../text/line.ts';
import { type Cell, type Column, table } from '../text/table.ts';
import { printable } from '../text/width.ts';
import { type Activity, activityOf, Changes, type Sample } from './sample.ts';

const COUNTED = ['gets', 'puts', 'evicted', 'refused'] as const satisfies readonly (keyof Activity)[];

function columnsFor(watched: boolean): Column[] {
  const each = (name: string) => (watched ? `${name}/s` : name);
  return [
    { title: 'client / pool', align: 'left', rank: 0 },
    { title: 'kind', align: 'left', rank: 7 },
    { title: 'pages', align: 'right', rank: 2 },
    { title: 'bytes', align: 'right', rank: 6 },
    { title: 'ratio', align: 'right', rank: 8 },
    { title: 'hits', align: 'right', rank: 1 },
    { title: each('gets'), align: 'right', rank: 3 },
    { title: each('puts'), align: 'right', rank: 4 },
    { title: each('evicted'), align: 'right', rank: 5 },
    { title: each('refused'), align: 'right', rank: 9 },
    { title: 'memory', align: 'right', rank: 10 },
  ];
}

/** @param watched - whether to show what happens each second, instead of totals */
export function poolLines(
  now: Sample,
  before: Sample | undefined,
  watched: boolean,
  columns: number,
): Line[] {
  const changes = new Changes(now, before);
  const rows = now.statistics.clients.flatMap((client) => [
    clientRow(client, activityCells(client, changes.ofClient(client), watched)),
    ...client.pools.map((pool) => poolRow(pool, activityCells(pool, changes.ofPool(client, pool), watched))),
  ]);
  return rows.length === 0 ? [] : table(columnsFor(watched), rows, columns);
}

function clientRow(client: ClientStatistics, activity: readonly Cell[]): Cell[] {
  const { name, frozen, weight, cap_bytes, frames } = client;
  const held = formatByteSize(frames.curr_frames * PAGE_BYTES);
  return [
    span(`${printable(name)}${frozen ? ' (frozen)' : ''}`, frozen ? 'notice' : 'strong'),
    span(`weight ${weight}`, 'faint'),
    ...contentCells(client),
    ...activity,
    span(cap_bytes === null ? held : `${held} of ${formatByteSize(cap_bytes)}`),
  ];
}

function poolRow(pool: PoolStatistics, activity: readonly Cell[]): Cell[] {
  const kind = pool.kind === 'ephemeral' ? 'eph' : 'pers';
  return [
    span(`  ${printable(pool.name)}`),
    span(`${kind} ${pool.pam}`, 'faint'),
    ...contentCells(pool),
    ...activity,
    span(''),
  ];
}

function contentCells({ content, traffic }: PoolGroups): Cell[] {
  return [
    span(count(content.curr_pages)),
    span(formatByteSize(content.curr_zbytes)),
    span(content.ratio === 0 ? '-' : content.ratio.toFixed(2)),
    span(percent(traffic.succ_gets, traffic.succ_gets + traffic.failed_gets)),
  ];
}

function activityCells(groups: PoolGroups, rates: Activity | undefined, watched: boolean): Cell[] {
  const totals = activityOf(groups);
  return COUNTED.map((name) => span(watched ? perSecond(rates?.[name]) : count(totals[name])));
}
