// Nodes together: what they promise each other, in order and out of order.
import { describe, expect, test, vi } from 'vitest';
import type { Membership } from '../../../src/ramster/membership/membership.ts';
import { decodeFrame, encodeFrame } from '../../../src/ramster/wire/frame.ts';
import { decodeRefusal, encodeGetReply, encodeHello } from '../../../src/ramster/wire/messages.ts';
import { Cluster } from './cluster.ts';
import { contentOf } from './scene.ts';
import { polite, type Script } from './scripted-peer.ts';

const SETTINGS = {
  sendBelowPercent: 30,
  sendUntilPercent: 50,
  homeAbovePercent: 60,
  homeIntervalMs: 3_600_000,
};

async function made(nodes: number, options: Partial<ConstructorParameters<typeof Cluster>[0]> = {}) {
  const cluster = new Cluster({ nodes, ...options, settings: { ...SETTINGS, ...options.settings } });
  await cluster.start();
  return cluster;
}

async function expectAll(cluster: Cluster, pages: readonly number[]): Promise<void> {
  for (const index of pages) expect(await cluster.read(index)).toEqual(contentOf(index));
}

describe('a node that is short of memory', () => {
  test('has its pages with two peers each, and reads all of them', async () => {
    const cluster = await made(4);
    const pages = await cluster.put(120);
    await cluster.run(1000);
    expect(pages).toHaveLength(120);
    const records = cluster.records();
    expect(records.length).toBeGreaterThan(50);
    expect(records.every(({ places }) => new Set(places.map(({ node }) => node)).size === 2)).toBe(true);
    expect(cluster.node(0).statistics().remote_pers_pages).toBe(records.length);
    expect(cluster.lent().reduce((a, b) => a + b)).toBe(2 * records.length);
    await expectAll(cluster, pages);
    for (const index of pages) cluster.machine(0).local.flush(cluster.page(index));
    await cluster.run(5000);
    expect(cluster.lent()).toEqual([0, 0, 0, 0]);
    expect(cluster.node(0).statistics()).toMatchObject({ remote_pers_pages: 0, curr_flush_queue: 0 });
  });

  test('fills memories whose highest level is known afterwards, also if nobody looked', async () => {
    const cluster = await made(2, { settings: { replicas: 1 } });
    const pages = await cluster.put(60);
    await cluster.run(5000);
    const most = cluster.records().length;
    for (const index of pages) cluster.machine(0).local.flush(cluster.page(index));
    await cluster.run(5000);
    expect(most).toBeGreaterThan(0);
    expect(cluster.node(1).statistics()).toMatchObject({
      foreign_pers_pages: 0,
      foreign_pers_pages_max: most,
    });
  });

  test('and whose peers are full keeps its pages and leaks none', async () => {
    const cluster = await made(3);
    for (const machine of cluster.machines) machine.foreign.limits.lentMostBytes = 0;
    const pages = await cluster.put(100);
    await cluster.run(3000);
    expect(pages).toHaveLength(64);
    expect(cluster.records()).toEqual([]);
    expect(cluster.lent()).toEqual([0, 0, 0]);
    await expectAll(cluster, pages);
  });

  test('loses none when one peer after the other dies, with time between', async () => {
    const cluster = await made(5);
    const pages = await cluster.put(120);
    for (const host of [1, 2]) {
      cluster.machine(host).end(host === 1);
      cluster.machine(host).loseMemory();
      await cluster.run(12_000);
    }
    expect(cluster.node(0).statistics()).toMatchObject({ pages_lost: 0, replicas_short: 0 });
    await expectAll(cluster, pages);
  });
});

describe('a node that is killed while it sends', () => {
  test('finds all its pages when it is back, and leaves none behind that nobody names', async () => {
    for (let i = 0; i < 6; i++) {
      const cluster = await made(4, { seed: i });
      const pages = await cluster.put(60 + i);
      // In the middle of many sends, at another moment each time.
      for (let index = 200; index < 230; index++)
        void cluster.node(0).send(cluster.page(pages[index - 200] as number));
      await cluster.run(i * 0.7);
      cluster.machine(0).end(true);
      await cluster.run(500);
      await cluster.start(0);
      await cluster.run(10_000);
      expect(cluster.node(0).statistics().remote_pers_pages).toBe(cluster.records().length);
      expect(cluster.lent().reduce((a, b) => a + b)).toBe(2 * cluster.records().length);
      await expectAll(cluster, pages);
    }
  });
});

describe('a drain', () => {
  test('brings all pages home, also right after a start', async () => {
    for (const restart of [false, true]) {
      const cluster = await made(4, { memoryPages: 1000 });
      // More than one step of a survey looks at.
      const pages = Array.from({ length: 300 }, (_, i) => i);
      for (const index of pages) cluster.machine(0).local.put(cluster.page(index), contentOf(index));
      for (const index of pages) await cluster.until(cluster.node(0).send(cluster.page(index)));
      expect(cluster.records().length).toBeGreaterThan(256);
      if (restart) {
        cluster.machine(0).end(false);
        await cluster.machine(0).start();
      }
      const drained = await cluster.until(cluster.node(0).drain(20_000), 20_500);
      expect(drained).toEqual({ away: 0, foreign: 0 });
      expect(cluster.records()).toEqual([]);
      await cluster.run(1000);
      expect(cluster.lent()).toEqual([0, 0, 0, 0]);
      for (const index of pages) {
        expect(cluster.machine(0).local.get(cluster.page(index))).toEqual(contentOf(index));
      }
    }
  });

  test('sends nothing more away, however short memory is', async () => {
    const cluster = await made(4, { settings: { inFlightPages: 2 } });
    for (let i = 0; i < 60; i++) cluster.machine(0).local.put(cluster.page(i), contentOf(i));
    const sent = (): number => cluster.node(0).statistics().pers_pages_remoted;
    // It has begun.
    for (let i = 0; i < 100 && sent() === 0; i++) await cluster.run(1);
    const before = sent();
    expect(before).toBeLessThan(10);
    await cluster.until(cluster.node(0).drain(5000), 5500);
    expect(sent()).toBeLessThanOrEqual(before + 2);
  });

  test('of a holder ends when the owners have moved their pages', async () => {
    const cluster = await made(4);
    const pages = await cluster.put(120);
    await cluster.run(6000);
    expect(cluster.lent()[1]).toBeGreaterThan(0);
    expect(await cluster.until(cluster.node(1).drain(30_000), 30_500)).toEqual({ away: 0, foreign: 0 });
    await cluster.until(cluster.node(1).stop());
    cluster.machine(1).end(false);
    cluster.machine(1).loseMemory();
    await cluster.run(1000);
    expect(cluster.node(0).statistics().pages_lost).toBe(0);
    expect(cluster.records().every(({ places }) => places.length === 2)).toBe(true);
    await expectAll(cluster, pages);
  });

  test('ends in time, with what is left, when nobody is there or when the node is stopped', async () => {
    for (const how of ['alone', 'stopped'] as const) {
      const cluster = await made(3, { settings: { leaseMs: 3_600_000 } });
      await cluster.put(60);
      const away = cluster.records().length;
      for (const host of [1, 2]) cluster.machine(host).end(true);
      const draining = cluster.node(0).drain(how === 'alone' ? 5000 : 600_000);
      if (how === 'stopped') {
        await cluster.run(1000);
        await cluster.until(cluster.node(0).stop());
      }
      expect(await cluster.until(draining, 8000)).toEqual({ away, foreign: 0 });
    }
  });
});

test('a drain of a holder whose owners are gone ends when the node is stopped', async () => {
  const cluster = await made(3);
  await cluster.put(60);
  cluster.machine(0).end(true);
  const draining = cluster.node(1).drain(600_000);
  await cluster.run(1000);
  await cluster.until(cluster.node(1).stop());
  expect((await cluster.until(draining, 1000)).foreign).toBeGreaterThan(0);
});

describe('a node that is stopped', () => {
  test('leaves no timer behind, whatever it was doing', async () => {
    for (const afterMs of [0, 0.5, 1, 5, 20, 50, 51, 200, 1000, 3300]) {
      const cluster = new Cluster({ nodes: 4, settings: SETTINGS });
      const pages = Array.from({ length: 300 }, (_, i) => i);
      cluster.machine(0).memory.totalBytes *= 100;
      for (const index of pages) cluster.machine(0).local.put(cluster.page(index), contentOf(index));
      await cluster.start();
      await cluster.until(Promise.all(pages.map((index) => cluster.node(0).send(cluster.page(index)))));
      // In the middle of a survey, gets, sends and a drain.
      void cluster.node(0).count(0);
      for (const index of pages.slice(0, 20))
        void cluster
          .node(0)
          .fetch(cluster.page(index))
          .catch(() => {});
      cluster.machine(0).memory.totalBytes /= 100;
      void cluster.node(0).drain(60_000);
      await cluster.run(afterMs);
      for (let host = 0; host < 4; host++) await cluster.until(cluster.node(host).stop());
      await cluster.run(3000);
      const { events } = cluster.clock;
      await cluster.run(3_600_000);
      expect(cluster.clock.events).toBe(events);
    }
  });

  test('while its membership is beginning does not begin after all', async () => {
    let begin = (): void => {};
    const membership: Membership = {
      ...{ detectionMs: 1, problem: undefined, known: () => [], stop: async () => {} },
      start: () =>
        new Promise((resolve) => {
          begin = resolve;
        }),
    };
    const cluster = new Cluster({ nodes: 1, membership });
    const starting = cluster.machine(0).start();
    await cluster.until(cluster.node(0).stop());
    // Its memory may be closed by now.
    const touched = vi.spyOn(cluster.machine(0).local, 'takeOrphans');
    begin();
    await starting;
    expect(touched).not.toHaveBeenCalled();
    const { events } = cluster.clock;
    await cluster.run(60_000);
    expect(cluster.clock.events).toBe(events);
  });

  test('by a membership that fails has ended what it began; and one that fails to end holds nothing up', async () => {
    for (const at of ['start', 'stop'] as const) {
      const fail = (): Promise<void> => Promise.reject(new Error(`${at} fails`));
      const member = {
        name: 'n1',
        address: 'host1:7000',
        state: 'up' as const,
        freeBytes: 1,
        draining: false,
      };
      const membership: Membership = {
        ...{ detectionMs: 1, problem: undefined, known: () => [member] },
        start: async (_, changed) => {
          changed([member]);
          if (at === 'start') await fail();
        },
        stop: () => (at === 'stop' ? fail() : Promise.resolve()),
      };
      const cluster = new Cluster({ nodes: 1, membership });
      if (at === 'stop') await cluster.start();
      const outcome = at === 'start' ? cluster.machine(0).start() : cluster.node(0).stop();
      await expect(outcome).rejects.toThrow(`${at} fails`);
      await cluster.run(1000);
      const { events } = cluster.clock;
      await cluster.run(60_000);
      expect(cluster.clock.events).toBe(events);
    }
  });
});

describe('a peer that lies', () => {
  /** Says 'stored' to everything, and then what `get` says. */
  const liar = (get: Script): Script => {
    const good = polite('n3', { status: { freeBytes: 2 ** 40, draining: false } });
    return (frame, end) => (frame.type === 'get' ? get : good)(frame, end);
  };

  test.each([
    ['keeps nothing', polite('n3')],
    [
      'gives other bytes',
      (({ request }, end) => end.send(...encodeGetReply(request, new Uint8Array(100)))) as Script,
    ],
    [
      'gives nothing',
      (({ type, request }, end) =>
        end.send(...encodeFrame({ type, isReply: true, status: 'ok', request }))) as Script,
    ],
    ['never gives anything', (() => {}) as Script],
    [
      'answers something else',
      (({ request }, end) =>
        end.send(...encodeFrame({ type: 'put', isReply: true, status: 'ok', request }))) as Script,
    ],
  ])('about what it has (%s) costs no page that one other peer has', async (_, get) => {
    const cluster = new Cluster({ nodes: 4, settings: SETTINGS });
    await cluster.start(0, 1, 2);
    cluster.impostor(3, liar(get));
    await cluster.run(5000);
    const pages = await cluster.put(80);
    // It seems to have most room, so it gets most pages.
    await expectAll(cluster, pages);
    expect(cluster.told[0]?.filter((text) => text.includes('lost'))).toEqual([]);
  });

  test('by listing what it does not have, without end, keeps nobody from anything', async () => {
    const cluster = new Cluster({ nodes: 4, settings: SETTINGS });
    await cluster.start(0, 1, 2);
    const good = polite('n3');
    cluster.impostor(3, (frame, end) => {
      if (frame.type !== 'list') return good(frame, end);
      const body = Buffer.alloc(4 + 12 + 1);
      body.writeUInt32LE(1 + 2 ** 16, 0);
      body.writeUInt32LE(frame.request, 8);
      end.send(...encodeFrame({ type: 'list', isReply: true, status: 'ok', request: frame.request }, body));
    });
    await cluster.run(5000);
    const pages = await cluster.put(60);
    await cluster.run(20_000);
    await expectAll(cluster, pages);
    expect(cluster.node(0).statistics().curr_flush_queue).toBeLessThanOrEqual(65_536);
  });
});

describe('two nodes of one name', () => {
  test('are not both let in: the second is refused, and that is told', async () => {
    const cluster = await made(3);
    const pages = await cluster.put(60);
    // It connects as the first one does, from elsewhere.
    const process = cluster.machine(0).process;
    if (process === undefined) throw new Error('the node does not run');
    const channel = await cluster.until(cluster.network.transport(process).connect('host1:7000', 1000));
    let reason = '';
    channel.listen({
      frame: (bytes) => {
        reason = decodeRefusal(decodeFrame(Uint8Array.from(bytes)).body).code;
      },
      closed: () => {},
    });
    const instance = new Uint8Array(8).fill(77);
    const hello = {
      protocols: [1, 1] as const,
      cluster: 'tmem',
      name: 'n0',
      memory: new Uint8Array(16),
      instance,
    };
    channel.send(...encodeHello(1, hello));
    await cluster.run(100);
    expect(reason).toBe('duplicate');
    expect(cluster.told[1]?.some((text) => text.includes('another node called'))).toBe(true);
    await expectAll(cluster, pages);
  });
});

describe('links', () => {
  test('stay open to a peer that has pages and is no partner any more', async () => {
    let tell: Parameters<Membership['start']>[1] = () => {};
    const list = [1, 2].map((host) => ({ name: `n${host}`, address: `host${host}:7000` }));
    const members = (...names: string[]) =>
      list
        .filter(({ name }) => names.includes(name))
        .map((each) => ({ ...each, state: 'up' as const, freeBytes: 1e9, draining: false }));
    const membership: Membership = {
      ...{ detectionMs: 1, problem: undefined, known: () => list, stop: async () => {} },
      start: async (_, changed) => {
        tell = changed;
      },
    };
    const cluster = new Cluster({ nodes: 3, membership, settings: { ...SETTINGS, replicas: 1 } });
    await cluster.start();
    tell(members('n1'));
    await cluster.run(1000);
    const pages = await cluster.put(60);
    expect(cluster.records().length).toBeGreaterThan(0);
    tell(members('n2'));
    await cluster.run(10);
    await expectAll(cluster, pages);
    for (const index of pages) cluster.machine(0).local.flush(cluster.page(index));
    await cluster.run(15_000);
    await cluster.until(cluster.node(0).count(1000));
    expect(
      cluster
        .node(0)
        .peers()
        .map(({ name }) => name),
    ).toEqual(['n2']);
    expect(cluster.lent()).toEqual([0, 0, 0]);
  });
});
