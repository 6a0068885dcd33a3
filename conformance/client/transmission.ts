// The transmission phase as a client sees it: requests out, in any number at a time, answers in as they come. Replies
// are taken apart strictly (answer-rules.ts).
import type { MetaContext, ReplyChunk } from '../protocol/answers.ts';
import { type Request, requestMessage } from '../protocol/messages.ts';
import {
  CHUNK_DONE,
  Command,
  CommandFlag,
  commandName,
  EXTENDED_REPLY_MAGIC,
  PAYLOAD_BYTES_USUAL,
  SIMPLE_REPLY_MAGIC,
  STRUCTURED_REPLY_MAGIC,
} from '../protocol/numbers.ts';
import { Violation } from '../protocol/violation.ts';
import { type Answer, answerOf } from './answer-rules.ts';
import type { Channel } from './channel.ts';

export type Mode = 'simple' | 'structured' | 'extended';

/** A request as a check writes it down; what is left out is 0. */
export interface Call {
  readonly type: number;
  readonly flags?: number;
  readonly offset?: bigint;
  readonly length?: bigint;
  readonly payload?: Uint8Array;
  readonly cookie?: bigint;
}

const CHUNK_MAGIC: Record<Mode, number | undefined> = {
  simple: undefined,
  structured: STRUCTURED_REPLY_MAGIC,
  extended: EXTENDED_REPLY_MAGIC,
};

interface Pending {
  readonly request: Request;
  readonly chunks: ReplyChunk[];
  readonly contextIds: readonly number[];
}

/** Chunks of one reply, before the suite takes the server for one that never ends. */
const CHUNKS_MAX = 100_000;
/** The largest payload of a chunk that is read: what a read may bring, and the fields before it. */
const CHUNK_BYTES_MAX = 2 * PAYLOAD_BYTES_USUAL;

export class Transmission {
  readonly channel: Channel;
  readonly mode: Mode;
  readonly size: bigint;
  readonly flags: number;
  readonly contexts: readonly MetaContext[];
  readonly #pending = new Map<bigint, Pending>();
  // Starts where a cookie that is cut to 32 bits, or taken for a signed or floating number, comes back changed.
  #cookie = 0xfedcba9876543210n;

  constructor(
    channel: Channel,
    { mode, size, flags, contexts }: Pick<Transmission, 'mode' | 'size' | 'flags' | 'contexts'>,
  ) {
    this.channel = channel;
    this.mode = mode;
    this.size = size;
    this.flags = flags;
    this.contexts = contexts;
  }

  /** The bytes of a request, which is from now on waited for. */
  prepare(call: Call, contextIds = this.contexts.map(({ id }) => id)): Buffer {
    const extended = this.mode === 'extended';
    const payload = call.payload ?? Buffer.alloc(0);
    const carries = call.payload !== undefined;
    const request: Request = {
      type: call.type,
      flags: (call.flags ?? 0) | (extended && carries ? CommandFlag.PAYLOAD_LEN : 0),
      cookie: call.cookie ?? this.#cookie++,
      offset: call.offset ?? 0n,
      length: call.length ?? BigInt(payload.length),
      payload,
    };
    this.#pending.set(request.cookie, { request, chunks: [], contextIds });
    return requestMessage(request, extended);
  }

  send(call: Call): void {
    this.channel.send(this.prepare(call));
  }

  /** One request, alone. */
  async call(call: Call): Promise<Answer> {
    this.send(call);
    return this.receive();
  }

  /** Sends all at once and waits for all answers. @returns them in the order they came */
  async callAll(calls: readonly Call[]): Promise<Answer[]> {
    this.channel.send(Buffer.concat(calls.map((call) => this.prepare(call))));
    return this.receiveAll();
  }

  /** The answers to everything that is under way. */
  async receiveAll(): Promise<Answer[]> {
    const answers: Answer[] = [];
    while (this.#pending.size > 0) answers.push(await this.receive());
    return answers;
  }

  async read(offset: bigint, length: number, flags = 0): Promise<Answer> {
    return this.call({ type: Command.READ, offset, length: BigInt(length), flags });
  }

  async write(offset: bigint, payload: Uint8Array, flags = 0): Promise<Answer> {
    return this.call({ type: Command.WRITE, offset, payload, flags });
  }

  /** Tells the server that nothing more will come; there is no answer. */
  disconnect(): void {
    this.channel.send(this.disconnectMessage());
  }

  disconnectMessage(): Buffer {
    const nothing = { flags: 0, offset: 0n, length: 0n, payload: Buffer.alloc(0) };
    return requestMessage({ type: Command.DISC, cookie: 0n, ...nothing }, this.mode === 'extended');
  }

  /** The next request whose answer is complete. */
  async receive(): Promise<Answer> {
    for (let i = 0; i < CHUNKS_MAX; i++) {
      const answer = await this.#receiveMessage();
      if (answer !== undefined) return answer;
    }
    throw new Violation(`no reply was complete after ${CHUNKS_MAX} chunks`);
  }

  async #receiveMessage(): Promise<Answer | undefined> {
    const what = `reply to ${[...this.#pending.values()].map(({ request }) => commandName(request.type))[0]}`;
    const head = await this.channel.read(16, what);
    const magic = head.readUInt32BE(0);
    if (magic === SIMPLE_REPLY_MAGIC) return this.#simple(head, what);
    if (magic !== CHUNK_MAGIC[this.mode]) {
      throw new Violation(
        `a reply with the magic 0x${magic.toString(16)} with ${this.mode} replies negotiated`,
      );
    }
    return this.#chunk(head, what);
  }

  async #simple(head: Buffer, what: string): Promise<Answer> {
    const { request } = this.#expected(head.readBigUInt64BE(8));
    if (this.mode === 'extended') throw new Violation('a simple reply with extended headers negotiated');
    if (this.mode === 'structured' && request.type === Command.READ) {
      throw new Violation('a simple reply to READ with structured replies negotiated');
    }
    if (this.mode === 'structured' && request.type === Command.BLOCK_STATUS && head.readUInt32BE(4) === 0) {
      throw new Violation('a simple reply to a successful BLOCK_STATUS');
    }
    this.#pending.delete(request.cookie);
    const error = head.readUInt32BE(4);
    const bytes = request.type === Command.READ && error === 0 ? Number(request.length) : 0;
    const data = await this.channel.read(bytes, `data of the ${what}`);
    const nothing = { message: '', chunks: [], contents: [], statuses: [] };
    return { request, error, simple: true, data, ...nothing };
  }

  async #chunk(head: Buffer, what: string): Promise<Answer | undefined> {
    const extended = this.mode === 'extended';
    const rest = await this.channel.read(extended ? 16 : 4, what);
    const cookie = head.readBigUInt64BE(8);
    const { request, chunks, contextIds } = this.#expected(cookie);
    if (extended && rest.readBigUInt64BE(0) !== request.offset) {
      throw new Violation(
        `a reply with the offset ${rest.readBigUInt64BE(0)} to a request at ${request.offset}`,
      );
    }
    const flags = head.readUInt16BE(4);
    if ((flags & ~CHUNK_DONE) !== 0)
      throw new Violation(`a chunk with unknown flags 0x${flags.toString(16)}`);
    const length = extended ? Number(rest.readBigUInt64BE(8)) : rest.readUInt32BE(0);
    if (length > CHUNK_BYTES_MAX) throw new Violation(`a chunk of ${length} bytes`);
    const done = flags === CHUNK_DONE;
    const payload = await this.channel.read(length, `payload of the ${what}`);
    chunks.push({ type: head.readUInt16BE(6), done, payload });
    if (!done) return undefined;
    this.#pending.delete(cookie);
    return answerOf(request, chunks, contextIds, extended);
  }

  #expected(cookie: bigint): Pending {
    const pending = this.#pending.get(cookie);
    if (pending === undefined) {
      throw new Violation(`a reply with the cookie 0x${cookie.toString(16)}, which no request under way has`);
    }
    return pending;
  }
}
