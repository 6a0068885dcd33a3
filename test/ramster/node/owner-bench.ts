// An owner with stores that keep what they are given, and what is looked for at them.

import { expect } from 'vitest';
import type { PageRef } from '../../../src/ramster/local/local-pages.ts';
import { Owner } from '../../../src/ramster/owner/owner.ts';
import type { HeldStore } from './held-store.ts';
import { heldStores, Scene, type SceneOptions } from './scene.ts';

export const TICK_MS = 50;
/** After the start nobody is repaired: nobody is known. */
export const START_MS = 6000;

export function made(count: number, options: SceneOptions = {}) {
  const stores = heldStores(count);
  // Nothing comes home by itself.
  const settings = { homeIntervalMs: 3_600_000, ...options.settings };
  const scene = new Scene({ ...options, settings, stores });
  const holders: Set<number>[] = [];
  const owner = new Owner({ ...scene.parts, holders: (nodes) => holders.push(new Set(nodes)) });
  const [a, b, c] = stores as [HeldStore, HeldStore, HeldStore];
  const send = async (index: number): Promise<PageRef> => {
    const page = scene.put(index);
    expect(await scene.until(owner.send(page))).toBe('sent');
    return page;
  };
  const orphan = (store: HeldStore, id: number): void => {
    store.pages.set(id, { pool: 1, kind: 'persistent', bytes: new Uint8Array(9) });
  };
  return { scene, stores, a, b, c, owner, holders, send, orphan, statistics: scene.parts.statistics };
}

/** Ids at a store that no record names there. */
export function unnamed(scene: Scene, store: HeldStore): number[] {
  const named = new Set<number>();
  for (const { page } of scene.local.records(undefined, 1e9).pages) {
    const record = scene.record(page);
    const isHere = record?.places.some(({ node, memory }) => node === store.node && memory === store.memory);
    if (isHere) named.add(record?.id as number);
  }
  return [...store.pages.keys()].filter((id) => !named.has(id));
}

/** Copies that a record names and that are not there. */
export function missing(scene: Scene, stores: readonly HeldStore[]): string[] {
  return scene.local.records(undefined, 1e9).pages.flatMap(({ page }) => {
    const record = scene.record(page);
    return (record?.places ?? [])
      .map(({ node, memory }) => ({ store: stores.find((each) => each.node === node) as HeldStore, memory }))
      .filter(({ store, memory }) => store.memory === memory && !store.pages.has(record?.id as number))
      .map(({ store }) => `page ${page.index} at ${store.name}`);
  });
}
