/**
 * The node's own pages in a store. One node at a time may run on a store; it claims the client that has its identity.
 *
 * A pool's number is its id in the store's first arena, a place in the pool table and a generation
 * (`poolOfNumber`). Only pages of the clients that were named leave; what is held for peers never does.
 */

import {
  CLUSTER_CLIENT,
  type Client,
  ColdPages,
  decodePage,
  isClusterClient,
  type Look,
  type Oid,
  orphansLostOf,
  type Pool,
  type PoolKind,
  type PutOutcome,
  poolOfNumber,
  type Store,
  TmemError,
  takeOrphansOf,
  type WalkCursor,
} from '../../zcache/index.ts';
import { Ballast } from './ballast.ts';
import type {
  Identity,
  LocalPages,
  LocalRoom,
  PageRef,
  RecordBatch,
  RemoteLook,
  StoredBytes,
  StoredLook,
} from './local-pages.ts';
import { beginIncarnation } from './store-identity.ts';

export interface LocalPagesOptions {
  /** Clients whose pages may be sent: their names, or what says so of a name. */
  readonly clients: readonly string[] | ((name: string) => boolean);
}

const FRAME_BYTES = 4096;
/** Steps of a walk over records in one call, of up to 64 handles each: a few milliseconds. */
const RECORD_STEPS_MAX = 128;

/** Where a walk over all records goes on. */
interface RecordCursor {
  /** Pools that are still to be walked, this one first. */
  readonly pools: readonly number[];
  readonly walk: WalkCursor | undefined;
}

export class ArenaLocalPages implements LocalPages {
  readonly #store: Store;
  /** The client that has the identity. */
  readonly #home: Client;
  readonly #identity: Identity;
  readonly #cold: ColdPages;
  readonly #ballast: Ballast;
  /** Pools that were looked at, by number; destroyed ones until takeDestroyedPools tells of them. */
  readonly #pools = new Map<number, Pool>();

  /**
   * @throws TmemError TMEM_ERR_BUSY if another node runs on the store; TMEM_ERR_DAMAGED if the identity cannot be read
   */
  constructor(store: Store, { clients }: LocalPagesOptions) {
    this.#store = store;
    const isNamed = typeof clients === 'function' ? clients : (name: string) => clients.includes(name);
    this.#cold = new ColdPages(store, (name) => !isClusterClient(name) && isNamed(name));
    this.#home = store.client(CLUSTER_CLIENT);
    if (!this.#home.claim()) {
      throw new TmemError('TMEM_ERR_BUSY', 'another node of a cluster runs on this store; end it first');
    }
    try {
      this.#identity = beginIncarnation(store);
      this.#ballast = new Ballast(store);
      this.#ballast.fill();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Lets another node have the store. */
  close(): void {
    this.#home.unclaim();
  }

  identity(): Identity {
    return this.#identity;
  }

  refOf(pool: Pool, oid: Oid, index: number): PageRef {
    return { pool: pool.id, oid, index };
  }

  /** Names of a pool and its client; of one that is gone its number. */
  describe(pool: number): { client: string; pool: string } {
    const found = this.#pool(pool);
    return { client: found?.client.name ?? '', pool: found?.name ?? `${pool}` };
  }

  kindOf(pool: number): PoolKind | undefined {
    const found = this.#pool(pool);
    return found?.isThere === true ? found.kind : undefined;
  }

  look({ pool, oid, index }: PageRef): Look | undefined {
    return this.#pool(pool)?.remotePages.look(oid, index);
  }

  sendAway(
    { pool, oid, index }: PageRef,
    found: StoredLook | RemoteLook,
    record: Uint8Array,
  ): 'stored' | 'gone' | 'refused' {
    const attempt = () => moved(this.#pool(pool)?.remotePages.sendAway(oid, index, found, record));
    const outcome = attempt();
    return outcome === 'refused' && this.#ballast.drop() ? attempt() : outcome;
  }

  bringHome(
    { pool, oid, index }: PageRef,
    found: RemoteLook,
    stored: StoredBytes,
  ): 'stored' | 'gone' | 'refused' | 'damaged' {
    const outcome = this.#pool(pool)?.remotePages.bringHome(oid, index, found, stored);
    return outcome === 'damaged' ? outcome : moved(outcome);
  }

  decode(found: RemoteLook, stored: StoredBytes): Uint8Array | undefined {
    return decodePage(this.#store, found, stored);
  }

  forget({ pool, oid, index }: PageRef, found: RemoteLook): boolean {
    return this.#pool(pool)?.remotePages.forget(oid, index, found) ?? false;
  }

  takeOrphans(most: number): Uint8Array[] {
    return takeOrphansOf(this.#store, most);
  }

  get orphansLost(): number {
    return orphansLostOf(this.#store);
  }

  /** Also those that other threads and processes destroyed, of the pools that this node looked at. */
  takeDestroyedPools(): number[] {
    const destroyed = [...this.#pools].filter(([, pool]) => !pool.isThere).map(([number]) => number);
    for (const number of destroyed) this.#pools.delete(number);
    return destroyed;
  }

  coldest(kind: PoolKind, most: number): PageRef[] {
    this.#ballast.fill();
    return this.#cold.coldest(kind, most);
  }

  /** Of all clients: also of those whose pages may not be sent any more. */
  records(cursor: unknown, most: number): RecordBatch {
    const pages: { page: PageRef; record: Uint8Array }[] = [];
    let { pools, walk } = (cursor as RecordCursor | undefined) ?? this.#recordsStart();
    for (let steps = 0; steps < RECORD_STEPS_MAX && pages.length < most && pools[0] !== undefined; steps++) {
      const [pool, ...others] = pools;
      const remote = this.#pool(pool)?.remotePages;
      const step = remote?.walkStep(walk);
      for (const { oid, index, record } of step?.records ?? [])
        pages.push({ page: { pool, oid, index }, record });
      walk = step?.next;
      if (walk === undefined) pools = others;
    }
    return { pages, next: pools.length === 0 ? undefined : ({ pools, walk } satisfies RecordCursor) };
  }

  /** A pool that gets its first record later has none that was there all the time. */
  #recordsStart(): RecordCursor {
    const clients = this.#store.clients().filter(({ name }) => !isClusterClient(name));
    const pools = clients
      .flatMap((client) => client.pools())
      .filter(({ remotePages }) => remotePages.count > 0);
    for (const pool of pools) if (!this.#pools.has(pool.id)) this.#pools.set(pool.id, pool);
    return { pools: pools.map(({ id }) => id), walk: undefined };
  }

  room(): LocalRoom {
    const { frames, free, pressed } = this.#store.freeRoom();
    return { totalBytes: frames * FRAME_BYTES, freeBytes: free * FRAME_BYTES, pressed };
  }

  #pool(number: number): Pool | undefined {
    const known = this.#pools.get(number);
    if (known !== undefined) return known;
    const found = poolOfNumber(this.#store, number);
    if (found !== undefined) this.#pools.set(number, found);
    return found;
  }
}

/** Undefined: the pool is gone. */
function moved(outcome: PutOutcome | 'gone' | undefined): 'stored' | 'gone' | 'refused' {
  if (outcome === 'stored') return outcome;
  return outcome === undefined || outcome === 'gone' || outcome === 'pool-gone' ? 'gone' : 'refused';
}
