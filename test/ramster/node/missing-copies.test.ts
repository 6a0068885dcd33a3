// Copies that a record names and a holder has not.
import { describe, expect, test } from 'vitest';
import type { PageRef } from '../../../src/ramster/local/local-pages.ts';
import { made, missing, START_MS, unnamed } from './owner-bench.ts';

describe('a copy that its holder does not list', () => {
  test('is made anew, there or elsewhere, and the page has all its copies again', async () => {
    const { scene, stores, a, owner, send, statistics } = made(3);
    owner.start();
    const pages: PageRef[] = [];
    for (let i = 0; i < 12; i++) pages.push(await send(i));
    await scene.run(2 * START_MS);
    const dropped = [...a.pages.keys()];
    expect(dropped.length).toBeGreaterThan(0);
    for (const id of dropped) a.pages.delete(id);
    owner.surveyWithin(0, true);
    await scene.run(2 * START_MS);
    expect(missing(scene, stores)).toEqual([]);
    expect(statistics.replicas_repaired).toBe(dropped.length);
    for (const page of pages) expect(scene.record(page)?.places.length).toBe(2);
    owner.surveyWithin(0, true);
    await scene.run(START_MS);
    expect(stores.flatMap((store) => unnamed(scene, store))).toEqual([]);
    owner.stop();
  });

  test('is no reason to give a page up while another holder is away', async () => {
    const { scene, a, b, owner, send, statistics } = made(2);
    owner.start();
    const page = await send(0);
    await scene.run(2 * START_MS);
    a.pages.clear();
    b.state = 'down';
    owner.surveyWithin(0, true);
    await scene.run(START_MS);
    expect(statistics.pages_lost).toBe(0);
    b.state = 'up';
    owner.surveyWithin(0, true);
    await scene.run(2 * START_MS);
    expect(statistics.replicas_short).toBe(0);
    expect(scene.record(page)?.lost).toBe(false);
    expect(a.pages.size).toBe(1);
    owner.stop();
  });
});
