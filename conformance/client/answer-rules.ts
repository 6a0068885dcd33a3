// The rules for the replies to one request, as far as they hold for every request: which chunks may come, where they
// lie, and what must be there when the last one has come. Breaking one is a Violation.
import {
  type BlockStatus,
  type Content,
  isErrorChunk,
  parseBlockStatus,
  parseContent,
  parseError,
  type ReplyChunk,
} from '../protocol/answers.ts';
import type { Request } from '../protocol/messages.ts';
import { Chunk, Command, CommandFlag, chunkName, commandName } from '../protocol/numbers.ts';
import { Violation } from '../protocol/violation.ts';

/** Everything a server said to one request. */
export interface Answer {
  readonly request: Request;
  /** Errno of the first error; 0 for success. */
  readonly error: number;
  /** What the server said about the error. */
  readonly message: string;
  /** In one simple reply. */
  readonly simple: boolean;
  readonly chunks: readonly ReplyChunk[];
  readonly contents: readonly Content[];
  readonly statuses: readonly BlockStatus[];
  /** What a successful read brought. */
  readonly data: Buffer;
}

/** The answer made of the chunks of a finished reply. */
export function answerOf(
  request: Request,
  chunks: readonly ReplyChunk[],
  contextIds: readonly number[],
  extended: boolean,
): Answer {
  const contents: Content[] = [];
  const statuses: BlockStatus[] = [];
  let error = 0;
  let message = '';
  for (const chunk of chunks) {
    if (isErrorChunk(chunk.type)) {
      const found = parseError(chunk);
      if (found.offset !== undefined) checkInside(request, found.offset, 0, 'an error');
      if (error === 0) ({ error, message } = found);
    } else if (chunk.type === Chunk.NONE) {
      if (chunk.payload.length > 0) throw new Violation('NONE has a payload');
      if (!chunk.done) throw new Violation('NONE is not marked as the last chunk');
    } else if (chunk.type === Chunk.OFFSET_DATA || chunk.type === Chunk.OFFSET_HOLE) {
      requireCommand(request, chunk, Command.READ);
      contents.push(checkedContent(request, contents, chunk));
    } else if (chunk.type === (extended ? Chunk.BLOCK_STATUS_EXT : Chunk.BLOCK_STATUS)) {
      requireCommand(request, chunk, Command.BLOCK_STATUS);
      statuses.push(checkedStatus(request, parseBlockStatus(chunk)));
    } else throw new Violation(`${chunkName(chunk.type)} in reply to ${commandName(request.type)}`);
  }
  if ((request.flags & CommandFlag.DF) !== 0 && contents.length > 1) {
    throw new Violation(`a read with DF came in ${contents.length} content chunks`);
  }
  if (error === 0 && request.type === Command.BLOCK_STATUS) checkContexts(statuses, contextIds);
  const data = error === 0 && request.type === Command.READ ? assembled(request, contents) : Buffer.alloc(0);
  return { request, error, message, simple: false, chunks, contents, statuses, data };
}

function requireCommand(request: Request, chunk: ReplyChunk, command: number): void {
  if (request.type === command) return;
  throw new Violation(`${chunkName(chunk.type)} in reply to ${commandName(request.type)}`);
}

function checkInside(request: Request, offset: bigint, length: number, what: string): void {
  const end = request.offset + request.length;
  if (offset >= request.offset && offset + BigInt(length) <= end) return;
  throw new Violation(`${what} at ${offset} lies outside the request ${request.offset}+${request.length}`);
}

function checkedContent(request: Request, earlier: readonly Content[], chunk: ReplyChunk): Content {
  const content = parseContent(chunk);
  checkInside(request, content.offset, content.length, chunkName(chunk.type));
  const end = content.offset + BigInt(content.length);
  const clash = earlier.some((one) => one.offset < end && content.offset < one.offset + BigInt(one.length));
  if (clash) throw new Violation(`content chunks overlap at ${content.offset}`);
  return content;
}

function assembled(request: Request, contents: readonly Content[]): Buffer {
  const covered = contents.reduce((sum, { length }) => sum + length, 0);
  if (BigInt(covered) !== request.length) {
    throw new Violation(`a successful read of ${request.length} bytes brought ${covered}`);
  }
  const data = Buffer.alloc(covered);
  for (const { offset, data: bytes } of contents) bytes?.copy(data, Number(offset - request.offset));
  return data;
}

function checkedStatus(request: Request, status: BlockStatus): BlockStatus {
  const { extents } = status;
  const single = (request.flags & CommandFlag.REQ_ONE) !== 0;
  if (single && extents.length > 1) throw new Violation(`${extents.length} extents in reply to REQ_ONE`);
  const length = requestedLength(request);
  if (single && extents[0].length > length)
    throw new Violation('an extent longer than a request with REQ_ONE');
  const beforeLast = extents.slice(0, -1).reduce((sum, extent) => sum + extent.length, 0n);
  if (extents.length > 1 && beforeLast >= length) {
    throw new Violation('extents follow after the requested range was covered');
  }
  return status;
}

/** A block-status request with a payload tells its range there. */
function requestedLength({ payload, length }: Request): bigint {
  return payload.length < 8 ? length : Buffer.from(payload).readBigUInt64BE(0);
}

function checkContexts(statuses: readonly BlockStatus[], contextIds: readonly number[]): void {
  const told = statuses.map(({ contextId }) => contextId).sort((a, b) => a - b);
  const wanted = [...contextIds].sort((a, b) => a - b);
  if (told.join() === wanted.join()) return;
  throw new Violation(`block status of contexts [${told.join()}] where [${wanted.join()}] are selected`);
}
