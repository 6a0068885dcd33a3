// The disk as a remote store: what is special about it, and what survives.
import { fork } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { remoteStoreConformance } from '../../../src/ramster/remote-store/conformance.ts';
import { bytesOf, listAll, pageOf } from '../../../src/ramster/remote-store/conformance-tools.ts';
import { DiskStore, type DiskStoreOptions } from '../../../src/ramster/remote-store/disk-store.ts';
import { RemoteError } from '../../../src/ramster/remote-store/remote-store.ts';
import { SLOT_BYTES, SlotFile } from '../../../src/ramster/remote-store/slot-file.ts';
import { newFolder, newOptions, optionsIn } from './disk-stores.ts';
import { PatientClock } from './patient-clock.ts';

const HEADER_BYTES = 4096;

afterEach(() => {
  vi.restoreAllMocks();
});

async function opened(options: DiskStoreOptions): Promise<DiskStore> {
  const store = await DiskStore.open(options);
  onTestFinished(() => store.close());
  return store;
}

describe('conformance', () => {
  // A node's own disk has one owner and loses nothing but itself; what a disk that hangs does is below.
  const cases = remoteStoreConformance(
    async ({ roomBytes }) => {
      const folder = newFolder();
      const store = await DiskStore.open({
        ...optionsIn(folder),
        ...(roomBytes && { fileBytesMax: roomBytes }),
      });
      return {
        store,
        close: async () => {
          await store.close();
          fs.rmSync(folder, { recursive: true });
        },
      };
    },
    { without: ['neighbour', 'silence', 'loseMemory'] },
  );
  for (const { name, run } of cases) test(name, run);
});

describe('a file that is opened again', () => {
  test('has the same memory, the pages that were not freed, and their kinds', async () => {
    const options = newOptions();
    const first = await DiskStore.open(options);
    const pages = Array.from({ length: 300 }, (_, i) => pageOf(i % 2, 1 + i));
    for (const page of pages) await first.put(page);
    await first.put({ ...pageOf(5, 1), kind: 'ephemeral' });
    await first.free(pages.slice(100, 200));
    await first.close();

    const second = await opened(options);
    expect(second.memory).toBe(first.memory);
    for (const [i, page] of pages.entries()) {
      const found = await second.get(page.pool, page.id, false);
      expect(found && Buffer.from(found)).toEqual(i >= 100 && i < 200 ? undefined : Buffer.from(page.bytes));
    }
    expect(await second.put({ ...pageOf(0, 999), kind: 'ephemeral' })).toBe('refused');
    expect(await second.put(pageOf(5, 2))).toBe('refused');
    // Slots that were free are used before the file grows.
    for (let id = 1000; id < 1100; id++) expect(await second.put(pageOf(0, id))).toBe('stored');
    expect(fs.statSync(options.path).size).toBeLessThanOrEqual(HEADER_BYTES + 301 * SLOT_BYTES);
  });

  test('of an earlier memory of the node is begun anew', async () => {
    const options = newOptions();
    const first = await DiskStore.open(options);
    await first.put(pageOf(1, 1));
    await first.close();
    const second = await opened({ ...options, owner: { name: 'a', memory: 2 } });
    expect(second.memory).not.toBe(first.memory);
    expect(await listAll(second)).toEqual([]);
    expect(await second.get(1, 1, false)).toBeUndefined();
  });

  test('with less room than before keeps its pages, and takes no new ones above it', async () => {
    const options = { ...newOptions(), fileBytesMax: 4 * 2 ** 20 };
    const first = await DiskStore.open(options);
    const pages = Array.from({ length: 600 }, (_, i) => pageOf(1, 1 + i));
    for (const page of pages) await first.put(page);
    await first.close();
    const second = await opened({ ...options, fileBytesMax: 2 ** 20 });
    expect(second.freeBytes).toBe(0);
    expect(await second.put(pageOf(1, 1000))).toBe('full');
    await second.free(pages.slice(300, 500));
    expect(await second.put(pageOf(1, 1000))).toBe('full');
    await second.free(pages.slice(0, 10));
    expect(await second.put(pageOf(1, 1000))).toBe('stored');
    expect(await listAll(second)).toHaveLength(391);
  });

  test('has no page whose slot is torn, wherever that is', async () => {
    const options = newOptions();
    const first = await DiskStore.open(options);
    const pages = Array.from({ length: 40 }, (_, i) => pageOf(1, 1 + i));
    for (const page of pages) await first.put(page);
    await first.close();
    const fd = fs.openSync(options.path, 'r+');
    // In each slot another byte of what was written; in the last one all from there on.
    const torn = pages.slice(0, 30);
    for (const [slot, { bytes }] of torn.entries()) {
      const written = bytes.length + 20;
      const at = HEADER_BYTES + slot * SLOT_BYTES + 4096 - bytes.length + Math.floor((slot * written) / 30);
      const byte = Buffer.alloc(1);
      fs.readSync(fd, byte, 0, 1, at);
      fs.writeSync(fd, Buffer.from([(byte[0] as number) ^ 0x10]), 0, 1, at);
    }
    fs.ftruncateSync(fd, HEADER_BYTES + 40 * SLOT_BYTES - 10);
    fs.closeSync(fd);
    const second = await opened(options);
    expect((await listAll(second)).map(({ id }) => id)).toEqual(pages.slice(30, 39).map(({ id }) => id));
    for (const { pool, id } of torn) expect(await second.get(pool, id, false)).toBeUndefined();
  });
});

test('a copy that is damaged while the store is open is a miss, and its slot is free', async () => {
  const options = newOptions();
  const store = await opened(options);
  await store.put(pageOf(1, 1, 100));
  const fd = fs.openSync(options.path, 'r+');
  fs.writeSync(fd, Buffer.from('damage'), 0, 6, HEADER_BYTES + 4096 - 50);
  fs.closeSync(fd);
  expect(await store.get(1, 1, false)).toBeUndefined();
  expect(await listAll(store)).toEqual([]);
  expect(await store.put(pageOf(1, 1, 100))).toBe('stored');
});

test('calls about one page take effect in the order they are made, without waiting in between', async () => {
  const store = await opened(newOptions());
  const page = pageOf(1, 1);
  const [put, first, , second, again, third] = await Promise.all([
    store.put(page),
    store.get(1, 1, false),
    store.free([page]),
    store.get(1, 1, false),
    store.put(page),
    store.get(1, 1, true),
  ]);
  expect([put, again]).toEqual(['stored', 'stored']);
  expect(first && Buffer.from(first)).toEqual(Buffer.from(page.bytes));
  expect(second).toBeUndefined();
  expect(third && Buffer.from(third)).toEqual(Buffer.from(page.bytes));
  expect(await store.get(1, 1, false)).toBeUndefined();
  expect(await listAll(store)).toEqual([]);
});

describe('a process that is killed', () => {
  test('leaves every page that was acknowledged, and none that was freed or is torn', async () => {
    const folder = newFolder();
    onTestFinished(() => fs.rmSync(folder, { recursive: true, force: true }));
    const stored = new Set<number>();
    const freed = new Set<number>();
    const doubtful = new Set<number>();
    for (const [round, messagesMost] of [40, 300, 1100].entries()) {
      const program = path.join(import.meta.dirname, 'disk-writer.ts');
      const child = fork(program, [folder, String(1 + round * 100_000)], { stdio: 'ignore' });
      await new Promise<void>((resolve, reject) => {
        let messages = 0;
        child.on('message', (message: { stored?: number; freeing?: number; freed?: number }) => {
          if (message.stored !== undefined) stored.add(message.stored);
          if (message.freeing !== undefined) doubtful.add(message.freeing);
          if (message.freed !== undefined) freed.add(message.freed);
          if (++messages === messagesMost) child.kill('SIGKILL');
        });
        child.once('error', reject);
        child.once('close', (_, signal) =>
          signal === 'SIGKILL' ? resolve() : reject(new Error('the writer ended by itself')),
        );
      });
      const store = await DiskStore.open(optionsIn(folder));
      try {
        const there = new Set((await listAll(store)).map(({ id }) => id));
        for (const id of there) {
          const bytes = await store.get(1, id, false);
          expect(bytes && Buffer.from(bytes)).toEqual(Buffer.from(bytesOf(1, id, 1 + ((id * 997) % 4096))));
        }
        const expected = [...stored].filter((id) => !doubtful.has(id));
        expect(expected.filter((id) => !there.has(id))).toEqual([]);
        expect([...freed].filter((id) => there.has(id))).toEqual([]);
      } finally {
        await store.close();
      }
    }
    expect(stored.size).toBeGreaterThan(100);
  });
});

describe('a disk that fails', () => {
  function failing(code: string): () => Promise<never> {
    return () => Promise.reject(Object.assign(new Error(`${code}: made up`), { code }));
  }

  test('makes calls throw a RemoteError and the store down, and is up when it works again', async () => {
    const store = await opened(newOptions());
    await store.put(pageOf(1, 1));
    const probe = vi.spyOn(SlotFile.prototype, 'probe').mockImplementation(failing('EIO'));
    const read = vi.spyOn(SlotFile.prototype, 'read').mockImplementation(failing('EIO'));
    await expect(store.get(1, 1, false)).rejects.toThrow(RemoteError);
    expect(store.state).toBe('down');
    expect(store.problem).toContain('EIO');
    for (const call of [() => store.put(pageOf(1, 2)), () => store.list(undefined), () => store.free([])]) {
      await expect(call()).rejects.toThrow(RemoteError);
    }
    probe.mockRestore();
    read.mockRestore();
    await vi.waitUntil(() => store.state === 'up', 20_000);
    expect(store.problem).toBeUndefined();
    expect(await store.get(1, 1, false)).toBeDefined();
    expect(await store.put(pageOf(1, 2))).toBe('stored');
  });

  test.each(['ENOSPC', 'EDQUOT', 'EFBIG'])('by %s is full, and keeps what it has', async (code) => {
    const store = await opened(newOptions());
    await store.put(pageOf(1, 1));
    const write = vi.spyOn(SlotFile.prototype, 'write').mockImplementation(failing(code));
    expect(await store.put(pageOf(1, 2))).toBe('full');
    write.mockRestore();
    expect(store.state).toBe('up');
    expect(await store.get(1, 2, false)).toBeUndefined();
    expect(await store.get(1, 1, false)).toBeDefined();
    expect(await store.put(pageOf(1, 2))).toBe('stored');
  });

  test('to free a slot frees it later, and the page is gone at once', async () => {
    const options = newOptions();
    const store = await opened(options);
    await store.put(pageOf(1, 1));
    const before = store.freeBytes;
    const clear = vi.spyOn(SlotFile.prototype, 'clear').mockImplementation(failing('EIO'));
    await expect(store.free([{ pool: 1, id: 1 }])).rejects.toThrow(RemoteError);
    clear.mockRestore();
    await vi.waitUntil(() => store.state === 'up', 20_000);
    expect(await store.get(1, 1, false)).toBeUndefined();
    await vi.waitUntil(() => store.freeBytes > before, 20_000);
    await store.free([{ pool: 1, id: 1 }]);
  });

  test('by hanging keeps nobody waiting', async () => {
    const clock = new PatientClock();
    const store = await opened({ ...newOptions(), clock });
    await store.put(pageOf(1, 1));
    clock.isSilent = true;
    const waits: (() => void)[] = [];
    const original = SlotFile.prototype.write;
    vi.spyOn(SlotFile.prototype, 'write').mockImplementation(async function (this: SlotFile, slot, page) {
      if (clock.isSilent) await new Promise<void>((resolve) => waits.push(resolve));
      return original.call(this, slot, page);
    });
    await expect(store.put(pageOf(1, 2))).rejects.toThrow(RemoteError);
    // Behind it in the same slot, but another page answers.
    await expect(store.get(1, 2, false)).rejects.toThrow(RemoteError);
    clock.isSilent = false;
    for (const resolve of waits) resolve();
    await vi.waitUntil(() => store.state === 'up', 20_000);
    await vi.waitUntil(
      async () => (await store.get(1, 2, false).catch(() => undefined)) !== undefined,
      20_000,
    );
  });
});

describe('a file that will not do', () => {
  test.each<[string, (file: string) => void, RegExp]>([
    [
      'has something else in it',
      (file) => fs.writeFileSync(file, 'x'.repeat(9000), { mode: 0o600 }),
      /something else/,
    ],
    [
      'is too short to be one',
      (file) => fs.writeFileSync(file, 'TMEMDISK', { mode: 0o600 }),
      /something else/,
    ],
    ['may be read by others', (file) => fs.writeFileSync(file, '', { mode: 0o644 }), /mode to 0600/],
    ['is a directory', (file) => fs.mkdirSync(file), /EISDIR/],
    ['is a symbolic link', (file) => fs.symlinkSync('/tmp/nowhere', file), /ELOOP/],
    ['is in a directory that is missing', (file) => fs.rmdirSync(path.dirname(file)), /ENOENT/],
  ])('that %s is refused and left alone', async (_, make, message) => {
    const options = newOptions();
    make(options.path);
    const before = fs.lstatSync(options.path, { throwIfNoEntry: false })?.size;
    await expect(DiskStore.open(options)).rejects.toThrow(message);
    expect(fs.lstatSync(options.path, { throwIfNoEntry: false })?.size).toBe(before);
  });

  test('has two names', async () => {
    const options = newOptions();
    fs.writeFileSync(options.path, '', { mode: 0o600 });
    fs.linkSync(options.path, `${options.path}2`);
    await expect(DiskStore.open(options)).rejects.toMatchObject({ code: 'TMEM_ERR_BACKING_FILE' });
  });

  test('is open already, here or elsewhere', async () => {
    const options = newOptions();
    await opened(options);
    await expect(DiskStore.open(options)).rejects.toThrow(/in use/);
  });

  test('is of another node, or another version', async () => {
    const options = newOptions();
    await (await DiskStore.open(options)).close();
    await expect(DiskStore.open({ ...options, owner: { name: 'b', memory: 1 } })).rejects.toThrow(
      /of node 'a'/,
    );
  });

  test('settings are checked together', async () => {
    const options = { ...newOptions(), path: '', fileBytesMax: 10, deadlineMs: -1 };
    await expect(DiskStore.open(options)).rejects.toThrow(/path: .*fileBytesMax: .*deadlineMs: /);
  });
});
