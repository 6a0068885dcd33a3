// A small NBD server that is right, and that a test makes wrong in one place: a hook sees what was asked and the right
// answer, and may give another one. One request after the other, everything in memory.
import { createServer, type Server, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { u16, u32, u64 } from '../../conformance/protocol/messages.ts';
import {
  Command,
  CommandFlag,
  EXTENDED_REPLY_MAGIC,
  EXTENDED_REQUEST_MAGIC,
  GREETING_MAGIC,
  OPTION_MAGIC,
  OPTION_REPLY_MAGIC,
  REQUEST_MAGIC,
  SIMPLE_REPLY_MAGIC,
  STRUCTURED_REPLY_MAGIC,
} from '../../conformance/protocol/numbers.ts';
import { ByteReader, Gone } from './byte-reader.ts';
import { certificate, privateKey } from './certificate.ts';
import { rightReplies } from './tiny-commands.ts';
import { rightOutcome } from './tiny-options.ts';
import type { Memory, Outcome, Replies, Request, Settings, State, Wrongs } from './tiny-types.ts';

/** Options and requests of one connection, at most. */
const MESSAGES_MAX = 10_000;

export class TinyServer {
  readonly settings: Settings;
  readonly memory: Memory;
  readonly #wrongs: Wrongs;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(settings: Settings, wrongs: Wrongs = {}) {
    this.settings = { ...settings, ...wrongs.settings };
    this.#wrongs = wrongs;
    this.memory = { bytes: Buffer.alloc(this.settings.sizeBytes), written: new Set() };
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  }

  async listen(path: string): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(path, resolve));
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    let where: 'option' | 'request' = 'option';
    const phase = (now: 'request') => {
      where = now;
    };
    this.#serve(socket, phase).catch((error) => {
      if (!(error instanceof Gone)) throw error;
      socket.destroy();
      if (this.#wrongs.gone?.(where) === 'down') this.close();
    });
  }

  async #serve(raw: Socket, phase: (now: 'request') => void): Promise<void> {
    let socket = raw;
    let reader = new ByteReader(raw);
    const { greeting, drops } = this.#wrongs;
    const { handshakeFlags } = this.settings;
    const right = Buffer.concat([u64(GREETING_MAGIC), u64(OPTION_MAGIC), u16(handshakeFlags)]);
    socket.write(greeting?.(right) ?? right);
    const clientFlags = (await reader.read(4)).readUInt32BE(0);
    const unknown = (clientFlags & ~handshakeFlags) !== 0;
    if (drops?.(clientFlags, unknown) ?? unknown) return void socket.destroy();
    const state: State = {
      ...{ clientFlags, secure: false, structured: false, extended: false },
      ...{ contexts: [], contextsOf: '', exportName: '', options: 0, requests: 0 },
    };
    for (let i = 0; i < MESSAGES_MAX; i++) {
      const { next } = await this.#option(socket, reader, state);
      if (next === 'close') return void socket.destroySoon();
      if (next === 'tls') {
        reader.release();
        socket = this.#secure(raw);
        reader = new ByteReader(socket);
        state.secure = true;
      }
      if (next === 'transmission') {
        phase('request');
        return this.#transmit(socket, reader, state);
      }
    }
  }

  #secure(raw: Socket): Socket {
    const keys = { cert: certificate, key: privateKey };
    const secure = new TLSSocket(raw, { isServer: true, ...keys, ...this.#wrongs.tls });
    const stays = this.#wrongs.staysAfterTls ?? false;
    raw.on('error', () => {});
    secure.on('error', () => stays || raw.destroy());
    return secure;
  }

  async #option(socket: Socket, reader: ByteReader, state: State): Promise<Outcome> {
    const header = await reader.read(16);
    if (header.readBigUInt64BE(0) !== OPTION_MAGIC) return { replies: [], next: 'close' };
    const option = header.readUInt32BE(8);
    const ask = { option, data: await reader.read(header.readUInt32BE(12)), state };
    state.options++;
    const right = rightOutcome(ask, this.settings);
    const outcome = this.#wrongs.option?.(ask, right) ?? right;
    const messages = outcome.replies.map(({ type, data = Buffer.alloc(0), names = option }) =>
      Buffer.concat([u64(OPTION_REPLY_MAGIC), u32(names), u32(type), u32(data.length), data]),
    );
    socket.write(outcome.raw ?? Buffer.concat(messages));
    return outcome;
  }

  async #transmit(socket: Socket, reader: ByteReader, state: State): Promise<void> {
    for (let i = 0; i < MESSAGES_MAX; i++) {
      const request = await readRequest(reader, state);
      if (request === undefined) return void socket.destroy();
      if (request.type === Command.DISC) {
        if (this.#wrongs.disconnect === undefined) return void socket.destroySoon();
        this.#wrongs.disconnect(socket);
        continue;
      }
      state.requests++;
      const replies = this.#replies(request);
      const frames = replies.messages.map((message) => frame(request, message));
      socket.write(replies.raw ?? Buffer.concat(frames));
      if (replies.next === 'close') return void socket.destroySoon();
    }
  }

  #replies(request: Request): Replies {
    const { instead, command } = this.#wrongs;
    const replaced = instead?.(request, this.memory);
    if (replaced !== undefined) return replaced;
    const right = rightReplies(request, this.settings, this.memory);
    return command?.(request, right, this.memory) ?? right;
  }
}

/** Undefined for one with a wrong magic. */
async function readRequest(reader: ByteReader, state: State): Promise<Request | undefined> {
  const { extended } = state;
  const header = await reader.read(extended ? 32 : 28);
  if (header.readUInt32BE(0) !== (extended ? EXTENDED_REQUEST_MAGIC : REQUEST_MAGIC)) return undefined;
  const [flags, type] = [header.readUInt16BE(4), header.readUInt16BE(6)];
  const length = extended ? header.readBigUInt64BE(24) : BigInt(header.readUInt32BE(24));
  const carries = extended ? (flags & CommandFlag.PAYLOAD_LEN) !== 0 : type === Command.WRITE;
  const payload = await reader.read(carries ? Number(length) : 0);
  const [cookie, offset] = [header.readBigUInt64BE(8), header.readBigUInt64BE(16)];
  return { type, flags, cookie, offset, length, payload, state };
}

function frame(request: Request, message: Replies['messages'][number]): Buffer {
  const cookie = u64(message.cookie ?? request.cookie);
  if ('error' in message) {
    return Buffer.concat([
      u32(SIMPLE_REPLY_MAGIC),
      u32(message.error),
      cookie,
      message.data ?? Buffer.alloc(0),
    ]);
  }
  const { flags, type, payload = Buffer.alloc(0) } = message;
  const head = [u16(flags), u16(type), cookie];
  if (!request.state.extended) {
    return Buffer.concat([u32(STRUCTURED_REPLY_MAGIC), ...head, u32(payload.length), payload]);
  }
  const offset = u64(message.offset ?? request.offset);
  return Buffer.concat([u32(EXTENDED_REPLY_MAGIC), ...head, offset, u64(BigInt(payload.length)), payload]);
}
