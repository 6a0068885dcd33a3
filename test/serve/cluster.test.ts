// Clusters of daemons, as real processes: pages of exports are with peers, survive one that is killed, and move when
// one leaves.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { connect } from 'node:tls';
import { expect, test } from 'vitest';
import { Client } from '../nbd/client.ts';
import {
  ask,
  borrower,
  Cluster,
  everybodyUp,
  expectAll,
  fill,
  lender,
  metric,
  type Node,
  type NodeChanges,
  peersOf,
  statesOf,
  until,
} from './cluster.ts';
import { cleanEnvironment, MAIN, newStoreName, start, writeSettings } from './running.ts';

const MiB = 2 ** 20;
const MINUTES_MS = 300_000;

/** What `tmem peers` prints. */
function peersCommand({ http }: Node, ...more: string[]): string {
  const args = [MAIN, 'peers', '--http', `unix:${http}`, ...more];
  const run = spawnSync(process.execPath, args, { encoding: 'utf8', env: cleanEnvironment() });
  expect(run.stderr).toBe('');
  expect(run.status).toBe(0);
  return run.stdout;
}

test(
  'what an export holds is with two peers, and all of it is there after one was killed',
  async () => {
    const cluster = await Cluster.make(['a', 'b', 'c']);
    const b = await cluster.start('b', lender);
    await cluster.start('c', lender);
    const a = await cluster.start('a', borrower('ram'));
    await everybodyUp(a);
    const client = await Client.open(a.nbd, 'small');
    const data = await fill(client);
    await expectAll(client, data);

    const { remotePages, replicas, peers } = await peersOf(a);
    expect(replicas).toBe(2);
    expect(remotePages).toBeGreaterThan((8 * MiB) / 4096);
    for (const { borrowedPages } of peers) expect(borrowedPages).toBeGreaterThan((8 * MiB) / 4096);
    expect(await metric(a, 'tmem_ramster_remote_pers_pages')).toBeGreaterThan(0);
    expect(await metric(a, 'tmem_ramster_pers_pages_remoted_total')).toBeGreaterThan(0);
    expect(await metric(a, 'tmem_ramster_remote_pers_pages_succ_get_total')).toBeGreaterThan(0);
    expect(await metric(a, 'tmem_ramster_peer_up{peer="b"}')).toBe(1);
    expect(await metric(b, 'tmem_ramster_foreign_pers_pages')).toBeGreaterThan((8 * MiB) / 4096);
    expect(await metric(b, 'tmem_ramster_peer_lent_bytes{peer="a"}')).toBeGreaterThan(8 * MiB);

    b.running.child.kill('SIGKILL');
    await expectAll(client, data);
    await until(
      'b is found to be down',
      () => statesOf(a),
      ({ b: state }) => state === 'down',
    );
    await a.running.until(/warning peer b is down: .*\n/);
    expect(await metric(a, 'tmem_ramster_peer_up{peer="b"}')).toBe(0);
    const table = peersCommand(a);
    expect(table).toMatch(/^a of tmem at 127\.\S+:7300 · \d+ pages away, 2 copies each · 0 B lent\n/);
    expect(table).toMatch(/\nb +down +127\.\S+:7300 +\d+ pages +- +- +- +cannot connect to /);
    expect(table).toMatch(/\nc +up +127\.\S+:7300 +\d+ pages +- +\S+ MiB +\S+ ms\n/);
    expect(JSON.parse(await ask(a.http, '/healthz'))).toMatchObject({
      status: 'ok',
      peers: { up: 1, down: ['b'] },
    });

    // Back with an empty memory: it gets the copies that it should have.
    await cluster.start('b', lender);
    await until(
      'all copies are there again',
      () => peersOf(a),
      (page) => page.replicasShort === 0 && page.peers.every(({ borrowedPages }) => borrowedPages > 0),
    );
    expect(await metric(a, 'tmem_ramster_pages_lost_total')).toBe(0);
    await expectAll(client, data);
    await client.close();
  },
  MINUTES_MS,
);

test(
  'who leaves in order moves what it holds to others, and the last copy of nothing goes with it',
  async () => {
    const cluster = await Cluster.make(['a', 'b', 'c']);
    const leaving = { ...lender, ramster: { ...lender.ramster, drainTimeoutMs: MINUTES_MS } };
    const b = await cluster.start('b', lender);
    const c = await cluster.start('c', leaving);
    const a = await cluster.start('a', borrower('swap', { threads: 2, ramster: { replicas: 1 } }));
    await everybodyUp(a);
    const client = await Client.open(a.nbd, 'small');
    const data = await fill(client);
    const held = await metric(c, 'tmem_ramster_foreign_pers_pages');
    expect(held).toBeGreaterThan(0);
    expect(await c.running.stop()).toBe(0);
    expect(c.running.log).toMatch(/leaving the cluster: pages have 300000 ms/);
    expect(c.running.log).not.toMatch(/were not moved/);
    expect(await metric(a, 'tmem_ramster_pages_lost_total')).toBe(0);
    await expectAll(client, data);
    expect(await metric(b, 'tmem_ramster_foreign_pers_pages')).toBeGreaterThan(0);
    await client.close();
  },
  MINUTES_MS,
);

test(
  'a node with a named store ends and comes back, and its pages were with peers meanwhile',
  async () => {
    const cluster = await Cluster.make(['a', 'b']);
    const name = newStoreName();
    const changes = borrower('ram', { store: { name, memory: '12 MiB' }, ramster: { replicas: 1 } });
    await cluster.start('b', lender);
    const first = await cluster.start('a', changes);
    await everybodyUp(first);
    const client = await Client.open(first.nbd, 'small');
    const data = await fill(client);
    await client.close();
    expect(await first.running.stop()).toBe(0);
    expect(first.running.log).toMatch(/warning node a: \d+ of its pages stay with peers, 0 pages of others/);
    const again = await cluster.start('a', changes);
    await everybodyUp(again);
    const second = await Client.open(again.nbd, 'small');
    await expectAll(second, data);
    await second.close();
    again.running.child.kill('SIGKILL');
    expect(await again.running.ended()).toBe('SIGKILL');
    const last = await cluster.start('a', changes);
    await everybodyUp(last);
    const third = await Client.open(last.nbd, 'small');
    await expectAll(third, data);
    await third.close();
  },
  MINUTES_MS,
);

test(
  'what a store without a name held at peers is freed when its daemon ends in order',
  async () => {
    const cluster = await Cluster.make(['a', 'b']);
    const ramster = { replicas: 1, drainTimeoutMs: MINUTES_MS };
    const b = await cluster.start('b', lender);
    const a = await cluster.start('a', borrower('ram', { ramster }));
    await everybodyUp(a);
    const client = await Client.open(a.nbd, 'small');
    await fill(client);
    await client.close();
    expect(await metric(b, 'tmem_ramster_foreign_pers_pages')).toBeGreaterThan(0);
    expect(await a.running.stop()).toBe(0);
    expect(await metric(b, 'tmem_ramster_foreign_pers_pages')).toBe(0);
  },
  MINUTES_MS,
);

test(
  'an export that comes while the daemon runs has its pages at peers, too',
  async () => {
    const cluster = await Cluster.make(['a', 'b']);
    const ramster = { replicas: 1 };
    await cluster.start('b', lender);
    const tiny = { name: 'tiny', kind: 'ram', size: MiB };
    const a = await cluster.start('a', { ...borrower('ram', { ramster }), exports: [tiny] });
    await everybodyUp(a);
    const more = { ...borrower('ram', { ramster }) };
    writeSettings(
      await cluster.settings('a', { ...more, exports: [tiny, ...(more.exports ?? [])] }),
      a.folder,
    );
    expect(await a.running.reload()).toMatch(/reloaded: small added, certificates read again\n/);
    const client = await Client.open(a.nbd, 'small');
    const data = await fill(client);
    await expectAll(client, data);
    expect((await peersOf(a)).remotePages).toBeGreaterThan(0);
    await client.close();
  },
  MINUTES_MS,
);

/** Serial number of the certificate that a node shows to another one. */
async function serialOf(cluster: Cluster, address: string): Promise<string | undefined> {
  const { cert, key, ca } = await cluster.authority.node('looker');
  const [host, port] = address.split(':');
  const options = { host, port: Number(port), cert, key, ca, rejectUnauthorized: true };
  return await new Promise((resolve, reject) => {
    const socket = connect({ ...options, checkServerIdentity: () => undefined }, () => {
      resolve(socket.getPeerX509Certificate()?.serialNumber);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

test('certificates are renewed by SIGHUP, those of somebody else are refused, other changes wait', async () => {
  const cluster = await Cluster.make(['a', 'b']);
  const b = await cluster.start('b', lender);
  const a = await cluster.start('a', lender);
  await everybodyUp(a, b);
  const before = await serialOf(cluster, a.address);
  expect(await a.running.reload()).toMatch(/reloaded: certificates read again\n/);
  expect(await serialOf(cluster, a.address)).toBe(before);
  await cluster.certify('a');
  await a.running.reload();
  const after = await serialOf(cluster, a.address);
  expect(after).not.toBe(before);

  const settings = (await cluster.settings('a', lender)) as { ramster: { tls: object } };
  const foreign = await cluster.certify('b');
  writeSettings({ ...settings, ramster: { ...settings.ramster, tls: foreign } }, a.folder);
  expect(await a.running.reload()).toMatch(
    /nothing was changed: ramster\.tls\.certificate: \S+ is that of node 'b', and this one is called 'a'\n/,
  );
  writeSettings({ ...settings, ramster: { ...settings.ramster, replicas: 1 } }, a.folder);
  expect(await a.running.reload()).toMatch(/only a restart brings it about: ramster\n/);
  await everybodyUp(a, b);
});

test('a node whose certificate is another one’s, or is missing, does not start and leaves nothing', async () => {
  const cluster = await Cluster.make(['a', 'b']);
  const settings = (await cluster.settings('a', lender)) as { ramster: { tls: { key: string } } };
  const foreign = await cluster.certify('b');
  const attempts = [
    [foreign, /ramster\.tls\.certificate: \S+ is that of node 'b', and this one is called 'a'\n$/],
    [{ ...foreign, authority: '/nonexistent' }, /ramster\.tls\.authority: cannot be read: ENOENT.*\n$/],
    [{ ...foreign, key: settings.ramster.tls.key }, /ramster\.tls: \S+, \S+, \S+: .* cannot be used: .*\n$/],
  ] as const;
  for (const [tls, reason] of attempts) {
    const file = writeSettings({ ...settings, ramster: { ...settings.ramster, tls } }, cluster.folder);
    const running = start(['--config', file]);
    expect(await running.ended()).toBe(1);
    expect(running.log).toMatch(reason);
    expect(running.log.trimEnd()).not.toContain('\n');
  }
  expect(fs.readdirSync(cluster.folder).filter((name) => name.endsWith('.http'))).toEqual([]);
});

test('nodes on unix sockets need no certificates; strangers of another cluster are refused and logged', async () => {
  const cluster = await Cluster.make(['a', 'b']);
  const socket = (name: string): string => `unix:${cluster.folder}/${name}.sock`;
  const local = (name: string, other: string, clusterName = 'one'): NodeChanges => ({
    ...borrower('ram'),
    ramster: {
      ...{ tls: undefined, listen: [socket(name)], cluster: clusterName, replicas: 1 },
      peers: [{ name: other, address: socket(other) }],
    },
  });
  const a = await cluster.start('a', local('a', 'b'));
  const b = await cluster.start('b', { ...local('b', 'a'), exports: [] });
  await everybodyUp(a, b);
  expect(a.running.log).toMatch(/node a of cluster one: other nodes connect to unix:\S+a\.sock; 1 peers\n/);
  expect(b.running.log).toMatch(/peer a is up\n/);
  await b.running.stop();
  const stranger = await cluster.start('b', { ...local('b', 'a', 'two'), exports: [] });
  await a.running.until(/refused as a node: b at .*: this is a node of cluster 'one', not 'two'\n/);
  await until(
    'a says why b cannot be used',
    () => peersOf(a),
    ({ peers }) => /refused: this is a node of cluster 'two'/.test(peers[0]?.problem ?? ''),
  );
  await stranger.running.stop();
});

test('a daemon that is no node has no peers', async () => {
  const cluster = await Cluster.make(['a']);
  const settings = (await cluster.settings('a', borrower('ram'))) as object;
  const { http } = settings as { http: string };
  const running = start(['--config', writeSettings({ ...settings, ramster: undefined }, cluster.folder)]);
  await running.until(/metrics and health/);
  const args = [MAIN, 'peers', '--http', http];
  const run = spawnSync(process.execPath, args, { encoding: 'utf8', env: cleanEnvironment() });
  expect([run.status, run.stdout]).toEqual([1, '']);
  expect(run.stderr).toMatch(/^tmem peers: the daemon at unix:\S+ is no node of a cluster\n$/);
  expect(await ask(http.slice('unix:'.length), '/metrics')).not.toContain('tmem_ramster');
});
