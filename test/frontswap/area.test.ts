// The shim: areas on a store that may refuse any page.
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type AreaOptions,
  Frontswap,
  MapFrontswapBackend,
  ZcacheFrontswapBackend,
} from '../../src/frontswap/index.ts';
import { CLEAN, DIRTY } from '../../src/frontswap/slot-map.ts';
import { open } from '../../src/zcache/index.ts';

const out = new Uint8Array(4096);

function page(fill: number): Uint8Array {
  return Uint8Array.from({ length: 4096 }, (_, i) => (i % 16 === 0 ? fill : i));
}

function bench(refuse?: () => boolean, options: Partial<AreaOptions> = {}) {
  const shim = new Frontswap();
  const backend = new MapFrontswapBackend(refuse);
  shim.register(backend);
  return { shim, backend, area: shim.init(1, { slots: 1000, ...options }) };
}

const stored = (backend: MapFrontswapBackend) => [...backend.init(1).walk()].length;

test('loads give what was accepted last or nothing, whatever the store refuses', () => {
  const operation = fc.record({
    what: fc.constantFrom('store', 'store', 'load', 'invalidatePage', 'invalidateArea', 'rebuild'),
    slot: fc.constantFrom(0, 1, 15, 16, 17, 999),
    fill: fc.integer({ min: 1, max: 255 }),
  });
  const refusals = fc.infiniteStream(fc.boolean());
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 80 }), refusals, (operations, refused) => {
      const { backend, ...first } = bench(() => refused.next().value);
      let { shim, area } = first;
      const model = new Map<number, number>();
      for (const { what, slot, fill } of operations) {
        if (what === 'store') {
          if (area.store(slot, page(fill))) model.set(slot, fill);
          else model.delete(slot);
        } else if (what === 'load') {
          expect(area.load(slot, out)).toBe(model.has(slot) ? 4096 : 0);
          if (model.has(slot)) expect(out).toEqual(page(model.get(slot)!));
        } else if (what === 'invalidatePage') {
          area.invalidatePage(slot);
          model.delete(slot);
        } else if (what === 'rebuild') {
          shim = new Frontswap();
          shim.register(backend);
          area = shim.init(1, { slots: 1000 });
        } else {
          area.invalidateArea();
          model.clear();
          expect(area.store(slot, page(fill))).toBe(false);
          expect(area.load(slot, out)).toBe(0);
          area = shim.init(1, { slots: 1000 });
        }
        expect(area.stats().curr_pages).toBe(model.size);
        expect(stored(backend)).toBe(model.size);
      }
    }),
  );
});

test('an area that became smaller than its pages is an error, and nothing of it is lost', () => {
  const { area, backend } = bench();
  area.store(999, page(9));
  const smaller = new Frontswap();
  smaller.register(backend);
  expect(() => smaller.init(1, { slots: 999 })).toThrow(
    expect.objectContaining({
      code: 'TMEM_ERR_NAME_MISMATCH',
      message: expect.stringContaining('page of it for slot 999'),
    }),
  );
  const again = new Frontswap();
  again.register(backend);
  expect(again.init(1, { slots: 1000 }).load(999, out)).toBe(4096);
});

test('slots outside the area are refused and missed', () => {
  const { area, backend } = bench();
  for (const slot of [1000, 2 ** 36, -1, 0.5, Number.NaN]) {
    expect(area.store(slot, page(1))).toBe(false);
    expect(area.load(slot, out)).toBe(0);
    area.invalidatePage(slot);
  }
  expect(stored(backend)).toBe(0);
});

test('an area as large as can be takes its last slot', () => {
  const { area } = bench(undefined, { slots: 2 ** 32, swizzleBits: 0 });
  expect(area.store(2 ** 32 - 1, page(1))).toBe(true);
  expect(area.load(2 ** 32 - 1, out)).toBe(4096);
  expect(area.store(2 ** 32, page(1))).toBe(false);
});

test('a page that is not 4096 bytes long is an error', () => {
  const { area } = bench();
  expect(() => area.store(0, new Uint8Array(100))).toThrow(
    expect.objectContaining({ code: 'TMEM_ERR_PAGE_LENGTH' }),
  );
});

test('switched off, stores are flushes and what is there stays loadable', () => {
  const { shim, area } = bench();
  area.store(1, page(1));
  area.store(2, page(2));
  shim.enabled = false;
  expect(area.store(1, page(3))).toBe(false);
  expect(area.load(1, out)).toBe(0);
  expect(area.load(2, out)).toBe(4096);
  shim.enabled = true;
  expect(area.store(1, page(3))).toBe(true);
});

test('an exclusive load gives the only copy', () => {
  const { area, backend } = bench(undefined, { exclusiveLoads: true });
  area.store(1, page(1));
  expect(area.load(1, out)).toBe(4096);
  expect(out).toEqual(page(1));
  expect(area.load(1, out)).toBe(0);
  expect(stored(backend)).toBe(0);
});

test('a page stored while another thread drops the older one is not lost', () => {
  const backend = new MapFrontswapBackend();
  const pool = backend.init(1);
  // What the other thread does comes right after the page is in the store, before its bits are set.
  let meanwhile = () => {};
  const store = pool.store.bind(pool);
  pool.store = (oid, index, bytes) => {
    const accepted = store(oid, index, bytes);
    const once = meanwhile;
    meanwhile = () => {};
    once();
    return accepted;
  };
  const shim = new Frontswap();
  shim.register(backend);
  const area = shim.init(1, { slots: 10 });
  area.store(3, page(1));
  expect(area.map.change(3, DIRTY, CLEAN)).toBe(true);
  meanwhile = () => expect(area.dropClean(3)).toBe(true);
  expect(area.store(3, page(2))).toBe(true);
  expect(area.load(3, out)).toBe(4096);
  expect(out).toEqual(page(2));
  // The same with the area invalidated in between: the store is refused, and nothing remains.
  meanwhile = () => area.invalidateArea();
  expect(area.store(3, page(3))).toBe(false);
  expect(stored(backend)).toBe(0);
});

test('the counters count what happened', () => {
  let refuse = false;
  const { area } = bench(() => refuse);
  area.store(1, page(1));
  area.store(2, page(2));
  refuse = true;
  area.store(1, page(3));
  area.load(1, out);
  area.load(2, out);
  area.invalidatePage(7);
  expect(area.stats()).toEqual({ loads: 1, succ_stores: 2, failed_stores: 1, invalidates: 1, curr_pages: 1 });
});

test('an area made before a backend is registered gets it, and refuses until then', () => {
  const shim = new Frontswap();
  const area = shim.init(1, { slots: 10 });
  expect(area.store(1, page(1))).toBe(false);
  expect(area.load(1, out)).toBe(0);
  shim.register(new MapFrontswapBackend());
  expect(area.store(1, page(1))).toBe(true);
});

test('replacing a backend returns the old one, warns, and leaves areas where their pages are', async () => {
  const { shim, backend, area } = bench();
  area.store(1, page(1));
  const warned = new Promise<Error & { code?: string }>((resolve) => process.once('warning', resolve));
  expect(shim.register(new MapFrontswapBackend())).toBe(backend);
  expect((await warned).code).toBe('TMEM_WARN_BACKEND_REPLACED');
  expect(area.load(1, out)).toBe(4096);
});

test('an area is found again in the store with all its pages, and with its own swizzle bits', () => {
  const { backend, area } = bench(undefined, { swizzleBits: 6 });
  for (const slot of [0, 63, 64, 999]) area.store(slot, page(slot & 0xff));
  const restarted = new Frontswap({ swizzleBits: 2 });
  restarted.register(backend);
  const again = restarted.init(1, { slots: 1000 });
  expect(again.stats().curr_pages).toBe(4);
  for (const slot of [0, 63, 64, 999]) {
    expect(again.load(slot, out)).toBe(4096);
    expect(out).toEqual(page(slot & 0xff));
  }
  expect(again.share().swizzleBits).toBe(6);
});

test('an area with pages cannot be opened with other swizzle bits or in another mode', () => {
  const { backend, area } = bench(undefined, { swizzleBits: 6 });
  area.store(5, page(1));
  const restarted = new Frontswap();
  restarted.register(backend);
  const mismatch = expect.objectContaining({ code: 'TMEM_ERR_NAME_MISMATCH' });
  expect(() => restarted.init(1, { slots: 1000, swizzleBits: 5 })).toThrow(mismatch);
  expect(() => restarted.init(1, { slots: 1000, writethrough: true })).toThrow(mismatch);
  area.invalidateArea();
  expect(restarted.init(1, { slots: 1000, swizzleBits: 5 }).store(5, page(2))).toBe(true);
});

test('wrong options are errors that name them', () => {
  const { shim } = bench();
  for (const [type, options] of [
    [2, { slots: 0 }],
    [2, { slots: 2 ** 32 + 1 }],
    [2, { slots: 10, swizzleBits: 17 }],
    [2 ** 28, { slots: 10 }],
    [1, { slots: 10 }],
  ] as const) {
    expect(() => shim.init(type, options)).toThrow(expect.objectContaining({ code: 'TMEM_ERR_SETTING' }));
  }
});

test('a store that cannot keep the metadata of an area cannot have the area', () => {
  const store = open({ memory: '16 MiB', debug: true });
  try {
    const shim = new Frontswap();
    shim.register(new ZcacheFrontswapBackend(store));
    store.freeze();
    expect(() => shim.init(1, { slots: 10 })).toThrow(
      expect.objectContaining({ code: 'TMEM_ERR_NO_MEMORY' }),
    );
    store.thaw();
    expect(shim.init(1, { slots: 10 }).store(1, page(1))).toBe(true);
  } finally {
    store.close();
  }
});

test('threads share an area: each finds the other’s pages, and no page is hidden or lost', async () => {
  const store = open({ memory: '16 MiB', threads: 4, debug: true });
  try {
    const backend = new ZcacheFrontswapBackend(store);
    const shim = new Frontswap();
    shim.register(backend);
    const area = shim.init(1, { slots: 64 });
    const run = (seed: number) =>
      new Promise<{ wrong: number }>((resolve, reject) => {
        const worker = new Worker(new URL('./area-thread.ts', import.meta.url), {
          workerData: { store: store.share(), area: area.share(), seed, rounds: 3000 },
        });
        worker.once('message', resolve);
        worker.once('error', reject);
      });
    const reports = await Promise.all([run(1), run(2)]);
    expect(reports.map(({ wrong }) => wrong)).toEqual([0, 0]);
    const places = [...backend.init(1).walk()].length;
    const accepted = area.stats().curr_pages;
    expect(accepted).toBeGreaterThan(0);
    // Every page in the store has its bits; bits without a page are allowed.
    expect(accepted).toBeGreaterThanOrEqual(places);
    let loaded = 0;
    for (let slot = 0; slot < 64; slot++) if (area.load(slot, out) > 0) loaded++;
    expect(loaded).toBe(places);
  } finally {
    store.close();
  }
});
