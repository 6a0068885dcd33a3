// Pages of an area that are with peers: nobody fetches for nothing, and who cannot be served is told so.
import { expect, test, vi } from 'vitest';
import { Frontswap, MemoryDevice, SwapDevice, ZcacheFrontswapBackend } from '../../src/frontswap/index.ts';
import { DIRTY } from '../../src/frontswap/slot-map.ts';
import { bench, pattern, read, SLOT, SLOTS } from './away-bench.ts';

const peersAway = expect.objectContaining({ code: 'TMEM_ERR_PEERS_AWAY' });
const pageLost = expect.objectContaining({ code: 'TMEM_ERR_PAGE_LOST' });

test('without a fetcher who meets a page that is away is told so, and others are served', async () => {
  const device = new MemoryDevice();
  const { far, swap, pool } = bench({ isFetched: false, device });
  await swap.write(0, pattern(1));
  await swap.write(SLOT, pattern(2));
  far.take(pool, [...pool.walk()].find(({ oid }) => oid.w0 % 16 === 0)!.oid, 0);
  const isRemote = expect.objectContaining({ code: 'TMEM_ERR_REMOTE' });
  expect(() => swap.readNow(0, new Uint8Array(SLOT))).toThrow(isRemote);
  await expect(swap.read(0, new Uint8Array(SLOT))).rejects.toEqual(isRemote);
  await expect(swap.write(5, pattern(3, 10))).rejects.toEqual(isRemote);
  await expect(swap.area.fetch(0)).rejects.toEqual(isRemote);
  expect(await read(swap, 1)).toEqual(pattern(2));
  await expect(swap.flush()).rejects.toEqual(isRemote);
  expect(await read(device, 1)).toEqual(pattern(2));
  expect(await swap.shrink(0)).toBe(1);
  expect(await swap.write(0, pattern(4))).toBe(true);
  expect(await read(swap, 0)).toEqual(pattern(4));
});

test('what can be done at once ends before a page that is away', async () => {
  const { far, swap, pool } = bench();
  for (let slot = 0; slot < 8; slot++) await swap.write(slot * SLOT, pattern(slot + 1));
  far.take(pool, [...pool.walk()].find(({ oid }) => oid.w0 % 16 === 3)!.oid, 0);
  expect(swap.readNow(0, new Uint8Array(8 * SLOT))).toBe(3 * SLOT);
  expect(swap.readNow(2 * SLOT + 100, new Uint8Array(2 * SLOT))).toBe(SLOT - 100);
  expect(swap.writeNow(3 * SLOT + 7, pattern(9, 10))).toBe(0);
  expect(swap.writeNow(2 * SLOT, pattern(9, 2 * SLOT))).toBe(2 * SLOT);
  expect(far.fetched).toEqual([]);
});

test('whole pages, zeroes and trims over pages that are away fetch nothing', async () => {
  for (const device of [undefined, new MemoryDevice()]) {
    const { far, swap, pool } = bench({ device });
    await swap.write(0, pattern(1, 8 * SLOT));
    expect(far.takeSome(pool)).toBe(8);
    await swap.write(0, pattern(2, 2 * SLOT));
    await swap.trim(2 * SLOT, 2 * SLOT);
    await swap.zero(4 * SLOT, 2 * SLOT, true);
    await swap.zero(6 * SLOT, 2 * SLOT, false);
    expect(far.fetched).toEqual([]);
    const want = new Uint8Array(8 * SLOT);
    want.set(pattern(2, 2 * SLOT));
    expect(await read(swap, 0, 0, 8 * SLOT)).toEqual(want);
    expect(far.fetched).toEqual([]);
  }
});

test('a page that is lost is an error until it is written, and no other page suffers', async () => {
  for (const device of [undefined, new MemoryDevice()]) {
    const { far, swap, pool } = bench({ device });
    await swap.write(0, pattern(1, 4 * SLOT));
    far.takeSome(pool);
    const lost = `${[...pool.walk()].find(({ oid }) => oid.w0 % 16 === 1)!.oid.w0}/0`;
    far.answer = (handle) => (handle === lost ? 'lost' : 'home');
    await expect(read(swap, 1)).rejects.toEqual(pageLost);
    await expect(swap.write(SLOT + 5, pattern(2, 10))).rejects.toEqual(pageLost);
    if (device !== undefined) {
      const flush = vi.spyOn(device, 'flush');
      await expect(swap.flush()).rejects.toEqual(pageLost);
      expect(flush).toHaveBeenCalledTimes(1);
      expect(await read(device, 1)).toEqual(new Uint8Array(SLOT));
      expect(swap.area.map.get(1)).toBe(DIRTY);
      for (const slot of [0, 2, 3]) expect(await read(device, slot)).toEqual(pattern(1));
    }
    for (const slot of [0, 2, 3]) expect(await read(swap, slot)).toEqual(pattern(1));
    expect(await swap.write(SLOT, pattern(3))).toBe(true);
    expect(await read(swap, 1)).toEqual(pattern(3));
    await swap.flush();
    if (device !== undefined) expect(await read(device, 1)).toEqual(pattern(3));
  }
});

test('a flush while peers are away asks for few pages, and writes all others', async () => {
  const device = new MemoryDevice();
  const { far, swap, pool } = bench({ device });
  for (let slot = 0; slot < SLOTS; slot++) await swap.write(slot * SLOT, pattern(slot + 1));
  let at = 0;
  far.takeSome(pool, () => at++ % 8 !== 0);
  const here = Array.from({ length: SLOTS }, (_, slot) => slot).filter((slot) => !swap.area.isAway(slot));
  far.answer = () => 'peers away';
  await expect(swap.flush()).rejects.toEqual(peersAway);
  expect(far.fetched.length).toBeLessThanOrEqual(16);
  for (let slot = 0; slot < SLOTS; slot++)
    expect(await read(device, slot)).toEqual(here.includes(slot) ? pattern(slot + 1) : new Uint8Array(SLOT));
  far.answer = () => 'page';
  await swap.flush();
  for (let slot = 0; slot < SLOTS; slot++) expect(await read(device, slot)).toEqual(pattern(slot + 1));
});

test('of a clean page that cannot be had the device has the content', async () => {
  const device = new MemoryDevice();
  const { far, swap, pool } = bench({ device });
  await swap.write(0, pattern(1, 2 * SLOT));
  await swap.flush();
  expect(far.takeSome(pool)).toBe(2);
  far.answer = () => 'lost';
  expect(await read(swap, 0, 100, 200)).toEqual(pattern(1, 2 * SLOT).subarray(100, 300));
  expect(await swap.write(SLOT + 512, pattern(2, 512))).toBe(true);
  const want = pattern(1);
  want.set(pattern(2, 512), 512);
  expect(await read(swap, 1)).toEqual(want);
});

test('moving pages out leaves those alone that are away; a smaller area takes them, too', async () => {
  const device = new MemoryDevice();
  const { far, swap, pool } = bench({ device });
  for (let slot = 0; slot < 20; slot++) await swap.write(slot * SLOT, pattern(slot + 1));
  await swap.flush();
  for (let slot = 10; slot < 20; slot++) await swap.write(slot * SLOT, pattern(slot + 101));
  let at = 0;
  expect(far.takeSome(pool, () => at++ % 2 === 0)).toBe(10);
  expect(await swap.shrink(0)).toBe(10);
  expect(far.fetched).toEqual([]);
  expect(pool.stats().content).toMatchObject({ remote_pages: 10 });
  await swap.cut(5 * SLOT, SLOTS * SLOT);
  expect(swap.area.map.nextAccepted(5)).toBe(-1);
  for (let slot = 5; slot < 20; slot++)
    expect(await read(device, slot)).toEqual(pattern(slot + (slot < 10 ? 1 : 101)));
});

test('a page that never stays is given up', async () => {
  const { far, swap, pool } = bench();
  await swap.write(0, pattern(1));
  far.takeSome(pool);
  const { fetch } = far;
  far.fetch = async (...handle) => {
    const answer = await fetch.apply(far, handle);
    far.takeSome(pool);
    return answer;
  };
  const busy = expect.objectContaining({ code: 'TMEM_ERR_BUSY' });
  await expect(read(swap, 0)).rejects.toEqual(busy);
  await expect(swap.write(1, pattern(2, 5))).rejects.toEqual(busy);
  expect(far.fetched.length).toBeLessThan(30);
  far.fetch = fetch;
  expect(await read(swap, 0)).toEqual(pattern(1));
});

test('a read asks for several pages at one time, and leaves its buffer alone once it failed', async () => {
  const { far, swap, pool } = bench();
  await swap.write(0, pattern(1, SLOTS * SLOT));
  far.takeSome(pool);
  let under = 0;
  let most = 0;
  far.wait = async () => {
    most = Math.max(most, ++under);
    await new Promise((resolve) => setImmediate(resolve));
    under--;
  };
  let left = 3;
  far.answer = () => (--left === 0 ? 'peers away' : 'page');
  const out = new Uint8Array(SLOTS * SLOT);
  await expect(swap.read(0, out)).rejects.toEqual(peersAway);
  expect(under).toBe(0);
  expect(most).toBeGreaterThan(1);
  expect(far.fetched.length).toBeLessThan(SLOTS);
  expect(await read(swap, 0, 0, SLOTS * SLOT)).toEqual(pattern(1, SLOTS * SLOT));
  expect(most).toBeLessThanOrEqual(16);
});

test('an exclusive load of a page that is away frees it, and one that fails leaves it', async () => {
  const { far, swap, pool } = bench({ exclusiveLoads: true });
  for (const answer of ['home', 'page'] as const) {
    await swap.write(0, pattern(1));
    far.takeSome(pool);
    far.answer = () => 'peers away';
    await expect(read(swap, 0)).rejects.toEqual(peersAway);
    expect(swap.area.holdsPage(0)).toBe(true);
    far.answer = () => answer;
    expect(await read(swap, 0)).toEqual(pattern(1));
    expect(swap.area.holdsPage(0)).toBe(false);
    expect(pool.pages).toBe(0);
  }
});

test('an area whose metadata is away is found again once that was fetched', async () => {
  const { far, swap, store } = bench({ swizzleBits: 7 });
  await swap.write(0, pattern(1));
  const metadata = store.client('swap').pool('areas', { kind: 'persistent' });
  // As large as a page that is worth sending: the rest of it is for later.
  const [{ oid, index }] = [...metadata.walk()] as [{ oid: never; index: number }];
  const page = new Uint8Array(SLOT);
  const length = metadata.get(oid, index, page);
  page.set(pattern(3, 1000), length);
  metadata.put(oid, index, page.subarray(0, 1000));
  for (const answer of ['home', 'page'] as const) {
    expect(far.takeSome(metadata)).toBe(1);
    far.answer = () => answer;
    const backend = new ZcacheFrontswapBackend(store, store.client('swap'), far);
    await backend.fetchMetadata();
    const shim = new Frontswap();
    shim.register(backend);
    expect(await read(new SwapDevice(shim.init(1, { slots: SLOTS })), 0)).toEqual(pattern(1));
    metadata.put(oid, index, page.subarray(0, 1000));
  }
});

test('a writer without room waits for a while where pages may leave, and nowhere else', async () => {
  const { swap, store } = bench();
  store.freeze();
  const writing = swap.write(0, pattern(1));
  store.thaw();
  expect(await writing).toBe(true);
  expect(await read(swap, 0)).toEqual(pattern(1));
  store.freeze();
  // In vain, and with an end.
  expect(await swap.write(SLOT, pattern(2))).toBe(false);

  const alone = bench({ isFetched: false });
  alone.store.freeze();
  const refused = alone.swap.write(0, pattern(1));
  alone.store.thaw();
  expect(await refused).toBe(false);
});
