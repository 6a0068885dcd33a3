/**
 * A connection to a fetch socket, at the application: opened with a hello, then many requests at a time, each with a
 * deadline. It keeps the process alive while anybody waits for an answer, and only then.
 */

import { statSync } from 'node:fs';
import type { FarHandle } from '../../zcache/fetch-service.ts';
import { TmemError } from '../../zcache/index.ts';
import type { Clock } from '../clock.ts';
import { Requests } from '../peer/requests.ts';
import { RemoteError } from '../remote-store/remote-store.ts';
import { parseUnixAddress } from '../transport/address.ts';
import type { SocketChannel } from '../transport/socket-channel.ts';
import { SocketTransport } from '../transport/socket-transport.ts';
import { decodeFrame, type Frame } from '../wire/frame.ts';
import { decodeGetReply } from '../wire/messages.ts';
import { WireError } from '../wire/wire-error.ts';
import {
  decodeError,
  decodeFetchHelloReply,
  encodeFetch,
  encodeFetchHello,
  FETCH_PROTOCOLS,
  type FetchHelloReply,
} from './messages.ts';

export interface FetchConnectionOptions {
  /** 'unix:' and an absolute path. */
  readonly address: string;
  /** Id of the application's store. */
  readonly store: Uint8Array;
  readonly clock: Clock;
  /** Longest wait for the connection and its hello. */
  readonly connectMs: number;
  /** Longest wait for an answer. */
  readonly answerMs: number;
}

export class FetchConnection {
  readonly #channel: SocketChannel;
  readonly #requests: Requests;
  #asked = 0;
  #isOpen = true;

  private constructor(channel: SocketChannel, { clock, answerMs }: FetchConnectionOptions) {
    this.#channel = channel;
    this.#requests = new Requests(clock, answerMs);
    this.#requests.open(channel);
    channel.listen({ frame: (bytes) => this.#onFrame(bytes), closed: (reason) => this.#onClosed(reason) });
  }

  /**
   * @throws RemoteError: nobody answers; TmemError TMEM_ERR_PEER: whoever does is not the node of this store
   */
  static async open(options: FetchConnectionOptions): Promise<FetchConnection> {
    const { address, store, clock, connectMs } = options;
    checkOwner(address);
    const endMs = clock.now() + connectMs;
    const transport = new SocketTransport({ clock, tls: undefined });
    const channel = await transport.connect(address, connectMs).catch((error: Error) => {
      throw new RemoteError(error.message);
    });
    const connection = new FetchConnection(channel, options);
    const timer = clock.after(Math.max(1, endMs - clock.now()), () =>
      channel.close(`no hello within ${connectMs} ms`),
    );
    try {
      checkStore(await connection.#hello(store), store, address);
      return connection;
    } catch (error) {
      connection.close('it is not the node of this store');
      throw error;
    } finally {
      timer.cancel();
    }
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** @throws RemoteError: no answer in time, or none that can be read; the error of the node's fetcher */
  fetch(handle: FarHandle): Promise<'local' | Uint8Array> {
    return this.#ask(
      'get',
      (request) => encodeFetch(request, handle),
      ({ status, body }) => {
        if (status === 'ok') return decodeGetReply(body).slice();
        if (status === 'miss') return 'local';
        throw failure(status, body);
      },
    );
  }

  /** Whoever waits is told; nothing can be asked any more. */
  close(reason: string): void {
    this.#channel.close(reason);
    this.#onClosed(reason);
  }

  #hello(store: Uint8Array): Promise<FetchHelloReply> {
    return this.#ask(
      'hello',
      (request) => encodeFetchHello(request, { protocols: FETCH_PROTOCOLS, store }),
      ({ status, body }) => {
        if (status === 'ok') return decodeFetchHelloReply(body);
        throw failure(status, body);
      },
    );
  }

  async #ask<Result>(
    type: 'hello' | 'get',
    encode: (request: number) => Uint8Array[],
    receive: (frame: Frame) => Result,
  ): Promise<Result> {
    if (++this.#asked === 1) this.#channel.holdProcess(true);
    try {
      return await this.#requests.ask(type, encode, receive);
    } finally {
      if (--this.#asked === 0) this.#channel.holdProcess(false);
    }
  }

  #onFrame(bytes: Uint8Array): void {
    const frame = decodeFrame(bytes);
    if (!frame.isReply) throw new WireError('it asks where it should answer');
    this.#requests.answer(frame);
  }

  #onClosed(reason: string): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#requests.close(reason);
  }
}

/** What a reply that is no answer says. */
function failure(status: Frame['status'], body: Uint8Array): Error {
  return status === 'refused' ? decodeError(body) : new WireError(`a reply with status '${status}'`);
}

function checkStore({ protocol, store }: FetchHelloReply, own: Uint8Array, address: string): void {
  const [min, max] = FETCH_PROTOCOLS;
  if (protocol < min || protocol > max) {
    throw new TmemError('TMEM_ERR_PEER', `${address}: it speaks version ${protocol}, which nobody asked for`);
  }
  if (Buffer.compare(store, own) === 0) return;
  throw new TmemError('TMEM_ERR_PEER', `${address}: the node there has another store open`);
}

/** On another user's socket would be another user's pages. */
function checkOwner(address: string): void {
  let owner: number;
  try {
    owner = statSync(parseUnixAddress(address).path).uid;
  } catch (error) {
    throw new RemoteError((error as Error).message);
  }
  if (owner === process.geteuid?.()) return;
  throw new TmemError(
    'TMEM_ERR_PEER',
    `${address}: belongs to user ${owner}; the node has to run as the same user as whoever fetches`,
  );
}
