/**
 * What is said on a fetch socket, in the frames and statuses of wire/: other processes on a store ask its node for
 * pages.
 *
 *   hello   map: protocols, store (16 bytes, its id); the reply: protocol, store
 *   get     u32 pool, u32 index, 24 bytes oid; the reply: the page; 'miss': ask the store, it is not away (any more)
 *   refusal in the place of any reply: an error, with its code
 *
 * Rule: every field is checked, both ways, and what is wrong is a WireError.
 */

import * as v from 'valibot';
import type { FarHandle } from '../../zcache/fetch-service.ts';
import { OID_BYTES, receivedError, sentError } from '../../zcache/index.ts';
import { exactly, readU32, writeU32 } from '../wire/fields.ts';
import { encodeAfter, encodeFrame, HEAD_BYTES, type MessageType, newHead } from '../wire/frame.ts';
import { decodeRefusal, encodeRefusal } from '../wire/hello.ts';
import { bytesOf, MAP_RULE, packMap, protocolNumber, protocolRange, unpackMap } from '../wire/maps.ts';

/** Versions that this package speaks: the lowest and the highest. */
export const FETCH_PROTOCOLS: readonly [number, number] = [1, 1];

export interface FetchHello {
  /** Lowest and highest protocol spoken, 1 to 65535. */
  readonly protocols: readonly [number, number];
  /** 16 bytes: the store that the application has open. */
  readonly store: Uint8Array;
}

export interface FetchHelloReply {
  /** Spoken from now on. */
  readonly protocol: number;
  /** 16 bytes: the store of the node. */
  readonly store: Uint8Array;
}

const STORE = bytesOf(16);
const HELLO = v.object({ protocols: protocolRange, store: STORE }, MAP_RULE);
const HELLO_REPLY = v.object({ protocol: protocolNumber, store: STORE }, MAP_RULE);

const INDEX_AT = 4;
const OID_AT = 8;
const FETCH_BYTES = OID_AT + OID_BYTES;

/** Stands for an error without a code. */
const NO_CODE = 'NONE';

export function encodeFetchHello(request: number, hello: FetchHello): Uint8Array[] {
  const body = packMap(HELLO, hello, 'hello');
  return encodeFrame({ type: 'hello', isReply: false, status: 'ok', request }, body);
}

export function decodeFetchHello(body: Uint8Array): FetchHello {
  return unpackMap(HELLO, body, 'hello');
}

export function encodeFetchHelloReply(request: number, reply: FetchHelloReply): Uint8Array[] {
  const body = packMap(HELLO_REPLY, reply, 'reply to hello');
  return encodeFrame({ type: 'hello', isReply: true, status: 'ok', request }, body);
}

export function decodeFetchHelloReply(body: Uint8Array): FetchHelloReply {
  return unpackMap(HELLO_REPLY, body, 'reply to hello');
}

export function encodeFetch(request: number, { pool, index, oid }: FarHandle): Uint8Array[] {
  exactly(oid, OID_BYTES, 'get: oid');
  const first = newHead(FETCH_BYTES);
  writeU32(first, HEAD_BYTES, pool, 'get: pool');
  writeU32(first, HEAD_BYTES + INDEX_AT, index, 'get: index');
  first.set(oid, HEAD_BYTES + OID_AT);
  return encodeAfter({ type: 'get', isReply: false, status: 'ok', request }, first);
}

/** Its oid is a copy. */
export function decodeFetch(body: Uint8Array): FarHandle {
  exactly(body, FETCH_BYTES, 'get');
  return { pool: readU32(body, 0), index: readU32(body, INDEX_AT), oid: body.slice(OID_AT) };
}

/** Any error in the place of a reply. Of a very long message the beginning. */
export function encodeError(type: MessageType, request: number, thrown: unknown): Uint8Array[] {
  const { code, message } = sentError(thrown);
  const isPossible = code !== undefined && /^\w{1,64}$/.test(code);
  return encodeRefusal(type, request, { code: isPossible ? code : NO_CODE, message });
}

export function decodeError(body: Uint8Array): Error {
  const { code, message } = decodeRefusal(body);
  return receivedError({ code: code === NO_CODE ? undefined : code, message });
}
