/**
 * A node's cluster for people: what is at stake, then a line for each peer.
 */

import type { PeersPage } from '../../serve/index.ts';
import { formatByteSize } from '../../zcache/byte-size.ts';
import { count } from '../text/figures.ts';
import { type Line, type Span, span } from '../text/line.ts';
import { type Cell, type Column, table } from '../text/table.ts';
import { printable } from '../text/width.ts';

const COLUMNS: readonly Column[] = [
  { title: 'peer', align: 'left', rank: 0 },
  { title: 'state', align: 'left', rank: 1 },
  { title: 'address', align: 'left', rank: 4 },
  { title: 'borrowed', align: 'right', rank: 2 },
  { title: 'lent', align: 'right', rank: 3 },
  { title: 'free', align: 'right', rank: 5 },
  { title: 'latency', align: 'right', rank: 6 },
  { title: 'problem', align: 'left', rank: 7 },
];

const STATES = { up: 'up', suspect: 'late', down: 'down' } as const;

export function peersView(page: PeersPage, columns: number): Line[] {
  const { peers, engines } = page;
  const rows = [...peers.map(peerRow), ...engines.map(engineRow)];
  return [
    headline(page),
    ...troubles(page),
    [span('')],
    ...(rows.length === 0 ? [[span('no peers')]] : table(COLUMNS, rows, columns)),
  ];
}

function headline({ name, cluster, addresses, ...page }: PeersPage): Line {
  const parts = [
    ` of ${printable(cluster)}`,
    ...(addresses.length === 0 ? [] : [` at ${printable(addresses.join(', '))}`]),
    ` · ${count(page.remotePages)} pages away, ${page.replicas} ${page.replicas === 1 ? 'copy' : 'copies'} each`,
    ` · ${formatByteSize(page.lentBytes)} lent`,
  ];
  return [span(printable(name), 'strong'), span(parts.join(''))];
}

function troubles({ replicasShort, pagesLost, problem }: PeersPage): Line[] {
  const found: Line[] = [];
  if (replicasShort > 0) found.push([span(`${count(replicasShort)} pages have too few copies`, 'alarm')]);
  if (pagesLost > 0) found.push([span(`${count(pagesLost)} pages are lost: no copy is left`, 'alarm')]);
  if (problem !== undefined) found.push([span(`membership: ${printable(problem)}`, 'alarm')]);
  return found;
}

/** Of who is down nothing is known but what it was. */
function peerRow({ name, address, state, draining, ...peer }: PeersPage['peers'][number]): Cell[] {
  const known = (text: string): Span => span(state === 'down' ? '-' : text);
  return [
    span(printable(name), 'strong'),
    stateCell(state, draining),
    span(printable(address)),
    span(pages(peer.borrowedPages)),
    span(peer.lentPages === 0 ? '-' : formatByteSize(peer.lentBytes)),
    known(formatByteSize(peer.freeBytes)),
    known(latency(peer.latencyMs)),
    span(printable(peer.problem ?? '')),
  ];
}

/** A store that is no peer borrows nothing. */
function engineRow({ name, state, ...engine }: PeersPage['engines'][number]): Cell[] {
  const known = (text: string): Span => span(state === 'down' ? '-' : text);
  return [
    span(printable(name), 'strong'),
    stateCell(state, false),
    span('-'),
    span(pages(engine.borrowedPages)),
    span('-'),
    known(formatByteSize(engine.freeBytes)),
    known(latency(engine.latencyMs)),
    span(printable(engine.problem ?? '')),
  ];
}

function stateCell(state: keyof typeof STATES, draining: boolean): Cell {
  if (state === 'up') return draining ? span('leaving', 'notice') : span('up');
  return span(STATES[state], state === 'down' ? 'alarm' : 'notice');
}

function pages(number: number): string {
  return number === 0 ? '-' : `${count(number)} pages`;
}

function latency(ms: number): string {
  return `${ms.toFixed(ms < 9.95 ? 1 : 0)} ms`;
}
