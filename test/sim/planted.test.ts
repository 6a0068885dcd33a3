// The simulator finds what is planted: each of these stores and nodes breaks one promise now and then.
import { expect, test } from 'vitest';
import { ForeignStore } from '../../sim/foreign-store.ts';
import { LocalStore } from '../../sim/local-store.ts';
import { type NodeFactory, plainStores } from '../../sim/machine.ts';
import { cluster } from '../../sim/ramster.ts';
import type { Owner } from '../../src/ramster/local/foreign-pages.ts';
import type { PageRef, RemoteLook, StoredLook } from '../../src/ramster/local/local-pages.ts';
import type { Oid, PoolKind } from '../../src/zcache/index.ts';
import { small, whatIsFound } from './scenarios.ts';

/** True at every `n`th call. */
function every(n: number): () => boolean {
  let calls = 0;
  return () => ++calls % n === 0;
}

const withLocal = (Store: typeof LocalStore) => ({
  stores: {
    ...plainStores,
    local: (...given: ConstructorParameters<typeof LocalStore>) => new Store(...given),
  },
});
const withForeign = (Store: typeof ForeignStore) => ({
  stores: {
    ...plainStores,
    foreign: (...given: ConstructorParameters<typeof ForeignStore>) => new Store(...given),
  },
});

/** The node with another `fetch`. */
function withFetch(fetch: (original: () => Promise<'local' | Uint8Array>) => Promise<'local' | Uint8Array>) {
  const factory: NodeFactory = (parts) => {
    const node = cluster().factory(parts);
    return { ...node, fetch: (page) => fetch(() => node.fetch(page)) };
  };
  return { factory };
}

test('without a planted bug nothing is found', async () => {
  expect(await whatIsFound({})).toEqual([]);
});

test('a store that gives an older page', async () => {
  class Store extends LocalStore {
    readonly #now = every(20);
    #before: Uint8Array | undefined;
    override get(page: PageRef): Uint8Array | 'remote' | undefined {
      const found = super.get(page);
      if (!(found instanceof Uint8Array)) return found;
      const before = this.#before;
      this.#before = found;
      return this.#now() ? before : found;
    }
  }
  expect(await whatIsFound(withLocal(Store))).toContain('stale');
});

test('a store that forgets to flush an object', async () => {
  class Store extends LocalStore {
    override flushPages(pool: number, oid?: Oid): number {
      return oid === undefined ? super.flushPages(pool) : 0;
    }
  }
  expect(await whatIsFound(withLocal(Store))).toContain('stale');
});

test('a store that loses a persistent page', async () => {
  class Store extends LocalStore {
    readonly #now = every(20);
    override put(page: PageRef, bytes: Uint8Array): 'stored' | 'refused' {
      const outcome = super.put(page, bytes);
      if (this.#now()) this.flush(page);
      return outcome;
    }
  }
  expect(await whatIsFound(withLocal(Store))).toContain('lost_persistent_beyond_replicas');
});

test('a store in which a record takes the place of a newer page', async () => {
  class Store extends LocalStore {
    override sendAway(page: PageRef, found: StoredLook | RemoteLook, record: Uint8Array) {
      const now = this.look(page);
      return super.sendAway(
        page,
        now?.kind === found.kind ? (now as StoredLook | RemoteLook) : found,
        record,
      );
    }
  }
  expect((await whatIsFound(withLocal(Store))).length).toBeGreaterThan(0);
});

test('a holder that acknowledges a copy and does not keep it', async () => {
  class Store extends ForeignStore {
    readonly #now = every(30);
    override put(owner: Owner, pool: number, kind: PoolKind, id: number, bytes: Uint8Array) {
      return this.#now() ? 'stored' : super.put(owner, pool, kind, id, bytes);
    }
  }
  expect(await whatIsFound(withForeign(Store))).toContain('copies_missing');
});

test('a holder that evicts persistent pages', async () => {
  class Store extends ForeignStore {
    override put(owner: Owner, pool: number, kind: PoolKind, id: number, bytes: Uint8Array) {
      const outcome = super.put(owner, pool, kind, id, bytes);
      const [oldest] = this.pages(owner);
      if (outcome === 'full' && oldest !== undefined) this.free(owner, oldest.pool, oldest.id);
      return outcome;
    }
  }
  expect(await whatIsFound(withForeign(Store))).toContain('copies_missing');
});

test('a holder that frees nothing and does not show it', async () => {
  class Store extends ForeignStore {
    override free(): boolean {
      return true;
    }
    override list() {
      return { pages: [], next: undefined };
    }
  }
  expect(await whatIsFound(withForeign(Store))).toContain('orphans_left');
});

test('a node that makes too few copies', async () => {
  expect(await whatIsFound({ factory: cluster({ replicas: 1 }).factory })).toContain('copies_short');
});

test('a node that waits for peers for longer than agreed', async () => {
  expect(await whatIsFound({ bounds: { ...cluster().bounds, fetchMs: 1 } })).toContain('unbounded_waits');
});

test('a node whose fetch does not end', async () => {
  const now = every(10);
  const factory = withFetch((original) => (now() ? new Promise(() => {}) : original()));
  expect(await whatIsFound(factory)).toContain('unbounded_waits');
});

test('a node that gives a page which was never put there', async () => {
  const now = every(10);
  const factory = withFetch(async (original) => (now() ? new Uint8Array(100) : original()));
  expect(await whatIsFound(factory)).toContain('stale');
});

test('a node that finds a dead peer later than agreed', async () => {
  expect(await whatIsFound({ bounds: { ...cluster().bounds, detectionMs: 1000 } })).toContain(
    'unbounded_waits',
  );
});

test('frames that are damaged on their way lose nothing', async () => {
  const now = every(50);
  const tap = (_from: unknown, _to: unknown, frame: Uint8Array): void => {
    if (now()) frame[frame.length - 1] ^= 1;
  };
  for (const seed of [1, 2, 3]) expect((await small(seed, { tap })).findings).toEqual([]);
});
