/**
 * One connection of a fetch socket, at the node: another process asks for pages. Nothing is believed: the first message
 * has to be a hello for the same store, every frame is checked, and what makes no sense ends the connection.
 *
 * So many requests may be under way; as long as there are no fewer, nothing more is read. Whoever goes away, or does
 * not read its answers, loses them: a fetch ends by itself, and brings the page home in any case.
 */

import type { FarHandle, FetchService } from '../../zcache/fetch-service.ts';
import { TmemError } from '../../zcache/index.ts';
import type { Channel } from '../transport/transport.ts';
import { decodeFrame, type Frame } from '../wire/frame.ts';
import { encodeGetReply, encodeStatus } from '../wire/messages.ts';
import { WireError } from '../wire/wire-error.ts';
import {
  decodeFetch,
  decodeFetchHello,
  encodeError,
  encodeFetchHelloReply,
  FETCH_PROTOCOLS,
  type FetchHello,
} from './messages.ts';

/** As many as a SocketFetcher has under way: 256 pages are 1 MiB of answers. */
const UNDER_WAY_MAX = 256;

export interface FetchSessionHost {
  readonly service: FetchService;
  /** Id of the node's store. */
  readonly store: Uint8Array;
  /** Whoever connected was not let in. */
  refused(reason: string): void;
}

export class FetchSession {
  readonly #host: FetchSessionHost;
  readonly #channel: Channel;
  #isGreeted = false;
  #underWay = 0;

  constructor(host: FetchSessionHost, channel: Channel) {
    this.#host = host;
    this.#channel = channel;
  }

  /** Begins to answer. */
  start(): void {
    this.#channel.listen({ frame: (bytes) => this.#onFrame(bytes), closed: () => {} });
  }

  #onFrame(bytes: Uint8Array): void {
    try {
      const frame = decodeFrame(bytes);
      if (frame.isReply) throw new WireError('it answers where it should ask');
      if (!this.#isGreeted) this.#onHello(frame);
      else if (frame.type === 'get') void this.#answer(frame.request, decodeFetch(frame.body));
      else throw new WireError(`it asks for '${frame.type}', and not for pages`);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      if (!this.#isGreeted) this.#host.refused(error.message);
      this.#channel.close(error.message);
    }
  }

  #onHello({ type, request, body }: Frame): void {
    if (type !== 'hello') throw new WireError(`its first message is '${type}', not 'hello'`);
    const refusal = this.#refusalOf(decodeFetchHello(body));
    if (refusal === undefined) {
      this.#isGreeted = true;
      const reply = { protocol: FETCH_PROTOCOLS[1], store: this.#host.store };
      this.#channel.send(...encodeFetchHelloReply(request, reply));
      return;
    }
    this.#host.refused(refusal);
    this.#channel.send(...encodeError('hello', request, new TmemError('TMEM_ERR_PEER', refusal)));
    this.#channel.close(refusal);
  }

  #refusalOf({ protocols: [min, max], store }: FetchHello): string | undefined {
    const [own, ownMax] = FETCH_PROTOCOLS;
    if (min > ownMax || max < own) {
      return `the application speaks versions ${min} to ${max} of the fetch socket, and the node ${own} to ${ownMax}`;
    }
    if (Buffer.compare(store, this.#host.store) !== 0) {
      return 'the application has another store open than the node: both need the same name and directory';
    }
    return undefined;
  }

  async #answer(request: number, handle: FarHandle): Promise<void> {
    if (++this.#underWay === UNDER_WAY_MAX) this.#channel.pause();
    let reply: Uint8Array[];
    try {
      const found = await this.#host.service.fetch(handle);
      reply = found === 'local' ? encodeStatus('get', request, 'miss') : encodeGetReply(request, found);
    } catch (error) {
      reply = encodeError('get', request, error);
    }
    this.#channel.send(...reply);
    if (this.#underWay-- === UNDER_WAY_MAX) this.#channel.resume();
  }
}
