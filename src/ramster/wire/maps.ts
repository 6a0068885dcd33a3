/**
 * MessagePack maps, which later versions may add to: at most 4096 bytes. Keys that are not known are passed over; those
 * that are must be as their schema says.
 */

import * as v from 'valibot';
import { pack, unpack } from './message-pack.ts';
import { WireError } from './wire-error.ts';

/** Far more than this version needs; bounds what a stranger can make a node unpack. */
const MAP_BYTES_MAX = 4096;

export const MAP_RULE = 'must be a map';

export const whole = (min: number, max: number) => {
  const allowed = `must be a whole number from ${min} to ${max}`;
  return v.pipe(v.number(allowed), v.integer(allowed), v.minValue(min, allowed), v.maxValue(max, allowed));
};

/** Bytes of their own: those that arrive lie in a frame that will be overwritten. */
export const bytesOf = (length: number) => {
  const allowed = `must be ${length} bytes`;
  return v.pipe(
    v.instance(Uint8Array, allowed),
    v.check((bytes) => bytes.length === length, allowed),
    v.transform((bytes) => new Uint8Array(bytes)),
  );
};

export const protocolNumber = whole(1, 65_535);

/** The lowest and the highest protocol spoken. */
export const protocolRange = v.pipe(
  v.strictTuple([protocolNumber, protocolNumber], 'must be two numbers'),
  v.check(([min, max]) => min <= max, 'must be the lowest and the highest, in this order'),
);

/** @throws WireError if it is not as the schema says; `what` names it */
export function packMap<const Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
  what: string,
): Uint8Array {
  return pack(checked(schema, value, what));
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

/** @throws WireError if the bytes are no such map; `what` names it */
export function unpackMap<const Schema extends v.GenericSchema>(
  schema: Schema,
  body: Uint8Array,
  what: string,
): v.InferOutput<Schema> {
  if (body.length > MAP_BYTES_MAX) {
    throw new WireError(`${what}: ${body.length} bytes, at most ${MAP_BYTES_MAX} are allowed`);
  }
  let value: unknown;
  try {
    value = unpack(body);
  } catch (cause) {
    throw new WireError(`${what}: is not one plain MessagePack value`, { cause });
  }
  return checked(schema, value, what);
}
