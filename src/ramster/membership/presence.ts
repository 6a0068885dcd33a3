/**
 * Presence: what a node says of itself over NATS, one MessagePack map a message. Whoever may publish there can send
 * anything: what is not exactly such a map is no presence, and never an error.
 *
 * Times are lengths, never dates: clocks of nodes may disagree.
 */

import * as v from 'valibot';
import { pack, unpack } from '../wire/message-pack.ts';
import { nodeEntry } from './node-entry.ts';

/** A node that would have to speak less often is in a cluster too large for presence by NATS. */
export const INTERVAL_MAX_MS = 60_000;

/** Bytes of `instance`: random, so that no two runs of nodes have the same. */
export const INSTANCE_BYTES = 8;

/** The longest that makes sense has about 430 bytes. */
const MESSAGE_BYTES_MAX = 1024;

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const schema = v.object({
  /** Of this format: later ones may add names to it, and raise this when they change the sense of any. */
  version: v.literal(1),
  ...nodeEntry.entries,
  freeBytes: count,
  draining: v.boolean(),
  /** Which run of the node it is, as text in hexadecimal. */
  instance: v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/)),
  /** Grows with each message of a run. */
  sequence: count,
  /** How long this run lasts already. */
  ageMs: count,
  /** The next message comes within this time. */
  intervalMs: v.pipe(count, v.minValue(1), v.maxValue(INTERVAL_MAX_MS)),
  /** This is the last message. */
  leaving: v.boolean(),
});

export type Presence = Readonly<Omit<v.InferOutput<typeof schema>, 'version'>>;

export function encodePresence(presence: Presence): Uint8Array {
  return pack({ version: 1, ...presence });
}

/** Undefined: it is none. */
export function decodePresence(message: Uint8Array): Presence | undefined {
  if (message.length > MESSAGE_BYTES_MAX) return undefined;
  let value: unknown;
  try {
    value = unpack(message);
  } catch {
    return undefined;
  }
  const result = v.safeParse(schema, value, { abortEarly: true });
  return result.success ? result.output : undefined;
}
