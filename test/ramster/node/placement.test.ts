// Placement and copies: where pages go, and that asking ends.
import { describe, expect, test } from 'vitest';
import { streamsOf } from '../../../sim/random.ts';
import { makeCopies } from '../../../src/ramster/owner/copies.ts';
import { draw } from '../../../src/ramster/owner/placement.ts';
import { heldStores, Scene } from './scene.ts';

const PAGE = { pool: 1, kind: 'persistent' as const, id: 9, bytes: new Uint8Array(100) };

describe('placement', () => {
  test('spreads load far better than chance: of two stores the roomier one is taken', () => {
    const fullest = (isTwo: boolean): number => {
      const random = streamsOf(7)('placement');
      const stores = heldStores(50);
      for (const store of stores) store.freeBytes = 10_000;
      for (let i = 0; i < 50 * 40; i++) {
        const candidates = [...stores];
        const store = isTwo ? draw(candidates, random) : candidates[Math.floor(random() * 50)];
        (store as (typeof stores)[0]).freeBytes--;
      }
      return 10_000 - Math.min(...stores.map(({ freeBytes }) => freeBytes));
    };
    // 40 pages each would be ideal.
    expect(fullest(true)).toBeLessThanOrEqual(44);
    expect(fullest(false)).toBeGreaterThan(48);
  });

  test('takes each store out once, and ends when there are none', () => {
    const random = streamsOf(3)('placement');
    const candidates = heldStores(5);
    const drawn = Array.from({ length: 6 }, () => draw(candidates, random)?.name);
    expect(new Set(drawn)).toEqual(new Set(['h1', 'h2', 'h3', 'h4', 'h5', undefined]));
  });

  test('sends to nobody who is late, down, leaving, full, or was never reached', () => {
    const stores = heldStores(6);
    const [a, b, c, d, e] = stores as [(typeof stores)[0], ...typeof stores];
    a.state = 'suspect';
    (b as typeof a).state = 'down';
    (c as typeof a).draining = true;
    (d as typeof a).freeBytes = 0;
    (e as typeof a).memory = undefined;
    expect(new Scene({ stores }).parts.stores.candidates().map(({ name }) => name)).toEqual(['h6']);
  });
});

describe('copies', () => {
  test('go to different stores, and to none of the nodes that are taken', async () => {
    const stores = heldStores(4);
    const { parts } = new Scene({ stores });
    const taken = [(stores[1] as (typeof stores)[0]).node];
    const { places, uncertain } = await makeCopies(parts.stores, parts.random, PAGE, 3, taken);
    expect(new Set(places.map(({ node }) => node)).size).toBe(3);
    expect(places.map(({ node }) => node)).not.toContain(taken[0]);
    expect(uncertain).toEqual([]);
  });

  test('replace a store that is full or silent by another one', async () => {
    const stores = heldStores(5);
    const [full, silent] = stores as [(typeof stores)[0], (typeof stores)[0]];
    full.puts = 'full';
    silent.puts = 'lost';
    // The roomiest ones are asked first.
    for (const store of stores.slice(2)) store.freeBytes = 1;
    for (let i = 0; i < 20; i++) {
      const { parts } = new Scene({ stores, seed: i });
      const { places, uncertain } = await makeCopies(parts.stores, parts.random, PAGE, 2, []);
      expect(places).toHaveLength(2);
      expect(uncertain.every(({ node }) => node === silent.node)).toBe(true);
    }
  });

  test('are tried at three further stores at most, for all copies together', async () => {
    for (const count of [1, 2, 3]) {
      const stores = heldStores(40);
      for (const store of stores) store.puts = 'lost';
      const { parts } = new Scene({ stores });
      const { places, uncertain } = await makeCopies(parts.stores, parts.random, PAGE, count, []);
      expect(places).toEqual([]);
      expect(uncertain).toHaveLength(count + 3);
    }
  });

  test('at a store that has another memory by then are not relied on', async () => {
    const stores = heldStores(1);
    const [store] = stores as [(typeof stores)[0]];
    store.before = () => store.lose();
    const { parts } = new Scene({ stores });
    const { places } = await makeCopies(parts.stores, parts.random, PAGE, 1, []);
    expect(places).toEqual([]);
  });
});
