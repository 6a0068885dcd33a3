/**
 * The messages about pages, as bytes of fixed places (little-endian), and those of hello.ts. `encodeX` makes a whole
 * frame of a message, `decodeX` reads the body of one.
 *
 *   ping         u64 free bytes, u8 draining, 7 zeros; the reply too
 *   put          u32 pool, u8 kind, 3 zeros, u64 id, page; the reply is empty
 *   get          u32 pool, u8 free, 3 zeros, u64 id; the reply is the page
 *   free         u16 pages, u16 0, (u32 pool, u64 id) for each; the reply is empty
 *   destroyPool  u32 pool; the reply is empty
 *   list         cursor; the reply is u16 pages, u8 bytes of the next cursor, u8 0, (u32 pool, u64 id) for each, cursor
 *
 * Rule: every field is checked, both ways, and what is wrong is a WireError. Page bytes are never copied: those decoded
 * are a view of the frame, those encoded are a part of what is returned. Replies with a status other than 'ok' are
 * empty (`encodeStatus`), but for refusals (hello.ts).
 */

import type { PoolKind } from '../../zcache/index.ts';
import type { NodeStatus } from '../membership/membership.ts';
import type { PageId } from '../page-id.ts';
import { FREE_MOST, type HeldPage, type TravellingPage } from '../remote-store/remote-store.ts';
import {
  between,
  exactly,
  HELD_BYTES,
  pageLength,
  readFlag,
  readId,
  readU16,
  readU32,
  readU64,
  writeId,
  writeU32,
  writeU64,
  zeros,
} from './fields.ts';
import { encodeAfter, encodeFrame, HEAD_BYTES, type MessageType, newHead, type Status } from './frame.ts';
import { WireError } from './wire-error.ts';

export * from './hello.ts';

/** What a get asks for. */
export interface GetRequest {
  readonly pool: number;
  readonly id: PageId;
  /** The holder keeps it no longer. */
  readonly free: boolean;
}

export interface ListReply {
  readonly pages: readonly HeldPage[];
  /** Where to go on, 1 to 32 bytes; undefined: that was the last. */
  readonly next: Uint8Array | undefined;
}

/** Pages of one reply to `list`: what fits into a frame, with the cursor, and a little less. */
export const LIST_MOST = 1000;
/** Longest cursor of a list. */
export const CURSOR_BYTES_MAX = 32;

const FIXED_BYTES = 16;
const HELD_HEAD_BYTES = 4;
/** By their number on the wire. */
const KINDS: readonly PoolKind[] = ['ephemeral', 'persistent'];

/** A reply without a body: 'ok' to put, free and destroyPool, or any other status but 'refused'. */
export function encodeStatus(
  type: MessageType,
  request: number,
  status: Exclude<Status, 'refused'>,
): Uint8Array[] {
  return encodeFrame({ type, isReply: true, status, request });
}

/** Checks that a body has nothing, as in replies to put, free and destroyPool. */
export function decodeNothing(body: Uint8Array): void {
  exactly(body, 0, 'empty reply');
}

export function encodePing(request: number, status: NodeStatus): Uint8Array[] {
  return encodeStatusOfNode(request, status, false);
}

export function encodePingReply(request: number, status: NodeStatus): Uint8Array[] {
  return encodeStatusOfNode(request, status, true);
}

function encodeStatusOfNode(request: number, { freeBytes, draining }: NodeStatus, isReply: boolean) {
  const first = newHead(FIXED_BYTES);
  writeU64(first, HEAD_BYTES, freeBytes, 'ping: free bytes');
  first.fill(0, HEAD_BYTES + 8);
  first[HEAD_BYTES + 8] = draining ? 1 : 0;
  return encodeAfter({ type: 'ping', isReply, status: 'ok', request }, first);
}

/** Of a ping or of the reply to one. */
export function decodePing(body: Uint8Array): NodeStatus {
  exactly(body, FIXED_BYTES, 'ping');
  const status = {
    freeBytes: readU64(body, 0, 'ping: free bytes'),
    draining: readFlag(body, 8, 'ping: draining'),
  };
  zeros(body, 9, FIXED_BYTES, 'ping');
  return status;
}

export const decodePingReply = decodePing;

export function encodePut(request: number, { pool, kind, id, bytes }: TravellingPage): Uint8Array[] {
  const first = newHead(FIXED_BYTES);
  writeU32(first, HEAD_BYTES, pool, 'put: pool');
  const number = KINDS.indexOf(kind);
  if (number < 0) throw new WireError(`put: there is no kind ${kind}`);
  first.writeUInt32LE(number, HEAD_BYTES + 4);
  writeId(first, HEAD_BYTES + 8, id);
  pageLength(bytes.length, 'put');
  return encodeAfter({ type: 'put', isReply: false, status: 'ok', request }, first, bytes);
}

/** `bytes` is a view of `body`. */
export function decodePut(body: Uint8Array): TravellingPage {
  pageLength(body.length - FIXED_BYTES, 'put');
  const kind = KINDS[body[4]!];
  if (kind === undefined) throw new WireError(`put: there is no kind ${body[4]}`);
  zeros(body, 5, 8, 'put');
  return { pool: readU32(body, 0), kind, id: readId(body, 8), bytes: body.subarray(FIXED_BYTES) };
}

export function encodeGet(request: number, { pool, id, free }: GetRequest): Uint8Array[] {
  const first = newHead(FIXED_BYTES);
  writeU32(first, HEAD_BYTES, pool, 'get: pool');
  first.writeUInt32LE(free ? 1 : 0, HEAD_BYTES + 4);
  writeId(first, HEAD_BYTES + 8, id);
  return encodeAfter({ type: 'get', isReply: false, status: 'ok', request }, first);
}

export function decodeGet(body: Uint8Array): GetRequest {
  exactly(body, FIXED_BYTES, 'get');
  const free = readFlag(body, 4, 'get: free');
  zeros(body, 5, 8, 'get');
  return { pool: readU32(body, 0), id: readId(body, 8), free };
}

/** @param bytes - 1 to 4096 bytes, as they were put */
export function encodeGetReply(request: number, bytes: Uint8Array): Uint8Array[] {
  pageLength(bytes.length, 'reply to get');
  return encodeFrame({ type: 'get', isReply: true, status: 'ok', request }, bytes);
}

/** The page: `body` itself. */
export function decodeGetReply(body: Uint8Array): Uint8Array {
  pageLength(body.length, 'reply to get');
  return body;
}

/** @param pages - 1 to 256 */
export function encodeFree(request: number, { pages }: { pages: readonly HeldPage[] }): Uint8Array[] {
  between(pages.length, 1, FREE_MOST, 'free: pages');
  const first = newHead(HELD_HEAD_BYTES + pages.length * HELD_BYTES);
  first.writeUInt32LE(pages.length, HEAD_BYTES);
  writeHeld(first, pages);
  return encodeAfter({ type: 'free', isReply: false, status: 'ok', request }, first);
}

export function decodeFree(body: Uint8Array): { pages: HeldPage[] } {
  const count = countOf(body, 'free');
  between(count, 1, FREE_MOST, 'free: pages');
  exactly(body, HELD_HEAD_BYTES + count * HELD_BYTES, 'free');
  zeros(body, 2, 4, 'free');
  return { pages: readHeld(body, count) };
}

export function encodeDestroyPool(request: number, { pool }: { pool: number }): Uint8Array[] {
  const first = newHead(4);
  writeU32(first, HEAD_BYTES, pool, 'destroyPool: pool');
  return encodeAfter({ type: 'destroyPool', isReply: false, status: 'ok', request }, first);
}

export function decodeDestroyPool(body: Uint8Array): { pool: number } {
  exactly(body, 4, 'destroyPool');
  return { pool: readU32(body, 0) };
}

/** @param cursor - `next` of the reply before; undefined: from the start */
export function encodeList(request: number, { cursor }: { cursor?: Uint8Array | undefined }): Uint8Array[] {
  if (cursor !== undefined) between(cursor.length, 1, CURSOR_BYTES_MAX, 'list: bytes of the cursor');
  return encodeFrame(
    { type: 'list', isReply: false, status: 'ok', request },
    ...(cursor === undefined ? [] : [cursor]),
  );
}

/** The cursor is a view of `body`. */
export function decodeList(body: Uint8Array): { cursor: Uint8Array | undefined } {
  between(body.length, 0, CURSOR_BYTES_MAX, 'list: bytes of the cursor');
  return { cursor: body.length === 0 ? undefined : body };
}

export function encodeListReply(request: number, { pages, next }: ListReply): Uint8Array[] {
  between(pages.length, 0, LIST_MOST, 'reply to list: pages');
  if (next !== undefined) between(next.length, 1, CURSOR_BYTES_MAX, 'reply to list: bytes of the cursor');
  const first = newHead(HELD_HEAD_BYTES + pages.length * HELD_BYTES);
  first.writeUInt32LE(pages.length + (next?.length ?? 0) * 2 ** 16, HEAD_BYTES);
  writeHeld(first, pages);
  return encodeAfter(
    { type: 'list', isReply: true, status: 'ok', request },
    first,
    ...(next === undefined ? [] : [next]),
  );
}

/** The cursor is bytes of its own: it outlives the frame. */
export function decodeListReply(body: Uint8Array): ListReply {
  const count = countOf(body, 'reply to list');
  between(count, 0, LIST_MOST, 'reply to list: pages');
  between(body[2]!, 0, CURSOR_BYTES_MAX, 'reply to list: bytes of the cursor');
  const pagesEnd = HELD_HEAD_BYTES + count * HELD_BYTES;
  exactly(body, pagesEnd + body[2]!, 'reply to list');
  zeros(body, 3, 4, 'reply to list');
  const next = body[2] === 0 ? undefined : new Uint8Array(body.subarray(pagesEnd));
  return { pages: readHeld(body, count), next };
}

function countOf(body: Uint8Array, what: string): number {
  if (body.length < HELD_HEAD_BYTES) throw new WireError(`${what}: ${body.length} bytes, its head has 4`);
  return readU16(body, 0);
}

function writeHeld(first: Buffer, pages: readonly HeldPage[]): void {
  let at = HEAD_BYTES + HELD_HEAD_BYTES;
  for (const { pool, id } of pages) {
    writeU32(first, at, pool, 'pool');
    writeId(first, at + 4, id);
    at += HELD_BYTES;
  }
}

function readHeld(body: Uint8Array, count: number): HeldPage[] {
  const pages: HeldPage[] = [];
  const end = HELD_HEAD_BYTES + count * HELD_BYTES;
  for (let at = HELD_HEAD_BYTES; at < end; at += HELD_BYTES) {
    pages.push({ pool: readU32(body, at), id: readId(body, at + 4) });
  }
  return pages;
}
