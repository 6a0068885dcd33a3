// The conformance suite on real Redis servers: one alone, and a cluster of three.
import { afterAll, describe, test } from 'vitest';
import { remoteStoreConformance } from '../../../src/ramster/remote-store/conformance.ts';
import { needTool } from '../../nbd/tools.ts';
import { RedisCluster, RedisServer } from '../redis-server.ts';
import { storeUnderTest } from './redis-stores.ts';

describe('one Redis', () => {
  const cases = remoteStoreConformance(async ({ roomBytes }) => {
    const server = await RedisServer.start();
    if (roomBytes !== undefined) await server.limit(roomBytes);
    return storeUnderTest(
      { path: server.socket },
      {
        silence: async () => server.signal('SIGSTOP'),
        answer: async () => server.signal('SIGCONT'),
        loseMemory: async () => void (await server.command('flushall')),
        close: () => server.stop(),
      },
    );
  });
  for (const { name, run } of cases) {
    test(name, async (context) => {
      needTool(context, 'redis-server');
      await run();
    });
  }
});

describe('a cluster of three', () => {
  // Making one takes seconds: all cases have the same, and their pages lie under other names.
  let shared: RedisCluster | undefined;
  afterAll(() => shared?.stop());

  const cases = remoteStoreConformance(async ({ roomBytes }) => {
    shared ??= await RedisCluster.start();
    const { servers, nodes } = shared;
    const onAll = (work: (server: RedisServer) => Promise<unknown>) => Promise.all(servers.map(work));
    if (roomBytes !== undefined) await onAll((server) => server.limit(roomBytes / servers.length));
    return storeUnderTest(
      { nodes },
      {
        silence: async () => servers.forEach((server) => void server.signal('SIGSTOP')),
        answer: async () => servers.forEach((server) => void server.signal('SIGCONT')),
        loseMemory: async () => void (await onAll((server) => server.command('flushall'))),
        close: async () => {
          for (const server of servers) server.signal('SIGCONT');
          await onAll((server) => server.command('flushall'));
          await onAll((server) => server.command('config', 'set', 'maxmemory', '256mb'));
        },
      },
    );
  });
  for (const { name, run } of cases) {
    test(name, async (context) => {
      needTool(context, 'redis-server');
      await run();
    });
  }
});
