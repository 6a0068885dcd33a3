// Fetch: a get of a page that is away ends, with the page or with the truth about it.
import { describe, expect, test } from 'vitest';
import type { PageRef } from '../../../src/ramster/local/local-pages.ts';
import { Fetch } from '../../../src/ramster/owner/fetch.ts';
import { Remotify } from '../../../src/ramster/owner/remotify.ts';
import { Resting } from '../../../src/ramster/owner/resting.ts';
import { type PoolKind, TmemError } from '../../../src/zcache/index.ts';
import type { HeldStore } from './held-store.ts';
import { contentOf, heldStores, Scene, type SceneOptions } from './scene.ts';

const HEDGE_MS = 50;
const PATIENCE_MS = 1000;

function made(count = 2, options: SceneOptions = {}) {
  const stores = heldStores(count);
  for (const [i, store] of stores.entries()) store.latencyMs = 1 + i;
  const scene = new Scene({ ...options, stores });
  const fetch = new Fetch(scene.parts);
  const remotify = new Remotify(scene.parts, new Resting(scene.clock, 1));
  /** Puts a page and sends it away. */
  const send = async (index: number, kind: PoolKind = 'persistent'): Promise<PageRef> => {
    const page = scene.put(index, kind);
    expect(await scene.until(remotify.send(page))).toBe('sent');
    return page;
  };
  const freed = async (): Promise<void> => {
    scene.parts.releases.step();
    await scene.run(1);
  };
  const [a, b] = stores as [HeldStore, HeldStore];
  return { scene, stores, a, b, fetch, send, freed, statistics: scene.parts.statistics };
}

const codeOf = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => value,
    (error: unknown) => (TmemError.is(error) ? error.code : error),
  );

/** Fills the memory with pages that cannot go anywhere. */
function fill({ local, pools }: Scene): void {
  for (let index = 1000; ; index++) {
    const page = { pool: pools.persistent, oid: contentOfObject, index };
    if (local.put(page, contentOf(index)) !== 'stored') return;
  }
}
const contentOfObject = new Scene().page(0).oid;

describe('a page that is got', () => {
  test('goes to the caller and home, and only then its copies are freed', async () => {
    const { scene, stores, fetch, send, freed, statistics } = made();
    const page = await send(1);
    for (const store of stores) {
      store.before = (call) => {
        if (call === 'free') expect(scene.local.look(page)?.kind).toBe('stored');
      };
    }
    expect(await scene.until(fetch.fetch(page))).toEqual(contentOf(1));
    await scene.run(1);
    expect(await fetch.fetch(page)).toBe('local');
    expect(scene.local.get(page)).toEqual(contentOf(1));
    expect(stores.map(({ pages }) => pages.size)).toEqual([1, 1]);
    await freed();
    expect(stores.map(({ pages }) => pages.size)).toEqual([0, 0]);
    expect(statistics).toMatchObject({ remote_pers_pages: 0, remote_pers_pages_succ_get: 1 });
  });

  test('twice at a time is fetched once', async () => {
    const { scene, a, b, fetch, send } = made();
    const page = await send(1);
    a.before = () => scene.sleep(20);
    const all = await scene.until(Promise.all([fetch.fetch(page), fetch.fetch(page)]));
    expect(all).toEqual([contentOf(1), contentOf(1)]);
    // And once more before it is home.
    expect(await fetch.fetch(page)).toEqual(contentOf(1));
    expect([...a.calls, ...b.calls].filter((call) => call.startsWith('get'))).toHaveLength(1);
  });

  test('comes from the quickest holder; another one is asked after hedgeMs', async () => {
    const { scene, a, b, fetch, send } = made();
    const page = await send(1);
    const asked: string[] = [];
    const began = scene.clock.now();
    for (const store of [a, b]) {
      store.before = (call) =>
        void (call === 'get' && asked.push(`${store.name} ${scene.clock.now() - began}`));
    }
    a.gets = 'never';
    expect(await scene.until(fetch.fetch(page), 500)).toEqual(contentOf(1));
    expect(asked).toEqual(['h1 0', `h2 ${HEDGE_MS}`]);
  });

  test('comes from the next holder at once when one has no copy, or a damaged one', async () => {
    for (const damage of ['gone', 'changed', 'short', 'exchanged', 'fails'] as const) {
      const { scene, a, b, fetch, send } = made();
      const page = await send(1);
      const other = await send(2);
      const id = scene.record(page)?.id as number;
      const copy = a.pages.get(id);
      if (copy === undefined) throw new Error('there is no copy');
      if (damage === 'gone') a.pages.delete(id);
      else if (damage === 'changed') copy.bytes[50] = (copy.bytes[50] as number) ^ 1;
      else if (damage === 'short') copy.bytes = copy.bytes.subarray(1);
      else if (damage === 'exchanged') {
        copy.bytes = a.pages.get(scene.record(other)?.id as number)?.bytes as Uint8Array;
      } else a.gets = 'fails';
      const began = scene.clock.now();
      expect(await scene.until(fetch.fetch(page))).toEqual(contentOf(1));
      expect(scene.clock.now() - began).toBeLessThan(HEDGE_MS);
      expect(b.calls.filter((call) => call.startsWith('get'))).toHaveLength(1);
      await scene.run(1);
      expect(scene.local.get(page)).toEqual(contentOf(1));
    }
  });

  test('unsealed is found out by its checksum when it is damaged', async () => {
    const { scene, a, fetch, send } = made(2, { settings: { seal: false } });
    const page = await send(1);
    const [copy] = a.pages.values();
    if (copy === undefined) throw new Error('there is no copy');
    copy.bytes[50] = (copy.bytes[50] as number) ^ 1;
    expect(await scene.until(fetch.fetch(page))).toEqual(contentOf(1));
    await scene.run(1);
    expect(scene.local.get(page)).toEqual(contentOf(1));
  });

  test('and put anew meanwhile does not come home over the new one', async () => {
    const { scene, a, b, fetch, send, freed } = made();
    const page = await send(1);
    let isPut = false;
    for (const store of [a, b]) {
      store.before = () => {
        if (!isPut) scene.put(1, 'persistent', 55);
        isPut = true;
      };
    }
    expect(await scene.until(fetch.fetch(page))).toEqual(contentOf(1));
    await scene.run(1);
    expect(await fetch.fetch(page)).toBe('local');
    expect(scene.local.get(page)).toEqual(contentOf(55));
    // The copies of the old one are the orphans', not freed twice.
    await freed();
    expect(scene.local.takeOrphans(9)).toHaveLength(1);
  });
});

describe('without room here', () => {
  test('a persistent page goes to the caller, and stays where it is', async () => {
    const { scene, a, b, fetch, send, freed, statistics } = made(2, { memoryPages: 10 });
    const page = await send(1);
    fill(scene);
    expect(await scene.until(fetch.fetch(page))).toEqual(contentOf(1));
    expect(await scene.until(fetch.fetch(page))).toEqual(contentOf(1));
    await freed();
    expect([a.pages.size, b.pages.size]).toEqual([1, 1]);
    expect(statistics.remote_pers_pages).toBe(1);
  });

  test('an ephemeral page goes to the caller and is gone', async () => {
    const { scene, a, b, fetch, send, freed } = made(2, { memoryPages: 10 });
    const page = await send(1, 'ephemeral');
    // As long as anything can be evicted for it there is room.
    const { bringHome } = scene.local;
    scene.local.bringHome = () => 'refused';
    expect(await scene.until(fetch.fetch(page))).toEqual(contentOf(1));
    scene.local.bringHome = bringHome;
    expect(scene.local.look(page)).toBeUndefined();
    await freed();
    expect([a.pages.size, b.pages.size]).toEqual([0, 0]);
  });
});

describe('when holders are away', () => {
  test('a persistent page is waited for, and is there when one of them comes back', async () => {
    const { scene, a, b, fetch, send } = made();
    const page = await send(1);
    a.state = 'down';
    b.gets = 'fails';
    scene.clock.after(600, () => {
      a.state = 'up';
    });
    expect(await scene.until(fetch.fetch(page), 700)).toEqual(contentOf(1));
  });

  test('a get fails within patienceMs, and changes nothing', async () => {
    for (const how of ['down', 'fails', 'unreached', 'half', 'miss'] as const) {
      const { scene, a, b, fetch, send, statistics } = made();
      const page = await send(1);
      const before = scene.record(page);
      for (const store of [a, b]) {
        if (how === 'down') store.state = 'down';
        else if (how === 'unreached') store.memory = undefined;
        else if (how === 'miss') store.state = store === a ? 'up' : 'down';
        else store.gets = 'fails';
      }
      // One of them has lost it: the other one may have it still.
      if (how === 'half') a.lose();
      if (how === 'miss') a.pages.clear();
      expect(await scene.until(codeOf(fetch.fetch(page)), PATIENCE_MS + 100)).toBe('TMEM_ERR_PEERS_AWAY');
      expect(scene.clock.now()).toBeGreaterThanOrEqual(PATIENCE_MS);
      expect(scene.record(page)).toEqual(before);
      expect(scene.lost).toEqual([]);
      expect(statistics).toMatchObject({ remote_pers_pages: 1, remote_pers_pages_unsucc_get: 1 });
    }
  });

  test('nobody waits for a page that was put anew meanwhile', async () => {
    const { scene, a, b, fetch, send } = made();
    const page = await send(1);
    for (const store of [a, b]) store.state = 'down';
    scene.clock.after(200, () => scene.put(1, 'persistent', 5));
    expect(await scene.until(fetch.fetch(page), 300)).toBe('local');
    expect(scene.local.get(page)).toEqual(contentOf(5));
  });

  test('an ephemeral page is a miss at once', async () => {
    const { scene, a, b, fetch, send, statistics } = made();
    const page = await send(1, 'ephemeral');
    for (const store of [a, b]) store.state = 'down';
    expect(await scene.until(fetch.fetch(page), 10)).toBe('local');
    expect(scene.local.get(page)).toBeUndefined();
    expect(statistics.remote_eph_pages_unsucc_get).toBe(1);
  });
});

describe('when every copy is lost', () => {
  test('it is told once; gets are a clear error until the page is put or flushed', async () => {
    const { scene, a, b, fetch, send, statistics } = made();
    const page = await send(1);
    for (const store of [a, b]) store.lose();
    for (let i = 0; i < 3; i++) {
      expect(await scene.until(codeOf(fetch.fetch(page)), 10)).toBe('TMEM_ERR_PAGE_LOST');
    }
    expect(scene.lost).toEqual([page]);
    expect(statistics).toMatchObject({ pages_lost: 1, remote_pers_pages: 0 });
    scene.put(1, 'persistent', 8);
    expect(await scene.until(fetch.fetch(page), 10)).toBe('local');
    expect(scene.local.get(page)).toEqual(contentOf(8));
  });

  test('holders that have none, or only damaged ones, count as if they had lost theirs', async () => {
    const { scene, a, b, fetch, send, freed } = made();
    const page = await send(1);
    a.pages.clear();
    for (const copy of b.pages.values()) copy.bytes = copy.bytes.map((byte) => byte ^ 1);
    expect(await scene.until(codeOf(fetch.fetch(page)), 10)).toBe('TMEM_ERR_PAGE_LOST');
    expect(scene.lost).toEqual([page]);
    await freed();
    expect(b.pages.size).toBe(0);
  });

  test('an ephemeral page is a miss', async () => {
    const { scene, a, b, fetch, send } = made();
    const page = await send(1, 'ephemeral');
    for (const store of [a, b]) store.lose();
    expect(await scene.until(fetch.fetch(page), 10)).toBe('local');
    expect(scene.local.get(page)).toBeUndefined();
    expect(scene.lost).toEqual([]);
  });

  test('a record that cannot be read is an error, and nothing is done with it', async () => {
    const { scene, fetch } = made();
    const page = scene.put(1);
    const found = scene.local.look(page);
    if (found?.kind !== 'stored') throw new Error('the page is not here');
    scene.local.sendAway(page, found, new Uint8Array(40).fill(9));
    expect(await codeOf(fetch.fetch(page))).toBe('TMEM_ERR_DAMAGED');
    expect(scene.local.look(page)?.kind).toBe('remote');
  });

  test('a page that is sealed well and yet not the one that was put is an error, at once', async () => {
    const { scene, a, b, fetch, send } = made();
    const page = await send(1);
    scene.local.decode = () => undefined;
    expect(await scene.until(codeOf(fetch.fetch(page)), 10)).toBe('TMEM_ERR_DAMAGED');
    expect([a.pages.size, b.pages.size]).toEqual([1, 1]);
  });
});

test('a change of another handle in between costs a page its way home, and no copy', async () => {
  const { scene, a, b, fetch, send, freed } = made();
  const page = await send(1);
  const { bringHome } = scene.local;
  scene.local.bringHome = () => 'gone';
  expect(await scene.until(fetch.fetch(page), 100)).toEqual(contentOf(1));
  await scene.run(1);
  await freed();
  expect([a.pages.size, b.pages.size]).toEqual([1, 1]);
  scene.local.bringHome = bringHome;
  expect(await scene.until(fetch.bring(page), 100)).toBe(true);
  expect(scene.local.get(page)).toEqual(contentOf(1));
});

test('what has not come home when the node stops stays with the peers', async () => {
  const { scene, a, b, fetch, send, freed } = made();
  const page = await send(1);
  expect(await scene.until(fetch.fetch(page), 100)).toEqual(contentOf(1));
  fetch.stop();
  await scene.run(10);
  await freed();
  expect([a.pages.size, b.pages.size]).toEqual([1, 1]);
  expect(scene.local.look(page)?.kind).toBe('remote');
});
