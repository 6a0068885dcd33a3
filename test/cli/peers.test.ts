// `tmem peers`: what it shows, and what it says when there is nothing to show.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createPlainServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { askPeers } from '../../src/cli/peers/ask.ts';
import { peersView } from '../../src/cli/peers/view.ts';
import { render } from '../../src/cli/text/line.ts';
import { type PeersPage, parseAddress } from '../../src/serve/index.ts';
import { cleanEnvironment, MAIN } from '../serve/running.ts';

const peer = { address: '10.0.0.2:7300', state: 'up', draining: false, latencyMs: 0.31 } as const;
const held = { freeBytes: 3 * 2 ** 30, lentPages: 3000, lentBytes: 2 ** 20, borrowedPages: 38_900 };

const page: PeersPage = {
  ...{ name: 'a', cluster: 'tmem', addresses: ['10.0.0.1:7300'], replicas: 2 },
  ...{ remotePages: 51_200, lentPages: 4000, lentBytes: 3 * 2 ** 20, replicasShort: 0, pagesLost: 0 },
  peers: [{ name: 'b', ...peer, ...held }],
  engines: [],
};

const shown = (given: PeersPage, columns = 120) =>
  peersView(given, columns).map((line) => render(line, columns, false));

test('each peer has a line, and whoever is down only what it has of us', () => {
  const down = { ...peer, ...held, state: 'down', problem: 'connect\u001b[2J ECONNREFUSED' } as const;
  const nothing = { ...held, lentPages: 0, lentBytes: 0, borrowedPages: 0 };
  const peers: PeersPage['peers'] = [
    ...page.peers,
    { name: 'c', ...down, lentPages: 0, lentBytes: 0 },
    { name: 'd', ...peer, ...nothing, draining: true, latencyMs: 12.34 },
    { name: 'e', ...peer, ...nothing, state: 'suspect' },
  ];
  const engine = {
    name: 'redis',
    state: 'up',
    freeBytes: 2 ** 30,
    latencyMs: 0.2,
    borrowedPages: 7,
  } as const;
  expect(shown({ ...page, peers, engines: [engine] })).toEqual([
    'a of tmem at 10.0.0.1:7300 · 51.2k pages away, 2 copies each · 3 MiB lent',
    '',
    'peer   state    address           borrowed   lent   free  latency  problem',
    'b      up       10.0.0.2:7300  38.9k pages  1 MiB  3 GiB   0.3 ms',
    'c      down     10.0.0.2:7300  38.9k pages      -      -        -  connect?[2J ECONNREFUSED',
    'd      leaving  10.0.0.2:7300            -      -  3 GiB    12 ms',
    'e      late     10.0.0.2:7300            -      -  3 GiB   0.3 ms',
    'redis  up       -                  7 pages      -  1 GiB   0.2 ms',
  ]);
  expect(shown({ ...page, peers }, 30)[2]).toBe('peer  state       borrowed');
});

test('what is wrong comes before the peers', () => {
  const wrong = {
    ...page,
    replicas: 1,
    addresses: [],
    replicasShort: 311,
    pagesLost: 2,
    problem: 'NATS\nis away',
  };
  expect(shown({ ...wrong, peers: [] })).toEqual([
    'a of tmem · 51.2k pages away, 1 copy each · 3 MiB lent',
    '311 pages have too few copies',
    '2 pages are lost: no copy is left',
    'membership: NATS?is away',
    '',
    'no peers',
  ]);
});

function run(...args: string[]) {
  return spawnSync(process.execPath, [MAIN, 'peers', ...args], { encoding: 'utf8', env: cleanEnvironment() });
}

test('where no daemon answers, the address and what to do are told', () => {
  const { status, stdout, stderr } = run('--http', 'unix:/nonexistent/http.sock');
  expect([status, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(
    /^tmem peers: no daemon answers at unix:\/nonexistent\/http\.sock: .*ENOENT.*; --http names the address .*\n$/,
  );
  expect(run('--http', 'somewhere').stderr).toMatch(
    /^tmem peers: option '--http <address>' argument 'somewhere' is/,
  );
});

/** Something that answers so; its address. */
async function answering(status: number, body: string) {
  const server = createServer((_, response) => response.writeHead(status).end(body));
  server.listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  return parseAddress(`127.0.0.1:${(server.address() as AddressInfo).port}`)!;
}

const never = new AbortController().signal;

test('a daemon’s answer is taken as it is', async () => {
  expect(await askPeers(await answering(200, JSON.stringify(page)), never)).toEqual(page);
});

test.each<[string, number, string, RegExp]>([
  [
    'a daemon that is no node',
    404,
    'this is no node',
    /^the daemon at http:\/\/127\.0\.0\.1:\d+ is no node of a cluster$/,
  ],
  [
    'something else',
    200,
    '<html>\n',
    /^what answers at http:\S+ is no tmem serve of this version: 200 <html>$/,
  ],
  ['another version', 200, '{"name": "a"}', /is no tmem serve of this version: 200 \{"name": "a"\}$/],
  ['an error', 503, 'busy', /is no tmem serve of this version: 503 busy$/],
])('%s is told', async (_, status, body, message) => {
  await expect(askPeers(await answering(status, body), never)).rejects.toThrow(message);
});

test('an answer that never ends is given up when the command is', async () => {
  const folder = fs.mkdtempSync(join(tmpdir(), 'tmem-peers-'));
  const path = join(folder, 'http.sock');
  const server = createPlainServer((socket) => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n{');
    socket.on('error', () => {});
    ended.abort();
  }).listen(path);
  onTestFinished(() => {
    server.close();
    fs.rmSync(folder, { recursive: true, force: true });
  });
  await once(server, 'listening');
  const ended = new AbortController();
  await expect(askPeers({ path }, ended.signal)).rejects.toThrow(
    expect.objectContaining({ name: 'AbortError' }),
  );
});
