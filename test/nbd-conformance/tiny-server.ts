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
import type { Ask, Memory, Next, Phase, Replies, Request, Settings, State, Wrongs } from './tiny-types.ts';

/** Options and requests of one connection, at most. */
const MESSAGES_MAX = 10_000;

interface Connection {
  socket: Socket;
  phase: Phase;
}

export class TinyServer {
  readonly settings: Settings;
  readonly memory: Memory;
  readonly #wrongs: Wrongs;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #stalled = false;

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
    if (this.#stalled) return;
    const connection = { socket, phase: 'option' as Phase };
    const { fragile } = this.#wrongs;
    socket.on('error', () => fragile === 'replies' && this.close());
    this.#serve(connection).catch((error) => {
      if (!(error instanceof Gone)) throw error;
      socket.destroy();
      if (error.within && fragile === connection.phase) this.close();
    });
  }

  #reader(connection: Connection): ByteReader {
    const { impatient, stalls } = this.#wrongs;
    return new ByteReader(connection.socket, () => {
      this.#stalled ||= stalls ?? false;
      if (impatient === connection.phase) connection.socket.destroy();
    });
  }

  async #serve(connection: Connection): Promise<void> {
    const { socket } = connection;
    let reader = this.#reader(connection);
    const { greeting, drops, flagsAlone } = this.#wrongs;
    const { handshakeFlags } = this.settings;
    const right = Buffer.concat([u64(GREETING_MAGIC), u64(OPTION_MAGIC), u16(handshakeFlags)]);
    socket.write(greeting?.(right) ?? right);
    const clientFlags = (await reader.read(4)).readUInt32BE(0);
    if (flagsAlone) await reader.read(socket.readableLength);
    const unknown = (clientFlags & ~handshakeFlags) !== 0;
    if (drops?.(clientFlags, unknown) ?? unknown) return void socket.destroy();
    const state: State = {
      ...{ clientFlags, secure: false, structured: false, extended: false },
      ...{ contexts: [], contextsOf: '', exportName: '', options: 0, requests: 0 },
    };
    for (let i = 0; i < MESSAGES_MAX; i++) {
      const ask = await this.#readOption(reader, state);
      if (ask === undefined) return void connection.socket.destroy();
      const next = this.#answer(connection.socket, ask);
      if (next === 'down') return this.close();
      if (next === 'mute') return;
      if (next === 'close') return void connection.socket.destroySoon();
      if (next === 'tls') {
        const early =
          this.#wrongs.mixesTls && reader.has(16) ? await this.#readOption(reader, state) : undefined;
        reader.release();
        connection.socket = this.#secure(connection.socket);
        reader = this.#reader(connection);
        state.secure = true;
        if (early !== undefined) this.#answer(connection.socket, early);
      }
      if (next === 'transmission') return this.#transmit(connection, reader, state);
    }
  }

  #secure(raw: Socket): Socket {
    const keys = { cert: certificate, key: privateKey };
    const secure = new TLSSocket(raw, { isServer: true, ...keys, ...this.#wrongs.tls });
    raw.on('error', () => {});
    secure.on('error', () => raw.destroy());
    return secure;
  }

  async #readOption(reader: ByteReader, state: State): Promise<Ask | undefined> {
    const header = await reader.read(16);
    if (header.readBigUInt64BE(0) !== OPTION_MAGIC) return undefined;
    state.options++;
    return { option: header.readUInt32BE(8), data: await reader.read(header.readUInt32BE(12)), state };
  }

  #answer(socket: Socket, ask: Ask): Next | undefined {
    const right = rightOutcome(ask, this.settings);
    const { replies, raw, after = Buffer.alloc(0), next } = this.#wrongs.option?.(ask, right) ?? right;
    const messages = replies.map(({ type, data = Buffer.alloc(0), names = ask.option }) =>
      Buffer.concat([u64(OPTION_REPLY_MAGIC), u32(names), u32(type), u32(data.length), data]),
    );
    socket.write(Buffer.concat([raw ?? Buffer.concat(messages), after]));
    return next;
  }

  async #transmit(connection: Connection, reader: ByteReader, state: State): Promise<void> {
    const { socket } = connection;
    connection.phase = 'request';
    for (let i = 0; i < MESSAGES_MAX; i++) {
      const request = await readRequest(reader, state, this.#wrongs.anyMagic);
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
async function readRequest(reader: ByteReader, state: State, anyMagic = false): Promise<Request | undefined> {
  const { extended } = state;
  const header = await reader.read(extended ? 32 : 28);
  const magic = extended ? EXTENDED_REQUEST_MAGIC : REQUEST_MAGIC;
  if (header.readUInt32BE(0) !== magic && !anyMagic) return undefined;
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
