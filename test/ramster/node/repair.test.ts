// Repair: copies are made whole, none that a record names is freed, and nothing is got in vain.
import { describe, expect, test } from 'vitest';
import type { PageRef } from '../../../src/ramster/local/local-pages.ts';
import { Fetch } from '../../../src/ramster/owner/fetch.ts';
import { Remotify } from '../../../src/ramster/owner/remotify.ts';
import { Repair } from '../../../src/ramster/owner/repair.ts';
import { Resting } from '../../../src/ramster/owner/resting.ts';
import type { HeldStore } from './held-store.ts';
import { contentOf, heldStores, Scene, type SceneOptions } from './scene.ts';

/** A page at the first stores, and others that may take copies. */
async function made(count: number, options: SceneOptions = {}) {
  const stores = heldStores(count);
  const scene = new Scene({ ...options, stores });
  const fetch = new Fetch(scene.parts);
  const repair = new Repair(scene.parts, fetch);
  const remotify = new Remotify(scene.parts, new Resting(scene.clock, 1));
  const replicas = scene.parts.settings.replicas;
  for (const store of stores.slice(replicas)) store.freeBytes = 0;
  const page = scene.put(1);
  expect(await scene.until(remotify.send(page))).toBe('sent');
  for (const store of stores) store.freeBytes = 2 ** 30;
  const freed = async (): Promise<void> => {
    for (let i = 0; i < 3; i++) {
      scene.parts.releases.step();
      await scene.run(1);
    }
  };
  const nodes = (): string[] =>
    (scene.record(page)?.places ?? [])
      .map(({ node }) => stores.find((store) => store.node === node)?.name ?? '?')
      .sort();
  const [a, b, c] = stores as [HeldStore, HeldStore, HeldStore];
  const calls = (): string[] => stores.flatMap((store) => store.calls.splice(0));
  calls();
  const readable = async (ref: PageRef): Promise<Uint8Array | 'remote' | undefined> => {
    const fetched = await scene.until(fetch.fetch(ref));
    return fetched === 'local' ? scene.local.get(ref) : fetched;
  };
  return { scene, stores, a, b, c, repair, page, freed, nodes, calls, readable };
}

describe('a repair', () => {
  test('makes a copy elsewhere for one that is lost, away or leaving, and has the old one freed', async () => {
    for (const how of ['lost', 'away', 'leaving'] as const) {
      const { scene, a, b, c, repair, page, freed, nodes, readable } = await made(3);
      const id = scene.record(page)?.id;
      if (how === 'lost') a.lose();
      else if (how === 'away') a.state = 'down';
      else a.draining = true;
      expect(await scene.until(repair.repair(page))).toBe('whole');
      expect(nodes()).toEqual(['h2', 'h3']);
      expect(scene.record(page)?.id).toBe(id);
      a.state = 'up';
      await freed();
      expect([a.pages.size, b.pages.size, c.pages.size]).toEqual([0, 1, 1]);
      expect(scene.parts.statistics.replicas_repaired).toBe(1);
      expect(scene.parts.unsettled.watch().size).toBe(0);
      expect(await readable(page)).toEqual(contentOf(1));
    }
  });

  test('does nothing for a page that is whole, home, lost, ephemeral or not there', async () => {
    const { scene, a, b, repair, page, calls } = await made(3);
    expect(await repair.repair(page)).toBe('whole');
    expect(await repair.repair(scene.put(2))).toBe('whole');
    expect(await repair.repair(scene.page(3))).toBe('whole');
    a.lose();
    b.lose();
    expect(await scene.until(repair.repair(page))).toBe('lost');
    expect(await scene.until(repair.repair(page))).toBe('whole');
    expect(scene.lost).toEqual([page]);
    expect(scene.parts.statistics).toMatchObject({ pages_lost: 1, remote_pers_pages: 0 });
    expect(calls()).toEqual([]);
  });

  test('never marks as lost what may be there still', async () => {
    const { scene, a, b, repair, page } = await made(3);
    a.lose();
    b.gets = 'fails';
    expect(await scene.until(repair.repair(page))).toBe('short');
    b.state = 'down';
    expect(await scene.until(repair.repair(page))).toBe('short');
    expect(scene.lost).toEqual([]);
    expect(scene.record(page)?.lost).toBe(false);
  });

  test('puts no copy where one of the same id is being freed', async () => {
    const { scene, a, b, c, repair, page, freed, nodes, readable } = await made(3);
    // Moved from a to c; a does not answer to the free.
    a.state = 'down';
    expect(await scene.until(repair.repair(page))).toBe('whole');
    expect(nodes()).toEqual(['h2', 'h3']);
    // Now c is lost, and a is back, with its free still to come.
    c.lose();
    c.freeBytes = 0;
    a.state = 'up';
    scene.memory.isPressed = true;
    expect(await scene.until(repair.repair(page))).toBe('short');
    expect(nodes()).toEqual(['h2', 'h3']);
    await freed();
    expect(a.pages.size).toBe(0);
    // Once it is freed, the copy may be there again, and stays.
    expect(await scene.until(repair.repair(page))).toBe('whole');
    expect(nodes()).toEqual(['h1', 'h2']);
    await freed();
    expect([a.pages.size, b.pages.size]).toEqual([1, 1]);
    expect(await readable(page)).toEqual(contentOf(1));
  });

  test('of one page twice at a time frees no copy that the record names', async () => {
    for (let seed = 0; seed < 10; seed++) {
      const { scene, stores, a, repair, page, freed } = await made(4, { seed });
      a.lose();
      a.freeBytes = 0;
      await scene.until(Promise.all([repair.repair(page), repair.repair(page)]));
      await freed();
      const record = scene.record(page);
      for (const { node } of record?.places ?? []) {
        const holder = stores.find((store) => store.node === node) as HeldStore;
        expect(holder.pages.has(record?.id as number)).toBe(true);
      }
      expect(record?.places).toHaveLength(2);
    }
  });

  test('of a page that is put anew meanwhile leaves no copy behind', async () => {
    const { scene, a, b, c, repair, page, freed } = await made(3);
    a.lose();
    c.before = (call) => {
      if (call === 'put') scene.put(1, 'persistent', 9);
    };
    expect(await scene.until(repair.repair(page))).toBe('whole');
    expect(scene.local.get(page)).toEqual(contentOf(9));
    for (const orphan of scene.local.takeOrphans(9)) expect(orphan.length).toBeGreaterThan(0);
    await freed();
    expect(c.pages.size).toBe(0);
    expect(b.pages.size).toBe(1);
  });

  test('that another change of the index got in the way of is tried again', async () => {
    const { scene, a, c, repair, page, freed, nodes } = await made(3);
    a.lose();
    a.freeBytes = 0;
    const { sendAway } = scene.local;
    scene.local.sendAway = () => 'gone';
    expect(await scene.until(repair.repair(page))).toBe('short');
    scene.local.sendAway = sendAway;
    await freed();
    expect(c.pages.size).toBe(0);
    expect(await scene.until(repair.repair(page))).toBe('whole');
    expect(nodes()).toEqual(['h2', 'h3']);
  });

  test('brings the page home when nobody takes a copy, and there is room', async () => {
    const { scene, a, b, repair, page, freed } = await made(2);
    a.lose();
    a.freeBytes = 0;
    expect(await scene.until(repair.repair(page))).toBe('whole');
    expect(scene.local.get(page)).toEqual(contentOf(1));
    await freed();
    expect(b.pages.size).toBe(0);
    expect(scene.parts.statistics.remote_pers_pages).toBe(0);
  });

  test('gets no page for which there is neither a place nor room', async () => {
    const { scene, a, c, repair, page, calls } = await made(3);
    a.state = 'down';
    c.freeBytes = 0;
    scene.memory.isPressed = true;
    for (let i = 0; i < 3; i++) expect(await scene.until(repair.repair(page))).toBe('short');
    expect(calls()).toEqual([]);
  });

  test('keeps copies that are away or leave, until there are enough others', async () => {
    const { scene, stores, repair, page, nodes } = await made(4, { settings: { replicas: 3 } });
    const [a, b] = stores as [HeldStore, HeldStore];
    a.state = 'down';
    b.draining = true;
    expect(await scene.until(repair.repair(page))).toBe('short');
    expect(nodes()).toEqual(['h2', 'h3', 'h4']);
    const again = await made(4, { settings: { replicas: 3 } });
    for (const store of again.stores.slice(0, 2)) store.state = 'down';
    expect(await again.scene.until(again.repair.repair(again.page))).toBe('short');
    expect(again.nodes()).toHaveLength(3);
    expect(again.nodes()).toContain('h3');
    expect(again.nodes()).toContain('h4');
  });

  test('makes no copy when the holder is back by then', async () => {
    const { scene, a, b, c, repair, page, nodes } = await made(3);
    a.state = 'down';
    b.before = (call) => {
      if (call === 'get') a.state = 'up';
    };
    expect(await scene.until(repair.repair(page))).toBe('whole');
    expect(nodes()).toEqual(['h1', 'h2']);
    expect(c.pages.size).toBe(0);
  });
});
