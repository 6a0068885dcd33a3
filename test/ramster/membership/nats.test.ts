// Membership by NATS on a bus without a server and a virtual clock: its conformance, connections and traffic.
import { describe, expect, test } from 'vitest';
import { membershipConformance } from '../../../src/ramster/membership/conformance.ts';
import { encodePresence } from '../../../src/ramster/membership/presence.ts';
import { NatsMembership } from '../../../src/ramster/nats.ts';
import { FakeBus, type FakeConnection } from './fake-nats.ts';
import { addressOf, Cluster, DOWN_MS, HEARTBEAT_MS, type Node, presenceOf, SUBJECT } from './nats-cluster.ts';
import { VirtualClock } from './virtual-clock.ts';

describe('conformance', () => {
  const cases = membershipConformance(
    async () => {
      const clock = new VirtualClock();
      const bus = new FakeBus(clock);
      const connections = new Map<string, FakeConnection>();
      const memberships: NatsMembership[] = [];
      return {
        join(name) {
          const connection = bus.connect();
          connections.set(name, connection);
          const membership = new NatsMembership({ name, address: addressOf(name), connection }, clock);
          memberships.push(membership);
          return membership;
        },
        addressOf,
        kill: async (name) => connections.get(name)?.close(),
        pass: (timeMs) => clock.pass(timeMs),
        slackMs: 0,
        engine: { stop: async () => bus.stop(), start: async () => bus.start() },
        close: async () => {
          for (const membership of memberships) await membership.stop();
          for (const connection of connections.values()) await connection.close();
          // Those who left have said so; nobody has anything else to do.
          await clock.pass(1);
          expect(clock.timers).toBe(0);
        },
      };
    },
    { hasEngine: true },
  );
  test.each(cases)('$name', ({ run }) => run());
});

describe('a connection that is broken', () => {
  test('makes nobody down, however long; silence counts from its return', async () => {
    const { clock, bus, ...cluster } = await twoNodes();
    bus.stop();
    await clock.pass(100 * DOWN_MS);
    expect(cluster.a.stateOf('b')).toBe('up');
    expect(cluster.a.membership.problem).toMatch(/broken/);
    await cluster.b.connection.close();
    bus.start();
    await clock.pass(DOWN_MS - HEARTBEAT_MS);
    expect(cluster.a.stateOf('b')).toBe('suspect');
    await clock.pass(3 * HEARTBEAT_MS);
    expect(cluster.a.stateOf('b')).toBe('down');
  });

  test('and tells nobody anything is the same: nobody is judged, and the problem is told', async () => {
    const { clock, bus, a } = await twoNodes();
    bus.freeze();
    await clock.pass(100 * DOWN_MS);
    expect(a.stateOf('b')).toBe('up');
    expect(a.membership.problem).toMatch(/do not come back/);
    bus.thaw();
    await clock.pass(2 * HEARTBEAT_MS);
    expect(a.stateOf('b')).toBe('up');
    expect(a.membership.problem).toBeUndefined();
  });

  test('is left with what it had: nothing is published meanwhile that would be sent later', async () => {
    const { clock, bus, a } = await twoNodes();
    bus.stop();
    await clock.pass(1);
    const before = a.connection.published.length;
    await clock.pass(50 * HEARTBEAT_MS);
    expect(a.connection.published.length).toBe(before);
  });

  test('does not hold up the end of a node', async () => {
    const { clock, a, b } = await twoNodes();
    a.connection.flush = () => new Promise(() => {});
    const ended = a.membership.stop();
    await clock.pass(1000);
    await ended;
    expect(b.stateOf('a')).toBeUndefined();
  });

  test('and closed by its owner is a problem', async () => {
    const { clock, a } = await twoNodes();
    await a.connection.close(new Error('for a reason'));
    await clock.pass(10 * DOWN_MS);
    expect(a.membership.problem).toMatch(/closed: for a reason/);
    expect(a.stateOf('b')).toBe('up');
    await a.membership.stop();
  });

  test('is no reason to be judged for a process that stood still', async () => {
    const { clock, a } = await twoNodes();
    clock.jump(100 * DOWN_MS);
    await clock.pass(2 * HEARTBEAT_MS);
    expect(a.stateOf('b')).toBe('up');
  });

  test('and what NATS refuses is told; it is asked again', async () => {
    const { clock, a } = await twoNodes();
    a.connection.refuse(SUBJECT, new Error('permissions violation'));
    await clock.pass(1);
    expect(a.membership.problem).toMatch(/permissions violation/);
    await clock.pass(10 * HEARTBEAT_MS);
    expect(a.stateOf('b')).toBe('up');
    expect(a.membership.problem).toBeUndefined();
  });

  async function twoNodes() {
    const cluster = new Cluster();
    const [a, b] = [await cluster.join('a'), await cluster.join('b')];
    await cluster.clock.pass(5000);
    expect([a.stateOf('b'), b.stateOf('a')]).toEqual(['up', 'up']);
    return { clock: cluster.clock, bus: cluster.bus, a, b };
  }
});

describe('a newcomer', () => {
  test('knows everybody at once, and is known at once', async () => {
    const cluster = new Cluster();
    const old = [await cluster.join('a'), await cluster.join('b')];
    await cluster.clock.pass(2500);
    const newcomer = await cluster.join('c');
    await cluster.clock.pass(200);
    expect([newcomer.stateOf('a'), newcomer.stateOf('b')]).toEqual(['up', 'up']);
    expect(old.map(({ stateOf }) => stateOf('c'))).toEqual(['up', 'up']);
  });

  test('is answered where it listens only, and not more often than a limit', async () => {
    const cluster = new Cluster();
    const a = await cluster.join('a');
    await cluster.clock.pass(10);
    const before = a.connection.published.length;
    const instanceOf = (i: number): string => i.toString(16).padStart(16, '0');
    for (let i = 0; i < 500; i++) {
      const data = encodePresence(presenceOf({ name: `n${i}`, instance: instanceOf(i) }));
      cluster.say(data, i % 2 === 0 ? `tmem.tmem.answer.${instanceOf(i)}` : 'somebody.else');
    }
    await cluster.clock.pass(200);
    const answers = a.connection.published.slice(before);
    expect(answers.length).toBe(32);
    expect(answers.every(({ subject }) => subject.startsWith('tmem.tmem.answer.'))).toBe(true);
  });
});

describe('traffic', () => {
  test('does not grow above receivedPerSecondMax, however many nodes there are', async () => {
    const cluster = new Cluster();
    const nodes: Node[] = [];
    for (let i = 0; i < 60; i++) nodes.push(await cluster.join(`n${i}`, { receivedPerSecondMax: 20 }));
    await cluster.clock.pass(10_000);
    const before = nodes.map(({ connection }) => connection.received);
    await cluster.clock.pass(30_000);
    for (const [i, { connection, view }] of nodes.entries()) {
      expect((connection.received - (before[i] as number)) / 30).toBeLessThanOrEqual(20);
      expect(view().filter(({ state }) => state === 'up').length).toBe(59);
    }
  });

  test('and detection follow the formulas', async () => {
    const cluster = new Cluster();
    const a = await cluster.join('a');
    expect(a.membership.detectionMs).toBe(DOWN_MS + 2 * HEARTBEAT_MS);
    const speak = (sequence: number): void => {
      for (let i = 1; i < 1000; i++) cluster.presence({ name: `n${i}`, sequence, intervalMs: 5000 });
    };
    speak(1);
    await cluster.clock.pass(1500);
    // 1000 nodes at 200 a second: an interval of 5 s, five times the shortest.
    expect(a.membership.detectionMs).toBe(5 * DOWN_MS + 2 * 5000);
    const before = a.connection.published.length;
    for (let i = 2; i < 12; i++) {
      await cluster.clock.pass(5000);
      speak(i);
    }
    expect(a.connection.published.length - before).toBe(10);
    expect(a.view().every(({ state }) => state === 'up')).toBe(true);
    await cluster.clock.pass(a.membership.detectionMs);
    expect(a.view().every(({ state }) => state === 'down')).toBe(true);
  });

  test('of nodes that speak more rarely than this one expects makes them no suspects', async () => {
    const cluster = new Cluster();
    const a = await cluster.join('a');
    const rare = await cluster.join('rare', { heartbeatMs: 10_000, suspectMs: 20_000, downMs: 40_000 });
    for (let i = 0; i < 100; i++) {
      await cluster.clock.pass(1000);
      expect([a.stateOf('rare'), rare.stateOf('a')]).toEqual(['up', 'up']);
    }
  });
});

describe('mistakes', () => {
  const open = (options: object) => () => new NatsMembership(options as never, new VirtualClock());

  test('are told all at once', () => {
    const options = {
      name: '-',
      address: 'x',
      cluster: 'a b',
      heartbeatMs: 1000,
      suspectMs: 1500,
      downMs: 2000,
    };
    expect(open({ ...options, removeMs: 50, bogus: 1, instance: new Uint8Array(3) })).toThrow(
      expect.objectContaining({
        code: 'TMEM_ERR_SETTING',
        message: expect.stringMatching(
          [
            'bogus: unknown',
            'name: got "-"',
            'address: got "x"',
            'cluster: got "a b"',
            'instance: got',
            'connection, connect: exactly one',
            'suspectMs: got 1500, allowed is twice heartbeatMs \\(2000\\)',
            'downMs: got 2000, allowed is suspectMs \\+ heartbeatMs \\(2500\\)',
            'removeMs: got 50',
          ].join('[^]*'),
        ),
      }),
    );
  });

  test.each(['a..b', '.a', 'a.', 'a*', '>', '', 'x'.repeat(41)])(
    'cluster %j is no part of a subject',
    (cluster) => {
      expect(open({ name: 'a', address: 'a:1', connect: {}, cluster })).toThrow(/cluster: got/);
    },
  );
});
