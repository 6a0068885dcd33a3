// A power cut loses what the disk was not told to keep: after any of them, what FLUSH and FUA promised is there. A
// killed process cannot show this, because the kernel keeps what it wrote.
import fs from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import {
  type BackingDevice,
  Frontswap,
  MemoryDevice,
  SwapDevice,
  ZcacheFrontswapBackend,
} from '../../src/frontswap/index.ts';
import { AreaVolume } from '../../src/nbd/area-volume.ts';
import { NbdServer } from '../../src/nbd/index.ts';
import { CMD, CMD_FLAG } from '../../src/nbd/protocol.ts';
import { ThreadCounters } from '../../src/nbd/volume-counters.ts';
import { newBench, newFile, newFolder, newStore } from './bench.ts';
import { Client } from './client.ts';
import { BLOCK, randomFrom } from './rounds.ts';
import { type Tally, Target } from './torture/target.ts';

const BYTES = 2 ** 20;
const CUTS = 150;

interface Sector {
  readonly position: number;
  readonly bytes: Uint8Array;
  /** The call that wrote it has ended. */
  ended: boolean;
}

/** A disk with a cache: it keeps what was written before a flush began; of the rest, any sectors, in any order. */
class CachingDisk extends MemoryDevice {
  readonly #kept = Buffer.alloc(BYTES);
  readonly #random: (below: number) => number;
  #cached: Sector[] = [];

  constructor(random: (below: number) => number) {
    super(BYTES);
    this.#random = random;
  }

  override async write(position: number, bytes: Uint8Array): Promise<void> {
    await this.#change(position, Buffer.from(bytes), () => super.write(position, bytes));
  }

  override async zero(position: number, length: number): Promise<void> {
    await this.#change(position, Buffer.alloc(length), () => super.zero(position, length));
  }

  override async flush(): Promise<void> {
    const before = this.#cached.filter(({ ended }) => ended);
    await this.#wait();
    for (const { position, bytes } of before) this.#kept.set(bytes, position);
    const done = new Set(before);
    this.#cached = this.#cached.filter((sector) => !done.has(sector));
    await this.#wait();
  }

  /** What is left if the power goes now. */
  cut(): Buffer {
    const left = Buffer.from(this.#kept);
    for (const { position, bytes } of this.#cached) {
      if (this.#random(2) === 0) left.set(bytes, position);
    }
    return left;
  }

  async #change(position: number, bytes: Buffer, change: () => Promise<void>): Promise<void> {
    const sectors: Sector[] = [];
    for (let at = 0; at < bytes.length; at += BLOCK) {
      sectors.push({ position: position + at, bytes: bytes.subarray(at, at + BLOCK), ended: false });
    }
    this.#cached.push(...sectors);
    await this.#wait();
    await change();
    await this.#wait();
    for (const sector of sectors) sector.ended = true;
  }

  async #wait(): Promise<void> {
    for (let turns = this.#random(3); turns > 0; turns--) await new Promise(setImmediate);
  }
}

async function serve(device: BackingDevice, writethrough: boolean, memoryMax: number | undefined) {
  const store = newStore();
  const client = store.client('disk', memoryMax === undefined ? {} : { cap: memoryMax });
  const shim = new Frontswap();
  shim.register(new ZcacheFrontswapBackend(store, client));
  const swap = new SwapDevice(shim.init(0, { slots: BYTES / 4096, writethrough }), device);
  const counters = ThreadCounters.take(ThreadCounters.newMemory(1));
  const volume = new AreaVolume('disk', false, swap, new SharedArrayBuffer(8), counters);
  volume.size = BYTES;
  const server = new NbdServer();
  await server.addExport({ name: 'disk', description: '', volume });
  const path = join(newFolder(), 'socket');
  await server.listen({ path });
  onTestFinished(() => server.stop(0));
  return { path, swap };
}

test.each([
  ['with room', false, undefined],
  ['with little memory', false, 2 ** 18],
  ['written through', true, undefined],
])(
  'what FLUSH and FUA promised is there after any power cut: a disk %s',
  async (_, writethrough, memoryMax) => {
    const random = randomFrom(3);
    const device = new CachingDisk(random);
    const { path, swap } = await serve(device, writethrough, memoryMax);
    const said: string[] = [];
    const tally: Tally = {
      ...{ kills: 0, aimed: 0, operations: 0, flushes: 0, fuas: 0 },
      ...{ lost: 0, stale: 0, torn: 0 },
    };
    const target = new Target({ name: 'disk', kind: 'disk' }, BYTES / BLOCK, 'lasting', tally, (line) => {
      if (said.length < 10) said.push(line);
    });
    const clients = await target.connect(path);
    let cuts = 0;
    await target.work(clients, random, (event) => {
      if (event === 'answered' && random(40) === 0) void swap.shrink(random(BYTES / 4096));
      if (event !== 'answered' || random(10) !== 0 || cuts === CUTS) return;
      target.checkImage(device.cut());
      if (++cuts === CUTS) for (const { stream } of clients) stream.socket.destroy();
    });
    expect(said).toEqual([]);
    expect([tally.lost, tally.stale, tally.torn]).toEqual([0, 0, 0]);
    expect([tally.flushes > 0, tally.fuas > 0]).toEqual([true, true]);
  },
);

test('zeroes of parts of pages last when FUA asked for it', async () => {
  const file = newFile(newFolder(), BYTES);
  const { path } = await newBench({ kind: 'disk', file });
  const client = await Client.open(path, 'one');
  expect(await client.write(0, Buffer.alloc(3 * 4096, 1))).toBe(0);
  expect(await client.command(CMD.FLUSH)).toBe(0);
  expect(await client.command(CMD.WRITE_ZEROES, 512, 2 * 4096, CMD_FLAG.FUA)).toBe(0);
  const expected = Buffer.alloc(3 * 4096, 1).fill(0, 512, 512 + 2 * 4096);
  expect(fs.readFileSync(file).subarray(0, expected.length).equals(expected)).toBe(true);
  await client.close();
});

test('FLUSH and FUA sync the file after its last write has ended, and not before', async () => {
  const folder = newFolder();
  const handle = await fs.promises.open(newFile(folder, BYTES), 'r+');
  const prototype = Object.getPrototypeOf(handle) as typeof handle;
  await handle.close();
  const calls: string[] = [];
  const { write, datasync } = prototype;
  prototype.write = async function (this: typeof handle, ...given: unknown[]) {
    const written = await (write as (...all: unknown[]) => Promise<unknown>).apply(this, given);
    calls.push('written');
    return written;
  } as typeof write;
  prototype.datasync = async function () {
    calls.push('syncing');
    await datasync.call(this);
    calls.push('synced');
  };
  onTestFinished(() => {
    Object.assign(prototype, { write, datasync });
  });
  const { path } = await newBench({ kind: 'disk', file: newFile(folder, BYTES) });
  const client = await Client.open(path, 'one');
  await client.write(0, Buffer.alloc(8192, 1));
  expect(calls).toEqual([]);
  await client.command(CMD.FLUSH);
  expect(calls).toEqual(['written', 'syncing', 'synced']);
  await client.write(16_384, Buffer.alloc(4096, 2), CMD_FLAG.FUA);
  expect(calls.slice(3)).toEqual(['written', 'syncing', 'synced']);
  await client.close();
});
