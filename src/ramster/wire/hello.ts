/**
 * Messages that later versions may add to: greetings, and why something was refused. MessagePack maps, at most 4096
 * bytes. Keys that are not known are passed over; those that are must be as said here.
 *
 * A body is walked over before the MessagePack library sees it (plain-message-pack.ts).
 */

import { Packr } from 'msgpackr';
import * as v from 'valibot';
import type { NodeStatus } from '../membership/membership.ts';
import { isNodeName } from '../place.ts';
import { encodeFrame, type MessageType } from './frame.ts';
import { isPlainMessagePack } from './plain-message-pack.ts';
import { WireError } from './wire-error.ts';

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

/** Far more than this version needs; bounds what a stranger can make a node unpack. */
const MAP_BYTES_MAX = 4096;
const REFUSAL_CHARACTERS_MAX = 400;
const U32_MAX = 2 ** 32 - 1;
const CONTROL_CHARACTERS = /\p{Cc}/gu;

const packr = new Packr({ useRecords: false, variableMapSize: true, int64AsType: 'number' });

const whole = (min: number, max: number) => {
  const allowed = `must be a whole number from ${min} to ${max}`;
  return v.pipe(v.number(allowed), v.integer(allowed), v.minValue(min, allowed), v.maxValue(max, allowed));
};

/** Bytes of their own: those that arrive lie in a frame that will be overwritten. */
const bytesOf = (length: number) => {
  const allowed = `must be ${length} bytes`;
  return v.pipe(
    v.instance(Uint8Array, allowed),
    v.check((bytes) => bytes.length === length, allowed),
    v.transform((bytes) => new Uint8Array(bytes)),
  );
};

const nodeName = v.custom<string>(isNodeName, "must be 1 to 40 letters, digits, '.', '_' and '-'");
const protocolNumber = whole(1, 65_535);
const CLUSTER_RULE = 'must be 1 to 64 characters without control characters';
const CODE_RULE = "must be 1 to 64 letters, digits and '_'";
const MESSAGE_RULE = `must be at most ${REFUSAL_CHARACTERS_MAX} characters without control characters`;
const MAP_RULE = 'must be a map';

const HELLO = v.object(
  {
    protocols: v.pipe(
      v.strictTuple([protocolNumber, protocolNumber], 'must be two numbers'),
      v.check(([min, max]) => min <= max, 'must be the lowest and the highest, in this order'),
    ),
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
  const body = packr.pack(checked(HELLO, hello, 'hello'));
  return encodeFrame({ type: 'hello', isReply: false, status: 'ok', request }, body);
}

export function decodeHello(body: Uint8Array): Hello {
  return unpack(HELLO, body, 'hello');
}

export function encodeHelloReply(request: number, reply: HelloReply): Uint8Array[] {
  const body = packr.pack(checked(HELLO_REPLY, reply, 'reply to hello'));
  return encodeFrame({ type: 'hello', isReply: true, status: 'ok', request }, body);
}

export function decodeHelloReply(body: Uint8Array): HelloReply {
  return unpack(HELLO_REPLY, body, 'reply to hello');
}

/** A reply with status 'refused'. The message is cut and cleaned if need be: a refusal must always be possible. */
export function encodeRefusal(type: MessageType, request: number, { code, message }: Refusal): Uint8Array[] {
  const clean = message.replace(CONTROL_CHARACTERS, ' ').slice(0, REFUSAL_CHARACTERS_MAX);
  const body = packr.pack(checked(REFUSAL, { code, message: clean }, 'refusal'));
  return encodeFrame({ type, isReply: true, status: 'refused', request }, body);
}

export function decodeRefusal(body: Uint8Array): Refusal {
  return unpack(REFUSAL, body, 'refusal');
}

function checked<const Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
  what: string,
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = v.getDotPath(issue);
  const isAbsent = issue.type === 'object' && issue.path?.at(-1)?.origin === 'key';
  const where = path === null ? what : `${what}: ${path}`;
  throw new WireError(`${where} ${isAbsent ? 'is missing' : issue.message}`);
}

function unpack<const Schema extends v.GenericSchema>(
  schema: Schema,
  body: Uint8Array,
  what: string,
): v.InferOutput<Schema> {
  if (body.length > MAP_BYTES_MAX) {
    throw new WireError(`${what}: ${body.length} bytes, at most ${MAP_BYTES_MAX} are allowed`);
  }
  if (!isPlainMessagePack(body)) throw new WireError(`${what}: is not one plain MessagePack value`);
  let value: unknown;
  try {
    value = packr.unpack(body);
  } catch (cause) {
    throw new WireError(`${what}: cannot be unpacked`, { cause });
  }
  return checked(schema, value, what);
}
