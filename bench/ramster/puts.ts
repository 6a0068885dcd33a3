// Many pages at a time: pages a second sent to a peer and acknowledged, beside SETs of the same pages in Redis; and
// bytes on the wire.

import { Redis } from 'ioredis';
import { RedisServer } from '../../test/ramster/redis-server.ts';
import type { BenchOptions, Figures } from '../run.ts';
import { median, rounded } from '../support/measure.ts';
import type { NodeTask } from './node-process.ts';
import { oid, Scene } from './scene.ts';

const ROUNDS = 7;
const PAGES = 12_000;
const UNDER_WAY = 64;

export async function measurePuts({ pages, say }: BenchOptions): Promise<Figures> {
  const server = await RedisServer.start({}, 'port');
  const redis = new Redis(server.port, '127.0.0.1');
  const figures: Figures = {};
  try {
    for (const secured of [false, true]) {
      const scene = await Scene.start({ secured, holders: 1, replicas: 1, pagesFile: pages });
      const ours: number[] = [];
      const theirs: number[] = [];
      try {
        for (let round = 0; round <= ROUNDS; round++) {
          scene.fill(PAGES);
          const sent = await perSecond(() => scene.send(PAGES, UNDER_WAY));
          const set = await perSecond(() => setAll(redis, scene));
          scene.pool.flushObject(oid);
          await scene.quiet();
          await redis.flushall();
          if (round === 0) continue;
          ours.push(sent);
          theirs.push(set);
        }
      } finally {
        await scene.end();
      }
      const field = secured ? 'remote_put_tls_sealed_pipelined_vs_redis' : 'remote_put_pipelined_vs_redis';
      figures[field] = rounded(median(ours) / median(theirs));
      say(`${field}: ${Math.round(median(ours))} pages a second, Redis ${Math.round(median(theirs))}`);
    }
    figures.bytes_on_wire_vs_page = await bytesOnWire(pages);
  } finally {
    redis.disconnect();
    await server.stop();
  }
  return figures;
}

/** Everything that goes to the holder, heads included, for each byte of the pages. */
async function bytesOnWire(pagesFile: string | undefined): Promise<number> {
  const scene = await Scene.start({ secured: false, holders: 1, replicas: 1, pagesFile, proxyDelayMs: 0 });
  try {
    const count = scene.pages.count;
    scene.fill(count);
    const before = await scene.proxy!.ask<number>({ kind: 'received' } satisfies NodeTask);
    await scene.send(count, UNDER_WAY);
    const after = await scene.proxy!.ask<number>({ kind: 'received' } satisfies NodeTask);
    return rounded((after - before) / (count * 4096));
  } finally {
    await scene.end();
  }
}

async function perSecond(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return (PAGES * 1000) / (performance.now() - start);
}

async function setAll(redis: Redis, scene: Scene): Promise<void> {
  let next = 0;
  const one = async (): Promise<void> => {
    for (let index = next++; index < PAGES; index = next++) {
      await redis.set(`page:${index}`, scene.page(index) as Buffer);
    }
  };
  await Promise.all(Array.from({ length: UNDER_WAY }, one));
}
