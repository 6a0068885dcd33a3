/**
 * What of a node's pools is where in Redis: their kinds, which blocks they have, and the lease on all of it.
 *
 * A block is *open* while this process knows that it is in its pool's index and has its lease. Redis removes a hash
 * with its last page, and with it the lease: so a free closes the block, and the next put opens it again. An index may
 * name blocks that are empty (list removes those), but never lacks one that has pages.
 */

import type { PoolKind } from '../../zcache/index.ts';
import { isPool } from './page-checks.ts';
import type { RedisClient } from './redis-connection.ts';
import type { Block, RedisKeys } from './redis-keys.ts';

/** Forgotten ones cost three small commands more: then it starts anew. */
const OPEN_MOST = 65_536;
const KINDS_MOST = 65_536;

/** Commands sent at a time. */
const BATCH = 256;

const KIND_LETTERS: Readonly<Record<PoolKind, string>> = { ephemeral: 'e', persistent: 'p' };

interface Opening {
  readonly done: Promise<unknown>;
  /** It was closed meanwhile: the next put opens it again. */
  closed: boolean;
}

export class RedisPools {
  readonly #keys: RedisKeys;
  readonly #leaseMs: number;
  readonly #kinds = new Map<number, PoolKind>();
  readonly #open = new Set<string>();
  /** Blocks that are being opened: puts in between wait for the first one. */
  readonly #opening = new Map<string, Opening>();

  constructor(keys: RedisKeys, leaseMs: number) {
    this.#keys = keys;
    this.#leaseMs = leaseMs;
  }

  /** What is known of Redis may be out of date. */
  forget(): void {
    this.#kinds.clear();
    this.#open.clear();
    for (const opening of this.#opening.values()) opening.closed = true;
  }

  /** Whether a pool has this kind; a pool that is not there gets it. */
  async hasKind(client: RedisClient, pool: number, kind: PoolKind): Promise<boolean> {
    const known = this.#kinds.get(pool);
    if (known !== undefined) return known === kind;
    const [, letter] = await Promise.all([
      client.hsetnx(this.#keys.pools, String(pool), KIND_LETTERS[kind]),
      client.hget(this.#keys.pools, String(pool)),
      client.pexpire(this.#keys.pools, this.#leaseMs),
    ]);
    if (this.#kinds.size >= KINDS_MOST) this.#kinds.clear();
    this.#kinds.set(pool, letter === KIND_LETTERS.ephemeral ? 'ephemeral' : 'persistent');
    return letter === KIND_LETTERS[kind];
  }

  /** Called behind the put that makes the block, if it was not there. Undefined: it is open. */
  open(client: RedisClient, block: Block): Promise<unknown> | undefined {
    const key = this.#keys.pages(block);
    if (this.#open.has(key)) return undefined;
    const under = this.#opening.get(key);
    if (under?.closed === false) return under.done;
    const index = this.#keys.blocks(block.pool);
    const done = Promise.all([
      client.zadd(index, block.block, block.block),
      client.pexpire(index, this.#leaseMs),
      client.pexpire(key, this.#leaseMs),
    ]);
    const opening: Opening = { done, closed: false };
    this.#opening.set(key, opening);
    const ended = (isOpen: boolean): void => {
      if (this.#opening.get(key) === opening) this.#opening.delete(key);
      if (!isOpen || opening.closed) return;
      if (this.#open.size >= OPEN_MOST) this.#open.clear();
      this.#open.add(key);
    };
    done.then(
      () => ended(true),
      () => ended(false),
    );
    return done;
  }

  /** Called before pages of the block are freed. */
  close(block: Block): void {
    const key = this.#keys.pages(block);
    this.#open.delete(key);
    const opening = this.#opening.get(key);
    if (opening !== undefined) opening.closed = true;
  }

  /** Called as soon as a block was found to be empty; takes it out of the index unless a put is on its way. */
  async tidy(client: RedisClient, block: Block): Promise<void> {
    const key = this.#keys.pages(block);
    if (this.#open.has(key) || this.#opening.has(key)) return;
    await client.zrem(this.#keys.blocks(block.pool), block.block);
  }

  /** Pools from a number on, in order. */
  async poolsFrom(client: RedisClient, first: number): Promise<number[]> {
    const pools = (await client.hkeys(this.#keys.pools)).map(Number);
    return pools.filter((pool) => isPool(pool) && pool >= first).sort((a, b) => a - b);
  }

  /** At most `most` blocks of a pool from a number on, in order. */
  async blocksFrom(client: RedisClient, pool: number, first: number, most: number): Promise<Block[]> {
    const blocks = await client.zrangebyscore(this.#keys.blocks(pool), first, '+inf', 'LIMIT', 0, most);
    return blocks.map((block) => ({ pool, block: Number(block) }));
  }

  /** Can be repeated: every round leaves less to do. */
  async destroy(client: RedisClient, pool: number): Promise<void> {
    for (;;) {
      const blocks = await this.blocksFrom(client, pool, 0, BATCH);
      if (blocks.length === 0) break;
      for (const block of blocks) this.close(block);
      await Promise.all(blocks.map((block) => client.unlink(this.#keys.pages(block))));
      await client.zrem(this.#keys.blocks(pool), ...blocks.map(({ block }) => block));
    }
    await client.hdel(this.#keys.pools, String(pool));
    this.#kinds.delete(pool);
  }

  /** Removes what was put since the index was lost. */
  async removeOpen(client: RedisClient): Promise<void> {
    const keys = [...this.#open, ...this.#opening.keys()];
    this.forget();
    for (let at = 0; at < keys.length; at += BATCH) {
      await Promise.all(keys.slice(at, at + BATCH).map((key) => client.unlink(key)));
    }
  }

  /** Renews the lease on everything, in steps of one round trip. */
  async *renewal(client: RedisClient): AsyncGenerator<void> {
    const renew = (keys: readonly string[]) =>
      Promise.all(keys.map((key) => client.pexpire(key, this.#leaseMs)));
    for (const pool of await this.poolsFrom(client, 0)) {
      for (let first = 0; ; ) {
        const blocks = await this.blocksFrom(client, pool, first, BATCH);
        const last = blocks.at(-1);
        if (last === undefined) break;
        await renew(blocks.map((block) => this.#keys.pages(block)));
        first = last.block + 1;
        yield;
      }
      await renew([this.#keys.blocks(pool)]);
      yield;
    }
    await renew([this.#keys.pools]);
  }
}
