// One page at a time: a get of a page that is with a peer, beside one request and reply of plain sockets, and a GET of
// Redis. Both sides are processes on the loopback; rounds of each follow one another.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Redis } from 'ioredis';
import { RedisServer } from '../../test/ramster/redis-server.ts';
import type { BenchOptions, Figures } from '../run.ts';
import { Helper } from '../support/helper.ts';
import { median, rounded } from '../support/measure.ts';
import type { NodeTask } from './node-process.ts';
import { oid, Scene, type SceneOptions } from './scene.ts';
import { REPLY_BYTES, REQUEST_BYTES } from './wire-sizes.ts';

const ROUNDS = 7;
const GETS = 3000;
const PROXY_DELAY_MS = 0.2;

export async function measureGets({ pages, say }: BenchOptions): Promise<Figures> {
  const plain = await Plain.start(undefined);
  const redis = await RedisPages.start();
  const figures: Figures = {};
  try {
    const direct = await compare({ secured: false, holders: 1, replicas: 1, pagesFile: pages }, plain, redis);
    figures.remote_get_p50_vs_raw_tcp = rounded(direct.ours / direct.plain);
    figures.remote_get_vs_redis_get = rounded(direct.ours / direct.redis);
    figures.remote_get_p50_us = rounded(direct.ours, 1);
    figures.raw_tcp_p50_us = rounded(direct.plain, 1);
    figures.redis_get_p50_us = rounded(direct.redis, 1);
    say(
      `get: ours ${direct.ours.toFixed(1)} us, plain sockets ${direct.plain.toFixed(1)}, ` +
        `Redis ${direct.redis.toFixed(1)}`,
    );
    const sealed = await compare({ secured: true, holders: 1, replicas: 1, pagesFile: pages }, plain, redis);
    figures.remote_get_tls_sealed_p50_vs_raw_tcp = rounded(sealed.ours / sealed.plain);
    figures.remote_get_tls_sealed_vs_redis_get = rounded(sealed.ours / sealed.redis);
    say(`with TLS and sealed: ours ${sealed.ours.toFixed(1)} us, plain sockets ${sealed.plain.toFixed(1)}`);
  } finally {
    await plain.end();
    await redis.end();
  }
  const far = await Plain.start(PROXY_DELAY_MS);
  try {
    const delayed = await compare(
      { secured: false, holders: 1, replicas: 1, pagesFile: pages, proxyDelayMs: PROXY_DELAY_MS },
      far,
      undefined,
    );
    figures.remote_get_p50_vs_raw_tcp_delayed = rounded(delayed.ours / delayed.plain);
    say(
      `0.2 ms further each way: ours ${delayed.ours.toFixed(1)} us, plain sockets ${delayed.plain.toFixed(1)}`,
    );
  } finally {
    await far.end();
  }
  return figures;
}

/** Medians of the rounds' medians, in microseconds. */
async function compare(
  options: SceneOptions,
  plain: Plain,
  redis: RedisPages | undefined,
): Promise<{ ours: number; plain: number; redis: number }> {
  const scene = await Scene.start(options);
  const times = { ours: [] as number[], plain: [] as number[], redis: [] as number[] };
  try {
    scene.fill(GETS);
    redis?.fill(scene, GETS);
    const out = Buffer.alloc(4096);
    const get = async (index: number): Promise<void> => {
      const length = await scene.ramster.get(scene.pool, oid, index, out);
      if (length !== 4096 || !out.equals(scene.page(index))) throw new Error(`page ${index} came back wrong`);
    };
    for (let round = 0; round <= ROUNDS; round++) {
      await scene.send(GETS, 64);
      const ours = await medianUs(get);
      await scene.quiet();
      const control = await medianUs(() => plain.ask());
      const other = redis === undefined ? 1 : await medianUs((index) => redis.get(index));
      // The first one warms up.
      if (round === 0) continue;
      times.ours.push(ours);
      times.plain.push(control);
      times.redis.push(other);
    }
  } finally {
    await scene.end();
  }
  return { ours: median(times.ours), plain: median(times.plain), redis: median(times.redis) };
}

async function medianUs(one: (index: number) => Promise<void>): Promise<number> {
  const times = new Float64Array(GETS);
  for (let index = 0; index < GETS; index++) {
    const start = performance.now();
    await one(index);
    times[index] = (performance.now() - start) * 1000;
  }
  return times.sort()[GETS >> 1]!;
}

/** A request and a reply between two sockets, nothing else. */
class Plain {
  readonly #helpers: readonly Helper[];
  readonly #socket: Socket;
  readonly #request = Buffer.alloc(REQUEST_BYTES, 1);
  #missing = 0;
  #answered = (): void => {};

  private constructor(helpers: readonly Helper[], socket: Socket) {
    this.#helpers = helpers;
    this.#socket = socket;
    socket.on('data', (bytes) => {
      this.#missing -= bytes.length;
      if (this.#missing === 0) this.#answered();
    });
  }

  static async start(delayMs: number | undefined): Promise<Plain> {
    const file = new URL('./node-process.ts', import.meta.url);
    const server = await Helper.start(file);
    const helpers = [server];
    let port = await server.ask<number>({ kind: 'plain' } satisfies NodeTask);
    if (delayMs !== undefined) {
      const proxy = await Helper.start(file);
      helpers.push(proxy);
      port = await proxy.ask<number>({ kind: 'proxy', to: port, delayMs } satisfies NodeTask);
    }
    const socket = connect(port, '127.0.0.1').setNoDelay(true);
    await once(socket, 'connect');
    return new Plain(helpers, socket);
  }

  ask(): Promise<void> {
    return new Promise((resolve) => {
      this.#missing = REPLY_BYTES;
      this.#answered = resolve;
      this.#socket.write(this.#request);
    });
  }

  async end(): Promise<void> {
    this.#socket.destroy();
    for (const helper of this.#helpers) await helper.kill();
  }
}

/** Pages in a Redis on the loopback. */
class RedisPages {
  readonly #server: RedisServer;
  readonly client: Redis;

  private constructor(server: RedisServer, client: Redis) {
    this.#server = server;
    this.client = client;
  }

  static async start(): Promise<RedisPages> {
    const server = await RedisServer.start({}, 'port');
    return new RedisPages(server, new Redis(server.port, '127.0.0.1'));
  }

  fill(scene: Scene, count: number): void {
    for (let index = 0; index < count; index++)
      void this.client.set(`page:${index}`, Buffer.from(scene.page(index)));
  }

  async get(index: number): Promise<void> {
    const page = await this.client.getBuffer(`page:${index}`);
    if (page?.length !== 4096) throw new Error(`Redis has no page ${index}`);
  }

  async end(): Promise<void> {
    this.client.disconnect();
    await this.#server.stop();
  }
}
