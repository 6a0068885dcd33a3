// Cold pages go to files beside everything else: they hold up no end, and a file that fails is told of once.
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { FileDevice } from '../../src/frontswap/index.ts';
import { Daemon, type DaemonEvents } from '../../src/serve/daemon.ts';
import { serveSettings } from '../../src/serve/settings.ts';
import { Client, connectTo } from '../nbd/client.ts';
import { randomFrom } from '../nbd/rounds.ts';
import { newFile, newFolder } from './running.ts';

const MiB = 2 ** 20;
const PAGE = 4096;
const ESHUTDOWN = 108;

/** Frames the export may have, and so many that cold pages have to go. */
const LIMIT_BYTES = 2 * MiB;
const FULL_BYTES = LIMIT_BYTES - LIMIT_BYTES / 40;

function noise(seed: number): Buffer {
  const random = randomFrom(seed);
  return Buffer.from(Uint32Array.from({ length: 1024 }, () => random(2 ** 32)).buffer);
}

/** A daemon with a swap export in front of a file whose writes do what the test says. */
async function newScene(write: () => Promise<void>, events: Partial<DaemonEvents> = {}) {
  const folder = newFolder();
  const path = join(folder, 'nbd.sock');
  const device = vi.spyOn(FileDevice.prototype, 'write').mockImplementation(write);
  onTestFinished(() => device.mockRestore());
  const file = newFile(join(folder, 'image'), 8 * MiB);
  const settings = serveSettings({
    store: { memory: '16 MiB', incompressible: 'store' },
    threads: 0,
    listen: [`unix:${path}`],
    exports: [{ name: 'one', kind: 'swap', file, memoryMax: LIMIT_BYTES }],
  });
  const daemon = await Daemon.start(
    settings,
    { nbd: [], http: [] },
    { writeBackFailed: () => {}, writeBackWorks: () => {}, failed: () => {}, ...events },
  );
  onTestFinished(async () => {
    device.mockRestore();
    await daemon.stop();
  });
  const client = await Client.open(path);
  const used = () => Number(/tmem_export_mem_used_bytes\{.*\} (\d+)/.exec(daemon.metrics())?.[1]);
  for (let i = 0; i % 4 > 0 || used() < FULL_BYTES; i++) expect(await client.write(i * PAGE, noise(i))).toBe(0);
  return { daemon, path, client, device };
}

test('a file that hangs while cold pages move keeps no daemon from taking no more', async () => {
  const gate = Promise.withResolvers<void>();
  onTestFinished(() => gate.resolve());
  const { daemon, path, client, device } = await newScene(() => gate.promise);
  await vi.waitFor(() => expect(device).toHaveBeenCalled(), 20_000);
  const stopped = daemon.stop();
  await expect(connectTo(path)).rejects.toThrow(/ENOENT|ECONNREFUSED/);
  // In words, or the connection has ended by now.
  expect([ESHUTDOWN, -1]).toContain(await client.write(0, noise(0)));
  gate.resolve();
  expect(await stopped).toEqual([]);
});

test('a file that fails is told of when that begins, when the reason changes, and when it has ended', async () => {
  const told: string[] = [];
  let failure: string | undefined = 'full';
  const { device } = await newScene(
    () => (failure === undefined ? Promise.resolve() : Promise.reject(new Error(failure))),
    {
      writeBackFailed: (name, error) => told.push(`${name}: ${(error as Error).message}`),
      writeBackWorks: (name) => told.push(`${name}: works`),
    },
  );
  const looks = async (more: number): Promise<void> => {
    const before = device.mock.calls.length;
    await vi.waitFor(() => expect(device.mock.calls.length).toBeGreaterThan(before + more), 20_000);
  };
  await looks(3);
  expect(told).toEqual(['one: full']);
  failure = 'broken';
  await looks(3);
  failure = undefined;
  await vi.waitFor(() => expect(told.length).toBe(3), 20_000);
  expect(told).toEqual(['one: full', 'one: broken', 'one: works']);
});
