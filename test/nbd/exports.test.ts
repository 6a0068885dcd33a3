// Exports: how they are opened, what is wrong with their options and files, what they count, and how they end.
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { Libc } from '../../src/arena/libc.ts';
import { AreaExport, type AreaExportOptions, NbdServer } from '../../src/nbd/index.ts';
import { CMD } from '../../src/nbd/protocol.ts';
import { open, removeStore } from '../../src/zcache/index.ts';
import { newScene } from '../processes/scene.ts';
import { newBench, newFile, newFolder, newStore } from './bench.ts';
import { Client } from './client.ts';
import { randomFrom } from './rounds.ts';

const MiB = 2 ** 20;

test.each<[string, Partial<AreaExportOptions>, RegExp]>([
  ['a disk without a file', { kind: 'disk', size: MiB }, /file: a disk needs one/],
  ['ram with a file', { kind: 'ram', file: '/nowhere' }, /file: ram has none/],
  ['no size', { kind: 'ram' }, /size: is required/],
  ['a size that is none', { kind: 'ram', size: 0.5 }, /size: got 0.5/],
  ['writethrough to nothing', { kind: 'swap', size: MiB, writethrough: true }, /writethrough: needs a file/],
])('%s is an error that says so', async (_, options, message) => {
  const opened = AreaExport.open(newStore(), { name: 'one', kind: 'ram', ...options });
  await expect(opened).rejects.toMatchObject({
    code: 'TMEM_ERR_SETTING',
    message: expect.stringMatching(message),
  });
});

test('without a file, a store that refuses pages is an error', async () => {
  const store = open({ memory: '8 MiB' });
  onTestFinished(() => store.close());
  await expect(AreaExport.open(store, { name: 'one', kind: 'ram', size: MiB })).rejects.toMatchObject({
    code: 'TMEM_ERR_SETTING',
    message: expect.stringContaining('incompressible'),
  });
});

test('a backing file that is served already is locked, until it is closed; read-only ones are shared', async () => {
  const file = newFile(newFolder(), MiB);
  const store = newStore();
  const first = await AreaExport.open(store, { name: 'one', kind: 'disk', file });
  await expect(AreaExport.open(store, { name: 'two', kind: 'disk', file })).rejects.toMatchObject({
    code: 'TMEM_ERR_BACKING_FILE',
    message: expect.stringContaining('locked'),
  });
  const reader = await AreaExport.open(store, { name: 'three', kind: 'disk', file, readOnly: true });
  await reader.close();
  await first.close();
  const second = await AreaExport.open(store, { name: 'two', kind: 'disk', file });
  await second.close();
});

test('an export of a named store is served by one process at a time, and not twice by that one', async () => {
  const scene = newScene();
  const store = scene.open({ memory: '16 MiB', incompressible: 'store' });
  const child = await scene.child();
  // As the server of another process does.
  const claimed = await child.run(({ open, state }, place) => {
    state.store = open(place);
    return state.store.client('nbd:one').claim();
  }, scene.place);
  expect(claimed).toBe(true);
  const options = { name: 'one', kind: 'ram', size: MiB } as const;
  const inUse = { code: 'TMEM_ERR_EXPORT_IN_USE' };
  await expect(AreaExport.open(store, options)).rejects.toMatchObject(inUse);
  const other = await AreaExport.open(store, { ...options, name: 'two' });
  await other.close();
  await child.kill();
  const first = await AreaExport.open(store, options);
  await expect(AreaExport.open(store, options)).rejects.toMatchObject(inUse);
  await first.close();
  const second = await AreaExport.open(store, { ...options });
  await second.close();
});

test('a refused page counts once, and a write that was not done counts as none', async () => {
  const { path, store, export: exported } = await newBench({});
  const client = await Client.open(path);
  store.freeze();
  for (let i = 0; i < 10; i++) expect(await client.write(i * 4096, Buffer.alloc(4096, 'text'))).not.toBe(0);
  expect(exported.stats()).toMatchObject({ refused_pages: 10, writes: 0, written_bytes: 0 });
  await client.close();
});

test('an export that cannot be opened leaves nothing in the store', async () => {
  const store = newStore();
  store.client('other');
  const opening = AreaExport.open(store, { name: 'one', kind: 'ram', size: MiB, memoryMax: -1 });
  await expect(opening).rejects.toMatchObject({ code: 'TMEM_ERR_SETTING' });
  expect(store.stats().clients.map(({ name }) => name)).toEqual(['other']);
});

test('an export that is opened again with a size before some of its pages says so, and loses nothing', async () => {
  const folder = newFolder();
  const file = newFile(folder, MiB);
  const store = newStore();
  const options = { name: 'one', kind: 'disk', file } as const;
  const first = await AreaExport.open(store, options);
  expect(first.volume.writeNow(512 * 1024, Buffer.alloc(4096, 7))).toBe(4096);
  await first.detach();
  await expect(AreaExport.open(store, { ...options, size: 256 * 1024 })).rejects.toMatchObject({
    code: 'TMEM_ERR_NAME_MISMATCH',
    message: expect.stringMatching(/one.*slot 128/),
  });
  const again = await AreaExport.open(store, options);
  await again.close();
  expect(fs.readFileSync(file).subarray(512 * 1024, 516 * 1024)).toEqual(Buffer.alloc(4096, 7));
});

test('a file made anew is another one, whatever number the system gives it', async () => {
  const folder = newFolder();
  const file = newFile(folder, MiB);
  const store = newStore();
  const options = { name: 'one', kind: 'disk', file } as const;
  const first = await AreaExport.open(store, options);
  expect(first.volume.writeNow(0, Buffer.alloc(4096, 7))).toBe(4096);
  await first.detach();
  fs.rmSync(file);
  fs.writeFileSync(file, Buffer.alloc(MiB));
  await expect(AreaExport.open(store, options)).rejects.toMatchObject({ code: 'TMEM_ERR_NAME_MISMATCH' });
  expect(fs.readFileSync(file).equals(Buffer.alloc(MiB))).toBe(true);
});

test('a file of which the system cannot tell where its data is, is read', async () => {
  const file = newFile(newFolder(), MiB);
  fs.writeFileSync(file, Buffer.alloc(MiB, 7));
  const seek = vi.spyOn(Libc.prototype, 'seek').mockReturnValue(-1);
  onTestFinished(() => seek.mockRestore());
  const exported = await AreaExport.open(newStore(), { name: 'one', kind: 'disk', file });
  const out = Buffer.alloc(MiB);
  await exported.swap.read(0, out);
  expect(out.equals(Buffer.alloc(MiB, 7))).toBe(true);
  await exported.close();
});

test('statistics are those of zram', async () => {
  const { path, export: exported } = await newBench({ memoryMax: 4 * MiB });
  const client = await Client.open(path);
  const random = randomFrom(1);
  await client.write(0, Buffer.alloc(10 * 4096, 'text that compresses '));
  await client.write(10 * 4096, Buffer.alloc(5 * 4096));
  await client.write(
    15 * 4096,
    Buffer.from(Uint32Array.from({ length: 1024 }, () => random(2 ** 32)).buffer),
  );
  await client.command(CMD.TRIM, 0, 4096);
  const stats = exported.stats();
  expect(stats).toMatchObject({
    ...{ name: 'one', kind: 'ram', disksize: 8 * MiB, mem_limit: 4 * MiB },
    ...{ orig_data_size: 15 * 4096, same_pages: 5, huge_pages: 1, refused_pages: 0 },
    ...{ writes: 3, written_bytes: 16 * 4096, trims: 1 },
  });
  expect(stats.compr_data_size).toBeGreaterThan(4096);
  expect(stats.compr_data_size).toBeLessThan(3 * 4096);
  expect(stats.mem_used_total).toBeGreaterThan(stats.compr_data_size);
  expect(stats.mem_used_max).toBeGreaterThanOrEqual(stats.mem_used_total);
  await client.close();
});

test('an export grows up to what it was opened for, and what a smaller one cut off does not come back', async () => {
  const { path, export: exported } = await newBench({ size: MiB, sizeMax: 4 * MiB });
  await exported.resize(4 * MiB);
  const client = await Client.open(path);
  expect(client.size).toBe(4 * MiB);
  const bytes = Buffer.alloc(4 * MiB, 'content');
  expect(await client.write(0, bytes)).toBe(0);
  await exported.resize(MiB + 1000);
  expect(await client.command(CMD.READ, MiB, 4096)).toBe(22);
  await exported.resize(4 * MiB);
  expect((await client.read(0, 4 * MiB)).equals(Buffer.from(bytes).fill(0, MiB + 1000))).toBe(true);
  await expect(exported.resize(4 * MiB + 1)).rejects.toMatchObject({ code: 'TMEM_ERR_SETTING' });
  await client.close();
});

test('clients and servers may come and go, the data of an export stays; a removed one leaves nothing', async () => {
  const name = `nbd-test-${randomBytes(6).toString('hex')}`;
  onTestFinished(() => removeStore(name, { force: true }));
  const options: AreaExportOptions = { name: 'one', kind: 'ram', size: MiB };
  const path = join(newFolder(), 'socket');
  for (let round = 0; round < 3; round++) {
    const store = open({ name, memory: '16 MiB', incompressible: 'store' });
    const exported = await AreaExport.open(store, options);
    const server = new NbdServer();
    await server.addExport(exported);
    await server.listen({ path });
    const client = await Client.open(path);
    expect((await client.read(4096, 8192)).equals(Buffer.alloc(8192, round))).toBe(true);
    expect(await client.write(4096, Buffer.alloc(8192, round + 1))).toBe(0);
    await client.close();
    await server.stop(100);
    if (round < 2) await exported.close();
    else {
      await exported.remove();
      expect(store.stats().clients).toEqual([]);
    }
    store.close();
  }
});

test('pages of one file are not written to another', async () => {
  const folder = newFolder();
  const store = newStore();
  const first = await AreaExport.open(store, { name: 'one', kind: 'swap', file: newFile(folder, MiB) });
  expect(await first.swap.write(0, Buffer.alloc(4096, 1))).toBe(true);
  await first.detach();
  const other: AreaExportOptions = { name: 'one', kind: 'swap', file: newFile(folder, MiB) };
  await expect(AreaExport.open(store, other)).rejects.toMatchObject({ code: 'TMEM_ERR_NAME_MISMATCH' });
  const again = await AreaExport.open(store, { ...other, file: join(folder, 'image-0') });
  await again.remove();
  await (await AreaExport.open(store, other)).close();
});

test('names of exports may be long and in any script', async () => {
  const name = `größe/${'x'.repeat(300)}`;
  const { path, export: exported } = await newBench({ name });
  const client = await Client.open(path, name);
  expect(await client.write(0, Buffer.alloc(512, 1))).toBe(0);
  expect(exported.stats().orig_data_size).toBe(4096);
  await client.close();
});

test('a removed export ends its connections and no others', async () => {
  const { path, server, store } = await newBench();
  const two = await AreaExport.open(store, { name: 'two', kind: 'ram', size: MiB });
  await server.addExport(two);
  await expect(server.addExport(two)).rejects.toMatchObject({ code: 'TMEM_ERR_SETTING' });
  const clients = [await Client.open(path, 'one'), await Client.open(path, 'two')];
  await server.removeExport('two');
  expect(await clients[1]!.stream.closed()).toBe(true);
  expect(await clients[0]!.write(0, Buffer.alloc(512))).toBe(0);
  await expect(Client.open(path, 'two')).rejects.toThrow('no export');
  await clients[0]!.close();
  await two.remove();
});

test('a unix socket is for its owner, one that was left behind is replaced, one in use is not', async () => {
  const { path } = await newBench();
  expect(fs.statSync(path).mode & 0o777).toBe(0o600);
  const other = new NbdServer();
  await expect(other.listen({ path })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  const stale = join(newFolder(), 'stale');
  const left = createServer().listen(stale);
  await new Promise((resolve) => left.once('listening', resolve));
  fs.linkSync(stale, `${stale}-kept`);
  await new Promise((resolve) => left.close(resolve));
  fs.renameSync(`${stale}-kept`, stale);
  await other.listen({ path: stale });
  await other.stop(0);
});

test.each(['close', 'detach', 'remove'] as const)(
  'an export whose file cannot be closed in order is left all the same: %s',
  async (how) => {
    const store = newStore();
    const options: AreaExportOptions = { name: 'one', kind: 'disk', file: newFile(newFolder(), MiB) };
    const exported = await AreaExport.open(store, options);
    const { device } = exported.swap;
    const { close } = device!;
    device!.close = async () => {
      await close.call(device);
      throw new Error('not closed');
    };
    await expect(exported[how]()).rejects.toThrow('not closed');
    expect(store.stats().clients.some(({ name }) => name === 'nbd:one')).toBe(how !== 'remove');
    const again = await AreaExport.open(store, options);
    await again.remove();
  },
);

test('an export that cannot be removed yet is left, and can be removed later', async () => {
  const store = newStore();
  const options: AreaExportOptions = { name: 'one', kind: 'ram', size: MiB };
  const exported = await AreaExport.open(store, options);
  const steps: string[] = [];
  const face = Object.getPrototypeOf(store.client('nbd:one'));
  for (const name of ['remove', 'unclaim'] as const) {
    const { [name]: call } = face;
    const spy = vi.spyOn(face, name).mockImplementation(function (this: unknown) {
      steps.push(name);
      if (name === 'remove' && steps.length === 1) throw new Error('busy');
      return call.call(this);
    });
    onTestFinished(() => spy.mockRestore());
  }
  await expect(exported.remove()).rejects.toThrow('busy');
  expect(steps).toEqual(['remove', 'unclaim']);
  const again = await AreaExport.open(store, options);
  await again.remove();
  expect(store.stats().clients.some(({ name }) => name === 'nbd:one')).toBe(false);
});
