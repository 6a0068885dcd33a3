// The owner's side of a node without its network: a simulated store, virtual time, and remote stores in the test's
// hands.

import { VirtualClock } from '../../../sim/clock.ts';
import { LocalStore } from '../../../sim/local-store.ts';
import { PAGE_BYTES, SimMemory } from '../../../sim/memory.ts';
import { streamsOf } from '../../../sim/random.ts';
import type { PageRef } from '../../../src/ramster/local/local-pages.ts';
import { Away } from '../../../src/ramster/owner/away.ts';
import { MissingCopies } from '../../../src/ramster/owner/missing-copies.ts';
import { type OwnerParts, sleep } from '../../../src/ramster/owner/parts.ts';
import { ReleaseQueue } from '../../../src/ramster/owner/release-queue.ts';
import { Sealer } from '../../../src/ramster/owner/seal.ts';
import { RemoteStores } from '../../../src/ramster/owner/stores.ts';
import { Unsettled } from '../../../src/ramster/owner/unsettled.ts';
import { PageIds } from '../../../src/ramster/page-id.ts';
import { Links } from '../../../src/ramster/peer/links.ts';
import { decodeRecord, type RemoteRecord } from '../../../src/ramster/record.ts';
import type { RemoteStore } from '../../../src/ramster/remote-store/remote-store.ts';
import { type NodeSettingsInput, nodeSettings } from '../../../src/ramster/settings.ts';
import { newStatistics } from '../../../src/ramster/statistics.ts';
import { Oid, type PoolKind } from '../../../src/zcache/index.ts';
import { HeldStore } from './held-store.ts';

export const OBJECT = Oid.fromWords([7, 0, 0, 0, 0, 0]);

export interface SceneOptions {
  readonly stores?: readonly RemoteStore[];
  readonly settings?: NodeSettingsInput;
  readonly memoryPages?: number;
  readonly seed?: number;
  readonly memory?: SimMemory;
  readonly local?: LocalStore;
}

export class Scene {
  readonly clock = new VirtualClock();
  readonly memory: SimMemory;
  readonly local: LocalStore;
  readonly parts: OwnerParts;
  readonly lost: PageRef[] = [];
  readonly pools: Readonly<Record<PoolKind, number>>;
  isLeaseOver: (store: RemoteStore) => boolean = () => false;

  constructor(options: SceneOptions = {}) {
    const random = streamsOf(options.seed ?? 1)('scene');
    this.memory = options.memory ?? new SimMemory(random, (options.memoryPages ?? 1000) * PAGE_BYTES);
    this.memory.begin();
    this.local = options.local ?? new LocalStore(this.memory);
    const { clock } = this;
    const settings = nodeSettings(options.settings);
    const identity = this.local.identity();
    const self = { cluster: 'test', name: 'own', memory: identity.memory, instance: new Uint8Array(8) };
    const transport = { connect: () => Promise.reject(new Error('there is no network')) };
    const status = () => ({ freeBytes: 0, draining: false });
    const links = new Links({ self, clock, random, transport, settings, status });
    const stores = new RemoteStores(links, options.stores ?? []);
    const statistics = newStatistics();
    this.parts = {
      ...{ local: this.local, clock, random, settings, stores, statistics },
      away: new Away(statistics),
      ids: new PageIds(identity.incarnation),
      sealer: new Sealer(identity.key),
      unsettled: new Unsettled(),
      missing: new MissingCopies(),
      releases: new ReleaseQueue({
        ...{ stores, statistics, clock, unknownMs: settings.leaseMs },
        isLeaseOver: (store) => this.isLeaseOver(store),
      }),
      lost: (page) => this.lost.push(page),
    };
    this.pools = {
      persistent: this.local.createPool('persistent'),
      ephemeral: this.local.createPool('ephemeral'),
    };
  }

  page(index: number, kind: PoolKind = 'persistent'): PageRef {
    return { pool: this.pools[kind], oid: OBJECT, index };
  }

  /** Puts a page whose content depends on `seed`. */
  put(index: number, kind: PoolKind = 'persistent', seed = index): PageRef {
    const page = this.page(index, kind);
    if (this.local.put(page, contentOf(seed)) !== 'stored') throw new Error('there is no room for a page');
    return page;
  }

  record(page: PageRef): RemoteRecord | undefined {
    const found = this.local.look(page);
    return found?.kind === 'remote' ? decodeRecord(found.record) : undefined;
  }

  /** Pages of the index that are away, lost ones not counted. */
  countAway(): number {
    let count = 0;
    for (let cursor: unknown, first = true; first || cursor !== undefined; first = false) {
      const batch = this.local.records(cursor, 100);
      for (const { record } of batch.pages) {
        const read = decodeRecord(record);
        if (read?.kind === 'persistent' && !read.lost) count++;
      }
      cursor = batch.next;
    }
    return count;
  }

  run(ms: number): Promise<void> {
    return this.clock.run(this.clock.now() + ms);
  }

  sleep(ms: number): Promise<void> {
    return sleep(this.clock, ms);
  }

  /** Lets virtual time pass until a promise is settled, `mostMs` at most. */
  async until<Result>(promise: Promise<Result>, mostMs = 60_000): Promise<Result> {
    return settle(this.clock, promise, mostMs);
  }
}

/** Lets virtual time pass until a promise is settled; fails when `mostMs` are over. */
export async function settle<Result>(
  clock: VirtualClock,
  promise: Promise<Result>,
  mostMs = 60_000,
): Promise<Result> {
  let isSettled = false;
  promise.then(
    () => {
      isSettled = true;
    },
    () => {
      isSettled = true;
    },
  );
  await clock.run(clock.now() + mostMs, () => isSettled);
  if (!isSettled) throw new Error(`still waiting after ${mostMs} ms`);
  return promise;
}

/** A page of 100 bytes that is not one value throughout. */
export function contentOf(seed: number): Uint8Array {
  return Uint8Array.from({ length: 100 }, (_, i) => (seed * 31 + i * (1 + (seed % 7))) & 0xff);
}

export function heldStores(count: number): HeldStore[] {
  return Array.from({ length: count }, (_, i) => new HeldStore(`h${i + 1}`));
}
