// The right replies to requests.
import { u16, u32, u64 } from '../../conformance/protocol/messages.ts';
import {
  ALLOCATION,
  CHUNK_DONE,
  Chunk,
  Command,
  CommandFlag,
  Errno,
  ExportFlag,
  Extent,
} from '../../conformance/protocol/numbers.ts';
import { flagsOf } from './tiny-options.ts';
import type { ChunkReply, Memory, Replies, Request, Settings } from './tiny-types.ts';

const BLOCK_BYTES = 4096;

export function errorReplies({ state }: Pick<Request, 'state'>, error: number): Replies {
  if (!state.structured && !state.extended) return { messages: [{ error }] };
  return {
    messages: [{ flags: CHUNK_DONE, type: Chunk.ERROR, payload: Buffer.concat([u32(error), u16(0)]) }],
  };
}

export function successReplies({ state }: Pick<Request, 'state'>): Replies {
  if (!state.structured && !state.extended) return { messages: [{ error: 0 }] };
  return { messages: [{ flags: CHUNK_DONE, type: Chunk.NONE }] };
}

/** A chunk with data of the export. */
export function dataChunk(offset: bigint, data: Buffer, flags = 0): ChunkReply {
  return { flags, type: Chunk.OFFSET_DATA, payload: Buffer.concat([u64(offset), data]) };
}

export const doneChunk: ChunkReply = { flags: CHUNK_DONE, type: Chunk.NONE };

export function rightReplies(request: Request, settings: Settings, memory: Memory): Replies {
  const error = errorOf(request, settings);
  if (error !== Errno.NONE) return errorReplies(request, error);
  const from = Number(request.offset);
  const to = from + Number(request.length);
  switch (request.type) {
    case Command.READ:
      return read(request, memory.bytes.subarray(from, to));
    case Command.WRITE:
      request.payload.copy(memory.bytes, from);
      touch(memory, from, to, true);
      return successReplies(request);
    case Command.TRIM:
    case Command.WRITE_ZEROES:
      memory.bytes.fill(0, from, to);
      touch(memory, from, to, (request.flags & CommandFlag.NO_HOLE) !== 0);
      return successReplies(request);
    case Command.BLOCK_STATUS:
      return blockStatus(request, settings, memory);
    default:
      return successReplies(request);
  }
}

function touch({ written }: Memory, from: number, to: number, there: boolean): void {
  for (let block = Math.floor(from / BLOCK_BYTES); block * BLOCK_BYTES < to; block++) {
    if (there) written.add(block);
    else if (block * BLOCK_BYTES >= from && (block + 1) * BLOCK_BYTES <= to) written.delete(block);
  }
}

function allowedFlags({ type, state }: Request, settings: Settings): number {
  const flags = flagsOf(settings, state);
  const has = (bit: number, allowed: number) => ((flags & bit) === 0 ? 0 : allowed);
  const own: Record<number, number | undefined> = {
    [Command.READ]: has(ExportFlag.SEND_DF, CommandFlag.DF),
    [Command.WRITE]: state.extended ? CommandFlag.PAYLOAD_LEN : 0,
    [Command.WRITE_ZEROES]: CommandFlag.NO_HOLE | has(ExportFlag.SEND_FAST_ZERO, CommandFlag.FAST_ZERO),
    [Command.BLOCK_STATUS]:
      CommandFlag.REQ_ONE | has(ExportFlag.BLOCK_STATUS_PAYLOAD, CommandFlag.PAYLOAD_LEN),
  };
  return (own[type] ?? 0) | has(ExportFlag.SEND_FUA, CommandFlag.FUA);
}

const WRITING: readonly number[] = [Command.WRITE, Command.TRIM, Command.WRITE_ZEROES];
const FULL: readonly number[] = [Command.WRITE, Command.WRITE_ZEROES];

function errorOf(request: Request, settings: Settings): number {
  const { type, flags, offset, length, state } = request;
  if (!(Object.values(Command) as number[]).includes(type)) return Errno.EINVAL;
  if ((flags & ~allowedFlags(request, settings)) !== 0) return Errno.EINVAL;
  if (type === Command.FLUSH) return Errno.NONE;
  if (WRITING.includes(type) && (settings.flags & ExportFlag.READ_ONLY) !== 0) return Errno.EPERM;
  if (
    type === Command.BLOCK_STATUS &&
    (state.contexts.length === 0 || state.contextsOf !== state.exportName)
  ) {
    return Errno.EINVAL;
  }
  const range =
    type === Command.BLOCK_STATUS && request.payload.length >= 8
      ? request.payload.readBigUInt64BE(0)
      : length;
  if (offset + range > BigInt(settings.sizeBytes)) return FULL.includes(type) ? Errno.ENOSPC : Errno.EINVAL;
  const unit = BigInt(settings.minimumBytes);
  if (range === 0n || offset % unit !== 0n || range % unit !== 0n) return Errno.EINVAL;
  if (type === Command.READ || type === Command.WRITE) {
    if (length > BigInt(settings.payloadBytesMax)) return Errno.EINVAL;
  }
  if ((flags & CommandFlag.FAST_ZERO) !== 0 && settings.slowZeroes) return Errno.ENOTSUP;
  return Errno.NONE;
}

function read({ state, offset }: Request, data: Buffer): Replies {
  if (!state.structured && !state.extended) return { messages: [{ error: 0, data }] };
  return { messages: [dataChunk(offset, data), doneChunk] };
}

export interface TinyExtent {
  readonly length: number;
  readonly flags: number;
}

/** A block-status chunk in the layout that was negotiated. */
export function statusChunk({ state }: Request, id: number, extents: readonly TinyExtent[]): ChunkReply {
  const payload = Buffer.alloc(extents.length * (state.extended ? 16 : 8));
  extents.forEach(({ length, flags }, i) => {
    if (state.extended) {
      payload.writeBigUInt64BE(BigInt(length), i * 16);
      payload.writeBigUInt64BE(BigInt(flags), i * 16 + 8);
    } else {
      payload.writeUInt32BE(length, i * 8);
      payload.writeUInt32BE(flags, i * 8 + 4);
    }
  });
  const head = state.extended ? [u32(id), u32(extents.length)] : [u32(id)];
  const type = state.extended ? Chunk.BLOCK_STATUS_EXT : Chunk.BLOCK_STATUS;
  return { flags: 0, type, payload: Buffer.concat([...head, payload]) };
}

function blockStatus(request: Request, settings: Settings, memory: Memory): Replies {
  const { state, payload, offset, flags } = request;
  const selected = state.contexts.map((name) => settings.contexts.indexOf(name) + 1);
  const chosen = Array.from({ length: Math.floor((payload.length - 8) / 4) }, (_, i) =>
    payload.readUInt32BE(8 + 4 * i),
  );
  const ids = payload.length > 0 ? chosen : selected;
  if (ids.some((id) => !selected.includes(id))) return errorReplies(request, Errno.EINVAL);
  const length = payload.length > 0 ? Number(payload.readBigUInt64BE(0)) : Number(request.length);
  const single = (flags & CommandFlag.REQ_ONE) !== 0;
  const chunks = ids.map((id) => {
    const allocation = settings.contexts[id - 1] === ALLOCATION;
    const all = allocation ? extents(memory, Number(offset), length) : [{ length, flags: 0 }];
    return statusChunk(request, id, single ? all.slice(0, 1) : all);
  });
  return { messages: [...chunks, doneChunk] };
}

function extents({ written }: Memory, offset: number, length: number): TinyExtent[] {
  const found: { length: number; flags: number }[] = [];
  for (let at = offset; at < offset + length; ) {
    const block = Math.floor(at / BLOCK_BYTES);
    const end = Math.min((block + 1) * BLOCK_BYTES, offset + length);
    const flags = written.has(block) ? 0 : Extent.HOLE | Extent.ZERO;
    const last = found.at(-1);
    if (last?.flags === flags) last.length += end - at;
    else found.push({ length: end - at, flags });
    at = end;
  }
  return found;
}
