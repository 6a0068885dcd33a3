// Bytes that a client sends. Nothing is checked: the suite sends wrong messages as well.
import { EXTENDED_REQUEST_MAGIC, OPTION_MAGIC, REQUEST_MAGIC } from './numbers.ts';

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

export function optionMessage(option: number, data: Uint8Array = Buffer.alloc(0)): Buffer {
  return Buffer.concat([u64(OPTION_MAGIC), u32(option), u32(data.length), data]);
}

/**
 * Data of INFO and GO.
 *
 * @param name - the export's name; bytes where it is no text
 * @param nameBytes - the length that is announced, if it is to be a wrong one
 */
export function infoData(
  name: string | Buffer,
  requests: readonly number[] = [],
  nameBytes?: number,
): Buffer {
  const bytes = Buffer.from(name as string);
  return Buffer.concat([
    u32(nameBytes ?? bytes.length),
    bytes,
    u16(requests.length),
    ...requests.map((request) => u16(request)),
  ]);
}

/**
 * Data of LIST_META_CONTEXT and SET_META_CONTEXT.
 *
 * @param lastQueryBytes - the length that is announced for the last query, if it is to be a wrong one
 */
export function metaContextData(name: string, queries: readonly string[], lastQueryBytes?: number): Buffer {
  const nameBytes = Buffer.from(name);
  const parts = queries.flatMap((query, i) => {
    const bytes = Buffer.from(query);
    const wrong = i === queries.length - 1 ? lastQueryBytes : undefined;
    return [u32(wrong ?? bytes.length), bytes];
  });
  return Buffer.concat([u32(nameBytes.length), nameBytes, u32(queries.length), ...parts]);
}

export interface Request {
  readonly type: number;
  readonly flags: number;
  readonly cookie: bigint;
  readonly offset: bigint;
  /** Of the payload if there is one, else of the range that the command is about. */
  readonly length: bigint;
  readonly payload: Uint8Array;
}

const REQUEST_BYTES = 28;
const EXTENDED_REQUEST_BYTES = 32;

export function requestMessage(request: Request, extended: boolean): Buffer {
  const header = Buffer.alloc(extended ? EXTENDED_REQUEST_BYTES : REQUEST_BYTES);
  header.writeUInt32BE(extended ? EXTENDED_REQUEST_MAGIC : REQUEST_MAGIC, 0);
  header.writeUInt16BE(request.flags, 4);
  header.writeUInt16BE(request.type, 6);
  header.writeBigUInt64BE(request.cookie, 8);
  header.writeBigUInt64BE(request.offset, 16);
  if (extended) header.writeBigUInt64BE(request.length, 24);
  else header.writeUInt32BE(Number(request.length), 24);
  return Buffer.concat([header, request.payload]);
}
