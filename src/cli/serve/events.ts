/**
 * Which events of store, server and cluster get a line in the daemon's log, and what it says.
 */

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { TmemEventName, TmemEvents } from '../../zcache/index.ts';
import type { Level, Log, Many } from './log.ts';

type Entry<Payload> = readonly [
  about: Many | 'daemon',
  level: Level | ((payload: Payload) => Level),
  text: (payload: Payload) => string,
];

type Entries = { readonly [Name in TmemEventName]?: Entry<TmemEvents[Name]> };

/** Who is on a unix socket has no address, and who has gone has none any more. */
const who = (peer: string, otherwise = 'a client'): string => (peer === '' ? otherwise : peer);

const PEER_LEVELS = { up: 'notice', suspect: 'notice', down: 'warning' } as const;

const ENTRIES: Entries = {
  'tmem:nbd:serving': [
    ...(['clients', 'notice'] as const),
    ({ export: name, peer, secured }) => `${name}: serving ${who(peer)}${secured ? ' with TLS' : ''}`,
  ],
  'tmem:nbd:closed': [
    ...(['clients', 'notice'] as const),
    ({ export: name, peer, reason }) => `${name ?? 'no export'}: connection of ${who(peer)} ended: ${reason}`,
  ],
  'tmem:nbd:refused': ['clients', 'warning', ({ peer, reason }) => `refused ${who(peer)}: ${reason}`],
  'tmem:store:gone': [
    'daemon',
    'error',
    ({ path }) => `${path} was removed or replaced: others do not find it`,
  ],
  'tmem:process:dead': [
    ...(['daemon', 'warning'] as const),
    ({ slots }) => `${slots} threads of ended processes were recovered from`,
  ],
  'tmem:caretaker:failed': [
    'daemon',
    'error',
    ({ error }) => `looking after the store failed: ${messageOf(error)}`,
  ],
  'tmem:shrinker:pressure': [
    ...(['daemon', 'notice'] as const),
    ({ scope, cause }) => `memory is short (${scope}, ${cause}): giving some back`,
  ],
  'tmem:shrinker:exhausted': ['daemon', 'warning', ({ reason }) => `memory is short, and ${reason}`],
  'tmem:shrinker:failed': [
    'daemon',
    'error',
    ({ error }) => `giving memory back failed: ${messageOf(error)}`,
  ],
  'tmem:nbd:write-back-failed': [
    ...(['daemon', 'error'] as const),
    ({ error }) => `moving cold pages to files failed: ${messageOf(error)}`,
  ],
  'tmem:ramster:refused': [
    'nodes',
    'warning',
    ({ peer, reason }) => `refused as a node: ${who(peer, 'somebody')}: ${reason}`,
  ],
  'tmem:ramster:peer': [
    'nodes',
    ({ state }) => PEER_LEVELS[state],
    ({ name, state, problem }) => {
      const what = { up: 'is up', suspect: 'is late', down: 'is down' }[state];
      return `peer ${name} ${what}${problem === undefined ? '' : `: ${problem}`}`;
    },
  ],
  'tmem:ramster:lost': [
    ...(['lost pages', 'error'] as const),
    ({ client, pool, oid, index }) =>
      `no peer has page ${index} of object ${oid} of ${client}/${pool} any more: it is lost`,
  ],
  'tmem:ramster:lease-ended': [
    ...(['nodes', 'warning'] as const),
    ({ owner }) => `node ${owner} was silent for longer than its lease: its pages were dropped`,
  ],
  'tmem:page:damaged': [
    ...(['daemon', 'error'] as const),
    ({ client, pool, index }) => `memory was damaged: page ${index} of ${client}/${pool}`,
  ],
};

/** Logs events until the function that is returned is called. */
export function logEvents(log: Log): () => void {
  const undo = Object.entries(ENTRIES).map(([name, entry]) => {
    const [about, levelOf, text] = entry as Entry<unknown>;
    const listen = (payload: unknown): void => {
      const level = typeof levelOf === 'function' ? levelOf(payload) : levelOf;
      if (about === 'daemon') log.line(level, text(payload));
      else log.bounded(about, level, text(payload));
    };
    subscribe(name, listen);
    return () => unsubscribe(name, listen);
  });
  return () => {
    for (const step of undo) step();
  };
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
