// What a server's bytes mean: payloads of option replies and of reply chunks. A payload that breaks a rule of its
// layout is a Violation.
import { CHUNK_ERROR_BIT, Chunk, chunkName, Info, STRING_BYTES_MAX } from './numbers.ts';
import { Violation } from './violation.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Text from the server: UTF-8, without NUL, not too long. `what` says whose text it is. */
export function textOf(bytes: Uint8Array, what: string): string {
  if (bytes.length > STRING_BYTES_MAX) {
    throw new Violation(`${what} has ${bytes.length} bytes, more than ${STRING_BYTES_MAX}`);
  }
  if (bytes.includes(0)) throw new Violation(`${what} contains NUL`);
  try {
    return utf8.decode(bytes);
  } catch {
    throw new Violation(`${what} is not UTF-8`);
  }
}

export interface ListedExport {
  readonly name: string;
  readonly description: string;
}

export function parseListed(data: Buffer): ListedExport {
  const nameBytes = data.length < 4 ? Number.POSITIVE_INFINITY : data.readUInt32BE(0);
  if (nameBytes > data.length - 4) throw new Violation('a listed name is longer than its reply');
  return {
    name: textOf(data.subarray(4, 4 + nameBytes), 'a listed name'),
    description: textOf(data.subarray(4 + nameBytes), "a listed export's description"),
  };
}

export interface MetaContext {
  readonly id: number;
  readonly name: string;
}

export function parseMetaContext(data: Buffer): MetaContext {
  if (data.length < 4) throw new Violation(`a META_CONTEXT reply has only ${data.length} bytes`);
  return { id: data.readUInt32BE(0), name: textOf(data.subarray(4), 'the name of a metadata context') };
}

export interface BlockSizes {
  readonly minimum: number;
  readonly preferred: number;
  readonly payloadMax: number;
}

/** What INFO and GO told of an export. */
export interface ExportInfo {
  size?: bigint;
  flags?: number;
  blockSizes?: BlockSizes;
  name?: string;
  description?: string;
  /** Types in the order of their arrival. */
  readonly types: number[];
}

const INFO_EXPORT_BYTES = 12;
const INFO_BLOCK_SIZE_BYTES = 14;

/** Adds one INFO reply to `info`. */
export function addInfo(info: ExportInfo, data: Buffer): void {
  if (data.length < 2) throw new Violation(`an INFO reply has only ${data.length} bytes`);
  const type = data.readUInt16BE(0);
  info.types.push(type);
  if (type === Info.EXPORT) {
    requireBytes(data, INFO_EXPORT_BYTES, 'INFO_EXPORT');
    info.size = data.readBigUInt64BE(2);
    info.flags = data.readUInt16BE(10);
  } else if (type === Info.BLOCK_SIZE) {
    requireBytes(data, INFO_BLOCK_SIZE_BYTES, 'INFO_BLOCK_SIZE');
    info.blockSizes = {
      minimum: data.readUInt32BE(2),
      preferred: data.readUInt32BE(6),
      payloadMax: data.readUInt32BE(10),
    };
  } else if (type === Info.NAME) info.name = textOf(data.subarray(2), 'the name of the export');
  else if (type === Info.DESCRIPTION) {
    info.description = textOf(data.subarray(2), 'the description of the export');
  }
}

function requireBytes(data: Buffer, bytes: number, what: string): void {
  if (data.length !== bytes) throw new Violation(`${what} has ${data.length} bytes instead of ${bytes}`);
}

/** One chunk of a structured or extended reply. */
export interface ReplyChunk {
  readonly type: number;
  readonly done: boolean;
  readonly payload: Buffer;
}

export interface Content {
  readonly offset: bigint;
  readonly length: number;
  /** Absent for a hole. */
  readonly data?: Buffer;
}

/** The part of a read that a content chunk tells. */
export function parseContent(chunk: ReplyChunk): Content {
  const { type, payload } = chunk;
  if (type === Chunk.OFFSET_DATA) {
    if (payload.length < 9) throw new Violation(`OFFSET_DATA has ${payload.length} bytes, fewer than 9`);
    return {
      offset: payload.readBigUInt64BE(0),
      length: payload.length - 8,
      data: payload.subarray(8),
    };
  }
  requireBytes(payload, 12, 'OFFSET_HOLE');
  const length = payload.readUInt32BE(8);
  if (length === 0) throw new Violation('OFFSET_HOLE covers no byte');
  return { offset: payload.readBigUInt64BE(0), length };
}

export interface ChunkError {
  readonly error: number;
  readonly message: string;
  readonly offset?: bigint;
}

export const isErrorChunk = (type: number): boolean => (type & CHUNK_ERROR_BIT) !== 0;

export function parseError(chunk: ReplyChunk): ChunkError {
  const { type, payload } = chunk;
  const bytesMin = type === Chunk.ERROR_OFFSET ? 14 : 6;
  if (payload.length < bytesMin) {
    throw new Violation(`${chunkName(type)} has ${payload.length} bytes, fewer than ${bytesMin}`);
  }
  const error = payload.readUInt32BE(0);
  if (error === 0) throw new Violation(`${chunkName(type)} tells of no error`);
  const messageBytes = payload.readUInt16BE(4);
  if (messageBytes > payload.length - bytesMin) {
    throw new Violation(`the message of ${chunkName(type)} is longer than its chunk`);
  }
  const message = textOf(payload.subarray(6, 6 + messageBytes), 'the message of an error chunk');
  if (type !== Chunk.ERROR_OFFSET) return { error, message };
  return { error, message, offset: payload.readBigUInt64BE(6 + messageBytes) };
}

export interface ExtentStatus {
  readonly length: bigint;
  readonly flags: bigint;
}

/** The extents of one metadata context. */
export interface BlockStatus {
  readonly contextId: number;
  readonly extents: readonly ExtentStatus[];
}

export function parseBlockStatus({ type, payload }: ReplyChunk): BlockStatus {
  const wide = type === Chunk.BLOCK_STATUS_EXT;
  const [headBytes, extentBytes] = wide ? [8, 16] : [4, 8];
  const count = (payload.length - headBytes) / extentBytes;
  if (!Number.isInteger(count) || count < 1) {
    throw new Violation(`${chunkName(type)} has ${payload.length} bytes, no whole number of extents`);
  }
  if (wide && payload.readUInt32BE(4) !== count) {
    throw new Violation(`BLOCK_STATUS_EXT announces ${payload.readUInt32BE(4)} extents and holds ${count}`);
  }
  const extents = Array.from({ length: count }, (_, i) => {
    const at = headBytes + i * extentBytes;
    return wide
      ? { length: payload.readBigUInt64BE(at), flags: payload.readBigUInt64BE(at + 8) }
      : { length: BigInt(payload.readUInt32BE(at)), flags: BigInt(payload.readUInt32BE(at + 4)) };
  });
  if (extents.some(({ length }) => length === 0n)) throw new Violation('an extent covers no byte');
  return { contextId: payload.readUInt32BE(0), extents };
}
