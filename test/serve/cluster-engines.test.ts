// Daemons that are nodes by other means than a list of peers: NATS tells who is there, a Redis or a file takes pages.
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Client } from '../nbd/client.ts';
import { needTool } from '../nbd/tools.ts';
import { NatsServer } from '../ramster/membership/nats-server.ts';
import { RedisServer } from '../ramster/redis-server.ts';
import {
  borrower,
  Cluster,
  everybodyUp,
  expectAll,
  fill,
  lender,
  metric,
  peersOf,
  until,
} from './cluster.ts';
import { start, writeSettings } from './running.ts';

const MINUTES_MS = 300_000;

test(
  'nodes find each other by NATS, and go on with those they know while it is away',
  async (context) => {
    const nats = new NatsServer(context);
    await nats.start();
    const cluster = await Cluster.make(['a', 'b']);
    const ramster = { peers: [], nats: { servers: [`nats://${nats.url}`] }, replicas: 1 };
    await cluster.start('b', { ...lender, ramster: { ...lender.ramster, ...ramster } });
    const a = await cluster.start('a', borrower('ram', { ramster }));
    expect(a.running.log).toMatch(/node a of cluster tmem: .*; peers are found by NATS\n/);
    await everybodyUp(a);
    await nats.stop();
    await until(
      'a says that NATS is away',
      () => peersOf(a),
      ({ problem }) => problem !== undefined,
    );
    expect(await metric(a, 'tmem_ramster_membership_problem')).toBe(1);
    const client = await Client.open(a.nbd, 'small');
    const data = await fill(client);
    expect((await peersOf(a)).remotePages).toBeGreaterThan(0);
    await expectAll(client, data);
    await client.close();
  },
  MINUTES_MS,
);

test(
  'a Redis takes the pages of a node that has no peers',
  async (context) => {
    needTool(context, 'redis-server');
    const redis = await RedisServer.start({}, 'port');
    onTestFinished(() => redis.stop());
    const cluster = await Cluster.make(['a']);
    const ramster = { replicas: 1, redis: { url: `redis://127.0.0.1:${redis.port}` } };
    const a = await cluster.start('a', borrower('ram', { ramster }));
    const client = await Client.open(a.nbd, 'small');
    const data = await fill(client);
    await expectAll(client, data);
    const { engines, remotePages } = await peersOf(a);
    expect(remotePages).toBeGreaterThan(0);
    expect(engines).toEqual([expect.objectContaining({ name: 'redis', state: 'up' })]);
    expect(engines[0]?.borrowedPages).toBeGreaterThan(0);
    await client.close();
    expect(await a.running.stop()).toBe(0);
    await redis.command('config', 'set', 'maxmemory-policy', 'allkeys-lru');
    const settings = await cluster.settings('a', borrower('ram', { ramster }));
    const again = start(['--config', writeSettings(settings, cluster.folder)]);
    expect(await again.ended()).toBe(1);
    expect(again.log).toMatch(/^tmem serve: .*noeviction.*\n$/);
  },
  MINUTES_MS,
);

test(
  'with copies in a file one peer is enough, and all is there after it was killed',
  async () => {
    const cluster = await Cluster.make(['a', 'b']);
    const disk = { file: join(cluster.folder, 'copies'), size: '64 MiB' };
    const b = await cluster.start('b', lender);
    const a = await cluster.start('a', borrower('swap', { ramster: { disk } }));
    await everybodyUp(a);
    const client = await Client.open(a.nbd, 'small');
    const data = await fill(client);
    b.running.child.kill('SIGKILL');
    const { engines } = await peersOf(a);
    expect(engines).toEqual([expect.objectContaining({ name: 'disk', state: 'up' })]);
    expect(engines[0]?.borrowedPages).toBeGreaterThan(0);
    await expectAll(client, data);
    expect(await metric(a, 'tmem_ramster_pages_lost_total')).toBe(0);
    await client.close();
  },
  MINUTES_MS,
);
