/**
 * What the thread that accepts connections (threaded-server.ts) and those that serve them (server-thread.ts) tell each
 * other. Plain data; messages to one thread come in the order they were sent.
 *
 *   started -> 'ready' or 'failed'
 *   serve   -> 'ended', once the connection is over
 *   task    -> 'done'
 */

import type { MessagePort } from 'node:worker_threads';
import type { SentError, StoreToken, TmemEvents } from '../zcache/index.ts';
import type { SharedExport } from './area-export.ts';
import type { NbdServerOptions } from './server.ts';
import type { TlsOptions } from './tls.ts';

/** What a thread is started with. */
export interface ThreadData {
  readonly store: StoreToken;
  readonly options: NbdServerOptions;
  /** To whom pages are fetched from that are with peers. */
  readonly fetches: MessagePort | undefined;
}

/** What takes a while, and is answered. */
export type Task =
  | { readonly kind: 'add'; readonly shared: SharedExport }
  | { readonly kind: 'remove'; readonly name: string }
  | { readonly kind: 'stop'; readonly graceMs: number };

export type ToThread =
  /** A socket, as the number of a descriptor, which is the thread's from now on. */
  | { readonly kind: 'serve'; readonly descriptor: number }
  | { readonly kind: 'tls'; readonly tls: TlsOptions }
  | { readonly kind: 'task'; readonly id: number; readonly task: Task };

/**
 * Events that are published where the threads were started, too. Connections make some few each, and no more come than
 * the thread that has to handle the events lets in.
 */
export const FORWARDED = ['tmem:nbd:serving', 'tmem:nbd:closed', 'tmem:nbd:refused'] as const;

export type Forwarded = {
  [Name in (typeof FORWARDED)[number]]: { readonly name: Name; readonly payload: TmemEvents[Name] };
}[(typeof FORWARDED)[number]];

export type FromThread =
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly error: SentError }
  | { readonly kind: 'ended' }
  | { readonly kind: 'done'; readonly id: number; readonly error: SentError | undefined }
  | { readonly kind: 'event'; readonly event: Forwarded };
