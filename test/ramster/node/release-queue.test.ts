// Releases: what is wanted no more is freed, however often that has to be said, and no longer than it makes sense.
import { describe, expect, test } from 'vitest';
import { heldStores, Scene } from './scene.ts';

const LEASE_MS = 10_000;

/** A queue whose steps are run by hand. */
function made(count = 1) {
  const stores = heldStores(count);
  const scene = new Scene({ stores, settings: { leaseMs: LEASE_MS } });
  const { releases, statistics } = scene.parts;
  const [store] = stores as [(typeof stores)[number]];
  const keep = (ids: number[]): void => {
    for (const id of ids) store.pages.set(id, { pool: 1, kind: 'persistent', bytes: new Uint8Array(1) });
  };
  const step = async (): Promise<void> => {
    for (let i = 0; i < 3; i++) {
      releases.step();
      await scene.run(1);
    }
  };
  return { scene, stores, store, releases, statistics, keep, step };
}

const idsFrom = (first: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => first + i);

describe('releases', () => {
  test('are sent in batches of 256, and are over when they are acknowledged', async () => {
    const { store, releases, statistics, keep, step } = made();
    keep(idsFrom(1, 600));
    for (const id of idsFrom(1, 600)) releases.add(1, id, [store.place]);
    expect(statistics.curr_flush_queue).toBe(600);
    await step();
    expect(store.calls.map((call) => call.split(' ').length - 1)).toEqual([256, 256, 88]);
    expect(store.pages.size).toBe(0);
    expect(releases.isEmpty).toBe(true);
    expect(statistics).toMatchObject({
      ...{ curr_flush_queue: 0, curr_flush_queue_max: 600, remote_pages_flushed: 600 },
    });
  });

  test('are repeated until they are acknowledged', async () => {
    const { store, releases, statistics, keep, step } = made();
    keep([5, 6]);
    for (const id of [5, 6]) releases.add(1, id, [store.place]);
    store.frees = 'fails';
    await step();
    store.frees = 'lost';
    await step();
    await step();
    expect(releases.isEmpty).toBe(false);
    expect(statistics.curr_flush_queue).toBe(2);
    store.frees = 'yes';
    await step();
    expect(releases.isEmpty).toBe(true);
    expect(store.pages.size).toBe(0);
    expect(statistics).toMatchObject({ curr_flush_queue: 0, remote_pages_flushed: 2 });
  });

  test('wait for a holder that is late or down', async () => {
    const { store, releases, keep, step } = made();
    keep([5]);
    releases.add(1, 5, [store.place]);
    for (const state of ['suspect', 'down'] as const) {
      store.state = state;
      await step();
    }
    expect(store.calls).toEqual([]);
    store.state = 'up';
    await step();
    expect(store.pages.size).toBe(0);
  });

  test('of a holder that never answers stay within four batches on their way', async () => {
    const { store, releases, step } = made();
    store.frees = 'never';
    for (const id of idsFrom(1, 5000)) releases.add(1, id, [store.place]);
    for (let i = 0; i < 10; i++) await step();
    expect(store.calls).toHaveLength(4);
    const asked = store.calls.flatMap((call) => call.split(' ').slice(1));
    expect(new Set(asked).size).toBe(4 * 256);
  });

  test('are not sent again while they are on their way', async () => {
    const { store, releases, step } = made();
    store.frees = 'never';
    for (const id of idsFrom(1, 10)) releases.add(1, id, [store.place]);
    for (let i = 0; i < 5; i++) await step();
    expect(store.calls).toHaveLength(1);
  });

  test('are bounded; what does not fit is left to a sweep', () => {
    const { store, releases, statistics } = made();
    store.state = 'down';
    for (const id of idsFrom(1, 65_536)) releases.add(1, id, [store.place]);
    expect(releases.takeDropped()).toBe(false);
    releases.add(1, 70_000, [store.place]);
    expect(statistics).toMatchObject({ curr_flush_queue: 65_536, remote_page_flushes_failed: 1 });
    expect(releases.takeDropped()).toBe(true);
    expect(releases.takeDropped()).toBe(false);
  });

  test('said twice are counted once', async () => {
    const { store, releases, statistics, step } = made();
    store.state = 'suspect';
    for (let i = 0; i < 3; i++) releases.add(1, 5, [store.place]);
    expect(statistics.curr_flush_queue).toBe(1);
    store.state = 'up';
    await step();
    expect(statistics).toMatchObject({ curr_flush_queue: 0, remote_pages_flushed: 1 });
  });

  test('end with the memory they lie in', async () => {
    const { store, releases, statistics, step } = made();
    store.state = 'down';
    const place = { ...store.place };
    releases.add(1, 5, [place]);
    store.lose();
    store.state = 'up';
    await step();
    expect(store.calls).toEqual([]);
    expect(releases.isEmpty).toBe(true);
    expect(statistics).toMatchObject({ curr_flush_queue: 0, remote_page_flushes_failed: 1 });
    releases.add(1, 6, [place]);
    expect(releases.isEmpty).toBe(true);
  });

  test('end with the lease, also those that are on their way', async () => {
    const { scene, store, releases, statistics, step } = made();
    store.frees = 'fails';
    store.before = () => scene.sleep(50);
    for (const id of [5, 6]) releases.add(1, id, [store.place]);
    releases.step();
    scene.isLeaseOver = () => true;
    await step();
    await scene.run(100);
    await step();
    expect(releases.isEmpty).toBe(true);
    expect(statistics).toMatchObject({ curr_flush_queue: 0, remote_page_flushes_failed: 2 });
  });

  test('for a node that nobody knows any more end after a lease', async () => {
    const { scene, releases, statistics, step } = made();
    releases.add(1, 5, [{ node: 4711, memory: 1 }]);
    await scene.run(LEASE_MS - 10);
    await step();
    expect(releases.nodes()).toEqual([4711]);
    await scene.run(20);
    await step();
    expect(releases.isEmpty).toBe(true);
    expect(statistics.curr_flush_queue).toBe(0);
  });

  test('tell at which nodes an id is being freed', async () => {
    const { stores, releases, step } = made(2);
    const [a, b] = stores as [(typeof stores)[0], (typeof stores)[0]];
    a.frees = 'never';
    releases.add(1, 5, [a.place, b.place]);
    expect(releases.nodesOf(5)).toEqual([a.node, b.node]);
    expect(releases.nodesOf(6)).toEqual([]);
    await step();
    expect(releases.nodesOf(5)).toEqual([a.node]);
  });
});
