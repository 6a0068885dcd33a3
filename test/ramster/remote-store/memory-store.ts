// The reference remote store: everything in a Map. With a fault it breaks one promise, which the conformance suite
// must find.
import type { PageId } from '../../../src/ramster/page-id.ts';
import { nodeNumber } from '../../../src/ramster/place.ts';
import { Calls } from '../../../src/ramster/remote-store/calls.ts';
import type { StoreUnderTest } from '../../../src/ramster/remote-store/conformance.ts';
import {
  checkFreed,
  checkPlace,
  checkPool,
  checkTravelling,
} from '../../../src/ramster/remote-store/page-checks.ts';
import type {
  HeldPage,
  RemoteStore,
  TravellingPage,
} from '../../../src/ramster/remote-store/remote-store.ts';
import type { PoolKind } from '../../../src/zcache/index.ts';
import { LONG_DEADLINE_MS, PatientClock } from './patient-clock.ts';

/** What each fault breaks, and the beginning of the name of the case that finds it. */
export const FAULTS = {
  'says it is down': 'a store that is up says',
  'has no memory number': 'a store that is up says',
  'cuts pages at 4095 bytes': 'what was put is got',
  'keeps what was handed over': 'a page is a copy',
  'hands out what it keeps': 'a page is a copy',
  'finds the neighbour of an id': 'what was never put',
  'forgets the upper half of ids': 'ids and pools are told apart',
  'forgets the pool': 'ids and pools are told apart',
  'get never frees': 'a get that frees',
  'get always frees': 'a get that frees',
  'put of an id that is there fails': 'a put of an id that is there',
  'lists a page twice that was put twice': 'a put of an id that is there',
  'free ends the next id, too': 'a free ends the pages',
  'free of a missing page fails': 'a free ends the pages',
  'never stores a freed id again': 'an id that was freed',
  'frees half of many': 'one free takes FREE_MOST',
  'mixes up answers': 'many calls at a time',
  'stores empty pages': 'wrong arguments',
  'takes too many to free': 'wrong arguments',
  'ephemeral pages change': 'an ephemeral page is itself',
  'takes kinds as they come': 'a pool has the kind',
  'a refused kind ends the page': 'a pool has the kind',
  'destroyPool leaves a page': 'destroyPool ends every page',
  'destroyPool ends other pools': 'destroyPool ends every page',
  'destroyPool of a missing pool fails': 'destroyPool ends every page',
  'lists what is not there': 'the list of an empty store',
  'list skips pages': 'the list names every page',
  'list comes in one piece': 'the list names every page',
  'list counts pages instead of naming a place': 'a list while pages come and go',
  'owners share pools': 'two owners see nothing',
  'owners share a list': 'two owners see nothing',
  'never full': 'a full store says so',
  'full ends a page': 'a full store says so',
  'full for ever': 'a full store says so',
  'waits for ever': 'a store that falls silent',
  'says nothing of a silence': 'a store that falls silent',
  'answers a silence with a miss': 'a store that falls silent',
  'loses pages in a silence': 'a store that falls silent',
  'another memory after a silence': 'after a silence',
  'refuses repeats after a silence': 'after a silence',
  'keeps its memory number when it loses all': 'a store that lost its memory',
  'keeps pages when it loses all': 'a store that lost its memory',
  'keeps kinds when it loses all': 'a store that lost its memory',
} as const;

export type Fault = keyof typeof FAULTS;

interface Pool {
  readonly kind: PoolKind;
  readonly pages: Map<PageId, Uint8Array>;
}

const LIST_MOST = 500;
const FOREVER = 2 ** 30;

/** What all owners share. */
export class Engine {
  readonly fault: Fault | undefined;
  readonly roomBytes: number;
  readonly owners = new Map<string, Map<number, Pool>>();
  memory = 1;
  usedBytes = 0;
  readonly clock = new PatientClock();

  constructor(fault: Fault | undefined, roomBytes = FOREVER) {
    this.fault = fault;
    this.roomBytes = roomBytes;
  }

  lose(): void {
    if (this.fault === 'keeps kinds when it loses all') {
      for (const pools of this.owners.values()) for (const { pages } of pools.values()) pages.clear();
    } else if (this.fault !== 'keeps pages when it loses all') this.owners.clear();
    this.usedBytes = 0;
    if (this.fault !== 'keeps its memory number when it loses all') this.memory++;
  }
}

export class MemoryStore implements RemoteStore {
  readonly name = 'memory';
  readonly node = nodeNumber('memory');
  readonly draining = false;
  readonly #engine: Engine;
  readonly #owner: string;
  readonly #calls: Calls;
  readonly #freed = new Set<PageId>();
  /** Put during a silence. */
  readonly #tried = new Set<PageId>();
  #late = false;
  #answers = 0;

  constructor(engine: Engine, owner: string) {
    this.#engine = engine;
    this.#owner = owner;
    const clock = this.#has('waits for ever') ? new PatientClock() : engine.clock;
    this.#calls = new Calls(this.name, clock, LONG_DEADLINE_MS, () => {
      this.#late = true;
    });
  }

  get memory(): number | undefined {
    return this.#has('has no memory number') ? undefined : this.#engine.memory;
  }

  get state() {
    if (this.#has('says it is down')) return 'down';
    if (!this.#engine.clock.isSilent) this.#late = false;
    return this.#late && !this.#has('says nothing of a silence') ? 'suspect' : 'up';
  }

  get freeBytes(): number {
    return Math.max(0, this.#engine.roomBytes - this.#engine.usedBytes);
  }

  get latencyMs(): number {
    return this.#calls.latencyMs;
  }

  async put(page: TravellingPage): Promise<'stored' | 'full' | 'refused'> {
    if (!(this.#has('stores empty pages') && page.bytes.length === 0)) checkTravelling(page);
    if (this.#engine.clock.isSilent) this.#tried.add(page.id);
    return this.#call('put', () => this.#put(page));
  }

  async get(pool: number, id: PageId, free: boolean): Promise<Uint8Array | undefined> {
    checkPlace(pool, id);
    if (this.#has('answers a silence with a miss') && this.#engine.clock.isSilent) return undefined;
    return this.#call('get', () => {
      const pages = this.#poolOf(pool)?.pages;
      const key = this.#key(id);
      let bytes = pages?.get(key);
      if (bytes === undefined && this.#has('finds the neighbour of an id')) bytes = pages?.get(id - 1);
      const ends = this.#has('get always frees') || (free && !this.#has('get never frees'));
      if (bytes !== undefined && ends) this.#remove(pool, key);
      if (bytes === undefined) return undefined;
      if (this.#has('mixes up answers') && ++this.#answers % 200 === 0) return pages?.values().next().value;
      if (this.#has('ephemeral pages change') && this.#poolOf(pool)?.kind === 'ephemeral')
        return bytes.toReversed();
      return this.#has('hands out what it keeps') ? bytes : bytes.slice();
    });
  }

  async free(pages: readonly HeldPage[]): Promise<void> {
    if (!this.#has('takes too many to free')) checkFreed(pages);
    const most = this.#has('frees half of many') && pages.length > 200 ? pages.length / 2 : pages.length;
    return this.#call('free', () => {
      for (const { pool, id } of pages.slice(0, most)) {
        const wasThere = this.#remove(pool, this.#key(id));
        if (!wasThere && this.#has('free of a missing page fails')) throw new Error('not there');
        if (this.#has('free ends the next id, too')) this.#remove(pool, id + 1);
        this.#freed.add(id);
      }
    });
  }

  async destroyPool(pool: number): Promise<void> {
    checkPool(pool);
    return this.#call('destroyPool', () => {
      const pools = this.#pools();
      const doomed = pools.get(pool);
      if (doomed === undefined && this.#has('destroyPool of a missing pool fails'))
        throw new Error('not there');
      const ids = [...(doomed?.pages.keys() ?? [])];
      const spared = this.#has('destroyPool leaves a page') ? 1 : 0;
      for (const id of ids.slice(spared)) this.#remove(pool, id);
      if (spared === 0) pools.delete(pool);
      if (this.#has('destroyPool ends other pools')) {
        for (const other of pools.keys()) if (String(other).startsWith(String(pool))) pools.delete(other);
      }
    });
  }

  async list(
    cursor: Uint8Array | undefined,
  ): Promise<{ readonly pages: readonly HeldPage[]; readonly next: Uint8Array | undefined }> {
    return this.#call('list', () => {
      const all = this.#allPages();
      const from = cursor === undefined ? undefined : JSON.parse(Buffer.from(cursor).toString());
      if (this.#has('list comes in one piece')) return { pages: all, next: undefined };
      const counts = this.#has('list counts pages instead of naming a place');
      const isAfter =
        ([pool, id]: [number, number]) =>
        (page: HeldPage) =>
          page.pool > pool || (page.pool === pool && page.id > id);
      const rest = from === undefined ? all : counts ? all.slice(from) : all.filter(isAfter(from));
      const pages = rest.slice(0, LIST_MOST);
      const last = pages.at(-1);
      const isEnd = rest.length === pages.length || last === undefined;
      const place = counts ? (from ?? 0) + pages.length : [last?.pool, last?.id];
      return { pages, next: isEnd ? undefined : Buffer.from(JSON.stringify(place)) };
    });
  }

  #put(page: TravellingPage): 'stored' | 'full' | 'refused' {
    const { pool, kind } = page;
    const engine = this.#engine;
    const id = this.#key(page.id);
    const there = this.#poolOf(pool);
    if (there !== undefined && there.kind !== kind && !this.#has('takes kinds as they come')) {
      if (this.#has('a refused kind ends the page')) this.#remove(pool, id);
      return 'refused';
    }
    if (this.#has('refuses repeats after a silence') && this.#tried.has(id)) return 'refused';
    if (there?.pages.has(id)) return this.#has('put of an id that is there fails') ? 'refused' : 'stored';
    if (this.#has('never stores a freed id again') && this.#freed.has(id)) return 'refused';
    const room = this.#has('never full') ? FOREVER : engine.roomBytes;
    if (engine.usedBytes + page.bytes.length > room) {
      if (this.#has('full ends a page')) this.#remove(pool, there?.pages.keys().next().value ?? 0);
      if (this.#has('full for ever')) engine.usedBytes = FOREVER;
      return 'full';
    }
    engine.usedBytes += page.bytes.length;
    const { pages } = there ?? this.#newPool(pool, kind);
    const most = this.#has('cuts pages at 4095 bytes') ? 4095 : 4096;
    pages.set(id, this.#has('keeps what was handed over') ? page.bytes : page.bytes.slice(0, most));
    return 'stored';
  }

  #allPages(): HeldPage[] {
    const owners = this.#has('owners share a list') ? [...this.#engine.owners.values()] : [this.#pools()];
    const pages = owners.flatMap((pools) =>
      [...pools].flatMap(([pool, held]) => [...held.pages.keys()].map((id) => ({ pool, id }))),
    );
    pages.sort((a, b) => a.pool - b.pool || a.id - b.id);
    if (this.#has('lists what is not there')) pages.push({ pool: 1, id: 999_999_999 });
    if (this.#has('lists a page twice that was put twice')) pages.push(...pages.slice(0, 1));
    return this.#has('list skips pages') ? pages.filter((_, i) => i % 100 !== 99) : pages;
  }

  async #call<T>(what: string, work: () => T): Promise<T> {
    return this.#calls.run(what, 'round trip', async () => {
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#has('loses pages in a silence') && this.#engine.clock.isSilent) this.#engine.owners.clear();
      if (this.#has('another memory after a silence') && this.#engine.clock.isSilent) this.#engine.memory++;
      if (this.#engine.clock.isSilent) await new Promise(() => {});
      return work();
    });
  }

  #has(fault: Fault): boolean {
    return this.#engine.fault === fault;
  }

  #key(id: PageId): PageId {
    return this.#has('forgets the upper half of ids') ? id % 2 ** 32 : id;
  }

  #pools(): Map<number, Pool> {
    const { owners } = this.#engine;
    const owner = this.#has('owners share pools') ? 'all' : this.#owner;
    const pools = owners.get(owner) ?? new Map<number, Pool>();
    owners.set(owner, pools);
    return pools;
  }

  #poolOf(pool: number): Pool | undefined {
    return this.#pools().get(this.#has('forgets the pool') ? 0 : pool);
  }

  #newPool(pool: number, kind: PoolKind): Pool {
    const made: Pool = { kind, pages: new Map() };
    this.#pools().set(this.#has('forgets the pool') ? 0 : pool, made);
    return made;
  }

  #remove(pool: number, id: PageId): boolean {
    const bytes = this.#poolOf(pool)?.pages.get(id);
    if (bytes === undefined) return false;
    this.#engine.usedBytes -= bytes.length;
    return this.#poolOf(pool)?.pages.delete(id) ?? false;
  }
}

export async function memoryStoreUnderTest(
  fault: Fault | undefined,
  roomBytes?: number,
): Promise<StoreUnderTest> {
  const engine = new Engine(fault, roomBytes);
  return {
    store: new MemoryStore(engine, 'a'),
    neighbour: async () => new MemoryStore(engine, 'b'),
    silence: async () => {
      engine.clock.isSilent = true;
    },
    answer: async () => {
      engine.clock.isSilent = false;
    },
    loseMemory: async () => engine.lose(),
    close: async () => {},
  };
}
