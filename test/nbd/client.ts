// A small NBD client for tests: every option and command, and bytes of any kind besides.

import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { CMD, OPT, REP } from '../../src/nbd/protocol.ts';

export type Mode = 'simple' | 'structured' | 'extended';

export interface OptionReply {
  readonly type: number;
  readonly data: Buffer;
}

export interface Chunk {
  readonly flags: number;
  readonly type: number;
  readonly payload: Buffer;
}

/** What came back for a request. In simple mode the data is in `data`, else put together from the chunks. */
export interface Reply {
  readonly error: number;
  readonly data: Buffer;
  readonly chunks: readonly Chunk[];
}

export interface Request {
  readonly type: number;
  readonly position?: number | bigint;
  readonly length?: number | bigint;
  readonly flags?: number;
  readonly payload?: Uint8Array;
}

interface Awaited {
  readonly request: Request;
  readonly resolve: (reply: Reply) => void;
  readonly chunks: Chunk[];
}

const OPTION_MAGIC = Buffer.from('IHAVEOPT');

/** Waits for so many bytes of a socket. */
export class ByteStream {
  readonly socket: Socket;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #wake: (() => void) | undefined;
  #ended = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#bytes += chunk.length;
      this.#wake?.();
    });
    const end = () => {
      this.#ended = true;
      this.#wake?.();
    };
    socket.on('error', end);
    socket.on('close', end);
    socket.on('end', end);
  }

  /** Undefined when the connection ended before. */
  async read(bytes: number): Promise<Buffer | undefined> {
    while (this.#bytes < bytes) {
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const all = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    this.#chunks = all.length > bytes ? [all.subarray(bytes)] : [];
    this.#bytes -= bytes;
    return all.subarray(0, bytes);
  }

  /** Whether the other side closed without sending anything more. */
  async closed(): Promise<boolean> {
    return (await this.read(1)) === undefined;
  }

  detach(): void {
    this.socket.removeAllListeners();
  }
}

export async function connectTo(path: string): Promise<Socket> {
  const socket = createConnection(path);
  await once(socket, 'connect');
  return socket;
}

export function u32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value, 4 * i);
  return bytes;
}

export function u16(...values: number[]): Buffer {
  const bytes = Buffer.alloc(2 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt16BE(value, 2 * i);
  return bytes;
}

export function nameOf(name: string): Buffer {
  return Buffer.concat([u32(Buffer.byteLength(name)), Buffer.from(name)]);
}

export function optionBytes(option: number, data: Uint8Array = Buffer.alloc(0)): Buffer {
  return Buffer.concat([OPTION_MAGIC, u32(option, data.length), data]);
}

export function requestBytes(mode: Mode, cookie: bigint, request: Request): Buffer {
  const { type, position = 0, length = 0, flags = 0, payload } = request;
  const header = Buffer.alloc(mode === 'extended' ? 32 : 28);
  header.writeUInt32BE(mode === 'extended' ? 0x21e41c71 : 0x25609513, 0);
  header.writeUInt16BE(flags, 4);
  header.writeUInt16BE(type, 6);
  header.writeBigUInt64BE(cookie, 8);
  header.writeBigUInt64BE(BigInt(position), 16);
  const bytes = payload?.length ?? Number(length);
  if (mode === 'extended') header.writeBigUInt64BE(payload ? BigInt(bytes) : BigInt(length), 24);
  else header.writeUInt32BE(bytes, 24);
  return payload === undefined ? header : Buffer.concat([header, payload]);
}

export class Client {
  readonly stream: ByteStream;
  readonly mode: Mode;
  readonly size: number;
  readonly flags: number;
  readonly #awaited = new Map<bigint, Awaited>();
  #cookie = 0n;
  #ended = false;

  private constructor(stream: ByteStream, mode: Mode, size: number, flags: number) {
    this.stream = stream;
    this.mode = mode;
    this.size = size;
    this.flags = flags;
    void this.#receive();
  }

  /** Greets, chooses the reply mode and base:allocation, and goes to the export. */
  static async open(path: string, name = '', mode: Mode = 'structured'): Promise<Client> {
    const hand = await Handshake.start(await connectTo(path));
    return await Client.go(hand, name, mode);
  }

  static async go(hand: Handshake, name: string, mode: Mode): Promise<Client> {
    if (mode === 'structured') await hand.ask(OPT.STRUCTURED_REPLY);
    if (mode === 'extended') await hand.ask(OPT.EXTENDED_HEADERS);
    if (mode !== 'simple') {
      await hand.ask(OPT.SET_META_CONTEXT, Buffer.concat([nameOf(name), u32(1), nameOf('base:allocation')]));
    }
    const replies = await hand.ask(OPT.GO, Buffer.concat([nameOf(name), u16(0)]));
    const info = replies.find(({ type, data }) => type === REP.INFO && data.readUInt16BE(0) === 0)?.data;
    if (info === undefined) throw new Error(`no export: ${JSON.stringify(replies)}`);
    return new Client(hand.stream, mode, Number(info.readBigUInt64BE(2)), info.readUInt16BE(10));
  }

  send(request: Request): Promise<Reply> {
    const cookie = this.#cookie++;
    return new Promise((resolve) => {
      this.#awaited.set(cookie, { request, resolve, chunks: [] });
      this.stream.socket.write(requestBytes(this.mode, cookie, request));
    });
  }

  async read(position: number, length: number, flags = 0): Promise<Buffer> {
    const reply = await this.send({ type: CMD.READ, position, length, flags });
    if (reply.error !== 0) throw new Error(`read: error ${reply.error}`);
    return reply.data;
  }

  async write(position: number, payload: Uint8Array, flags = 0): Promise<number> {
    const extended = this.mode === 'extended' ? 32 : 0;
    return (await this.send({ type: CMD.WRITE, position, payload, flags: flags | extended })).error;
  }

  async command(type: number, position = 0, length = 0, flags = 0): Promise<number> {
    return (await this.send({ type, position, length, flags })).error;
  }

  /** Extents of base:allocation, as [bytes, state]. */
  async status(position: number, length: number, flags = 0): Promise<[number, number][]> {
    const { error, chunks } = await this.send({ type: CMD.BLOCK_STATUS, position, length, flags });
    if (error !== 0) throw new Error(`status: error ${error}`);
    const [{ payload } = { payload: Buffer.alloc(0) }] = chunks;
    const found: [number, number][] = [];
    if (this.mode === 'extended') {
      for (let at = 8; at < payload.length; at += 16) {
        found.push([Number(payload.readBigUInt64BE(at)), Number(payload.readBigUInt64BE(at + 8))]);
      }
    } else {
      for (let at = 4; at < payload.length; at += 8) {
        found.push([payload.readUInt32BE(at), payload.readUInt32BE(at + 4)]);
      }
    }
    return found;
  }

  /** Says goodbye and waits until the server has closed. */
  async close(): Promise<void> {
    if (this.#ended) return;
    this.stream.socket.write(requestBytes(this.mode, 0n, { type: CMD.DISC }));
    if (!this.stream.socket.closed) await once(this.stream.socket, 'close');
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Replies are told by their cookie; error -1 when the connection ended before. */
  async #receive(): Promise<void> {
    while (await (this.mode === 'simple' ? this.#simple() : this.#chunk()));
    this.#ended = true;
    for (const { resolve, chunks } of this.#awaited.values()) {
      resolve({ error: -1, data: Buffer.alloc(0), chunks });
    }
  }

  async #simple(): Promise<boolean> {
    const header = await this.stream.read(16);
    if (header === undefined) return false;
    if (header.readUInt32BE(0) !== 0x67446698) throw new Error('no simple reply');
    const cookie = header.readBigUInt64BE(8);
    const request = this.#awaited.get(cookie)?.request;
    const error = header.readUInt32BE(4);
    const bytes = error === 0 && request?.type === CMD.READ ? Number(request.length) : 0;
    const data = await this.stream.read(bytes);
    if (data === undefined) return false;
    this.#take(cookie).resolve({ error, data, chunks: [] });
    return true;
  }

  async #chunk(): Promise<boolean> {
    const extended = this.mode === 'extended';
    const header = await this.stream.read(extended ? 32 : 20);
    if (header === undefined) return false;
    if (header.readUInt32BE(0) !== (extended ? 0x6e8a278c : 0x668e33ef)) throw new Error('no chunk');
    const bytes = extended ? Number(header.readBigUInt64BE(24)) : header.readUInt32BE(16);
    const payload = await this.stream.read(bytes);
    if (payload === undefined) return false;
    const cookie = header.readBigUInt64BE(8);
    const awaited = this.#awaited.get(cookie);
    if (awaited === undefined) throw new Error(`a reply nobody waits for: ${cookie}`);
    if (extended && header.readBigUInt64BE(16) !== BigInt(awaited.request.position ?? 0)) {
      throw new Error('another offset than in the request');
    }
    const flags = header.readUInt16BE(4);
    awaited.chunks.push({ flags, type: header.readUInt16BE(6), payload });
    if ((flags & 1) !== 0) this.#take(cookie).resolve(assembled(awaited));
    return true;
  }

  #take(cookie: bigint): Awaited {
    const awaited = this.#awaited.get(cookie);
    if (awaited === undefined) throw new Error(`a reply nobody waits for: ${cookie}`);
    this.#awaited.delete(cookie);
    return awaited;
  }
}

function assembled({ request, chunks }: Awaited): Reply {
  const failed = chunks.find(({ type }) => type >= 0x8000);
  const data = Buffer.alloc(request.type === CMD.READ && !failed ? Number(request.length) : 0);
  if (!failed) {
    for (const { type, payload } of chunks) {
      if (type !== 1) continue;
      payload.copy(data, Number(payload.readBigUInt64BE(0)) - Number(request.position ?? 0), 8);
    }
  }
  return { error: failed?.payload.readUInt32BE(0) ?? 0, data, chunks };
}

/** The option haggling, one option at a time. */
export class Handshake {
  readonly stream: ByteStream;

  constructor(stream: ByteStream) {
    this.stream = stream;
  }

  /** Exchanges greetings. `flags`: those of the client. */
  static async start(socket: Socket, flags = 3): Promise<Handshake> {
    const stream = new ByteStream(socket);
    const greeting = await stream.read(18);
    if (greeting?.toString('latin1', 0, 16) !== 'NBDMAGICIHAVEOPT') throw new Error('no greeting');
    socket.write(u32(flags));
    return new Handshake(stream);
  }

  /** All replies to an option, up to the last. Ends early if the connection does. */
  async ask(option: number, data?: Uint8Array): Promise<OptionReply[]> {
    this.stream.socket.write(optionBytes(option, data));
    const replies: OptionReply[] = [];
    for (;;) {
      const header = await this.stream.read(20);
      if (header === undefined) return replies;
      if (header.readBigUInt64BE(0) !== 0x0003e889045565a9n) throw new Error('no option reply');
      if (header.readUInt32BE(8) !== option) throw new Error('a reply to another option');
      const type = header.readUInt32BE(12);
      replies.push({ type, data: (await this.stream.read(header.readUInt32BE(16))) ?? Buffer.alloc(0) });
      if (type === REP.ACK || type >= 0x8000_0000) return replies;
    }
  }
}
