// Membership by NATS on a bus without a server and a virtual clock: its conformance, and what is special to it.

import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { describe, expect, test } from 'vitest';
import { membershipConformance } from '../../../src/ramster/membership/conformance.ts';
import type { Member } from '../../../src/ramster/membership/membership.ts';
import type { NatsMembershipOptions } from '../../../src/ramster/membership/nats-settings.ts';
import { encodePresence, type Presence } from '../../../src/ramster/membership/presence.ts';
import { NatsMembership } from '../../../src/ramster/nats.ts';
import { FakeBus, type FakeConnection } from './fake-nats.ts';
import { VirtualClock } from './virtual-clock.ts';

const SUBJECT = 'tmem.tmem.presence';
const HEARTBEAT_MS = 1000;
const SUSPECT_MS = 3000;
const DOWN_MS = 6000;
const addressOf = (name: string): string => `${name}.example:7000`;
const status = () => ({ freeBytes: 1000, draining: false });

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

interface Node {
  readonly membership: NatsMembership;
  readonly connection: FakeConnection;
  readonly stateOf: (name: string) => Member['state'] | undefined;
  readonly member: (name: string) => Member | undefined;
  readonly view: () => readonly Member[];
}

class Cluster {
  readonly clock = new VirtualClock();
  readonly bus = new FakeBus(this.clock);
  readonly #speaker = this.bus.connect();

  async join(name: string, options: Partial<NatsMembershipOptions> = {}): Promise<Node> {
    const connection = this.bus.connect();
    const given = { name, address: addressOf(name), connection, ...options };
    const membership = new NatsMembership(given, this.clock);
    let view: readonly Member[] = [];
    await membership.start(status, (members) => {
      view = members;
    });
    const member = (other: string) => view.find((each) => each.name === other);
    return { membership, connection, member, stateOf: (other) => member(other)?.state, view: () => view };
  }

  /** Anything, by somebody who may publish. */
  say(data: Uint8Array, reply?: string): void {
    this.#speaker.publish(SUBJECT, data, reply === undefined ? {} : { reply });
  }

  presence(changes: Partial<Presence> = {}): void {
    this.say(encodePresence(presenceOf(changes)));
  }
}

function presenceOf(changes: Partial<Presence>): Presence {
  const name = changes.name ?? 'x';
  return {
    ...{ name, address: addressOf(name), freeBytes: 5, draining: false, leaving: false },
    ...{ instance: '00000000000000aa', sequence: 1, ageMs: 10_000, intervalMs: HEARTBEAT_MS },
    ...changes,
  };
}

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

describe('two nodes of one name', () => {
  test('the one that was there first is listed by all, the other one ignored, and all are told', async () => {
    const cluster = new Cluster();
    const old = await cluster.join('twin', { address: 'old:1' });
    const early = await cluster.join('early');
    await cluster.clock.pass(5000);
    const young = await cluster.join('twin', { address: 'young:1' });
    await cluster.clock.pass(2500);
    const late = await cluster.join('late');
    await cluster.clock.pass(5000);
    for (const { member, membership } of [early, late]) {
      expect(member('twin')).toMatchObject({ address: 'old:1', state: 'up' });
      expect(membership.problem).toMatch(/'twin' at young:1 .* 'twin' at old:1: the later one is ignored/);
    }
    expect(old.membership.problem).toMatch(/'twin' at young:1 .* came later, and others ignore it/);
    expect(young.membership.problem).toMatch(/'twin' at old:1 .* others ignore this node/);
    await young.membership.stop();
    await cluster.clock.pass(2 * SUSPECT_MS);
    for (const { membership } of [old, early, late]) expect(membership.problem).toBeUndefined();
  });

  test('that began at the same time are told apart alike by all', async () => {
    for (const swapped of [false, true]) {
      const cluster = new Cluster();
      const watcher = await cluster.join('watcher');
      const twins = [new Uint8Array(8).fill(1), new Uint8Array(8).fill(2)];
      for (const instance of swapped ? twins.reverse() : twins) {
        await cluster.join('twin', { instance, address: `twin-${instance[0]}:1` });
        await cluster.clock.pass(200);
      }
      await cluster.clock.pass(5000);
      expect(watcher.member('twin')?.address).toBe('twin-1:1');
    }
  });

  test('are no problem when the first one has died: a node that starts again has its name soon', async () => {
    const cluster = new Cluster();
    const watcher = await cluster.join('watcher');
    const first = await cluster.join('again', { address: 'old:1' });
    await cluster.clock.pass(5000);
    await first.connection.close();
    await cluster.join('again', { address: 'new:1' });
    const problems = new Set<string | undefined>();
    for (let i = 0; i < SUSPECT_MS + 2 * HEARTBEAT_MS; i += 100) {
      await cluster.clock.pass(200);
      problems.add(watcher.membership.problem);
      expect(watcher.stateOf('again')).toBe('up');
    }
    expect(watcher.member('again')?.address).toBe('new:1');
    expect([...problems]).toEqual([undefined]);
  });

  test('or with names of one number are the same', async () => {
    const [one, two] = sameNumber;
    const cluster = new Cluster();
    const watcher = await cluster.join('watcher');
    const first = await cluster.join(one);
    await cluster.clock.pass(3000);
    await cluster.join(two);
    await cluster.clock.pass(5000);
    expect(watcher.view().map(({ name }) => name)).toEqual([one]);
    expect(watcher.membership.problem).toContain(`'${two}'`);
    expect(first.membership.problem).toContain(`'${two}'`);
    expect(first.view().map(({ name }) => name)).toEqual(['watcher']);
  });
});

/** Two names with one number (place.ts), found by trying. */
const sameNumber = ['n18622', 'n41826'] as const;

describe('messages', () => {
  test('that are no presence are passed over, whatever they are', async () => {
    const cluster = new Cluster();
    const a = await cluster.join('a');
    const good = presenceOf({});
    const packr = new Packr({ useRecords: false });
    const broken = [
      ...Object.keys(good).map((key) => ({ version: 1, ...good, [key]: undefined })),
      ...['', '-x', 'x'.repeat(41), 7, null].map((name) => ({ version: 1, ...good, name })),
      ...['nowhere', 'host:0', 'unix:relative', 'unix:/\n'].map((address) => ({
        version: 1,
        ...good,
        address,
      })),
      ...[-1, 0.5, 2 ** 60, Number.NaN].map((freeBytes) => ({ version: 1, ...good, freeBytes })),
      ...[0, 60_001].map((intervalMs) => ({ version: 1, ...good, intervalMs })),
      { version: 2, ...good },
      [good],
      'text',
    ];
    for (const value of broken) cluster.say(new Uint8Array(packr.pack(value)));
    cluster.say(new Uint8Array(packr.pack({ version: 1, ...good, more: 'x'.repeat(2000) })));
    await cluster.clock.pass(200);
    expect(a.view()).toEqual([]);
    cluster.say(new Uint8Array(packr.pack({ version: 1, ...good, more: 'of a later version' })));
    await cluster.clock.pass(200);
    expect(a.stateOf('x')).toBe('up');
  });

  test('of random bytes, or of a presence with some changed, throw nothing and spoil nothing', async () => {
    const cluster = new Cluster();
    const a = await cluster.join('a');
    const noise = fc.uint8Array({ maxLength: 200 });
    const changed = fc
      .tuple(fc.array(fc.tuple(fc.nat(300), fc.nat(255)), { minLength: 1, maxLength: 4 }), fc.string())
      .map(([changes, name]) => {
        const bytes = encodePresence(presenceOf({ name }));
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        return bytes;
      });
    const messages = fc.sample(fc.oneof(noise, changed), 3000);
    for (const message of messages) cluster.say(message);
    await cluster.clock.pass(200);
    cluster.presence({ name: 'good' });
    await cluster.clock.pass(200);
    expect(a.stateOf('good')).toBe('up');
    expect(a.view().every(({ name, address }) => name.length > 0 && address.length > 0)).toBe(true);
  });

  test('that come twice, or late, change nothing', async () => {
    const cluster = new Cluster();
    const a = await cluster.join('a');
    cluster.presence({ sequence: 5, freeBytes: 55 });
    cluster.presence({ sequence: 4, freeBytes: 44, leaving: true });
    cluster.presence({ sequence: 5, freeBytes: 66 });
    await cluster.clock.pass(200);
    expect(a.member('x')).toMatchObject({ freeBytes: 55, state: 'up' });
    await cluster.clock.pass(SUSPECT_MS);
    cluster.presence({ sequence: 5 });
    await cluster.clock.pass(HEARTBEAT_MS);
    expect(a.stateOf('x')).toBe('suspect');
  });

  test('from more nodes than any cluster has are not remembered, and told', async () => {
    const cluster = new Cluster();
    const a = await cluster.join('a');
    for (let i = 0; i < 10_050; i++) cluster.presence({ name: `n${i}` });
    await cluster.clock.pass(200);
    expect(a.view().length).toBe(10_000);
    expect(a.membership.problem).toMatch(/more than 10000 nodes/);
  });

  test('by a node that went silent for removeMs make it a member anew; before it is listed as down', async () => {
    const cluster = new Cluster();
    const a = await cluster.join('a', { removeMs: 20_000 });
    cluster.presence();
    await cluster.clock.pass(15_000);
    expect(a.stateOf('x')).toBe('down');
    await cluster.clock.pass(8000);
    expect(a.stateOf('x')).toBeUndefined();
    cluster.presence({ sequence: 2 });
    await cluster.clock.pass(200);
    expect(a.stateOf('x')).toBe('up');
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
