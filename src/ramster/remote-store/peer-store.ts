/** A peer as a remote store: its link, with the messages for pages. */

import type { PageId } from '../page-id.ts';
import type { Link } from '../peer/link.ts';
import { nodeNumber } from '../place.ts';
import type { Frame } from '../wire/frame.ts';
import {
  decodeGetReply,
  decodeListReply,
  decodeNothing,
  encodeDestroyPool,
  encodeFree,
  encodeGet,
  encodeList,
  encodePut,
  type ListReply,
} from '../wire/messages.ts';
import {
  type HeldPage,
  RemoteError,
  type RemoteState,
  type RemoteStore,
  type TravellingPage,
} from './remote-store.ts';

export class PeerStore implements RemoteStore {
  readonly name: string;
  readonly node: number;
  readonly #link: Link;

  constructor(link: Link) {
    this.#link = link;
    this.name = link.name;
    this.node = nodeNumber(link.name);
  }

  get memory(): number | undefined {
    return this.#link.memory;
  }

  get state(): RemoteState {
    return this.#link.state;
  }

  get draining(): boolean {
    return this.#link.status.draining;
  }

  get freeBytes(): number {
    return this.#link.status.freeBytes;
  }

  get latencyMs(): number {
    return this.#link.latencyMs;
  }

  get isLeaseOver(): boolean {
    return this.#link.isLeaseOver;
  }

  async put(page: TravellingPage): Promise<'stored' | 'full' | 'refused'> {
    this.#link.putting();
    const outcome = await this.#link.ask(
      'put',
      (request) => encodePut(request, page),
      ({ status, body }) => {
        if (status !== 'ok') return status === 'full' || status === 'draining' ? 'full' : 'refused';
        decodeNothing(body);
        return 'stored';
      },
    );
    if (outcome === 'full') this.#link.refusedForRoom();
    else if (outcome === 'stored') this.#link.took(page.bytes.length);
    return outcome;
  }

  get(pool: number, id: PageId, free: boolean): Promise<Uint8Array | undefined> {
    return this.#link.ask(
      'get',
      (request) => encodeGet(request, { pool, id, free }),
      (frame) => {
        if (frame.status === 'miss') return undefined;
        const page = decodeGetReply(this.#accepted(frame).body);
        // The frame is valid for now only.
        const copy = Buffer.allocUnsafe(page.length);
        copy.set(page);
        return copy;
      },
    );
  }

  free(pages: readonly HeldPage[]): Promise<void> {
    return this.#link.ask(
      'free',
      (request) => encodeFree(request, { pages }),
      (frame) => decodeNothing(this.#accepted(frame).body),
    );
  }

  destroyPool(pool: number): Promise<void> {
    return this.#link.ask(
      'destroyPool',
      (request) => encodeDestroyPool(request, { pool }),
      (frame) => decodeNothing(this.#accepted(frame).body),
    );
  }

  list(cursor: Uint8Array | undefined): Promise<ListReply> {
    return this.#link.ask(
      'list',
      (request) => encodeList(request, { cursor }),
      (frame) => decodeListReply(this.#accepted(frame).body),
    );
  }

  #accepted(frame: Frame): Frame {
    if (frame.status !== 'ok') throw new RemoteError(`${this.name} answers '${frame.status}'`);
    return frame;
  }
}
