/**
 * An existing Redis or Valkey, single or cluster, as a remote store. What lies in which key is in redis-keys.ts.
 *
 * - A put is one HSET. Only the first one into a block sends more along: the block's entry in the index of its pool and
 *   its lease; and the first one into a pool asks for the pool's kind before.
 * - All keys have a lease: a time to live, which is renewed while the node lives. So a node that never comes back
 *   leaves nothing behind for longer, and nobody has to find out whether it is dead.
 * - Nothing is sent twice by itself: who gets a RemoteError decides.
 */

import * as v from 'valibot';
import { byteSize, flag, validate, whole } from '../../zcache/validation.ts';
import type { Clock } from '../clock.ts';
import type { Owner } from '../local/foreign-pages.ts';
import type { PageId } from '../page-id.ts';
import { isNodeName, nodeNumber } from '../place.ts';
import { checkCursor, checkFreed, checkPlace, checkPool, checkTravelling } from './page-checks.ts';
import { type RedisClient, type RedisConnection, redisClients } from './redis-connection.ts';
import { BLOCK_IDS, type Block, blockOf, fieldOf, idOf, RedisKeys } from './redis-keys.ts';
import { RedisLink } from './redis-link.ts';
import { RedisPools } from './redis-pools.ts';
import type { HeldPage, RemoteState, RemoteStore, TravellingPage } from './remote-store.ts';

/** Blocks of one list, so that it has at most 1000 pages. */
const LIST_BLOCKS = Math.floor(1000 / BLOCK_IDS);
/** Pools looked into by one list. */
const LIST_POOLS = 16;
/** Where a list goes on: u32 pool, f64 number of the block. */
const CURSOR_BYTES = 12;

/** The lease is renewed when a quarter of it is over: so two renewals may fail. */
const RENEWALS_A_LEASE = 4;

const NAME_ALLOWED = "1 to 40 letters, digits, '.', '_' and '-', the first a letter or digit";
const DAY_MS = 24 * 3_600_000;

const nameSchema = v.pipe(
  v.string(NAME_ALLOWED),
  v.check((name: string) => isNodeName(name), NAME_ALLOWED),
);
const milliseconds = (least: number, most: number) => whole(least, most, 'milliseconds');

const settingsSchema = v.object({
  /** What it is called among the remote stores of the cluster; no node may have this name. */
  name: nameSchema,
  cluster: nameSchema,
  /** Longest wait for an answer. */
  deadlineMs: v.optional(milliseconds(1, 60_000), 500),
  /** How often it is looked after, and connected again when the connection ended. */
  checkIntervalMs: v.optional(milliseconds(10, 60_000), 1000),
  /** How long pages stay when this node is silent. */
  leaseMs: v.optional(milliseconds(1000, 30 * DAY_MS), 3_600_000),
  /** How much a Redis without maxmemory may use in all, in a cluster each node. */
  memoryMaxBytes: v.optional(byteSize(1024 * 1024, Number.MAX_SAFE_INTEGER)),
  /** Persistent pages are refused, and any maxmemory-policy will do. */
  ephemeralOnly: v.optional(flag, false),
});

export interface RedisStoreOptions extends v.InferInput<typeof settingsSchema> {
  readonly connection: RedisConnection;
  /** Whose pages: this node. */
  readonly owner: Owner;
  readonly clock: Clock;
}

export class RedisStore implements RemoteStore {
  readonly name: string;
  readonly node: number;
  readonly draining = false;
  readonly #clock: Clock;
  readonly #keys: RedisKeys;
  readonly #markers: readonly string[];
  readonly #leaseMs: number;
  readonly #pools: RedisPools;
  readonly #link: RedisLink;
  #renewDueMs = 0;
  #renewing = false;

  private constructor({ connection, owner, clock, ...given }: RedisStoreOptions) {
    const settings = validate(settingsSchema, given, 'RedisStore', 'TMEM_ERR_SETTING');
    const { name, cluster, deadlineMs, checkIntervalMs, leaseMs, memoryMaxBytes, ephemeralOnly } = settings;
    const clients = redisClients(connection, deadlineMs);
    this.name = name;
    this.node = nodeNumber(name);
    this.#clock = clock;
    this.#keys = new RedisKeys(cluster, owner);
    this.#markers = this.#keys.markers(clients.isCluster);
    this.#leaseMs = leaseMs;
    this.#pools = new RedisPools(this.#keys, leaseMs);
    this.#link = new RedisLink({
      name,
      clock,
      clients,
      markers: this.#markers,
      needs: { isCluster: clients.isCluster, memoryMaxBytes },
      ephemeralOnly,
      deadlineMs,
      checkIntervalMs,
      leaseMs,
      connected: () => {
        this.#pools.forget();
        this.#renewDueMs = clock.now();
      },
      lost: (client) => this.#pools.removeOpen(client),
      surveyed: () => this.#renewWhenDue(),
    });
  }

  /**
   * Connects. A Redis that cannot be reached is 'down', and `problem` says why; it is tried again at intervals.
   *
   * @throws TmemError TMEM_ERR_SETTING; TMEM_ERR_PEER when Redis will not do as it is, with what to change
   */
  static async open(options: RedisStoreOptions): Promise<RedisStore> {
    const store = new RedisStore(options);
    await store.#link.start();
    return store;
  }

  /** Ends the connection; the pages stay until their lease is over. */
  close(): Promise<void> {
    return this.#link.close();
  }

  get memory(): number | undefined {
    return this.#link.memory;
  }

  get state(): RemoteState {
    return this.#link.state;
  }

  get freeBytes(): number {
    return this.#link.freeBytes;
  }

  get latencyMs(): number {
    return this.#link.latencyMs;
  }

  /** What is wrong with it, in words; undefined: nothing. */
  get problem(): string | undefined {
    return this.#link.problem;
  }

  async put(page: TravellingPage): Promise<'stored' | 'full' | 'refused'> {
    checkTravelling(page);
    const bytes = page.bytes.length;
    if (page.kind === 'persistent' && !this.#link.keepsPersistent && this.state !== 'down') return 'refused';
    if (this.#link.isFullFor(bytes)) return 'full';
    const outcome = await this.#link.run('put', 'round trip', (client) => this.#put(client, page));
    if (outcome === 'stored') this.#link.took(bytes);
    return outcome;
  }

  async #put(client: RedisClient, page: TravellingPage): Promise<'stored' | 'full' | 'refused'> {
    try {
      if (!(await this.#pools.hasKind(client, page.pool, page.kind))) return 'refused';
      const block = blockOf(page);
      const key = this.#keys.pages(block);
      const { buffer, byteOffset, length } = page.bytes;
      const bytes = Buffer.from(buffer, byteOffset, length);
      const storing = client.hset(key, fieldOf(page.id), bytes);
      const opening = this.#pools.open(client, block);
      const [stored, opened] = await Promise.allSettled([storing, opening]);
      if (stored.status === 'rejected') throw stored.reason;
      // A page that was there already had been entered.
      if (opened.status === 'rejected' && stored.value > 0) {
        await client.hdel(key, fieldOf(page.id));
        throw opened.reason;
      }
      return 'stored';
    } catch (error) {
      if (isFull(error)) return 'full';
      throw error;
    }
  }

  async get(pool: number, id: PageId, free: boolean): Promise<Uint8Array | undefined> {
    checkPlace(pool, id);
    const block = blockOf({ pool, id });
    const key = this.#keys.pages(block);
    const field = fieldOf(id);
    const found = await this.#link.run('get', 'round trip', async (client) => {
      if (!free) return client.hgetBuffer(key, field);
      this.#pools.close(block);
      const [bytes, freed] = await Promise.allSettled([
        client.hgetBuffer(key, field),
        client.hdel(key, field),
      ]);
      if (bytes.status === 'rejected') throw bytes.reason;
      // The bytes are there: better handed over than lost, even if the page is still in Redis.
      if (freed.status === 'rejected' && bytes.value === null) throw freed.reason;
      return bytes.value;
    });
    return found ?? undefined;
  }

  async free(pages: readonly HeldPage[]): Promise<void> {
    checkFreed(pages);
    if (pages.length === 0) return;
    const blocks = Map.groupBy(pages, (page) => this.#keys.pages(blockOf(page)));
    await this.#link.run('free', 'round trip', (client) =>
      Promise.all(
        [...blocks].map(([key, freed]) => {
          this.#pools.close(blockOf(freed[0] as HeldPage));
          return client.hdel(key, ...freed.map(({ id }) => fieldOf(id)));
        }),
      ),
    );
  }

  async destroyPool(pool: number): Promise<void> {
    checkPool(pool);
    await this.#link.run('destroyPool', 'several', (client) => this.#pools.destroy(client, pool));
  }

  async list(
    cursor: Uint8Array | undefined,
  ): Promise<{ readonly pages: readonly HeldPage[]; readonly next: Uint8Array | undefined }> {
    const from = cursor === undefined ? { pool: 0, block: 0 } : parseCursor(cursor);
    return this.#link.run('list', 'several', async (client) => {
      const { blocks, next } = await this.#blocksFrom(client, from);
      const pages = await Promise.all(blocks.map((block) => this.#pagesOf(client, block)));
      return { pages: pages.flat(), next };
    });
  }

  async #blocksFrom(
    client: RedisClient,
    from: Block,
  ): Promise<{ blocks: Block[]; next: Uint8Array | undefined }> {
    const blocks: Block[] = [];
    const pools = await this.#pools.poolsFrom(client, from.pool);
    for (const [i, pool] of pools.entries()) {
      if (i === LIST_POOLS) return { blocks, next: cursorOf({ pool, block: 0 }) };
      const first = pool === from.pool ? from.block : 0;
      const most = LIST_BLOCKS - blocks.length;
      const found = await this.#pools.blocksFrom(client, pool, first, most);
      blocks.push(...found);
      if (found.length < most) continue;
      return { blocks, next: cursorOf({ pool, block: (found.at(-1) as Block).block + 1 }) };
    }
    return { blocks, next: undefined };
  }

  async #pagesOf(client: RedisClient, block: Block): Promise<HeldPage[]> {
    const fields = await client.hkeys(this.#keys.pages(block));
    if (fields.length === 0) await this.#pools.tidy(client, block);
    return fields.flatMap((field) => {
      const id = idOf(block, field);
      return id === undefined ? [] : [{ pool: block.pool, id }];
    });
  }

  #renewWhenDue(): void {
    if (this.#renewing || this.#clock.now() < this.#renewDueMs) return;
    this.#renewing = true;
    // One that failed is tried again after the next survey.
    this.#renew()
      .then(
        () => {
          this.#renewDueMs = this.#clock.now() + this.#leaseMs / RENEWALS_A_LEASE;
        },
        () => {},
      )
      .finally(() => {
        this.#renewing = false;
      });
  }

  /** The markers come last: they end when all pages that were there at the start have ended, or will soon. */
  async #renew(): Promise<void> {
    let steps: AsyncGenerator<void> | undefined;
    for (let done: boolean | undefined = false; !done; ) {
      ({ done } = await this.#link.run('renew the lease', 'several', (client) => {
        steps ??= this.#pools.renewal(client);
        return steps.next();
      }));
    }
    await this.#link.run('renew the lease', 'several', (client) =>
      Promise.all(this.#markers.map((key) => client.pexpire(key, this.#leaseMs))),
    );
  }
}

/** Redis refuses whatever needs memory when it has none left. */
function isFull(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('OOM ');
}

function cursorOf({ pool, block }: Block): Uint8Array {
  const bytes = Buffer.alloc(CURSOR_BYTES);
  bytes.writeUInt32LE(pool, 0);
  bytes.writeDoubleLE(block, 4);
  return bytes;
}

function parseCursor(cursor: Uint8Array): Block {
  checkCursor(cursor, CURSOR_BYTES);
  const bytes = Buffer.from(cursor.buffer, cursor.byteOffset, CURSOR_BYTES);
  const block = bytes.readDoubleLE(4);
  return { pool: bytes.readUInt32LE(0), block: Number.isSafeInteger(block) && block >= 0 ? block : 0 };
}
