/** An existing Redis or Valkey as a remote store; needs the optional package ioredis. */

export type { RedisConnection, RedisNodes } from './remote-store/redis-connection.ts';
export { RedisStore, type RedisStoreOptions } from './remote-store/redis-store.ts';
