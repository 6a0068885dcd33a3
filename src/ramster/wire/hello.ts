/** Messages that later versions may add to (maps.ts): greetings, and why something was refused. */

import * as v from 'valibot';
import type { NodeStatus } from '../membership/membership.ts';
import { isNodeName } from '../place.ts';
import { encodeFrame, type MessageType } from './frame.ts';
import { bytesOf, MAP_RULE, packMap, protocolNumber, protocolRange, unpackMap, whole } from './maps.ts';

/** The first request on a connection. */
export interface Hello {
  /** Lowest and highest protocol spoken, 1 to 65535. */
  readonly protocols: readonly [number, number];
  /** 1 to 64 characters that both sides must agree on. */
  readonly cluster: string;
  readonly name: string;
  /** 16 bytes: the memory whose pages will be sent. */
  readonly memory: Uint8Array;
  /** 8 bytes that no other run of a node has. */
  readonly instance: Uint8Array;
}

export interface HelloReply {
  /** The protocol that is spoken from now on. */
  readonly protocol: number;
  readonly name: string;
  /** u32 of the memory the pages lie in. */
  readonly memory: number;
  /** 8 bytes. */
  readonly instance: Uint8Array;
  /** How long pages are kept after the last request, 1 to 4294967295 ms. */
  readonly leaseMs: number;
  readonly status: NodeStatus;
}

/** Body of every reply with status 'refused'. */
export interface Refusal {
  /** 1 to 64 letters, digits and '_'; programs compare it. */
  readonly code: string;
  /** Up to 400 characters without control characters, for people. */
  readonly message: string;
}

const REFUSAL_CHARACTERS_MAX = 400;
const U32_MAX = 2 ** 32 - 1;
const CONTROL_CHARACTERS = /\p{Cc}/gu;

const nodeName = v.custom<string>(isNodeName, "must be 1 to 40 letters, digits, '.', '_' and '-'");
const CLUSTER_RULE = 'must be 1 to 64 characters without control characters';
const CODE_RULE = "must be 1 to 64 letters, digits and '_'";
const MESSAGE_RULE = `must be at most ${REFUSAL_CHARACTERS_MAX} characters without control characters`;

const HELLO = v.object(
  {
    protocols: protocolRange,
    cluster: v.pipe(v.string(CLUSTER_RULE), v.regex(/^\P{Cc}{1,64}$/u, CLUSTER_RULE)),
    name: nodeName,
    memory: bytesOf(16),
    instance: bytesOf(8),
  },
  MAP_RULE,
);

const HELLO_REPLY = v.object(
  {
    protocol: protocolNumber,
    name: nodeName,
    memory: whole(0, U32_MAX),
    instance: bytesOf(8),
    leaseMs: whole(1, U32_MAX),
    status: v.object(
      { freeBytes: whole(0, Number.MAX_SAFE_INTEGER), draining: v.boolean('must be true or false') },
      MAP_RULE,
    ),
  },
  MAP_RULE,
);

const REFUSAL = v.object(
  {
    code: v.pipe(v.string(CODE_RULE), v.regex(/^[A-Za-z0-9_]{1,64}$/, CODE_RULE)),
    message: v.pipe(
      v.string(MESSAGE_RULE),
      v.maxLength(REFUSAL_CHARACTERS_MAX, MESSAGE_RULE),
      v.regex(/^\P{Cc}*$/u, MESSAGE_RULE),
    ),
  },
  MAP_RULE,
);

export function encodeHello(request: number, hello: Hello): Uint8Array[] {
  const body = packMap(HELLO, hello, 'hello');
  return encodeFrame({ type: 'hello', isReply: false, status: 'ok', request }, body);
}

export function decodeHello(body: Uint8Array): Hello {
  return unpackMap(HELLO, body, 'hello');
}

export function encodeHelloReply(request: number, reply: HelloReply): Uint8Array[] {
  const body = packMap(HELLO_REPLY, reply, 'reply to hello');
  return encodeFrame({ type: 'hello', isReply: true, status: 'ok', request }, body);
}

export function decodeHelloReply(body: Uint8Array): HelloReply {
  return unpackMap(HELLO_REPLY, body, 'reply to hello');
}

/** A reply with status 'refused'. The message is cut and cleaned if need be: a refusal must always be possible. */
export function encodeRefusal(type: MessageType, request: number, { code, message }: Refusal): Uint8Array[] {
  const clean = message.replace(CONTROL_CHARACTERS, ' ').slice(0, REFUSAL_CHARACTERS_MAX);
  const body = packMap(REFUSAL, { code, message: clean }, 'refusal');
  return encodeFrame({ type, isReply: true, status: 'refused', request }, body);
}

export function decodeRefusal(body: Uint8Array): Refusal {
  return unpackMap(REFUSAL, body, 'refusal');
}
