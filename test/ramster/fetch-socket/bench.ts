// A fetch socket over pages that lie in memory, and whoever connects to it.

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { FETCH_PROTOCOLS } from '../../../src/ramster/fetch-socket/messages.ts';
import {
  FetchListener,
  type FetchListenerOptions,
  SocketFetcher,
  type SocketFetcherOptions,
} from '../../../src/ramster/index.ts';
import { decodeFrame, encodeFrame, type Frame, FrameReader } from '../../../src/ramster/wire/frame.ts';
import { Oid, open, type Store } from '../../../src/zcache/index.ts';
import { FarPages } from '../../zcache/far-pages.ts';

export const oid = Oid.fromNumbers(1);
export const text = (n: number) => Buffer.alloc(1000 + n, `${n} text that compresses `);

/** Longer than anything takes on a machine that does many other things, too. */
const WAIT_MAX_MS = 30_000;

/** Path of a socket that is gone with its folder after the test. */
export function newSocketPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tmem-fetch-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'fetch.sock');
}

export function newStore(): Store {
  const store = open({ memory: '16 MiB', debug: true });
  onTestFinished(() => store.close());
  return store;
}

/** A store with 20 pages in a persistent pool, and a place far away that has none of them yet. */
export function newPages(store = newStore()) {
  const far = new FarPages();
  const pool = store.client('one').pool('pages', { kind: 'persistent' });
  for (let n = 0; n < 20; n++) pool.put(oid, n, text(n));
  return { store, far, pool };
}

export async function listening(options: FetchListenerOptions): Promise<FetchListener> {
  const listener = await FetchListener.open(options);
  onTestFinished(() => listener.close());
  return listener;
}

/** A node's side and an application's, in one process. */
export async function scene(
  changes: Partial<FetchListenerOptions> & { readonly fetching?: SocketFetcherOptions } = {},
) {
  const { fetching, ...listen } = changes;
  const pages = newPages();
  const path = newSocketPath();
  const address = `unix:${path}`;
  const listener = await listening({ store: pages.store, fetcher: pages.far, address, ...listen });
  const fetcher = newFetcher(pages.store, address, fetching);
  return { ...pages, path, address, listener, fetcher };
}

export function newFetcher(store: Store, address: string, options?: SocketFetcherOptions): SocketFetcher {
  const fetcher = new SocketFetcher(store, address, options);
  onTestFinished(() => fetcher.close());
  return fetcher;
}

/** Why clients were not let in, from now on. */
export function refusals(): string[] {
  const reasons: string[] = [];
  const take = (event: unknown) => reasons.push((event as { reason: string }).reason);
  subscribe('tmem:ramster:refused', take);
  onTestFinished(() => void unsubscribe('tmem:ramster:refused', take));
  return reasons;
}

/** A client that sends whatever it wants. */
export class RawClient {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  readonly #reader = new FrameReader();
  #isClosed = false;

  constructor(path: string) {
    this.socket = connect(path);
    onTestFinished(() => void this.socket.destroy());
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.#isClosed = true;
    });
    this.socket.on('data', (chunk) =>
      this.#reader.push(chunk, (bytes) => this.frames.push(decodeFrame(Uint8Array.from(bytes)))),
    );
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  send(...parts: Uint8Array[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  /** Until so many frames have come, or the other side has closed. */
  async until(frames: number): Promise<void> {
    await until(() => this.frames.length >= frames || this.#isClosed);
  }
}

export async function until(isSo: () => boolean): Promise<void> {
  const endMs = performance.now() + WAIT_MAX_MS;
  while (!isSo()) {
    if (performance.now() > endMs) throw new Error(`waited in vain for ${isSo}`);
    await delay(5);
  }
}

/** A frame that is right, of any type and body. */
export function frameOf(head: Partial<Frame>): Uint8Array[] {
  const { type = 'get', isReply = false, status = 'ok', request = 1, body = new Uint8Array() } = head;
  return encodeFrame({ type, isReply, status, request }, body);
}

export const PROTOCOLS = FETCH_PROTOCOLS;
