/**
 * Connections to Redis that behave as a remote store needs it: nothing is queued while there is no connection, nothing
 * is sent a second time, nothing is read from replicas, and who connects again is the store (redis-link.ts).
 *
 * A client that was handed in is not used itself, but copied with all of its options: others may use it with theirs.
 */

import { Cluster, type ClusterNode, type ClusterOptions, Redis, type RedisOptions } from 'ioredis';

/** A Redis Cluster, by some of its nodes. */
export interface RedisNodes {
  readonly nodes: ClusterNode[];
  readonly options?: ClusterOptions;
}

/** A client of ioredis, or what to make one from: a URL (redis://, rediss:// with TLS), options, nodes of a cluster. */
export type RedisConnection = string | RedisOptions | RedisNodes | Redis | Cluster;

/** What is used of a client. */
export type RedisClient = Pick<
  Redis,
  | 'connect'
  | 'disconnect'
  | 'get'
  | 'hdel'
  | 'hget'
  | 'hgetBuffer'
  | 'hkeys'
  | 'hset'
  | 'hsetnx'
  | 'on'
  | 'pexpire'
  | 'set'
  | 'status'
  | 'unlink'
  | 'zadd'
  | 'zrangebyscore'
  | 'zrem'
>;

export interface RedisClients {
  readonly isCluster: boolean;
  /** A client that is not connected yet. */
  make(): RedisClient;
  /** All nodes that take writes. */
  masters(client: RedisClient): Pick<Redis, 'info' | 'ping'>[];
}

/** @param timeoutMs - for a connection to be made */
export function redisClients(connection: RedisConnection, timeoutMs: number): RedisClients {
  const single = {
    lazyConnect: true,
    connectTimeout: timeoutMs,
    retryStrategy: () => null,
    sentinelRetryStrategy: () => null,
    reconnectOnError: null,
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    // With it a get takes a third longer, and puts are slower, too.
    enableAutoPipelining: false,
    readOnly: false,
    monitor: false,
    stringNumbers: false,
  } satisfies RedisOptions;
  const clustered = (options: ClusterOptions): ClusterOptions => ({
    ...options,
    lazyConnect: true,
    clusterRetryStrategy: () => null,
    clusterNodeRetryStrategy: null,
    enableOfflineQueue: false,
    enableAutoPipelining: false,
    scaleReads: 'master',
    redisOptions: {
      ...options.redisOptions,
      connectTimeout: timeoutMs,
      autoResendUnfulfilledCommands: false,
      stringNumbers: false,
    },
  });
  const ofCluster = (make: () => Cluster): RedisClients => ({
    isCluster: true,
    make: () => make() as unknown as RedisClient,
    masters: (client) => (client as unknown as Cluster).nodes('master'),
  });
  const ofOne = (make: () => Redis): RedisClients => ({
    isCluster: false,
    make,
    masters: (client) => [client as Redis],
  });

  if (typeof connection === 'string') return ofOne(() => new Redis(connection, single));
  if ('nodes' in connection && Array.isArray(connection.nodes)) {
    const { nodes, options = {} } = connection as RedisNodes;
    return ofCluster(() => new Cluster(nodes, clustered(options)));
  }
  if (isClient(connection)) {
    if (!connection.isCluster) return ofOne(() => (connection as Redis).duplicate(single));
    const cluster = connection as Cluster;
    return ofCluster(() => cluster.duplicate([], clustered(cluster.options)));
  }
  return ofOne(() => new Redis({ ...(connection as RedisOptions), ...single }));
}

/** Asked of what it can do: it may be one of another copy of ioredis. */
function isClient(connection: object): connection is Redis | Cluster {
  return 'duplicate' in connection && typeof connection.duplicate === 'function';
}
