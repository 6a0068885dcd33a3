/**
 * What the store tells those who listen, through node:diagnostics_channel. The library itself logs nothing.
 *
 * Only rare events are published, never one for a put or a get: counting those is what statistics are for. A
 * payload is built only if someone listens. Listeners run inside the operation that publishes: they must be quick
 * and must not throw.
 *
 *   import { subscribe } from 'node:diagnostics_channel';
 *   subscribe('tmem:thread:dead', (event) => { ... });      // event: TmemEvents['tmem:thread:dead']
 */

import { channel } from 'node:diagnostics_channel';

/** Every event with its payload. */
export interface TmemEvents {
  /** A thread made a store (`attached: false`) or attached to one; `name` is null when it has none. */
  'tmem:store:open': {
    attached: boolean;
    name: string | null;
    memoryBytes: number;
    arenas: number;
    thread: number;
  };
  /** A thread closed its view of a store. */
  'tmem:store:close': { thread: number };
  /** Puts were stopped or allowed again, for one client or (null) for the whole store. */
  'tmem:store:freeze': { client: string | null; frozen: boolean };
  'tmem:client:created': { client: string; weight: number; capBytes: number | null };
  'tmem:client:removed': { client: string };
  'tmem:pool:created': {
    client: string;
    pool: string;
    kind: 'ephemeral' | 'persistent';
    shared: string | null;
  };
  'tmem:pool:destroyed': { client: string; pool: string; pages: number };
  /** A thread ended without closing the store; `busy`: in the middle of an operation. */
  'tmem:thread:dead': { thread: number; busy: boolean };
  /** Slots of processes that ended without closing the store were found, and what they left was recovered. */
  'tmem:process:dead': { slots: number };
  /** The store's file was removed or replaced: others do not find it any more. */
  'tmem:store:gone': { path: string };
  /** A round of looking after a named store failed; the next one comes in a second. */
  'tmem:caretaker:failed': { error: unknown };
  /** What a dead thread left was cleaned up. */
  'tmem:thread:recovered': { thread: number; durationMs: number };
  /** A shrink freed frames; `remaining` were asked for and not found. */
  'tmem:store:shrunk': { asked: number; freed: number; remaining: number };
  /**
   * Memory ran short: `scope` ('machine', or 'cgroup:' and a path) has little left ('low'), its tasks stand still for
   * want of it ('stall'), or its limit made the kernel look for something to kill ('oom'). `frames` of 4096 bytes are
   * to be given back first; more may follow before the pressure ends.
   */
  'tmem:shrinker:pressure': {
    scope: string;
    cause: 'low' | 'stall' | 'oom';
    availableBytes: number | undefined;
    frames: number;
  };
  /** Pressure ended. What was done in all: frames evicted, and frames returned to the system. */
  'tmem:shrinker:idle': { durationMs: number; evictedFrames: number; returnedFrames: number };
  /** Under pressure nothing could be given back: only persistent pages are left, or the system takes no frames. */
  'tmem:shrinker:exhausted': { reason: 'nothing to evict' | 'system takes no frames' };
  /** The shrinker met an error; unless it was a busy store, it stopped. */
  'tmem:shrinker:failed': { error: unknown; stopped: boolean };
  /** A page did not match its checksum: memory was damaged. */
  'tmem:page:damaged': { client: string; pool: string; index: number };
  /** A client of the NBD server chose an export. `peer`: its address; '' on a unix socket, or if it has gone. */
  'tmem:nbd:serving': { export: string; peer: string; secured: boolean };
  /** A connection of the NBD server ended; `export` is null if its client chose none. */
  'tmem:nbd:closed': { export: string | null; peer: string; reason: string };
  /** A client of the NBD server was not let in: no TLS, a wrong certificate, too many connections. */
  'tmem:nbd:refused': { peer: string; reason: string };
  /** Moving cold pages of exports to their files failed as a whole; told once, and again for another reason. */
  'tmem:nbd:write-back-failed': { error: unknown };
  /**
   * Somebody who connected as a node of the cluster, or to fetch pages, was not let in. `peer`: address; '' if it has
   * gone, the socket's own for unix sockets.
   */
  'tmem:ramster:refused': { peer: string; reason: string };
  /** A peer is up, late ('suspect') or down; `problem` says why, if it is known. */
  'tmem:ramster:peer': { name: string; state: 'up' | 'suspect' | 'down'; problem: string | undefined };
  /** A persistent page that was with peers has no copy any more; gets of it fail until it is put anew or flushed. */
  'tmem:ramster:lost': { client: string; pool: string; oid: string; index: number };
  /** An owner was silent for longer than its lease, and its pages were dropped. */
  'tmem:ramster:lease-ended': { owner: string };
  /** A front end got another backend; `previous` is the old one. */
  'tmem:backend:replaced': { frontEnd: 'cleancache' | 'frontswap'; previous: unknown };
}

export type TmemEventName = keyof TmemEvents;

/** All channels, made once: looking one up by name costs more than asking whether anyone listens. */
const CHANNELS = {
  'tmem:store:open': channel('tmem:store:open'),
  'tmem:store:close': channel('tmem:store:close'),
  'tmem:store:freeze': channel('tmem:store:freeze'),
  'tmem:client:created': channel('tmem:client:created'),
  'tmem:client:removed': channel('tmem:client:removed'),
  'tmem:pool:created': channel('tmem:pool:created'),
  'tmem:pool:destroyed': channel('tmem:pool:destroyed'),
  'tmem:thread:dead': channel('tmem:thread:dead'),
  'tmem:process:dead': channel('tmem:process:dead'),
  'tmem:store:gone': channel('tmem:store:gone'),
  'tmem:caretaker:failed': channel('tmem:caretaker:failed'),
  'tmem:thread:recovered': channel('tmem:thread:recovered'),
  'tmem:store:shrunk': channel('tmem:store:shrunk'),
  'tmem:shrinker:pressure': channel('tmem:shrinker:pressure'),
  'tmem:shrinker:idle': channel('tmem:shrinker:idle'),
  'tmem:shrinker:exhausted': channel('tmem:shrinker:exhausted'),
  'tmem:shrinker:failed': channel('tmem:shrinker:failed'),
  'tmem:page:damaged': channel('tmem:page:damaged'),
  'tmem:nbd:serving': channel('tmem:nbd:serving'),
  'tmem:nbd:closed': channel('tmem:nbd:closed'),
  'tmem:nbd:refused': channel('tmem:nbd:refused'),
  'tmem:nbd:write-back-failed': channel('tmem:nbd:write-back-failed'),
  'tmem:ramster:refused': channel('tmem:ramster:refused'),
  'tmem:ramster:peer': channel('tmem:ramster:peer'),
  'tmem:ramster:lost': channel('tmem:ramster:lost'),
  'tmem:ramster:lease-ended': channel('tmem:ramster:lease-ended'),
  'tmem:backend:replaced': channel('tmem:backend:replaced'),
} as const satisfies Record<TmemEventName, ReturnType<typeof channel>>;

/** Names of all channels. */
export const EVENT_NAMES = Object.keys(CHANNELS) as readonly TmemEventName[];

/** Publishes an event; `payload` is called only if someone listens. */
export function publish<Name extends TmemEventName>(name: Name, payload: () => TmemEvents[Name]): void {
  const target = CHANNELS[name];
  if (target.hasSubscribers) target.publish(payload());
}
