/**
 * The handshake's messages as bytes: greeting, options from the client, replies to them. No state, no sockets.
 *
 *   greeting   u64 NBDMAGIC, u64 IHAVEOPT, u16 flags            -> client: u32 flags
 *   option     u64 IHAVEOPT, u32 option, u32 length, data
 *   reply      u64 magic, u32 option, u32 type, u32 length, data
 *
 * Data that is not what its option says parses to undefined.
 */

import {
  BLOCK_BYTES_MIN,
  BLOCK_BYTES_PREFERRED,
  FLAG_FIXED_NEWSTYLE,
  FLAG_NO_ZEROES,
  GREETING_MAGIC,
  INFO,
  OPTION_MAGIC,
  OPTION_REPLY_MAGIC,
  PAYLOAD_BYTES_MAX,
  REP,
  STRING_BYTES_MAX,
} from './protocol.ts';

export const CLIENT_FLAGS_BYTES = 4;
export const OPTION_HEADER_BYTES = 16;

/** Zeroes behind the answer to EXPORT_NAME, for clients that did not decline them. */
const EXPORT_NAME_PADDING_BYTES = 124;

/** A context query or information request takes some bytes; more of them than this are no sensible client's. */
const QUERIES_MAX = 1024;

export interface OptionHeader {
  readonly option: number;
  /** Bytes of data that follow. */
  readonly length: number;
}

export interface GoRequest {
  readonly name: string;
  readonly information: readonly number[];
}

export interface MetaRequest {
  readonly name: string;
  readonly queries: readonly string[];
}

export function encodeGreeting(): Buffer {
  const bytes = Buffer.alloc(18);
  bytes.writeBigUInt64BE(GREETING_MAGIC, 0);
  bytes.writeBigUInt64BE(OPTION_MAGIC, 8);
  bytes.writeUInt16BE(FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES, 16);
  return bytes;
}

/** Undefined: no option begins here. */
export function decodeOptionHeader(bytes: Buffer): OptionHeader | undefined {
  if (bytes.readBigUInt64BE(0) !== OPTION_MAGIC) return undefined;
  return { option: bytes.readUInt32BE(8), length: bytes.readUInt32BE(12) };
}

export function encodeOptionReply(option: number, type: number, data: Uint8Array = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.alloc(20 + data.length);
  bytes.writeBigUInt64BE(OPTION_REPLY_MAGIC, 0);
  bytes.writeUInt32BE(option, 8);
  bytes.writeUInt32BE(type, 12);
  bytes.writeUInt32BE(data.length, 16);
  bytes.set(data, 20);
  return bytes;
}

/** An error reply with a text for a human to read. */
export function encodeOptionError(option: number, type: number, text: string): Buffer {
  return encodeOptionReply(option, type, Buffer.from(text));
}

/** One entry of the answer to LIST. */
export function encodeServer(option: number, name: string, description: string): Buffer {
  const nameBytes = Buffer.from(name);
  const data = Buffer.alloc(4 + nameBytes.length + Buffer.byteLength(description));
  data.writeUInt32BE(nameBytes.length, 0);
  data.set(nameBytes, 4);
  data.write(description, 4 + nameBytes.length);
  return encodeOptionReply(option, REP.SERVER, data);
}

export function encodeInfoExport(option: number, size: number, flags: number): Buffer {
  const data = Buffer.alloc(12);
  data.writeUInt16BE(INFO.EXPORT, 0);
  data.writeBigUInt64BE(BigInt(size), 2);
  data.writeUInt16BE(flags, 10);
  return encodeOptionReply(option, REP.INFO, data);
}

export function encodeInfoText(option: number, kind: number, text: string): Buffer {
  const data = Buffer.alloc(2 + Buffer.byteLength(text));
  data.writeUInt16BE(kind, 0);
  data.write(text, 2);
  return encodeOptionReply(option, REP.INFO, data);
}

export function encodeInfoBlockSize(option: number): Buffer {
  const data = Buffer.alloc(14);
  data.writeUInt16BE(INFO.BLOCK_SIZE, 0);
  data.writeUInt32BE(BLOCK_BYTES_MIN, 2);
  data.writeUInt32BE(BLOCK_BYTES_PREFERRED, 6);
  data.writeUInt32BE(PAYLOAD_BYTES_MAX, 10);
  return encodeOptionReply(option, REP.INFO, data);
}

export function encodeMetaContext(option: number, id: number, name: string): Buffer {
  const data = Buffer.alloc(4 + Buffer.byteLength(name));
  data.writeUInt32BE(id, 0);
  data.write(name, 4);
  return encodeOptionReply(option, REP.META_CONTEXT, data);
}

/** The answer to EXPORT_NAME, which has no header. */
export function encodeExportName(size: number, flags: number, noZeroes: boolean): Buffer {
  const bytes = Buffer.alloc(10 + (noZeroes ? 0 : EXPORT_NAME_PADDING_BYTES));
  bytes.writeBigUInt64BE(BigInt(size), 0);
  bytes.writeUInt16BE(flags, 8);
  return bytes;
}

/** The data of INFO and GO: u32 length, name, u16 count, u16 each. */
export function decodeGo(data: Buffer): GoRequest | undefined {
  const fields = new Fields(data);
  const name = fields.string();
  const count = fields.u16();
  if (name === undefined || count === undefined || count > QUERIES_MAX) return undefined;
  const information: number[] = [];
  for (let i = 0; i < count; i++) {
    const kind = fields.u16();
    if (kind === undefined) return undefined;
    information.push(kind);
  }
  return fields.atEnd ? { name, information } : undefined;
}

/** The data of LIST_META_CONTEXT and SET_META_CONTEXT: u32 length, name, u32 count, u32 length and query each. */
export function decodeMeta(data: Buffer): MetaRequest | undefined {
  const fields = new Fields(data);
  const name = fields.string();
  const count = fields.u32();
  if (name === undefined || count === undefined || count > QUERIES_MAX) return undefined;
  const queries: string[] = [];
  for (let i = 0; i < count; i++) {
    const query = fields.string();
    if (query === undefined) return undefined;
    queries.push(query);
  }
  return fields.atEnd ? { name, queries } : undefined;
}

/** Text of the wire; undefined if it is too long, no UTF-8, or has a NUL. */
export function decodeText(bytes: Buffer): string | undefined {
  if (bytes.length > STRING_BYTES_MAX || bytes.includes(0)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Reads one field after another; undefined when the data is over. */
class Fields {
  readonly #data: Buffer;
  #at = 0;

  constructor(data: Buffer) {
    this.#data = data;
  }

  get atEnd(): boolean {
    return this.#at === this.#data.length;
  }

  u16(): number | undefined {
    return this.#take(2)?.readUInt16BE(0);
  }

  u32(): number | undefined {
    return this.#take(4)?.readUInt32BE(0);
  }

  string(): string | undefined {
    const length = this.u32();
    const bytes = length === undefined ? undefined : this.#take(length);
    return bytes && decodeText(bytes);
  }

  #take(bytes: number): Buffer | undefined {
    if (bytes > this.#data.length - this.#at) return undefined;
    this.#at += bytes;
    return this.#data.subarray(this.#at - bytes, this.#at);
  }
}
