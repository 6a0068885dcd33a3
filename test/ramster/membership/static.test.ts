// The static list: its conformance, whom a node watches, and mistakes in the list.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { membershipConformance } from '../../../src/ramster/membership/conformance.ts';
import type { Member, NodeStatus } from '../../../src/ramster/membership/membership.ts';
import { partnerOrder } from '../../../src/ramster/membership/partners.ts';
import { StaticMembership } from '../../../src/ramster/membership/static.ts';
import { nodeNumber } from '../../../src/ramster/place.ts';
import { FakeNetwork, HEARTBEAT_MS, StaticNode } from './fake-links.ts';
import { VirtualClock } from './virtual-clock.ts';

const MiB = 2 ** 20;
const addressOf = (name: string): string => `${name}.example:7000`;
const entries = (names: readonly string[]) => names.map((name) => ({ name, address: addressOf(name) }));
const namesTo = (count: number): string[] => Array.from({ length: count }, (_, i) => `node-${i}`);

describe('conformance', () => {
  const cases = membershipConformance(
    async (names) => {
      const clock = new VirtualClock();
      const network = new FakeNetwork(clock);
      const nodes: StaticNode[] = [];
      return {
        join(name) {
          const peers = entries(names.filter((other) => other !== name));
          const node = new StaticNode(network, { name, peers });
          nodes.push(node);
          return node;
        },
        addressOf,
        kill: (name) => network.kill(name),
        pass: (timeMs) => clock.pass(timeMs),
        slackMs: 0,
        close: async () => {
          for (const node of nodes) await node.stop();
          expect(clock.timers).toBe(0);
        },
      };
    },
    { hasEngine: false },
  );
  test.each(cases)('$name', ({ run }) => run());
});

/** One node of interest in a cluster where the others only answer. */
async function newCluster(count: number, partnersMax = 8, patienceMs = 10_000) {
  const clock = new VirtualClock();
  const network = new FakeNetwork(clock);
  const names = namesTo(count);
  const roomy = (): NodeStatus => ({ freeBytes: 64 * MiB, draining: false });
  for (const name of names) network.running.set(name, roomy);
  const node = new StaticNode(network, { name: 'me', peers: entries(names), partnersMax, patienceMs });
  let view: readonly Member[] = [];
  await node.start(roomy, (members) => {
    view = members;
  });
  return {
    ...{ clock, network, node, names, roomy, order: partnerOrder('me', names) },
    watched: () => [...node.links.watched.keys()].sort(),
    view: () => view,
    stateOf: (name: string) => view.find((member) => member.name === name)?.state,
  };
}

const first = (order: readonly string[], count: number): string[] => order.slice(0, count).sort();

describe('whom a node watches', () => {
  test.each([10, 100, 1000])(
    'is partnersMax peers of a list of %i, and its traffic follows from that',
    async (count) => {
      const { clock, network, node, watched, view } = await newCluster(count);
      await clock.pass(20 * HEARTBEAT_MS);
      expect(watched()).toHaveLength(8);
      expect(view()).toHaveLength(8);
      expect(network.sent.get('me')).toBe(20 * 8);
      await node.stop();
    },
  );

  test('is about the same number everywhere: of 250 nodes each is watched by a few, none by many', () => {
    const names = namesTo(250);
    const watchers = new Map(names.map((name) => [name, 0]));
    for (const own of names) {
      const order = partnerOrder(
        own,
        names.filter((name) => name !== own),
      );
      for (const name of order.slice(0, 8)) watchers.set(name, (watchers.get(name) ?? 0) + 1);
    }
    const counts = [...watchers.values()];
    expect(counts.reduce((sum, each) => sum + each, 0)).toBe(250 * 8);
    expect(Math.max(...counts)).toBeLessThanOrEqual(20);
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(1);
  });

  test('does not depend on the order of the list, and a peer that is taken out moves nobody else', () => {
    const names = fc.uniqueArray(fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/), { minLength: 2, maxLength: 30 });
    fc.assert(
      fc.property(names, fc.nat(), (list, which) => {
        const order = partnerOrder('me', list);
        expect(partnerOrder('me', [...list].reverse())).toEqual(order);
        const out = list[which % list.length];
        const others = list.filter((name) => name !== out);
        expect(partnerOrder('me', others)).toEqual(order.filter((name) => name !== out));
      }),
    );
  });

  test('are not listed beyond those watched; all of the list are known', async () => {
    const { node, names, order, view } = await newCluster(20, 3);
    expect(
      view()
        .map(({ name }) => name)
        .sort(),
    ).toEqual(first(order, 3));
    expect([...node.known()]).toEqual(entries(names));
    await node.stop();
  });

  test('is suspect until it was heard of', async () => {
    const { clock, node, view } = await newCluster(5, 3);
    expect(view().map(({ state }) => state)).toEqual(['suspect', 'suspect', 'suspect']);
    await clock.pass(HEARTBEAT_MS);
    expect(view().map(({ state }) => state)).toEqual(['up', 'up', 'up']);
    await node.stop();
  });

  test.each<[string, (() => NodeStatus) | undefined]>([
    ['down', undefined],
    ['full', () => ({ freeBytes: MiB - 1, draining: false })],
    ['leaving', () => ({ freeBytes: 64 * MiB, draining: true })],
  ])(
    'grows by one for each partner that is %s for long, and shrinks again when it is back as long',
    async (_, status) => {
      const { clock, network, node, order, watched, roomy } = await newCluster(20, 3);
      await clock.pass(1000);
      const [bad] = order as [string];
      network.running.set(bad, status);
      await clock.pass(9000);
      expect(watched()).toEqual(first(order, 3));
      await clock.pass(6000);
      expect(watched()).toEqual(first(order, 4));
      network.running.set(bad, roomy);
      await clock.pass(9000);
      expect(watched()).toEqual(first(order, 4));
      await clock.pass(3000);
      expect(watched()).toEqual(first(order, 3));
      await node.stop();
    },
  );

  test('is never more than twice partnersMax, and comes down again when all are back', async () => {
    const { clock, network, node, order, names, watched, view, roomy } = await newCluster(20, 3);
    for (const name of names) network.running.delete(name);
    for (let i = 0; i < 100; i++) {
      await clock.pass(1000);
      expect(watched().length).toBeLessThanOrEqual(6);
    }
    expect(watched()).toEqual(first(order, 6));
    expect(view().every(({ state }) => state === 'down')).toBe(true);
    for (const name of names) network.running.set(name, roomy);
    await clock.pass(15_000);
    expect(watched()).toEqual(first(order, 3));
    await node.stop();
  });

  test('is whoever holds pages of the node as well, for as long as it does', async () => {
    const { clock, node, order, watched, stateOf } = await newCluster(20, 3);
    const holder = order[17] as string;
    node.links.holders.add(holder);
    await clock.pass(2000);
    expect(watched()).toEqual([...order.slice(0, 3), holder].sort());
    expect(stateOf(holder)).toBe('up');
    node.links.holders.delete(holder);
    await clock.pass(1000);
    expect(watched()).toEqual(first(order, 3));
    expect(stateOf(holder)).toBeUndefined();
    await node.stop();
  });

  test('is nobody after stop, and no timer is left', async () => {
    const { clock, node, watched } = await newCluster(20);
    await clock.pass(5000);
    await node.stop();
    expect(watched()).toEqual([]);
    expect(clock.timers).toBe(0);
  });
});

describe('mistakes', () => {
  const open = (options: object) => () =>
    new StaticMembership(
      { name: 'me', peers: [], detectionMs: 1000, ...options },
      new FakeNetwork(new VirtualClock()) as never,
      new VirtualClock(),
    );

  test('are told all at once', () => {
    const peers = [
      { name: 'me', address: 'host:1' },
      { name: 'b', address: 'no port' },
      { name: 'b', address: 'unix:relative' },
      { name: '-c', address: 'host:0' },
      { name: 'd', address: 'unix:/run/\n' },
    ];
    expect(open({ peers, partnersMax: 0, bogus: 1 })).toThrow(
      expect.objectContaining({
        code: 'TMEM_ERR_SETTING',
        message: expect.stringMatching(
          [
            'bogus: unknown',
            'peers\\[1\\]\\.address: got "no port"',
            'peers\\[2\\]\\.address: got "unix:relative"',
            'peers\\[3\\]\\.name: got "-c"',
            'peers\\[3\\]\\.address: got "host:0"',
            'peers\\[4\\]\\.address: got',
            'partnersMax: got 0',
            "peers\\[0\\]\\.name: 'me' is this node itself",
            "peers\\[2\\]\\.name: 'b' is in the list already",
          ].join('[^]*'),
        ),
      }),
    );
  });

  test('two names with one number are refused: records have room for the number only', () => {
    const seen = new Map<number, string>();
    let pair: [string, string] | undefined;
    for (let i = 0; pair === undefined; i++) {
      const name = `n${i}`;
      const other = seen.get(nodeNumber(name));
      if (other !== undefined) pair = [other, name];
      seen.set(nodeNumber(name), name);
    }
    const [one, two] = pair;
    expect(open({ peers: entries([one, 'x', two]) })).toThrow(`'${two}' has the same number as '${one}'`);
    expect(open({ name: one, peers: entries([two]) })).toThrow(`'${two}' has the same number as '${one}'`);
  });

  test('addresses of hosts, IPv6 and unix sockets are none', () => {
    const peers = ['host:1', '10.0.0.1:65535', '[fe80::1]:80', 'unix:/run/tmem/peer.sock'].map(
      (address, i) => ({
        name: `n${i}`,
        address,
      }),
    );
    expect(open({ peers })).not.toThrow();
  });
});
