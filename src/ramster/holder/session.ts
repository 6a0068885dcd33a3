/**
 * A session: one connection that an owner opened, on which it asks and this node answers. Nothing is believed: the
 * first message has to be a hello that fits, every frame is checked, and what makes no sense ends the connection with
 * a reason.
 */

import type { PoolKind } from '../../zcache/index.ts';
import type { Clock } from '../clock.ts';
import { type ForeignPages, LIST_OVER, type Owner } from '../local/foreign-pages.ts';
import type { NodeStatus } from '../membership/membership.ts';
import { memoryNumber } from '../place.ts';
import type { Channel } from '../transport/transport.ts';
import { decodeFrame, type Frame, type MessageType } from '../wire/frame.ts';
import {
  decodeDestroyPool,
  decodeFree,
  decodeGet,
  decodeHello,
  decodeList,
  decodePing,
  decodePut,
  encodeGetReply,
  encodeHelloReply,
  encodeListReply,
  encodePingReply,
  encodeRefusal,
  encodeStatus,
  type Hello,
  type HelloReply,
  LIST_MOST,
} from '../wire/messages.ts';

/** Why a hello is refused: a stable word, and what to do about it. */
export interface HelloRefusal {
  readonly code: 'cluster' | 'version' | 'name' | 'duplicate';
  readonly message: string;
}

/** What a session needs of the holder. */
export interface SessionHost {
  readonly foreign: ForeignPages;
  /** Refuses a hello, or takes the session in. */
  admit(session: Session, hello: Hello): HelloRefusal | undefined;
  /** What answers a hello that was let in. */
  greeting(hello: Hello): HelloReply;
  status(): NodeStatus;
  /** Whether this node leaves; asked for every put, and cheaper than `status`. */
  isDraining(): boolean;
  /** The owner was heard of. */
  heard(owner: Owner): void;
  ended(session: Session, reason: string): void;
}

/** How often a busy owner's lease is renewed: leases are seconds at least. */
const RENEWAL_MS = 100;

export class Session {
  readonly channel: Channel;
  readonly #host: SessionHost;
  readonly #clock: Clock;
  #owner: Owner | undefined;
  #hello: Hello | undefined;
  #heardMs: number;
  /** When the lease was renewed last. */
  #renewedMs = Number.NEGATIVE_INFINITY;

  constructor(host: SessionHost, channel: Channel, clock: Clock) {
    this.#host = host;
    this.channel = channel;
    this.#clock = clock;
    this.#heardMs = clock.now();
  }

  /** Begins to answer. */
  start(): void {
    this.channel.listen({
      frame: (bytes) => this.#onFrame(bytes),
      closed: (reason) => this.#host.ended(this, reason),
    });
  }

  /** Undefined: it has not said who it is. */
  get owner(): Owner | undefined {
    return this.#owner;
  }

  /** This start of the owner. */
  get instance(): Uint8Array | undefined {
    return this.#hello?.instance;
  }

  /** Milliseconds since anything was heard. */
  get silentMs(): number {
    return this.#clock.now() - this.#heardMs;
  }

  #onFrame(bytes: Uint8Array): void {
    this.#heardMs = this.#clock.now();
    try {
      const frame = decodeFrame(bytes);
      if (frame.isReply) throw new Error('it answers where it should ask');
      if (this.#owner === undefined) this.#onHello(frame);
      else this.#onRequest(frame, this.#owner);
    } catch (error) {
      this.channel.close(error instanceof Error ? error.message : String(error));
    }
  }

  #onHello(frame: Frame): void {
    if (frame.type !== 'hello') throw new Error(`its first message is '${frame.type}', not 'hello'`);
    const hello = decodeHello(frame.body);
    const refusal = this.#host.admit(this, hello);
    if (refusal !== undefined) {
      this.channel.send(...encodeRefusal('hello', frame.request, refusal));
      this.channel.close(`refused: ${refusal.message}`);
      return;
    }
    this.#hello = hello;
    this.#owner = { name: hello.name, memory: memoryNumber(hello.memory) };
    this.#host.heard(this.#owner);
    this.channel.send(...encodeHelloReply(frame.request, this.#host.greeting(hello)));
  }

  #onRequest(frame: Frame, owner: Owner): void {
    if (this.#heardMs - this.#renewedMs >= RENEWAL_MS) {
      this.#renewedMs = this.#heardMs;
      this.#host.heard(owner);
    }
    this.channel.send(...this.#answer(frame, owner));
  }

  #answer(frame: Frame, owner: Owner): Uint8Array[] {
    const { type, request, body } = frame;
    const { foreign } = this.#host;
    switch (type) {
      case 'ping':
        decodePing(body);
        return this.#tried(type, request, () => encodePingReply(request, this.#host.status()));
      case 'put': {
        const { pool, kind, id, bytes } = decodePut(body);
        return this.#tried(type, request, () => {
          const outcome = this.#put(owner, pool, kind, id, bytes);
          return encodeStatus(type, request, outcome === 'stored' ? 'ok' : outcome);
        });
      }
      case 'get': {
        const { pool, id, free } = decodeGet(body);
        return this.#tried(type, request, () => {
          const page = foreign.get(owner, pool, id, free);
          return page === undefined ? encodeStatus(type, request, 'miss') : encodeGetReply(request, page);
        });
      }
      case 'free': {
        const { pages } = decodeFree(body);
        return this.#tried(type, request, () => {
          for (const { pool, id } of pages) foreign.free(owner, pool, id);
          return encodeStatus(type, request, 'ok');
        });
      }
      case 'destroyPool': {
        const { pool } = decodeDestroyPool(body);
        return this.#tried(type, request, () => {
          foreign.destroyPool(owner, pool);
          return encodeStatus(type, request, 'ok');
        });
      }
      case 'list': {
        const { cursor } = decodeList(body);
        return this.#tried(type, request, () => this.#list(request, owner, cursor));
      }
      case 'hello':
        throw new Error('it says hello twice');
    }
  }

  /** Any failure of this node's store is 'busy': the owner tries again, or elsewhere. */
  #tried(type: MessageType, request: number, answer: () => Uint8Array[]): Uint8Array[] {
    try {
      return answer();
    } catch {
      return encodeStatus(type, request, 'busy');
    }
  }

  #put(
    owner: Owner,
    pool: number,
    kind: PoolKind,
    id: number,
    bytes: Uint8Array,
  ): 'stored' | 'full' | 'kind' | 'draining' {
    return this.#host.isDraining() ? 'draining' : this.#host.foreign.put(owner, pool, kind, id, bytes);
  }

  #list(request: number, owner: Owner, cursor: Uint8Array | undefined): Uint8Array[] {
    return encodeListReply(request, this.#host.foreign.list(owner, cursor?.slice(), LIST_MOST - LIST_OVER));
  }
}
