/**
 * Settings of a daemon that is a node of a cluster: those of a node (src/ramster/options.ts), with paths where those
 * have what is in files, and what membership and other stores than peers need.
 */

import * as v from 'valibot';
import { ramsterContradictions, ramsterEntries } from '../ramster/options.ts';
import { isNodeName } from '../ramster/place.ts';
import { byteSize, flag, whole } from '../zcache/validation.ts';
import { pathSchema } from './paths.ts';

/** Moving some GiB to others takes about as long. */
const DRAIN_DEFAULT_MS = 60_000;
const DRAIN_MAX_MS = 3_600_000;
const SERVERS_MAX = 64;
const TEXT_MAX = 1024;
/** As the store on a disk has them. */
const DISK_BYTES_MIN = 2 ** 20;
const DISK_BYTES_MAX = 2 ** 38;

const NODE_NAME_ALLOWED = "1 to 40 letters, digits, '.', '_' and '-', beginning with a letter or digit";
const NATS_ALLOWED = "addresses such as 'nats://10.0.0.1:4222' or 'tls://nats.example:4222'";
const REDIS_ALLOWED = "an address such as 'redis://10.0.0.1:6379' or 'rediss://redis.example:6379'";

const text = v.pipe(
  v.string('text'),
  v.minLength(1, 'text'),
  v.maxLength(TEXT_MAX, `${TEXT_MAX} characters`),
);

const url = (schemes: RegExp, allowed: string) =>
  v.pipe(
    v.string(allowed),
    v.check((given) => schemes.test(given) && URL.canParse(given), allowed),
  );

const filesSchema = v.object(
  { certificate: pathSchema, key: pathSchema, authority: pathSchema },
  "an object such as { certificate: '/etc/tmem/a-cert.pem', key: '/etc/tmem/a-key.pem', authority: '/etc/ca.pem' }",
);

const natsSchema = v.object(
  {
    servers: v.pipe(
      v.array(url(/^(?:nats|tls|ws|wss):\/\//, NATS_ALLOWED), `a list of ${NATS_ALLOWED}`),
      v.minLength(1, `a list of ${NATS_ALLOWED}`),
      v.maxLength(SERVERS_MAX, `at most ${SERVERS_MAX} servers`),
    ),
    user: v.optional(text),
    password: v.optional(text),
    token: v.optional(text),
    /** For servers whose certificate no public authority signed, and those that want one of ours. */
    tls: v.optional(v.partial(filesSchema)),
    /** Where the others find this node; the first of `listen`. */
    address: v.optional(ramsterEntries.peers.wrapped.item.entries.address),
  },
  "an object such as { servers: ['nats://10.0.0.1:4222'] }",
);

const redisSchema = v.pipe(
  v.object(
    {
      /** Its name among the places where pages are: the same at all nodes, and no node's. */
      name: v.optional(
        v.pipe(
          v.string(NODE_NAME_ALLOWED),
          v.check((name) => isNodeName(name), NODE_NAME_ALLOWED),
        ),
        'redis',
      ),
      /** A single Redis... */
      url: v.optional(url(/^rediss?:\/\//, REDIS_ALLOWED)),
      /** ... or some nodes of a Redis Cluster. */
      nodes: v.optional(
        v.pipe(
          v.array(url(/^rediss?:\/\//, REDIS_ALLOWED), `a list of addresses, each ${REDIS_ALLOWED}`),
          v.minLength(1, 'at least one node'),
          v.maxLength(SERVERS_MAX, `at most ${SERVERS_MAX} nodes`),
        ),
      ),
      /** How much a Redis without maxmemory may use. */
      memoryMax: v.optional(byteSize(2 ** 20, Number.MAX_SAFE_INTEGER)),
      ephemeralOnly: v.optional(flag, false),
    },
    "an object such as { url: 'redis://10.0.0.1:6379' }",
  ),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const { url: one, nodes } = dataset.value;
    if ((one === undefined) === (nodes === undefined))
      addIssue({ message: 'url, nodes: exactly one of the two is required' });
  }),
);

const diskSchema = v.object(
  { file: pathSchema, size: byteSize(DISK_BYTES_MIN, DISK_BYTES_MAX) },
  "an object such as { file: '/var/lib/tmem/copies', size: '8 GiB' }",
);

export const ramsterSchema = v.pipe(
  v.object(
    {
      ...ramsterEntries,
      tls: v.optional(filesSchema),
      /** Longest time to leave in order: pages come home, and owners move theirs. */
      drainTimeoutMs: v.optional(whole(0, DRAIN_MAX_MS, 'milliseconds'), DRAIN_DEFAULT_MS),
      /** The members are known by NATS, and not by `peers`. */
      nats: v.optional(natsSchema),
      /** A Redis or Valkey that takes pages, too. */
      redis: v.optional(redisSchema),
      /** One copy of each persistent page that is sent is in this file. */
      disk: v.optional(diskSchema),
    },
    "an object such as { name: 'a', listen: ['10.0.0.1:7300'], peers: [{ name: 'b', address: '10.0.0.2:7300' }] }",
  ),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    for (const message of mistakes(dataset.value as ServeRamster)) addIssue({ message });
  }),
);

export type ServeRamster = v.InferOutput<typeof ramsterSchema>;

/** Addresses that mean any of this machine: others cannot connect to those. */
const ANY = /^(?:0\.0\.0\.0|\[::\]|\[::0\]):/;

function mistakes(given: ServeRamster): string[] {
  const { name, listen, peers, nats, redis } = given;
  const found = ramsterContradictions(given);
  const names = [name, ...peers.map((peer) => peer.name)];
  if (redis !== undefined && names.includes(redis.name))
    found.push(`redis.name: '${redis.name}' is the name of a node; give it another one`);
  if (nats === undefined) return found;
  if (peers.length > 0) found.push('peers, nats: only one of the two is allowed');
  const own = nats.address ?? listen[0];
  if (own === undefined) found.push('nats: needs listen, so that others find this node');
  else if (ANY.test(own) || own.endsWith(':0'))
    found.push(`nats.address: is required, as others cannot connect to ${own}`);
  if ((nats.user === undefined) !== (nats.password === undefined))
    found.push('nats.user, nats.password: none or both are required');
  return found;
}
