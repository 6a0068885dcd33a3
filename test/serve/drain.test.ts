// SIGTERM: what was acknowledged lasts, nobody holds the end up for longer than agreed, a second signal ends at once.
import fs from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CMD } from '../../src/nbd/protocol.ts';
import { Client, connectTo, requestBytes } from '../nbd/client.ts';
import { newFile, newFolder, newStoreName, type Running, serving } from './running.ts';

const MiB = 2 ** 20;
const PAGE = 4096;
const ESHUTDOWN = 108;

/** Writes pages until the daemon takes no more; what was acknowledged last of each page, and how writes ended. */
async function writeUntilRefused(client: Client, first: number, pages: number) {
  const held = new Map<number, number>();
  const errors = new Set<number>();
  const work = async (lane: number): Promise<void> => {
    for (let turn = 0; errors.size === 0; turn++) {
      const slot = first + lane + ((turn * 8) % pages);
      const value = 1 + ((first + turn) % 250);
      const error = await client.write(slot * PAGE, Buffer.alloc(PAGE, value));
      if (error === 0) held.set(slot, value);
      else {
        errors.add(error);
        held.delete(slot); // it may have been written or not
      }
    }
  };
  await Promise.all(Array.from({ length: 8 }, (_, lane) => work(lane)));
  return { held, errors };
}

test.each([0, 2])(
  'under load, all that was acknowledged is there afterwards (threads: %i)',
  async (threads) => {
    const folder = newFolder();
    const path = join(folder, 'nbd.sock');
    const image = newFile(join(folder, 'image'), 4 * MiB);
    const settings = {
      store: { name: newStoreName(), memory: '32 MiB' },
      threads,
      listen: [`unix:${path}`],
      exports: [
        { name: 'disk', kind: 'disk', file: image },
        { name: 'swap', kind: 'swap', size: 4 * MiB },
      ],
    };
    const running = await serving(settings, folder);
    const clients = await Promise.all(
      ['disk', 'disk', 'swap', 'swap'].map((name) => Client.open(path, name, 'extended')),
    );
    // Two clients of an export write different pages of it.
    const load = clients.map((client, i) => writeUntilRefused(client, (i % 2) * 256, 256));
    while ((await clients[0]!.read(200 * PAGE, 1))[0] === 0);
    expect(await running.stop()).toBe(0);
    const results = await Promise.all(load);
    for (const { errors } of results) {
      // Refused in words, or the connection had ended by then.
      expect([...errors].every((error) => error === ESHUTDOWN || error === -1)).toBe(true);
    }
    expect(running.log).toMatch(/stopping: requests under way get 5000 ms\n[\s\S]*stopped\n$/);
    const file = fs.readFileSync(image);
    const again = await serving(settings, folder);
    const swap = await (await Client.open(path, 'swap')).read(0, 4 * MiB);
    for (const [i, { held }] of results.entries()) {
      expect(held.size).toBeGreaterThan(0);
      const bytes = i < 2 ? file : swap;
      for (const [slot, value] of held) {
        const page = bytes.subarray(slot * PAGE, (slot + 1) * PAGE);
        expect(page.equals(Buffer.alloc(PAGE, value))).toBe(true);
      }
    }
    expect(await again.stop()).toBe(0);
  },
);

async function healthOf(running: Running): Promise<{ status: number; body: string }> {
  const [, address] = await running.until(/metrics and health: (\S+)/);
  return await new Promise((resolve, reject) => {
    get(`${address}/healthz`, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text) => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    }).on('error', reject);
  });
}

/** A daemon with clients that stall: in the handshake, and with replies they do not read. */
async function stalled(drainTimeoutMs: number): Promise<{ running: Running; path: string }> {
  const folder = newFolder();
  const path = join(folder, 'nbd.sock');
  const running = await serving(
    {
      store: { memory: '16 MiB' },
      listen: [`unix:${path}`],
      threads: 2,
      http: ':0',
      drainTimeoutMs,
      exports: [{ name: 'one', kind: 'ram', size: 64 * MiB }],
    },
    folder,
  );
  (await connectTo(path)).on('error', () => {});
  const { socket } = (await Client.open(path)).stream;
  socket.on('error', () => {});
  socket.pause();
  for (let i = 0; i < 8; i++) {
    socket.write(requestBytes('structured', BigInt(i), { type: CMD.READ, length: 32 * MiB }));
  }
  // What the daemon sends until nothing more fits.
  await new Promise((resolve) => setTimeout(resolve, 100));
  return { running, path };
}

test('clients that stall hold the end up for no longer than was agreed', async () => {
  const { running } = await stalled(200);
  expect(await running.stop()).toBe(0);
});

test('while it drains it says so and takes nobody; a second signal ends it at once', async () => {
  const { running, path } = await stalled(600_000);
  expect(await healthOf(running)).toMatchObject({ status: 200 });
  running.child.kill('SIGTERM');
  await running.until(/stopping/);
  const { status, body } = await healthOf(running);
  expect([status, JSON.parse(body).status]).toEqual([503, 'draining']);
  await expect(connectTo(path)).rejects.toThrow(/ENOENT|ECONNREFUSED/);
  running.child.kill('SIGINT');
  expect(await running.ended()).toBe('SIGINT');
});
