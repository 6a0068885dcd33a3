// Metrics and health over HTTP.
import { once } from 'node:events';
import { request } from 'node:http';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { CMD } from '../../src/nbd/protocol.ts';
import { Daemon } from '../../src/serve/daemon.ts';
import { type ServeInput, serveSettings } from '../../src/serve/settings.ts';
import { PROMETHEUS_CONTENT_TYPE } from '../../src/zcache/index.ts';
import { Client, connectTo } from '../nbd/client.ts';
import { newFile, newFolder } from './running.ts';

const MiB = 2 ** 20;

interface Answer {
  readonly status: number;
  readonly type: string | undefined;
  readonly allow: string | undefined;
  readonly body: string;
}

async function newDaemon(changes: Partial<ServeInput> = {}) {
  const folder = newFolder();
  const path = join(folder, 'nbd.sock');
  const http = join(folder, 'http.sock');
  const settings = serveSettings({
    store: { memory: '32 MiB' },
    threads: 0,
    listen: [`unix:${path}`],
    http: `unix:${http}`,
    exports: [
      { name: 'a"b', kind: 'ram', size: 8 * MiB, memoryMax: 4 * MiB },
      { name: 'disk', kind: 'disk', file: newFile(join(folder, 'image'), MiB) },
    ],
    ...changes,
  });
  const events = { writeBackFailed: () => {}, writeBackWorks: () => {}, failed: () => {} };
  const daemon = await Daemon.start(settings, { nbd: [], http: [] }, events);
  onTestFinished(async () => {
    await daemon.stop();
  });
  const ask = (target: string, method = 'GET'): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const asked = request({ socketPath: http, path: target, method }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text) => {
          body += text;
        });
        const { 'content-type': type, allow } = response.headers;
        response.on('end', () => resolve({ status: response.statusCode ?? 0, type, allow, body }));
      });
      asked.on('error', reject).end();
    });
  return { daemon, path, http, ask };
}

function sample(text: string, name: string): number {
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1));
}

test('metrics have the store, each export in terms of zram and of requests, and the connections', async () => {
  const { path, ask, daemon } = await newDaemon();
  const client = await Client.open(path, 'a"b');
  await client.write(0, Buffer.alloc(10 * 4096, 'text that compresses '));
  await client.write(10 * 4096, Buffer.alloc(5 * 4096, 7));
  await client.read(0, 4096);
  await client.command(CMD.TRIM, 0, 4096);
  const { status, type, body } = await ask('/metrics?name=value');
  expect([status, type]).toEqual([200, PROMETHEUS_CONTENT_TYPE]);
  const of = (name: string) => sample(body, `tmem_export_${name}{export="a\\"b",kind="ram"}`);
  expect({
    size: of('disksize_bytes'),
    original: of('orig_data_size_bytes'),
    same: of('same_pages'),
    huge: of('huge_pages'),
    limit: of('mem_limit_bytes'),
    refused: of('refused_pages_total'),
    reads: of('reads_total'),
    readBytes: of('read_bytes_total'),
    writes: of('writes_total'),
    written: of('written_bytes_total'),
    trims: of('trims_total'),
  }).toEqual({
    ...{ size: 8 * MiB, original: 14 * 4096, same: 5, huge: 0, limit: 4 * MiB, refused: 0 },
    ...{ reads: 1, readBytes: 4096, writes: 2, written: 15 * 4096, trims: 1 },
  });
  expect(of('compr_data_size_bytes')).toBeLessThan(9 * 4096);
  expect(of('mem_used_bytes')).toBeGreaterThan(0);
  expect(sample(body, 'tmem_export_disksize_bytes{export="disk",kind="disk"}')).toBe(MiB);
  expect(sample(body, 'tmem_nbd_connections')).toBe(daemon.health().connections);
  expect(sample(body, 'tmem_nbd_refused_total')).toBe(0);
  expect(sample(body, 'tmem_store_memory_bytes')).toBe(32 * MiB);
  // Each line is a comment or a sample, each sample once.
  const lines = body.trimEnd().split('\n');
  const samples = lines.filter((line) => !line.startsWith('#'));
  for (const line of samples) expect(line).toMatch(/^[a-z_:]+(\{.*\})? -?[0-9.e+]+$/);
  const names = samples.map((line) => line.slice(0, line.lastIndexOf(' ')));
  expect(new Set(names).size).toBe(names.length);
  await client.close();
});

test('clients that are not let in are counted', async () => {
  const { path, ask } = await newDaemon({ connectionsMax: 1 });
  const client = await Client.open(path, 'disk');
  const refused = await connectTo(path);
  refused.resume();
  await once(refused, 'close');
  expect(sample((await ask('/metrics')).body, 'tmem_nbd_refused_total')).toBe(1);
  await client.close();
});

test('health is 200 with a few figures', async () => {
  const { ask } = await newDaemon();
  const { status, type, body } = await ask('/healthz');
  expect([status, type]).toEqual([200, 'application/json']);
  expect(JSON.parse(body)).toEqual({ status: 'ok', exports: 2, connections: 0 });
});

test.each([
  ['/', 'GET', 404],
  ['/metrics/', 'GET', 404],
  ['/metrics', 'POST', 405],
  ['/healthz', 'DELETE', 405],
  ['/peers', 'GET', 404],
  ['/peers', 'PUT', 405],
  ['/metrics', 'HEAD', 200],
])('%s by %s is %i', async (target, method, expected) => {
  const { ask } = await newDaemon();
  const { status, allow, body } = await ask(target, method);
  expect(status).toBe(expected);
  if (status === 405) expect(allow).toBe('GET, HEAD');
  if (method === 'HEAD') expect(body).toBe('');
});

test('what is no request, too large, or never ends is cut off, and others are answered', async () => {
  const { http, ask } = await newDaemon();
  const endings = ['nonsense\r\n\r\n', `GET / HTTP/1.1\r\nX: ${'y'.repeat(9000)}\r\n\r\n`].map(
    async (text) => {
      const socket = createConnection(http, () => socket.write(text));
      socket.on('error', () => {});
      let answer = '';
      socket.setEncoding('utf8').on('data', (part) => {
        answer += part;
      });
      await once(socket, 'close');
      return answer;
    },
  );
  const slow = createConnection(http, () => slow.write('GET /metr'));
  slow.on('error', () => {});
  slow.resume();
  const slowEnds = once(slow, 'close');
  expect((await ask('/healthz')).status).toBe(200);
  expect(await Promise.all(endings)).toEqual([
    expect.stringContaining('400 Bad Request'),
    expect.stringContaining('431 '),
  ]);
  await slowEnds;
});
