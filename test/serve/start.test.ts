// Starts of `tmem serve`: what is told, and what a failed one leaves: nothing.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { AreaExport } from '../../src/nbd/index.ts';
import { Daemon, type DaemonEvents } from '../../src/serve/daemon.ts';
import { type ServeInput, serveSettings } from '../../src/serve/settings.ts';
import { listStores, open } from '../../src/zcache/index.ts';
import { Client } from '../nbd/client.ts';
import { cleanEnvironment, MAIN, newFile, newFolder, newStoreName, serving, start } from './running.ts';

const MiB = 2 ** 20;

/** A daemon without threads. */
const QUICK = ['--memory', '16 MiB', '--threads', '0', '--listen', ':0'];
const certificates = join(import.meta.dirname, '../nbd/certificates');
const pem = (name: string): string => join(certificates, `${name}.pem`);

test('the quick start without a file serves, says where, and ends with status 0', async () => {
  const folder = newFolder();
  const path = join(folder, 'nbd.sock');
  const image = newFile(join(folder, 'image'), MiB);
  const running = start([
    ...['--memory', '64 MiB', '--listen', `unix:${path}`, '--listen', ':0', '--http', ':0'],
    ...['--export', 'vm1=swap:2MiB', '--export', `data=disk:${image}`],
  ]);
  const [, port] = await running.until(/serving data: \S+\?socket=\S+ nbd:\/\/127\.0\.0\.1:(\d+)\/data\n/);
  expect(Number(port)).toBeGreaterThan(0);
  expect(running.log).toContain(`serving vm1: nbd+unix:///vm1?socket=${path} nbd://127.0.0.1:${port}/vm1\n`);
  await running.until(/metrics and health: http:\/\/127\.0\.0\.1:\d+\n/);
  for (const [name, size] of [
    ['vm1', 2 * MiB],
    ['data', MiB],
  ] as const) {
    const client = await Client.open(path, name);
    expect(client.size).toBe(size);
    await client.close();
  }
  expect(await running.stop()).toBe(0);
  expect(running.log).toMatch(/vm1: serving a local client\n/);
  expect(running.log).toMatch(/stopped\n$/);
  expect(fs.existsSync(path)).toBe(false);
});

test('--check says whether the settings are sound, and starts nothing', () => {
  const folder = newFolder();
  const path = join(folder, 'nbd.sock');
  const args = ['--memory', '64 MiB', '--listen', `unix:${path}`, '--check'];
  const run = (...more: string[]) =>
    execFileSync(process.execPath, [MAIN, 'serve', ...args, ...more], {
      encoding: 'utf8',
      env: cleanEnvironment(),
      stdio: 'pipe',
    });
  expect(run('--export', 'a=ram:1M')).toBe('the settings are sound: exports: 1\n');
  expect(() => run('--export', 'a=ram:1X')).toThrow(expect.objectContaining({ status: 1 }));
});

/** Settings of a start that fails; an export that can be opened comes first. */
interface Failing {
  readonly changes: (folder: string) => Partial<ServeInput> | Promise<Partial<ServeInput>>;
  readonly cause: RegExp;
}

const disk = (file: string, more = {}): Partial<ServeInput> => ({
  exports: [{ name: 'bad', kind: 'disk', file, ...more }],
});

const failing: Record<string, Failing> = {
  'a backing file that is missing': {
    changes: (folder) => disk(join(folder, 'none')),
    cause: /backing file .*none: is missing/,
  },
  'a backing file that is too small': {
    changes: (folder) => disk(newFile(join(folder, 'small'), MiB), { size: '2 MiB' }),
    cause: /backing file .*small: has 1048576 bytes/,
  },
  'a backing file that is a directory': {
    changes: (folder) => disk(folder),
    cause: /backing file .*: is a directory/,
  },
  'a backing file that somebody else serves': {
    changes: async (folder) => {
      const file = newFile(join(folder, 'taken'), MiB);
      const store = open({ memory: '8 MiB' });
      const exported = await AreaExport.open(store, { name: 'x', kind: 'disk', file });
      onTestFinished(async () => {
        await exported.close();
        store.close();
      });
      return disk(file);
    },
    cause: /backing file .*taken: is locked/,
  },
  'a socket that somebody listens on': {
    changes: async (folder) => {
      const path = join(folder, 'used');
      const server = createServer().listen(path);
      onTestFinished(() => void server.close());
      await new Promise((resolve) => server.once('listening', resolve));
      return { listen: [`unix:${join(folder, 'free')}`, `unix:${path}`] };
    },
    cause: /EADDRINUSE.*used/,
  },
  'a socket in a directory that is missing': {
    changes: (folder) => ({ listen: [`unix:${folder}/none/nbd.sock`] }),
    cause: /none\/nbd\.sock/,
  },
  'a port for metrics that is taken': {
    changes: async () => {
      const server = createServer().listen(0, '127.0.0.1');
      onTestFinished(() => void server.close());
      await new Promise((resolve) => server.once('listening', resolve));
      return { http: `127.0.0.1:${(server.address() as { port: number }).port}` };
    },
    cause: /EADDRINUSE/,
  },
  'a certificate that is missing': {
    changes: (folder) => ({ tls: { certificate: join(folder, 'none.pem'), key: pem('server-key') } }),
    cause: /tls\.certificate: cannot be read: ENOENT.*none\.pem/,
  },
  'a key of another certificate': {
    changes: () => ({ tls: { certificate: pem('server-cert'), key: pem('client-key') } }),
    cause: /tls: .*client-key\.pem: cannot be used: .*mismatch/,
  },
};

const events: DaemonEvents = { writeBackFailed: () => {}, writeBackWorks: () => {}, failed: () => {} };
const noSockets = { nbd: [], http: [] };

test.each(Object.keys(failing))('%s is named, and nothing is left', async (what) => {
  const { changes, cause } = failing[what] as Failing;
  const folder = newFolder();
  const name = newStoreName();
  const image = newFile(join(folder, 'image'), MiB);
  const made: Partial<ServeInput> = await changes(folder);
  const before = fs.readdirSync(folder);
  const good = { name: 'good', kind: 'disk' as const, file: image };
  const settings: ServeInput = {
    store: { name, memory: '16 MiB' },
    // With threads, too, nothing is left.
    threads: what.startsWith('a socket') ? 2 : 0,
    listen: [`unix:${join(folder, 'nbd.sock')}`],
    ...made,
    exports: [good, ...(made.exports ?? [])],
  };
  const error = await Daemon.start(serveSettings(settings), noSockets, events).then(
    () => expect.fail('it started'),
    (thrown: Error) => thrown,
  );
  expect(error.message).toMatch(cause);
  expect(error.message).not.toContain('\n');
  expect(fs.readdirSync(folder)).toEqual(before);
  expect(listStores().filter((store) => store.name === name)).toEqual([]);
  // Nothing is locked, either.
  const daemon = await Daemon.start(
    serveSettings({
      ...settings,
      threads: 0,
      exports: [good],
      listen: [':0'],
      http: undefined,
      tls: undefined,
    }),
    noSockets,
    events,
  );
  expect(await daemon.stop()).toEqual([]);
});

test('the command tells of a start that failed in one line, with status 1', async () => {
  const missing = join(newFolder(), 'missing');
  const running = start([...QUICK, '--export', `bad=disk:${missing}`]);
  expect(await running.ended()).toBe(1);
  expect(running.log).toMatch(/^tmem serve: backing file [^\n]*missing: is missing[^\n]*\n$/);
});

test('a start that fails leaves a store that was there as it was', async () => {
  const folder = newFolder();
  const name = newStoreName();
  const store = { name, memory: '16 MiB' };
  const listen = [`unix:${join(folder, 'nbd.sock')}`];
  const good = { name: 'good', kind: 'ram', size: MiB };
  const first = await serving({ store, listen, exports: [good] }, folder);
  const client = await Client.open(join(folder, 'nbd.sock'), 'good');
  expect(await client.write(4096, Buffer.alloc(4096, 'kept'))).toBe(0);
  await client.close();
  expect(await first.stop()).toBe(0);
  const failed = start([
    ...['--name', name, '--listen', listen[0]!, '--export', 'good=ram:1MiB', '--threads', '0'],
    ...['--export', 'bad=disk:/nonexistent/file'],
  ]);
  expect(await failed.ended()).toBe(1);
  await serving({ store: { name }, listen, exports: [good] }, folder);
  const again = await Client.open(join(folder, 'nbd.sock'), 'good');
  expect((await again.read(4096, 4096)).equals(Buffer.alloc(4096, 'kept'))).toBe(true);
  await again.close();
});

test('a second daemon on a socket, or on a store, is refused, and the first goes on', async () => {
  const folder = newFolder();
  const path = join(folder, 'nbd.sock');
  const store = { name: newStoreName(), memory: '16 MiB' };
  const exports = [{ name: 'one', kind: 'ram', size: MiB }];
  await serving({ store, listen: [`unix:${path}`], exports }, folder);
  const client = await Client.open(path);
  expect(await client.write(0, Buffer.alloc(4096, 'first'))).toBe(0);
  const onSocket = start([...QUICK, '--listen', `unix:${path}`, '--export', 'one=ram:1MiB']);
  expect(await onSocket.ended()).toBe(1);
  expect(onSocket.log).toMatch(/EADDRINUSE/);
  const onStore = start([
    ...['--name', store.name, '--listen', ':0', '--export', 'one=ram:1MiB', '--threads', '0'],
  ]);
  expect(await onStore.ended()).toBe(1);
  expect(onStore.log).toMatch(/export 'one': it is served from this store already/);
  expect((await client.read(0, 4096)).equals(Buffer.alloc(4096, 'first'))).toBe(true);
  await client.close();
});

test('a daemon that was killed is started again on its named store and socket, with its pages', async () => {
  const folder = newFolder();
  const path = join(folder, 'nbd.sock');
  const image = newFile(join(folder, 'image'), MiB);
  const settings = {
    store: { name: newStoreName(), memory: '16 MiB' },
    listen: [`unix:${path}`],
    exports: [
      { name: 'swap', kind: 'swap', size: MiB },
      { name: 'disk', kind: 'disk', file: image },
    ],
  };
  for (let round = 0; round < 3; round++) {
    const running = await serving(settings, folder);
    for (const name of ['swap', 'disk']) {
      const client = await Client.open(path, name);
      expect((await client.read(0, MiB)).equals(Buffer.alloc(MiB, round))).toBe(true);
      expect(await client.write(0, Buffer.alloc(MiB, round + 1))).toBe(0);
      client.stream.socket.destroy();
    }
    running.child.kill('SIGKILL');
    expect(await running.ended()).toBe('SIGKILL');
  }
  const last = await serving(settings, folder);
  expect(last.log).toMatch(/store '.*': 16 MiB, found\n/);
  // Ended in order, the file has everything.
  expect(await last.stop()).toBe(0);
  expect(fs.readFileSync(image).equals(Buffer.alloc(MiB, 3))).toBe(true);
});
