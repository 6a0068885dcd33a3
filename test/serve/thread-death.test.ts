// A thread that dies takes the daemon with it: what it held would stay held.
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { type ServeWorld, serve } from '../../src/cli/serve/command.ts';
import { Log } from '../../src/cli/serve/log.ts';
import { Client } from '../nbd/client.ts';
import { newFolder } from './running.ts';

test('the daemon says so, is not healthy any more, and ends with status 1', async () => {
  const workers: Worker[] = [];
  const note = (worker: Worker): void => void workers.push(worker);
  process.on('worker', note);
  onTestFinished(() => void process.off('worker', note));
  const path = join(newFolder(), 'nbd.sock');
  const exited = Promise.withResolvers<number>();
  const started = Promise.withResolvers<void>();
  let log = '';
  const stop = new AbortController();
  const world: ServeWorld = {
    log: new Log({
      write: (text) => {
        log += text;
        if (/metrics/.test(log)) started.resolve();
      },
      wallMs: () => 0,
      isJournal: true,
    }),
    print: () => {},
    environment: {},
    pid: 1,
    exit: exited.resolve,
    onHangUp: () => () => {},
  };
  const flags = {
    ...{ memory: '32 MiB', threads: '2', listen: [`unix:${path}`], http: ':0' },
    export: ['one=ram:1MiB'],
  };
  const served = serve({ check: false, flags }, world, stop.signal);
  await Promise.race([started.promise, served]);
  const client = await Client.open(path);
  expect(await client.write(0, Buffer.alloc(4096, 1))).toBe(0);
  client.stream.socket.destroy();
  await workers.at(-1)!.terminate();
  expect(await exited.promise).toBe(1);
  expect(log).toMatch(/<3>nbd: a thread that serves connections .* end this process/);
  const [, address] = /metrics and health: (\S+)/.exec(log) as RegExpExecArray;
  const response = await fetch(`${address}/healthz`);
  expect([response.status, await response.json()]).toMatchObject([503, { status: 'failed' }]);
  // This process goes on, unlike a daemon: what is left of it ends with the test.
  stop.abort();
  await expect(served).rejects.toMatchObject({ code: 'TMEM_ERR_THREAD_DIED' });
});
