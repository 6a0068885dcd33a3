// SIGHUP: exports come, go and change their size, certificates are replaced; what cannot change is named.
import { once } from 'node:events';
import fs from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { expect, test } from 'vitest';
import { type ServeWorld, serve } from '../../src/cli/serve/command.ts';
import { Log } from '../../src/cli/serve/log.ts';
import { CMD, OPT, REP } from '../../src/nbd/protocol.ts';
import type { ServeInput } from '../../src/serve/settings.ts';
import { Client, connectTo, Handshake } from '../nbd/client.ts';
import { newFile, newFolder, newStoreName, type Running, serving, start, writeSettings } from './running.ts';

const MiB = 2 ** 20;
const certificates = join(import.meta.dirname, '../nbd/certificates');
const pem = (name: string): string => join(certificates, `${name}.pem`);

interface Scene {
  readonly folder: string;
  readonly path: string;
  readonly running: Running;
  readonly settings: ServeInput;
  /** Reloads with changed settings; what the log says. */
  change(changes: Partial<ServeInput>): Promise<string>;
}

async function newScene(changes: Partial<ServeInput> = {}): Promise<Scene> {
  const folder = newFolder();
  const path = join(folder, 'nbd.sock');
  const settings: ServeInput = {
    store: { memory: '32 MiB' },
    listen: [`unix:${path}`],
    exports: [{ name: 'stays', kind: 'ram', size: MiB }],
    ...changes,
  };
  const running = await serving(settings, folder);
  return {
    ...{ folder, path, running, settings },
    change: (more) => {
      writeSettings({ threads: 0, ...settings, ...more }, folder);
      return running.reload();
    },
  };
}

async function exportNames(path: string): Promise<string[]> {
  const hand = await Handshake.start(await connectTo(path));
  const replies = await hand.ask(OPT.LIST);
  hand.stream.socket.destroy();
  return replies
    .filter(({ type }) => type === REP.SERVER)
    .map(({ data }) => data.toString('utf8', 4, 4 + data.readUInt32BE(0)));
}

const page = (text: string): Buffer => Buffer.alloc(4096, text);

test('exports come and go, and those that stay keep their connections', async () => {
  const scene = await newScene();
  const { path, folder } = scene;
  const client = await Client.open(path, 'stays');
  expect(await client.write(0, page('kept'))).toBe(0);
  const image = newFile(join(folder, 'image'), MiB);
  const stays = { name: 'stays', kind: 'ram' as const, size: MiB };
  const comes = { name: 'comes', kind: 'disk' as const, file: image };
  expect(await scene.change({ exports: [stays, comes] })).toMatch(/reloaded: comes added\n/);
  expect((await exportNames(path)).sort()).toEqual(['comes', 'stays']);
  const second = await Client.open(path, 'comes');
  expect(await second.write(4096, page('to the file'))).toBe(0);
  expect(await scene.change({ exports: [stays] })).toMatch(/reloaded: comes removed\n/);
  expect(await second.stream.closed()).toBe(true);
  expect(await exportNames(path)).toEqual(['stays']);
  // It left nothing behind: its file has all of it, and is not locked.
  expect(fs.readFileSync(image).subarray(4096, 8192).equals(page('to the file'))).toBe(true);
  expect(await scene.change({ exports: [stays, comes] })).toMatch(/comes added/);
  expect((await client.read(0, 4096)).equals(page('kept'))).toBe(true);
  await client.close();
  expect(await scene.running.stop()).toBe(0);
});

test('what a removed export held is dropped, and does not come back with its name', async () => {
  const scene = await newScene({ threads: 2, store: { name: newStoreName(), memory: '32 MiB' } });
  const stays = { name: 'stays', kind: 'ram' as const, size: MiB };
  const comes = { name: 'comes', kind: 'swap' as const, size: MiB };
  await scene.change({ exports: [stays, comes] });
  const client = await Client.open(scene.path, 'comes');
  expect(await client.write(0, page('old'))).toBe(0);
  await client.close();
  await scene.change({ exports: [stays] });
  await scene.change({ exports: [stays, comes] });
  const again = await Client.open(scene.path, 'comes');
  expect((await again.read(0, 4096)).equals(Buffer.alloc(4096))).toBe(true);
  await again.close();
});

test('sizes change up to what an export was opened for; beyond that nothing changes at all', async () => {
  const grows = { name: 'grows', kind: 'ram' as const, size: MiB, sizeMax: 4 * MiB };
  const scene = await newScene({ exports: [grows] });
  expect(await scene.change({ exports: [{ ...grows, size: 3 * MiB }] })).toMatch(/grows resized\n/);
  const client = await Client.open(scene.path, 'grows');
  expect(client.size).toBe(3 * MiB);
  await client.close();
  const other = { name: 'other', kind: 'ram' as const, size: MiB };
  const log = await scene.change({ exports: [{ ...grows, size: 5 * MiB }, other] });
  expect(log).toMatch(/nothing was changed: export 'grows': size: got 5242880, .* at most 4194304/);
  expect(await exportNames(scene.path)).toEqual(['grows']);
  expect(await scene.change({ exports: [{ ...grows, size: 3 * MiB }] })).toMatch(/nothing has changed/);
});

test('settings with mistakes, or a file that is missing, change nothing and are told', async () => {
  const scene = await newScene();
  const stays = scene.settings.exports?.[0] as object;
  const wrong = [{ name: 'other', kind: 'tape' }] as unknown as ServeInput['exports'];
  const log = await scene.change({ exports: wrong, http: '?' });
  expect(log).toMatch(/nothing was changed: settings: .*http: .*exports\[0\]\.kind: got "tape"/);
  const missing = join(scene.folder, 'none');
  const exports = [
    stays,
    { name: 'good', kind: 'ram', size: MiB },
    { name: 'bad', kind: 'disk', file: missing },
  ];
  expect(await scene.change({ exports: exports as ServeInput['exports'] })).toMatch(
    /nothing was changed: backing file .*none: is missing/,
  );
  expect(await exportNames(scene.path)).toEqual(['stays']);
  const client = await Client.open(scene.path, 'stays');
  expect(await client.write(0, page('x'))).toBe(0);
  await client.close();
});

test('what only a restart can change is named, and the rest is done', async () => {
  const scene = await newScene();
  const log = await scene.change({
    store: { memory: '64 MiB' },
    listen: ['unix:/elsewhere', ...(scene.settings.listen ?? [])],
    connectionsMax: 7,
    exports: [
      { name: 'stays', kind: 'ram', size: MiB, description: 'new' },
      { name: 'comes', kind: 'ram', size: MiB },
    ],
  });
  expect(log).toMatch(/reloaded: comes added\n/);
  expect(log).toMatch(/only a restart brings it about: store, listen, connectionsMax, export stays\n/);
});

test('flags and environment still hold after a reload', async () => {
  const folder = newFolder();
  const path = join(folder, 'nbd.sock');
  const exports = [{ name: 'file', kind: 'ram', size: MiB }];
  const file = writeSettings({ threads: 0, listen: ['unix:/nowhere'], exports }, folder);
  const running = start(['--config', file, '--listen', `unix:${path}`, '--export', 'flag=ram:1MiB'], {
    TMEM_SERVE_MEMORY: '32 MiB',
  });
  await running.until(/serving flag/);
  expect(await running.reload()).toMatch(/nothing has changed\n$/);
  expect((await exportNames(path)).sort()).toEqual(['file', 'flag']);
});

/** The certificate that a client without one of its own is shown. */
async function shownSubject(port: number): Promise<string> {
  const socket = createConnection(port, '127.0.0.1');
  await once(socket, 'connect');
  const hand = await Handshake.start(socket);
  await hand.ask(OPT.STARTTLS);
  hand.stream.detach();
  const secured: TLSSocket = connectTls({ socket, rejectUnauthorized: false });
  secured.on('error', () => {});
  const closed = new Promise((resolve) => secured.once('close', resolve));
  await once(secured, 'secureConnect');
  const { subject } = secured.getPeerCertificate();
  // The server has seen by then that there is no certificate of the client.
  secured.resume();
  await closed;
  return String(subject.CN);
}

test('certificates are replaced, broken ones are not, and a wrong client is refused with a line', async () => {
  const folder = newFolder();
  const [certificate, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const install = (name: string): void => {
    fs.copyFileSync(pem(`${name}-cert`), certificate);
    fs.copyFileSync(pem(`${name}-key`), key);
  };
  install('server');
  const scene = await newScene({
    threads: 2,
    listen: ['tcp://127.0.0.1:0'],
    tls: { certificate, key, authority: pem('ca-cert') },
  });
  const [, port] = await scene.running.until(/nbds:\/\/127\.0\.0\.1:(\d+)\/stays/);
  const first = await shownSubject(Number(port));
  await scene.running.until(/warning refused 127\.0\.0\.1: .*certificate/);
  install('stranger');
  expect(await scene.running.reload()).toMatch(/reloaded: certificates read again\n/);
  const second = await shownSubject(Number(port));
  expect(second).not.toBe(first);
  fs.writeFileSync(key, 'nonsense');
  expect(await scene.running.reload()).toMatch(/nothing was changed: tls: /);
  expect(await shownSubject(Number(port))).toBe(second);
  install('server');
  await scene.running.reload();
  const socket = createConnection(Number(port), '127.0.0.1');
  const hand = await Handshake.start(socket);
  await hand.ask(OPT.STARTTLS);
  hand.stream.detach();
  const known = { cert: fs.readFileSync(pem('client-cert')), key: fs.readFileSync(pem('client-key')) };
  const secured = connectTls({
    socket,
    ca: fs.readFileSync(pem('ca-cert')),
    servername: 'localhost',
    ...known,
  });
  await once(secured, 'secureConnect');
  secured.destroy();
});

test('an authority that comes is asked for at once, by all threads', async () => {
  const files = { certificate: pem('server-cert'), key: pem('server-key') };
  const scene = await newScene({ threads: 2, listen: ['tcp://127.0.0.1:0'], tls: files });
  const [, port] = await scene.running.until(/nbds:\/\/127\.0\.0\.1:(\d+)\/stays/);
  writeSettings({ ...scene.settings, tls: { ...files, authority: pem('ca-cert') } }, scene.folder);
  expect(await scene.running.reload()).not.toMatch(/restart/);
  for (let i = 0; i < 4; i++) await shownSubject(Number(port));
  const refusals = scene.running.log.match(/warning refused 127\.0\.0\.1: .*certificate/g) ?? [];
  expect(refusals.length).toBe(4);
});

test('a signal that comes while the daemon starts is not lost', async () => {
  const folder = newFolder();
  const settings = {
    ...{ store: { memory: '32 MiB' }, threads: 0, listen: [`unix:${join(folder, 'nbd.sock')}`] },
    exports: [{ name: 'stays', kind: 'ram' as const, size: MiB }],
  };
  const config = writeSettings(settings, folder);
  const stop = new AbortController();
  let log = '';
  const world: ServeWorld = {
    log: new Log({
      write: (text) => {
        log += text;
        if (/reloaded|nothing was changed/.test(text)) stop.abort();
      },
      wallMs: () => 0,
      isJournal: true,
    }),
    print: () => {},
    ...{ environment: {}, pid: 1, exit: () => {} },
    // The settings have been read by now.
    onHangUp: (hungUp) => {
      writeSettings({ ...settings, exports: [...settings.exports, extra] }, folder);
      hungUp();
      return () => {};
    },
  };
  expect(await serve({ config, check: false, flags: {} }, world, stop.signal)).toBe(0);
  expect(log).toMatch(/reloaded: extra added\n/);
});

test('a hundred signals at once are worked off one after the other', async () => {
  const scene = await newScene();
  const client = await Client.open(scene.path, 'stays');
  for (let i = 0; i < 100; i++) {
    const exports = [{ name: 'stays', kind: 'ram' as const, size: MiB }, ...(i % 2 === 0 ? [] : [extra])];
    writeSettings({ threads: 0, ...scene.settings, exports }, scene.folder);
    scene.running.child.kill('SIGHUP');
    if (i % 10 === 0) expect(await client.command(CMD.FLUSH)).toBe(0);
  }
  await scene.running.reload();
  expect(await client.write(0, page('still'))).toBe(0);
  await client.close();
  expect(await scene.running.stop()).toBe(0);
});

const extra = { name: 'extra', kind: 'ram' as const, size: MiB };
