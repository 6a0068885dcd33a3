// Channels over unix sockets, for which the system says who may connect.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { makeAuthority } from '../certificates.ts';
import { bench, connected, frame, Heard } from './bench.ts';

const authority = await makeAuthority();

function socketPath(): string {
  const directory = mkdtempSync(join(tmpdir(), 'tmem-transport-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, 'node.sock');
}

/** A listener on a unix socket, and a frame through it. */
async function works(path: string): Promise<void> {
  const { listener, next } = bench(await authority.node('alpha'));
  expect(await listener.listen(`unix:${path}`)).toBe(`unix:${path}`);
  const asking = await connected(await authority.node('beta'), `unix:${path}`, 'alpha');
  const answering = await next();
  expect([asking.peerAddress, answering.peerAddress]).toEqual([`unix:${path}`, `unix:${path}`]);
  expect([asking.peerName, answering.peerName]).toEqual([undefined, undefined]);
  const there = new Heard(answering);
  asking.send(...frame(1, Buffer.alloc(4096, 3)));
  await there.until(1);
  expect(there.frames).toEqual([Buffer.concat(frame(1, Buffer.alloc(4096, 3)))]);
  listener.close();
}

test('a unix socket is for its owner only, needs no TLS, and goes with its listener', async () => {
  const path = socketPath();
  const { listener } = bench(undefined);
  await listener.listen(`unix:${path}`);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  listener.close();
  expect(existsSync(path)).toBe(false);
  await works(path);
});

test('a socket that a killed node left behind is taken over, one that is listened on is not', async () => {
  const path = socketPath();
  const code = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 9))`;
  spawnSync(process.execPath, ['-e', code]);
  expect(existsSync(path)).toBe(true);
  const { listener } = bench(undefined);
  await listener.listen(`unix:${path}`);
  await expect(bench(undefined).listener.listen(`unix:${path}`)).rejects.toMatchObject({
    code: 'EADDRINUSE',
  });
  listener.close();
  await works(path);
});

test('a unix socket that is not there is an error that says why', async () => {
  const path = socketPath();
  await expect(connected(undefined, `unix:${path}`)).rejects.toThrow(
    `cannot connect to unix:${path}: connect ENOENT ${path}`,
  );
});
