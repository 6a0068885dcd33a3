/**
 * Which events of store and server get a line in the daemon's log, and what it says.
 */

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { TmemEventName, TmemEvents } from '../../zcache/index.ts';
import type { Level, Log } from './log.ts';

type Entry<Payload> = readonly [about: 'client' | 'store', level: Level, text: (payload: Payload) => string];

type Entries = { readonly [Name in TmemEventName]?: Entry<TmemEvents[Name]> };

/** A client on a unix socket has no address, and one that has gone has none any more. */
const who = (peer: string): string => (peer === '' ? 'a client' : peer);

const ENTRIES: Entries = {
  'tmem:nbd:serving': [
    ...(['client', 'notice'] as const),
    ({ export: name, peer, secured }) => `${name}: serving ${who(peer)}${secured ? ' with TLS' : ''}`,
  ],
  'tmem:nbd:closed': [
    ...(['client', 'notice'] as const),
    ({ export: name, peer, reason }) => `${name ?? 'no export'}: connection of ${who(peer)} ended: ${reason}`,
  ],
  'tmem:nbd:refused': ['client', 'warning', ({ peer, reason }) => `refused ${who(peer)}: ${reason}`],
  'tmem:store:gone': [
    'store',
    'error',
    ({ path }) => `${path} was removed or replaced: others do not find it`,
  ],
  'tmem:process:dead': [
    ...(['store', 'warning'] as const),
    ({ slots }) => `${slots} threads of ended processes were recovered from`,
  ],
  'tmem:caretaker:failed': [
    'store',
    'error',
    ({ error }) => `looking after the store failed: ${messageOf(error)}`,
  ],
  'tmem:shrinker:pressure': [
    ...(['store', 'notice'] as const),
    ({ scope, cause }) => `memory is short (${scope}, ${cause}): giving some back`,
  ],
  'tmem:shrinker:exhausted': ['store', 'warning', ({ reason }) => `memory is short, and ${reason}`],
  'tmem:shrinker:failed': ['store', 'error', ({ error }) => `giving memory back failed: ${messageOf(error)}`],
  'tmem:nbd:write-back-failed': [
    ...(['store', 'error'] as const),
    ({ error }) => `moving cold pages to files failed: ${messageOf(error)}`,
  ],
  'tmem:page:damaged': [
    ...(['store', 'error'] as const),
    ({ client, pool, index }) => `memory was damaged: page ${index} of ${client}/${pool}`,
  ],
};

/** Logs events until the function that is returned is called. */
export function logEvents(log: Log): () => void {
  const undo = Object.entries(ENTRIES).map(([name, entry]) => {
    const [about, level, text] = entry as Entry<unknown>;
    const listen = (payload: unknown): void => {
      if (about === 'client') log.client(level, text(payload));
      else log.line(level, text(payload));
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
