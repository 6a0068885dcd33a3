// A server that is killed at any moment: what was flushed is on the file, and with a named store what was acknowledged
// is still served.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { CMD, CMD_FLAG } from '../../src/nbd/protocol.ts';
import { removeStore } from '../../src/zcache/index.ts';
import { newFile, newFolder } from './bench.ts';
import { Client } from './client.ts';
import { randomFrom } from './rounds.ts';
import type { ServerArguments } from './server-process.ts';

const BYTES = 2 * 2 ** 20;
const BLOCK = 512;
const ROUNDS = 8;

async function startServer(given: ServerArguments): Promise<ChildProcess> {
  const script = join(import.meta.dirname, 'server-process.ts');
  const child = spawn(process.execPath, [script, JSON.stringify(given)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const [line] = await Promise.race([once(child.stdout!, 'data'), once(child, 'exit')]);
  expect(String(line)).toBe('ready\n');
  return child;
}

/** Each block of a write holds its number, also as the seed of the rest. */
function blockOf(id: number): Buffer {
  const bytes = Buffer.alloc(BLOCK, id % 251);
  bytes.writeUInt32BE(id, 0);
  bytes.writeUInt32BE(id, BLOCK - 4);
  return bytes;
}

/** What each block may hold: the numbers of writes. The first is the one that was acknowledged (or flushed) last. */
type Allowed = Set<number>[];

/** Writes and flushes until the server is killed, and notes what has to have survived. */
async function workUntilKilled(
  child: ChildProcess,
  path: string,
  seed: number,
  allowed: Allowed,
  lasts: 'flushed' | 'acknowledged',
): Promise<void> {
  const random = randomFrom(seed);
  const clients = [await Client.open(path), await Client.open(path)];
  const waitMs = random(150);
  setTimeout(() => child.kill('SIGKILL'), waitMs);
  let id = seed * 100_000;
  const work = async (client: Client, half: number): Promise<void> => {
    while (!client.ended) {
      const blocks = allowed.length / 2;
      const first = half * blocks + random(blocks - 40);
      const count = 1 + random(40);
      const mine = ++id;
      const fua = random(4) === 0;
      for (let block = first; block < first + count; block++) allowed[block]!.add(mine);
      const payload = Buffer.concat(Array.from({ length: count }, () => blockOf(mine)));
      const error = await client.write(first * BLOCK, payload, fua ? CMD_FLAG.FUA : 0);
      if (error === 0 && (fua || lasts === 'acknowledged')) {
        for (let block = first; block < first + count; block++) allowed[block] = new Set([mine]);
      }
      if (random(6) !== 0 || client.ended) continue;
      // Only this half: what the other connection has under way is not covered.
      const before = allowed.slice(half * blocks, (half + 1) * blocks).map((held) => [...held].at(-1)!);
      if ((await client.command(CMD.FLUSH)) !== 0) continue;
      for (const [i, last] of before.entries()) allowed[half * blocks + i] = new Set([last]);
    }
  };
  await Promise.all([work(clients[0]!, 0), work(clients[1]!, 1)]);
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  expect(child.signalCode).toBe('SIGKILL');
}

/** Checks an image; what a block holds now is what it has to hold from now on. */
function check(image: Buffer, allowed: Allowed): void {
  for (const [block, held] of allowed.entries()) {
    const bytes = image.subarray(block * BLOCK, (block + 1) * BLOCK);
    const id = bytes.readUInt32BE(0);
    if (!held.has(id)) expect.fail(`block ${block} holds write ${id}, allowed are ${[...held].join(', ')}`);
    if (id === 0) expect(bytes.every((byte) => byte === 0)).toBe(true);
    else if (!bytes.equals(blockOf(id))) expect.fail(`block ${block} is torn`);
    allowed[block] = new Set([id]);
  }
}

const untouched = (): Allowed => Array.from({ length: BYTES / BLOCK }, () => new Set([0]));

test.each([
  ['with room', {}, undefined],
  ['whose pages move out all the time', {}, 20],
  ['with little memory', { memoryMax: 2 ** 19 }, undefined],
  ['written through', { writethrough: true }, undefined],
])(
  'what was flushed to a disk %s is on its file after the server was killed',
  async (_, options, shrinkTo) => {
    const folder = newFolder();
    const file = newFile(folder, BYTES);
    const path = join(folder, 'socket');
    const given: ServerArguments = {
      path,
      store: { memory: '16 MiB' },
      export: { name: 'one', kind: 'disk', file, ...options },
      ...(shrinkTo === undefined ? {} : { shrinkTo }),
    };
    const allowed = untouched();
    for (let round = 1; round <= ROUNDS; round++) {
      const child = await startServer(given);
      await workUntilKilled(child, path, round, allowed, 'flushed');
      check(fs.readFileSync(file), allowed);
    }
  },
);

test('what was acknowledged by a disk in a named store is served after the server was killed', async () => {
  const folder = newFolder();
  const file = newFile(folder, BYTES);
  const path = join(folder, 'socket');
  const name = `nbd-test-${randomBytes(6).toString('hex')}`;
  onTestFinished(() => removeStore(name, { force: true }));
  const given: ServerArguments = {
    path,
    store: { memory: '16 MiB', name },
    export: { name: 'one', kind: 'disk', file, memoryMax: 2 ** 20 },
    shrinkTo: 300,
  };
  const allowed = untouched();
  for (let round = 1; round <= ROUNDS; round++) {
    const child = await startServer(given);
    const client = await Client.open(path);
    check(await client.read(0, BYTES), allowed);
    await client.close();
    await workUntilKilled(child, path, round, allowed, 'acknowledged');
  }
  const child = await startServer(given);
  const client = await Client.open(path);
  const image = await client.read(0, BYTES);
  check(image, allowed);
  await client.close();
  // Ended in order, the file has everything.
  child.kill('SIGTERM');
  expect((await once(child, 'exit'))[0]).toBe(0);
  expect(fs.readFileSync(file).equals(image)).toBe(true);
});
