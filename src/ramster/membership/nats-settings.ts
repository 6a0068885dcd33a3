/** Settings of the membership by NATS, checked as a whole. */

import type { NatsConnection, NodeConnectionOptions } from '@nats-io/transport-node';
import * as v from 'valibot';
import { validate, whole } from '../../zcache/validation.ts';
import { nodeEntry } from './node-entry.ts';
import { INSTANCE_BYTES, INTERVAL_MAX_MS } from './presence.ts';

/** What is used of a connection. */
export type NatsUse = Pick<
  NatsConnection,
  'publish' | 'subscribe' | 'flush' | 'status' | 'closed' | 'isClosed' | 'close'
>;

/** Parts of subjects: no spaces or wildcards, and no part is empty. */
const CLUSTER = /^(?=.{1,40}$)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;
const CLUSTER_ALLOWED = "1 to 40 letters, digits, '_', '-', and '.' between them";

const milliseconds = (min: number, max: number) => whole(min, max, 'milliseconds');
const anObject = <Type extends object>(allowed: string) =>
  v.custom<Type>((value) => typeof value === 'object' && value !== null, allowed);

const schema = v.pipe(
  v.object({
    /** Name of this node, and where the others find it. */
    ...nodeEntry.entries,
    /** Nodes of other clusters are not heard. */
    cluster: v.optional(v.pipe(v.string(CLUSTER_ALLOWED), v.regex(CLUSTER, CLUSTER_ALLOWED)), 'tmem'),
    /** A connection that is open already; it is left open at the end. */
    connection: v.optional(anObject<NatsUse>('a connection to NATS, as connect() made it')),
    /** Or how to make one: servers, TLS, credentials, as connect() of @nats-io/transport-node takes them. */
    connect: v.optional(
      anObject<NodeConnectionOptions>(
        "options of a connection, such as { servers: 'tls://nats.example:4222' }",
      ),
    ),
    /** 8 bytes that no other run of a node has; random ones by default. */
    instance: v.optional(
      v.pipe(
        v.instance(Uint8Array, `${INSTANCE_BYTES} bytes`),
        v.length(INSTANCE_BYTES, `${INSTANCE_BYTES} bytes`),
      ),
    ),
    /** How often a node speaks, while there are few. */
    heartbeatMs: v.optional(milliseconds(10, INTERVAL_MAX_MS), 1000),
    /** Silence after which a node is suspect, down, and no longer listed: of nodes that speak every heartbeatMs. */
    suspectMs: v.optional(milliseconds(20, 600_000), 3000),
    downMs: v.optional(milliseconds(30, 600_000), 6000),
    removeMs: v.optional(milliseconds(40, 7 * 24 * 3_600_000), 3_600_000),
    /** Presences a second that each node hears at most: the more nodes there are, the more rarely each speaks. */
    receivedPerSecondMax: v.optional(whole(10, 100_000), 200),
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    for (const message of contradictions(dataset.value)) addIssue({ message });
  }),
);

export type NatsMembershipOptions = v.InferInput<typeof schema>;
export type NatsSettings = Readonly<v.InferOutput<typeof schema>>;

/** @throws TmemError TMEM_ERR_SETTING naming every mistake */
export function natsSettings(options: NatsMembershipOptions): NatsSettings {
  return validate(schema, options, 'NATS membership', 'TMEM_ERR_SETTING');
}

function contradictions(given: NatsSettings): string[] {
  const found: string[] = [];
  if ((given.connection === undefined) === (given.connect === undefined)) {
    found.push('connection, connect: exactly one of the two is required');
  }
  const atLeast = (name: 'suspectMs' | 'downMs' | 'removeMs', leastMs: number, of: string): void => {
    if (given[name] < leastMs)
      found.push(`${name}: got ${given[name]}, allowed is ${of} (${leastMs}) or more`);
  };
  // One message may be lost or late without anybody noticing.
  atLeast('suspectMs', 2 * given.heartbeatMs, 'twice heartbeatMs');
  atLeast('downMs', given.suspectMs + given.heartbeatMs, 'suspectMs + heartbeatMs');
  atLeast('removeMs', given.downMs, 'downMs');
  return found;
}
