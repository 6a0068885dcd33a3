/**
 * A page fetcher for processes that have no node: they ask the one on the same store, through its fetch socket.
 *
 * It connects when it is first asked, and again after the node was away. Whoever waits is told in bounded time: that
 * the node does not run, that it went away, or that it does not answer.
 */

import { type Oid, type PageFetcher, type Pool, type Store, TmemError } from '../../zcache/index.ts';
import { type Clock, systemClock } from '../clock.ts';
import { RemoteError } from '../remote-store/remote-store.ts';
import { parseUnixAddress } from '../transport/address.ts';
import { FetchConnection } from './fetch-connection.ts';

/** Longer than a node takes whose own deadlines work. */
const ANSWER_DEFAULT_MS = 30_000;
/** To a process on this machine. */
const CONNECT_DEFAULT_MS = 5000;
/** How long a refusal holds: asking again and again changes nothing. */
const REFUSED_MS = 1000;
/** The second time on a new connection: the first may have ended long ago, with a node that was started anew since. */
const ATTEMPTS = 2;
const CLOSED = 'the fetcher was closed';

export interface SocketFetcherOptions {
  /** Longest wait for an answer, milliseconds; 30 000. It has to be longer than the node's `patienceMs`. */
  readonly answerMs?: number | undefined;
  /** Longest wait for a connection, milliseconds; 5000. */
  readonly connectMs?: number | undefined;
  readonly clock?: Clock | undefined;
}

export class SocketFetcher implements PageFetcher {
  readonly #address: string;
  readonly #store: Uint8Array;
  readonly #clock: Clock;
  readonly #answerMs: number;
  readonly #connectMs: number;
  #current: FetchConnection | undefined;
  #opening: Promise<FetchConnection> | undefined;
  #isClosed = false;

  /**
   * `store`: the one whose pages will be fetched. `address`: the node's setting `fetchListen`.
   *
   * @throws TmemError TMEM_ERR_SETTING if the address is none
   */
  constructor(store: Store, address: string, options: SocketFetcherOptions = {}) {
    parseUnixAddress(address);
    this.#address = address;
    this.#store = store.id;
    this.#clock = options.clock ?? systemClock;
    this.#answerMs = options.answerMs ?? ANSWER_DEFAULT_MS;
    this.#connectMs = options.connectMs ?? CONNECT_DEFAULT_MS;
  }

  /**
   * As PageFetcher.fetch, within `connectMs` and `answerMs`, and once more as long if the connection is cut.
   *
   * @throws TmemError of PageFetcher.fetch, TMEM_ERR_PEERS_AWAY also if the node does not run; TMEM_ERR_PEER if the
   *   node there is that of another store, user or version
   */
  async fetch(pool: Pool, oid: Oid, index: number): Promise<'local' | Uint8Array> {
    const handle = { pool: pool.id, oid: oid.toBytes(), index };
    for (let attempt = 1; ; attempt++) {
      const connection = await this.#connected();
      try {
        return await connection.fetch(handle);
      } catch (error) {
        if (!(error instanceof RemoteError)) throw error;
        if (connection.isOpen) throw noAnswer(this.#address, error);
        if (attempt === ATTEMPTS) throw nodeAway(this.#address, error);
      }
    }
  }

  /** Whoever waits is told that nobody answers. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#current?.close(CLOSED);
    this.#opening?.then(
      (connection) => connection.close(CLOSED),
      () => {},
    );
  }

  async #connected(): Promise<FetchConnection> {
    if (this.#isClosed) throw new TmemError('TMEM_ERR_PEERS_AWAY', `the page is with a peer, and ${CLOSED}`);
    if (this.#current?.isOpen) return this.#current;
    this.#opening ??= this.#open();
    return await this.#opening;
  }

  /** Called when there is no such call under way. */
  async #open(): Promise<FetchConnection> {
    const again = (): void => {
      this.#opening = undefined;
    };
    const timing = { clock: this.#clock, connectMs: this.#connectMs, answerMs: this.#answerMs };
    try {
      this.#current = await FetchConnection.open({ address: this.#address, store: this.#store, ...timing });
      again();
      return this.#current;
    } catch (error) {
      if (error instanceof RemoteError) {
        again();
        throw nodeAway(this.#address, error);
      }
      this.#clock.after(REFUSED_MS, again);
      throw error;
    }
  }
}

function nodeAway(address: string, cause: Error): TmemError {
  return new TmemError(
    'TMEM_ERR_PEERS_AWAY',
    `the page is with a peer, and the node that can fetch it is away (${cause.message}): start it on this store, ` +
      `by tmem serve or Ramster.open, with fetchListen '${address}'`,
    { cause },
  );
}

function noAnswer(address: string, cause: Error): TmemError {
  return new TmemError(
    'TMEM_ERR_PEERS_AWAY',
    `the page is with a peer, and the node at ${address} did not fetch it: ${cause.message}`,
    { cause },
  );
}
