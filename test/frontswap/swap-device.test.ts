// An area with its device: whatever is refused, moved or flushed, a slot reads as what was written there last.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  type AreaOptions,
  type BackingDevice,
  FileDevice,
  Frontswap,
  MapFrontswapBackend,
  MemoryDevice,
  SwapDevice,
} from '../../src/frontswap/index.ts';

const SLOTS = 40;

function page(fill: number): Uint8Array {
  return new Uint8Array(4096).fill(fill);
}

function bench(device: BackingDevice, refuse?: () => boolean, options: Partial<AreaOptions> = {}) {
  const shim = new Frontswap();
  shim.register(new MapFrontswapBackend(refuse));
  const area = shim.init(1, { slots: SLOTS, ...options });
  return { area, swap: new SwapDevice(area, device) };
}

async function read(swap: SwapDevice | BackingDevice, slot: number): Promise<number> {
  const out = new Uint8Array(4096).fill(0xaa);
  await swap.read(slot * 4096, out);
  expect(out.every((byte) => byte === out[0])).toBe(true);
  return out[0]!;
}

/** A device whose operations end in an order that a seed decides. */
class SlowDevice extends MemoryDevice {
  readonly #delays: Iterator<number>;

  constructor(delays: Iterator<number>) {
    super();
    this.#delays = delays;
  }

  async #wait(): Promise<void> {
    for (let turns = this.#delays.next().value; turns > 0; turns--) await Promise.resolve();
  }

  override async read(position: number, out: Uint8Array): Promise<void> {
    await this.#wait();
    await super.read(position, out);
    await this.#wait();
  }

  override async write(position: number, bytes: Uint8Array): Promise<void> {
    await this.#wait();
    await super.write(position, bytes);
    await this.#wait();
  }

  override async zero(position: number, length: number): Promise<void> {
    await this.#wait();
    await super.zero(position, length);
  }
}

const operations = fc.array(
  fc.record({
    what: fc.constantFrom('write', 'write', 'write', 'read', 'read', 'trim', 'flush', 'shrink'),
    slot: fc.nat(5),
    fill: fc.integer({ min: 1, max: 255 }),
    wait: fc.boolean(),
  }),
  { maxLength: 60 },
);

test.each([false, true])(
  'slots read as written last, in any order of things (writethrough %s)',
  async (writethrough) => {
    const streams = [fc.infiniteStream(fc.boolean()), fc.infiniteStream(fc.nat(6))] as const;
    await fc.assert(
      fc.asyncProperty(operations, ...streams, async (todo, refused, delays) => {
        const device = new SlowDevice(delays);
        const { area, swap } = bench(device, () => refused.next().value, { writethrough });
        const model: number[] = new Array(SLOTS).fill(0);
        const running: Promise<unknown>[] = [];
        for (const { what, slot, fill, wait } of todo) {
          let step: Promise<unknown>;
          const alone = running.length === 0;
          if (what === 'write') {
            // Allowed while a read runs: the read may give the older or the newer page.
            model[slot] = fill;
            step = swap.write(slot * 4096, page(fill));
          } else if (what === 'trim') {
            model[slot] = 0;
            step = swap.trim(slot * 4096, 4096);
          } else if (what === 'read') {
            step = read(swap, slot);
          } else {
            step = what === 'flush' ? swap.flush() : swap.shrink(fill % 4);
          }
          running.push(step);
          if (!wait) continue;
          await Promise.all(running.splice(0));
          if (what === 'read' && alone) expect(await step).toBe(model[slot]);
        }
        await Promise.all(running);
        for (let slot = 0; slot < 6; slot++) expect(await read(swap, slot)).toBe(model[slot]);
        await swap.flush();
        for (let slot = 0; slot < 6; slot++) expect(await read(device, slot)).toBe(model[slot]);
        expect(await swap.shrink(0)).toBe(0);
        expect(area.stats().curr_pages).toBe(0);
        for (let slot = 0; slot < 6; slot++) expect(await read(swap, slot)).toBe(model[slot]);
      }),
    );
  },
);

test('a page that is accepted is not written until it has to be', async () => {
  const device = new MemoryDevice();
  const { swap } = bench(device);
  await swap.write(4096, page(7));
  expect(device.size).toBe(0);
  await swap.flush();
  expect(device.size).toBe(1);
});

test('with writethrough the device has every page, and shrink writes nothing', async () => {
  const device = new MemoryDevice();
  const { swap } = bench(device, undefined, { writethrough: true });
  for (let slot = 0; slot < SLOTS; slot++) await swap.write(slot * 4096, page(slot + 1));
  expect(device.size).toBe(SLOTS);
  device.write = () => Promise.reject(new Error('written again'));
  expect(await swap.shrink(5)).toBe(5);
});

test('with writethrough, what only the store had is not dropped by the next one that opens the area', async () => {
  const backend = new MapFrontswapBackend();
  const device = new MemoryDevice();
  const opened = (): SwapDevice => {
    const shim = new Frontswap();
    shim.register(backend);
    return new SwapDevice(shim.init(1, { slots: SLOTS, writethrough: true }), device);
  };
  const first = opened();
  await first.write(0, page(1));
  expect(await first.zero(0, 4096, false)).toBe(true); // in the store; on the device with the next flush
  const second = opened();
  expect(await second.shrink(0)).toBe(0);
  expect(await read(second, 0)).toBe(0);
});

test('shrink leaves as many pages as it was told, and takes those first that were not used lately', async () => {
  const device = new MemoryDevice();
  const { area, swap } = bench(device, undefined, { slots: 1000 });
  for (let slot = 0; slot < 1000; slot++) await swap.write(slot * 4096, page(1 + (slot % 255)));
  expect(await swap.shrink(990)).toBe(990); // all were in use when the hand came by
  await read(swap, 500);
  expect(await swap.shrink(200)).toBe(200);
  expect(area.holdsPage(500)).toBe(true);
  expect(await swap.shrink(0)).toBe(0);
  for (let slot = 0; slot < 1000; slot++) expect(await read(swap, slot)).toBe(1 + (slot % 255));
});

test('a page that is written again while it moves out stays', async () => {
  const device = new MemoryDevice();
  const { swap } = bench(device);
  await swap.write(4096, page(7));
  const write = device.write;
  let again: Promise<boolean> | undefined;
  device.write = async (position, bytes) => {
    if (bytes[0] === 7) again = swap.write(4096, page(8));
    await write.call(device, position, bytes);
  };
  await swap.shrink(0);
  expect(await again).toBe(true);
  expect(await read(swap, 1)).toBe(8);
  expect(swap.area.holdsPage(1)).toBe(true);
  expect(await swap.shrink(0)).toBe(0);
  expect(await read(swap, 1)).toBe(8);
});

test('a page whose write failed stays in the store, dirty', async () => {
  const device = new MemoryDevice();
  const { swap } = bench(device);
  await swap.write(4096, page(7));
  const write = device.write;
  device.write = () => Promise.reject(new Error('no space'));
  await expect(swap.flush()).rejects.toThrow('no space');
  await expect(swap.shrink(0)).rejects.toThrow('no space');
  expect(await read(swap, 1)).toBe(7);
  device.write = write;
  await swap.flush();
  expect(await read(device, 1)).toBe(7);
});

test('while a refused page is on its way to the device, the one before it is read, never one before that', async () => {
  const device = new MemoryDevice();
  let refuse = false;
  const { swap } = bench(device, () => refuse);
  await swap.write(4096, page(1));
  await swap.flush();
  await swap.write(4096, page(2));
  refuse = true;
  const write = device.write;
  let go = () => {};
  const waits = new Promise<void>((resolve) => {
    go = resolve;
  });
  device.write = async (position, bytes) => {
    if (bytes[0] === 3) await waits;
    await write.call(device, position, bytes);
  };
  const written = swap.write(4096, page(3));
  for (let i = 0; i < 5; i++) expect(await read(swap, 1)).toBe(2);
  go();
  await written;
  expect(await read(swap, 1)).toBe(3);
});

test('a refused page whose write fails leaves the one before it', async () => {
  const device = new MemoryDevice();
  let refuse = false;
  const { swap } = bench(device, () => refuse);
  await swap.write(4096, page(1));
  await swap.flush();
  await swap.write(4096, page(2));
  await swap.flush();
  refuse = true;
  const write = device.write;
  device.write = async (position, bytes) => {
    await write.call(device, position, bytes.subarray(0, 100)); // torn
    throw new Error('no space');
  };
  await expect(swap.write(4096, page(3))).rejects.toThrow('no space');
  expect(await read(swap, 1)).toBe(2);
  device.write = write;
  await swap.shrink(0);
  expect(await read(swap, 1)).toBe(2);
});

test('a sync that failed once is a failure for all that come after', async () => {
  const device = new MemoryDevice();
  const { swap } = bench(device);
  device.flush = () => Promise.reject(new Error('lost'));
  await expect(swap.sync()).rejects.toThrow('lost');
  device.flush = () => Promise.resolve();
  await expect(swap.flush()).rejects.toThrow('lost');
});

test('after a sync that failed no page leaves the store, in no thread', async () => {
  const device = new MemoryDevice();
  const { area, swap } = bench(device);
  const other = new SwapDevice(area, device, { shared: swap.share() });
  await swap.write(4096, page(1));
  await swap.flush();
  await swap.write(4096, page(2));
  const kept = device.flush;
  device.flush = () => Promise.reject(new Error('lost'));
  await expect(swap.flush()).rejects.toThrow('lost');
  device.flush = kept;
  for (const each of [swap, other]) {
    await expect(each.shrink(0)).rejects.toMatchObject({ code: 'TMEM_ERR_BACKING_FILE' });
    await expect(each.sync()).rejects.toMatchObject({ code: 'TMEM_ERR_BACKING_FILE' });
    expect(area.holdsPage(1)).toBe(true);
    expect(await read(each, 1)).toBe(2);
  }
});

test.each<[string, Partial<AreaOptions>, boolean | undefined]>([
  ['of an area that writes through', { writethrough: true }, undefined],
  ['that are asked to', {}, true],
])('zeroes %s are on the device when they are done, parts of pages, too', async (_, options, through) => {
  for (const hole of [false, true]) {
    const device = new MemoryDevice();
    const { swap } = bench(device, undefined, options);
    await swap.write(0, new Uint8Array(3 * 4096).fill(7));
    await swap.flush();
    await swap.write(4096, page(8), through);
    expect(await swap.zero(100, 2 * 4096, hole, through)).toBe(true);
    const want = new Uint8Array(3 * 4096).fill(7).fill(0, 100, 100 + 2 * 4096);
    const out = new Uint8Array(3 * 4096);
    await device.read(0, out);
    expect(out).toEqual(want);
    await swap.read(0, out);
    expect(out).toEqual(want);
  }
});

test('a page that was read from the device while it changed there is not kept', async () => {
  const device = new MemoryDevice();
  const clean = new Map<number, Uint8Array>();
  const shim = new Frontswap();
  shim.register(new MapFrontswapBackend(() => true));
  const area = shim.init(1, { slots: SLOTS });
  const swap = new SwapDevice(area, device, {
    clean: {
      get: (slot, out) => {
        const kept = clean.get(slot);
        if (kept !== undefined) out.set(kept);
        return kept !== undefined;
      },
      put: (slot, kept) => void clean.set(slot, Uint8Array.from(kept)),
      drop: (slot) => void clean.delete(slot),
      empty: () => clean.clear(),
    },
  });
  await swap.write(4096, page(1));
  // The read begins when the write has begun, is served before it, and ends after it.
  const { write } = device;
  let reading: Promise<number> | undefined;
  let end = () => {};
  device.write = async (position, bytes) => {
    const { read: readOld } = device;
    device.read = async (from, out) => {
      await readOld.call(device, from, out);
      await new Promise<void>((resolve) => {
        end = resolve;
      });
    };
    reading = read(swap, 1);
    await Promise.resolve();
    device.read = readOld;
    await write.call(device, position, bytes);
  };
  await swap.write(4096, page(2));
  device.write = write;
  end();
  expect(await reading).toBe(1); // allowed: the write was under way
  expect(await read(swap, 1)).toBe(2);
});

test('moving pages out lets others have a turn now and then', async () => {
  const slots = 64 * 256;
  const { swap, area } = bench(new MemoryDevice(), undefined, { slots });
  for (let slot = 0; slot < slots; slot += 64) await swap.write(slot * 4096, page(1));
  await swap.flush();
  let turns = 0;
  let goesOn = true;
  const turn = () => {
    turns++;
    if (goesOn) setImmediate(turn);
  };
  setImmediate(turn);
  await swap.shrink(0);
  goesOn = false;
  expect(area.map.pages).toBe(0);
  // Twice around 256 regions.
  expect(turns).toBeGreaterThan(3);
});

test('a refused page whose write fails is an error for its writer', async () => {
  const device = new MemoryDevice();
  const { swap } = bench(device, () => true);
  device.write = () => Promise.reject(new Error('no space'));
  await expect(swap.write(4096, page(7))).rejects.toThrow('no space');
});

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'tmem-swap-'));
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

test('a file as the device: written, trimmed and holes, also after a restart', async () => {
  const path = join(folder, 'swap');
  const device = await FileDevice.open(path, 1000 * 4096);
  await device.write(3 * 4096, page(3));
  await device.write(999 * 4096, page(9));
  await device.zero(3 * 4096, 4096);
  expect([await read(device, 3), await read(device, 999), await read(device, 500)]).toEqual([0, 9, 0]);
  await device.flush();
  await device.close();
  expect(fs.statSync(path).size).toBe(1000 * 4096);
  expect(fs.statSync(path).blocks * 512).toBeLessThan(100 * 4096);
  expect(fs.statSync(path).mode & 0o777).toBe(0o600);
  const again = await FileDevice.open(path, 1000 * 4096);
  expect([await read(again, 3), await read(again, 999), await read(again, 500)]).toEqual([0, 9, 0]);
  await expect(again.write(1000 * 4096, page(1))).rejects.toMatchObject({ code: 'TMEM_ERR_INDEX' });
  await again.close();
});

test('a swap area on a file keeps what was flushed', async () => {
  const path = join(folder, 'swap');
  const { swap } = bench(await FileDevice.open(path, SLOTS * 4096), () => false);
  for (let slot = 0; slot < SLOTS; slot++) await swap.write(slot * 4096, page(slot + 1));
  await swap.trim(5 * 4096, 4096);
  await swap.close();
  const device = await FileDevice.open(path, SLOTS * 4096);
  const { swap: again } = bench(device);
  for (let slot = 0; slot < SLOTS; slot++) expect(await read(again, slot)).toBe(slot === 5 ? 0 : slot + 1);
  await again.close();
});

test('opening a device that cannot be opened passes on the error', async () => {
  await expect(FileDevice.open(folder, 10)).rejects.toMatchObject({ code: 'EISDIR' });
});
