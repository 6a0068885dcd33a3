/**
 * What a store holds and what is asked of it, in one line each; and what is wrong, if anything is.
 */

import { formatByteSize } from '../../zcache/byte-size.ts';
import { bar } from '../text/bar.ts';
import { count, percent, perSecond } from '../text/figures.ts';
import { type Line, type Span, span } from '../text/line.ts';
import { type Activity, activityOf, type Sample } from './sample.ts';

const LABEL_COLUMNS = 13;
const COUNT_COLUMNS = 6;
const RATE_COLUMNS = 9;
const HIT_CELLS = 10;

function labelled(label: string, ...spans: readonly Span[]): Line {
  return [span(label.padEnd(LABEL_COLUMNS)), ...spans];
}

/**
 * @param rates - undefined without --watch, and for its first look
 * @param watched - whether there is a column for rates
 */
export function summaryLines({ statistics }: Sample, rates: Activity | undefined, watched: boolean): Line[] {
  const { content, index, traffic } = statistics;
  const totals = activityOf(statistics);
  const counted = (label: string, name: keyof Activity, ...more: readonly Span[]) => {
    const rate = watched ? [span(`${perSecond(rates?.[name])}/s`.padStart(RATE_COLUMNS))] : [];
    return labelled(label, span(count(totals[name]).padStart(COUNT_COLUMNS)), ...rate, ...more);
  };
  const away = content.remote_pages === 0 ? '' : `, ${count(content.remote_pages)} with peers`;
  const now = rates === undefined ? [] : [span(`  now ${percent(rates.hits, rates.gets)}`, 'faint')];
  return [
    labelled(
      'pages',
      span(count(content.curr_pages).padStart(COUNT_COLUMNS)),
      span(
        ` in ${count(index.curr_obj_count)} objects, ${count(content.same_filled_pages)} same-filled${away}`,
      ),
    ),
    labelled(
      'compression',
      span(content.ratio.toFixed(2).padStart(COUNT_COLUMNS)),
      span(` : 1, ${formatByteSize(content.mean_zsize)} a page`),
    ),
    labelled(
      'hits',
      ...bar(traffic.hit_ratio, HIT_CELLS),
      span(` ${percent(totals.hits, totals.gets)}`),
      ...now,
    ),
    counted('gets', 'gets'),
    counted('puts', 'puts'),
    counted('evicted', 'evicted'),
    counted('refused', 'refused', span(causesText(statistics.refusals), 'faint')),
  ];
}

/** The causes of refused puts, the most frequent first. */
function causesText(refusals: Sample['statistics']['refusals']): string {
  const { failed_eph_puts, failed_pers_puts, ...causes } = refusals;
  const found = Object.entries(causes)
    .filter(([, times]) => times > 0)
    .sort(([, a], [, b]) => b - a);
  return found.length === 0 ? '' : `  ${found.map(([name, times]) => `${name} ${count(times)}`).join(', ')}`;
}

/** What someone should look at: one line each, none if all is well. */
export function troubleLines({ statistics }: Sample): Line[] {
  const { content, store } = statistics;
  const lines: Line[] = [];
  if (content.checksum_failures > 0) {
    const pages = count(content.checksum_failures);
    lines.push([span(`${pages} pages did not match their checksum: memory was damaged`, 'alarm')]);
  }
  if (store.lock_timeouts > 0) {
    const times = count(store.lock_timeouts);
    lines.push([span(`${times} operations gave up waiting for a lock: a thread is stopped`, 'notice')]);
  }
  return lines;
}
