// Sockets that are handed over, and telling systemd.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { createConnection, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { SystemdNotifier } from '../../src/cli/serve/notify.ts';
import { inheritedSockets } from '../../src/serve/index.ts';
import { Client, Handshake } from '../nbd/client.ts';
import { cleanEnvironment, MAIN, newFolder, Running, spawned, start } from './running.ts';

const QUICK = ['--memory', '32 MiB', '--threads', '0', '--export', 'one=ram:1MiB'];

test.each([
  ['none', {}, 0, 0],
  ['those for another process', { LISTEN_FDS: '2', LISTEN_PID: '8' }, 0, 0],
  ['two without names', { LISTEN_FDS: '2', LISTEN_PID: '7' }, 2, 0],
  ['one of each', { LISTEN_FDS: '2', LISTEN_PID: '7', LISTEN_FDNAMES: 'http:nbd' }, 1, 1],
  ['nonsense', { LISTEN_FDS: '1e9', LISTEN_PID: '7' }, 0, 0],
  ['far too many', { LISTEN_FDS: '999', LISTEN_PID: '7' }, 64, 0],
])('of handed over sockets, %s', (_, environment, nbd, http) => {
  const found = inheritedSockets(environment, 7);
  expect([found.nbd.length, found.http.length]).toEqual([nbd, http]);
  if (http === 1) expect(found).toEqual({ nbd: [{ descriptor: 4 }], http: [{ descriptor: 3 }] });
});

/** A port that is listened on, and the descriptor that does. */
async function listening(): Promise<{ server: Server; port: number; descriptor: number }> {
  const server = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
  return { server, port: (server.address() as { port: number }).port, descriptor: fd };
}

test('a daemon serves on the sockets it was handed, those for clients and those for metrics', async () => {
  const [http, nbd] = [await listening(), await listening()];
  // The process id has to be in the environment of that very process: a shell becomes it.
  const script = 'export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=http:nbd; exec "$@"';
  const child = spawn('/bin/sh', ['-c', script, 'sh', process.execPath, MAIN, 'serve', ...QUICK], {
    env: cleanEnvironment(),
    stdio: ['ignore', 'ignore', 'pipe', http.descriptor, nbd.descriptor],
  });
  // From now on only the daemon listens there.
  for (const { server } of [http, nbd]) server.close();
  const running = new Running(child);
  await running.until(/serving one: descriptor 4\n[\s\S]*metrics and health: descriptor 3\n/);
  const socket = createConnection(nbd.port, '127.0.0.1');
  const client = await Client.go(await Handshake.start(socket), 'one', 'structured');
  expect(await client.write(0, Buffer.alloc(4096, 1))).toBe(0);
  await client.close();
  const response = await fetch(`http://127.0.0.1:${http.port}/healthz`);
  expect([response.status, await response.json()]).toEqual([
    200,
    { status: 'ok', exports: 1, connections: 0 },
  ]);
  expect(await running.stop()).toBe(0);
});

/** A program that notes what it is given; one state takes longer than the others. */
function newNotify(slow = 'none'): { folder: string; told: string } {
  const folder = newFolder();
  const told = join(folder, 'told');
  const script = `#!/bin/sh\n[ "$*" = ${slow} ] && sleep 0.3\necho "$NOTIFY_SOCKET $*" >> ${told}\n`;
  fs.writeFileSync(join(folder, 'systemd-notify'), script, { mode: 0o755 });
  return { folder, told };
}

test('systemd is told when the daemon is ready, reloads and stops, in this order', async () => {
  const { folder, told } = newNotify('RELOADING=1');
  const running = start([...QUICK, '--listen', `unix:${join(folder, 'nbd.sock')}`], {
    NOTIFY_SOCKET: '/run/notify',
    PATH: `${folder}:${process.env.PATH}`,
  });
  const lines = async (count: number): Promise<string[]> => {
    for (;;) {
      const found = fs.existsSync(told) ? fs.readFileSync(told, 'utf8').split('\n').slice(0, -1) : [];
      if (found.length >= count) return found;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  expect(await lines(1)).toEqual(['/run/notify READY=1']);
  await running.reload();
  expect((await lines(3)).slice(1)).toEqual(['/run/notify RELOADING=1', '/run/notify READY=1']);
  expect(await running.stop()).toBe(0);
  expect((await lines(4))[3]).toBe('/run/notify STOPPING=1');
});

test('after the daemon has said that it stops it says nothing else', async () => {
  const { folder, told } = newNotify();
  const failures: string[] = [];
  const notifier = new SystemdNotifier(
    { NOTIFY_SOCKET: '/x', PATH: `${folder}:${process.env.PATH}` },
    (why) => failures.push(why),
  );
  const all = (['RELOADING=1', 'STOPPING=1', 'READY=1'] as const).map((state) => notifier.tell(state));
  await Promise.all(all);
  expect(fs.readFileSync(told, 'utf8')).toBe('/x RELOADING=1\n/x STOPPING=1\n');
  expect(failures).toEqual([]);
});

test('without systemd-notify the daemon says so and goes on', async () => {
  const folder = newFolder();
  const running = spawned(
    process.execPath,
    [MAIN, 'serve', ...QUICK, '--listen', `unix:${join(folder, 'nbd.sock')}`],
    { NOTIFY_SOCKET: '/run/notify', PATH: folder },
  );
  await running.until(/warning systemd-notify READY=1: .*ENOENT\n/);
  expect(await running.stop()).toBe(0);
});
