/**
 * A fetch socket: where other processes on a node's store ask for pages that the node has sent to peers. A unix socket
 * for its owner only; one that a killed process left behind is taken over.
 *
 *   application process                    the node's process
 *   pool.get: TMEM_ERR_REMOTE
 *   SocketFetcher.fetch -- the handle -->  FetchListener -> the node's fetcher -> peers
 *                       <-- 'local' -----  the page is in the store again
 *   pool.get: the page
 *
 * Bounds: connections, the time to a hello, requests under way on each, and answers that nobody reads.
 */

import { FetchService } from '../../zcache/fetch-service.ts';
import { type PageFetcher, publish, type Store } from '../../zcache/index.ts';
import { type Clock, systemClock } from '../clock.ts';
import { parseUnixAddress } from '../transport/address.ts';
import { ChannelListener } from '../transport/listener.ts';
import { FetchSession } from './fetch-session.ts';

/** A process needs one, or one for each of its threads. */
const CONNECTIONS_MAX = 256;
/** Twice what 256 requests, the most that are under way, are answered with. */
const PENDING_BYTES_MAX = 2 * 1024 * 1024;

export interface FetchListenerOptions {
  /** The node's store. */
  readonly store: Store;
  /** The node's own, such as `ramster.fetcher`. */
  readonly fetcher: PageFetcher;
  /** 'unix:' and an absolute path. */
  readonly address: string;
  readonly clock?: Clock | undefined;
  /** Connections at a time; 256. */
  readonly connectionsMax?: number | undefined;
  /** Longest time from a connection to its hello; 5000. */
  readonly handshakeTimeoutMs?: number | undefined;
}

export class FetchListener {
  readonly address: string;
  readonly #listener: ChannelListener;

  private constructor(address: string, listener: ChannelListener) {
    this.address = address;
    this.#listener = listener;
  }

  /** @throws TmemError TMEM_ERR_SETTING if the address is none; the error of node:net, such as EADDRINUSE or EACCES */
  static async open(options: FetchListenerOptions): Promise<FetchListener> {
    const { store, fetcher, address, clock = systemClock } = options;
    parseUnixAddress(address);
    const host = {
      service: new FetchService(store, fetcher),
      store: store.id,
      refused: (reason: string) => publish('tmem:ramster:refused', () => ({ peer: address, reason })),
    };
    const listener = new ChannelListener({
      ...{ clock, tls: undefined, pendingBytesMax: PENDING_BYTES_MAX },
      connectionsMax: options.connectionsMax ?? CONNECTIONS_MAX,
      handshakeTimeoutMs: options.handshakeTimeoutMs,
      accepted: (channel) => new FetchSession(host, channel).start(),
    });
    await listener.listen(address);
    return new FetchListener(address, listener);
  }

  /** Connections there are. */
  get connections(): number {
    return this.#listener.connections;
  }

  /** Listens no more, and ends the connections: whoever waits there is told that the node is away. */
  close(): void {
    this.#listener.close();
  }
}
