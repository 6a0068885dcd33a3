// Links: how a peer is, is known in bounded time, whatever it says or does not say.
import { describe, expect, test } from 'vitest';
import { VirtualClock } from '../../../sim/clock.ts';
import { streamsOf } from '../../../sim/random.ts';
import { Link } from '../../../src/ramster/peer/link.ts';
import { Links } from '../../../src/ramster/peer/links.ts';
import { nodeNumber } from '../../../src/ramster/place.ts';
import { PeerStore } from '../../../src/ramster/remote-store/peer-store.ts';
import { RemoteError } from '../../../src/ramster/remote-store/remote-store.ts';
import { type NodeSettingsInput, nodeSettings } from '../../../src/ramster/settings.ts';
import { encodeFrame } from '../../../src/ramster/wire/frame.ts';
import { encodeGetReply, encodeHelloReply, encodePingReply } from '../../../src/ramster/wire/messages.ts';
import { settle } from './scene.ts';
import { greeting, polite, refusing, type Script, ScriptedPeer, STATUS } from './scripted-peer.ts';

const SELF = { cluster: 'test', name: 'own', memory: new Uint8Array(16), instance: new Uint8Array(8) };
const DOWN_MS = 3000;
const HEARTBEAT_MS = 500;
const PAGE = { pool: 1, kind: 'persistent' as const, id: 5, bytes: new Uint8Array(50) };

function common(clock: VirtualClock, transport: ScriptedPeer, input: NodeSettingsInput = {}) {
  const settings = nodeSettings(input);
  return { self: SELF, clock, random: streamsOf(5)('link'), transport, settings, status: () => STATUS };
}

function made(script: Script = polite('b'), input: NodeSettingsInput = {}) {
  const clock = new VirtualClock();
  const peer = new ScriptedPeer(clock, script);
  const states: string[] = [];
  const link = new Link({
    ...common(clock, peer, input),
    ...{ name: 'b', address: 'b:1', putting: () => {} },
    changed: ({ state }) => {
      if (states.at(-1) !== state) states.push(state);
    },
  });
  const run = (ms: number): Promise<void> => clock.run(clock.now() + ms);
  return { clock, peer, link, states, run, store: new PeerStore(link) };
}

/** Answers hellos well, and all else with `other`. */
const afterHello = (other: Script): Script => {
  const good = polite('b');
  return (frame, end) => (frame.type === 'hello' ? good : other)(frame, end);
};

describe('a link', () => {
  test('is down until the peer was reached, and then up', async () => {
    const { peer, link, states, run } = made();
    expect(link.state).toBe('down');
    expect(link.memory).toBeUndefined();
    link.start();
    await run(100);
    expect(link).toMatchObject({ state: 'up', memory: 77, status: STATUS, problem: undefined });
    await run(60_000);
    expect(states).toEqual(['up']);
    expect(peer.connects).toHaveLength(1);
    link.stop();
  });

  test('of a peer that falls silent is suspect and then down, in bounded time, and up when it answers', async () => {
    const { clock, peer, link, run } = made();
    link.start();
    await run(2000);
    peer.script = () => {};
    peer.connectable = 'silent';
    const silentMs = clock.now();
    const seen = new Map<string, number>();
    while (clock.now() < silentMs + 5000) {
      await run(10);
      if (!seen.has(link.state)) seen.set(link.state, clock.now() - silentMs);
    }
    expect([...seen.keys()]).toEqual(['up', 'suspect', 'down']);
    expect(seen.get('suspect')).toBeLessThanOrEqual(1500 + HEARTBEAT_MS);
    expect(seen.get('down')).toBeLessThanOrEqual(DOWN_MS + HEARTBEAT_MS);
    peer.script = polite('b');
    peer.connectable = 'yes';
    await run(4000);
    expect(link.state).toBe('up');
    link.stop();
  });

  test('that is cut is suspect at once, and up again soon', async () => {
    const { peer, link, states, run } = made();
    link.start();
    await run(1000);
    peer.openEnds[0]?.close('reset');
    await run(2);
    expect(link).toMatchObject({ state: 'suspect', problem: 'reset' });
    await run(500);
    expect(states).toEqual(['up', 'suspect', 'up']);
    expect(link.problem).toBeUndefined();
    link.stop();
  });

  test('to a peer that was leaving and closed it is down at once', async () => {
    const { peer, link, run } = made(polite('b', { status: { freeBytes: 0, draining: true } }));
    link.start();
    await run(1000);
    expect(link).toMatchObject({ state: 'up', status: { draining: true } });
    peer.connectable = 'refused';
    peer.openEnds[0]?.close('it left');
    await run(2);
    expect(link.state).toBe('down');
    link.stop();
  });

  test.each([
    ['another name', polite('c'), "expected node 'b', found 'c'"],
    ['a refusal', refusing, 'another cluster'],
    ['a version that nobody offered', polite('b', { protocol: 9 }), 'version 9'],
    ['no frame', ((_, end) => end.send(new Uint8Array(16).fill(1))) as Script, 'a frame of'],
    [
      'another answer',
      (({ request }, end) => end.send(...encodePingReply(request, STATUS))) as Script,
      'reply to',
    ],
    ['nothing at all', (() => {}) as Script, 'no answer'],
    [
      'questions',
      (({ type, request }, end) =>
        end.send(...encodeFrame({ type, isReply: false, status: 'ok', request }))) as Script,
      'it asks where it should answer',
    ],
  ])(
    'to a peer whose answer to the hello is %s is down, says why, and asks ever more rarely',
    async (_, script, why) => {
      const { peer, link, states, run } = made(script);
      link.start();
      await run(60_000);
      expect(link).toMatchObject({ state: 'down', memory: undefined });
      expect(link.problem).toContain(why);
      expect(states).toEqual(['down']);
      // 60 s, with waits that soon are at least half of three seconds.
      expect(peer.connects.length).toBeGreaterThan(10);
      expect(peer.connects.length).toBeLessThan(60);
      expect(peer.openEnds).toHaveLength(0);
      await expect(
        link.ask(
          'ping',
          () => [],
          () => {},
        ),
      ).rejects.toBeInstanceOf(RemoteError);
      link.stop();
    },
  );

  test('to a peer that refuses from some day on goes down in bounded time, and stays so', async () => {
    const { peer, link, states, run } = made();
    link.start();
    await run(2000);
    peer.script = refusing;
    peer.openEnds[0]?.close('it starts again');
    await run(DOWN_MS + HEARTBEAT_MS);
    expect(link.state).toBe('down');
    await run(30_000);
    expect(states).toEqual(['up', 'suspect', 'down']);
    link.stop();
  });

  test('to a peer that says hello well and nothing else right is not connected again and again', async () => {
    const garbage: Script[] = [
      (_, end) => end.send(new Uint8Array(16).fill(7)),
      ({ type, request }, end) =>
        end.send(...encodeFrame({ type, isReply: true, status: 'ok', request }, new Uint8Array(3))),
      ({ request }, end) => end.send(...encodeHelloReply(request, greeting('b'))),
      (_, end) => end.close('no'),
    ];
    for (const script of garbage) {
      const { peer, link, run } = made(afterHello(script));
      link.start();
      await run(60_000);
      expect(peer.connects.length).toBeLessThan(60);
      link.stop();
    }
  });

  test('is not kept up by frames that answer nothing', async () => {
    const { clock, peer, link, states, run, store } = made(afterHello(() => {}));
    link.start();
    await run(100);
    const spam = (): void => {
      for (const end of peer.openEnds) end.send(...encodePingReply(4711, STATUS));
      clock.after(100, spam);
    };
    spam();
    await run(DOWN_MS + HEARTBEAT_MS);
    expect(states.slice(0, 3)).toEqual(['up', 'suspect', 'down']);
    await expect(settle(clock, store.put(PAGE), 1000)).rejects.toBeInstanceOf(RemoteError);
    link.stop();
  });

  test('passes over answers that are late, repeated or in another order', async () => {
    const held: (() => void)[] = [];
    const { clock, link, store, run } = made(
      afterHello(({ type, request }, end) => {
        if (type === 'ping') end.send(...encodePingReply(request, STATUS));
        else held.push(() => end.send(...encodeGetReply(request, Uint8Array.of(held.length, request & 255))));
      }),
    );
    link.start();
    await run(100);
    const gets = [1, 2, 3].map((id) => store.get(1, id, false));
    await run(5);
    for (const reply of [...held].reverse()) {
      reply();
      reply();
    }
    const bytes = await settle(clock, Promise.all(gets), 100);
    expect(new Set(bytes.map((each) => each?.[1])).size).toBe(3);
    const late = store.get(1, 4, false);
    late.catch(() => {});
    await run(600);
    await expect(late).rejects.toThrow('no answer');
    held.at(-1)?.();
    await run(10);
    expect(link.state).toBe('up');
    link.stop();
  });

  test('fails what is under way when it is cut, and takes nothing until it is connected', async () => {
    const { clock, peer, link, store, run } = made(afterHello(() => {}));
    link.start();
    await run(100);
    const put = store.put(PAGE);
    await run(5);
    peer.connectable = 'refused';
    peer.openEnds[0]?.close('reset');
    await expect(settle(clock, put, 5)).rejects.toBeInstanceOf(RemoteError);
    await expect(store.put(PAGE)).rejects.toThrow('b: reset');
    link.stop();
  });

  test('knows the lease from when it sent what was answered, also of a peer that was never reached', async () => {
    const { peer, link, run } = made(polite('b', { leaseMs: 10_000 }), { leaseMs: 20_000 });
    link.start();
    await run(5000);
    peer.script = () => {};
    peer.connectable = 'silent';
    await run(9000);
    expect(link.isLeaseOver).toBe(false);
    await run(1500);
    expect(link.isLeaseOver).toBe(true);
    link.stop();
    const never = made(refusing, { leaseMs: 20_000 });
    never.peer.connectable = 'refused';
    never.link.start();
    await never.run(19_000);
    expect(never.link.isLeaseOver).toBe(false);
    await never.run(2000);
    expect(never.link.isLeaseOver).toBe(true);
    never.link.stop();
  });

  test('that is stopped, whenever, leaves no timer and no connection', async () => {
    for (const stopMs of [0, 1, 2, 3, 100, 499, 2500]) {
      for (const script of [polite('b'), refusing, (() => {}) as Script]) {
        const { clock, peer, link, run } = made(script);
        link.start();
        await run(stopMs);
        link.stop();
        await run(1000);
        expect(peer.openEnds).toHaveLength(0);
        const { events } = clock;
        const connects = peer.connects.length;
        await run(60_000);
        expect([clock.events, peer.connects.length]).toEqual([events, connects]);
      }
    }
  });
});

describe('a peer as a store', () => {
  test('that is full, or leaves, is not asked for more for a while, whatever it says of itself', async () => {
    for (const status of ['full', 'draining'] as const) {
      const { clock, link, store, run } = made(
        afterHello(({ type, request }, end) => {
          if (type === 'ping') end.send(...encodePingReply(request, STATUS));
          else end.send(...encodeFrame({ type, isReply: true, status, request }));
        }),
      );
      link.start();
      await run(100);
      expect(await settle(clock, store.put(PAGE), 100)).toBe('full');
      expect(store.freeBytes).toBe(0);
      await run(600);
      expect(store.freeBytes).toBe(0);
      await run(2500);
      expect(store.freeBytes).toBe(STATUS.freeBytes);
      link.stop();
    }
  });

  test('answers with what the protocol says, or ends the connection', async () => {
    for (const [body, status] of [
      [0, 'ok'],
      [4097, 'ok'],
      [5, 'miss'],
      [5, 'busy'],
    ] as const) {
      const { clock, peer, link, store, run } = made(
        afterHello(({ type, request }, end) =>
          end.send(...encodeFrame({ type, isReply: true, status, request }, new Uint8Array(body))),
        ),
      );
      link.start();
      await run(100);
      await expect(settle(clock, store.get(1, 2, false), 100)).rejects.toBeInstanceOf(RemoteError);
      expect(peer.openEnds).toHaveLength(0);
      link.stop();
    }
  });
});

describe('links', () => {
  function several(script: Script) {
    const clock = new VirtualClock();
    const peer = new ScriptedPeer(clock, script);
    const links = new Links(common(clock, peer));
    const run = (ms: number): Promise<void> => clock.run(clock.now() + ms);
    return { clock, peer, links, run };
  }

  test('are kept for as long as there is a reason', async () => {
    const { links, run, peer } = several(polite('b'));
    links.keep('b', 'b:1', 'partner');
    links.watch('b', 'b:1');
    await run(100);
    links.letGo('b', 'partner');
    expect(links.byNode(nodeNumber('b'))?.state).toBe('up');
    links.unwatch('b');
    expect(links.get('b')).toBeUndefined();
    expect(links.byNode(nodeNumber('b'))).toBeUndefined();
    await run(10);
    expect(peer.openEnds).toHaveLength(0);
  });

  test('stay open to a peer to which a page was put, until it is known that it has none', async () => {
    const { links, run } = several(polite('b'));
    links.keep('b', 'b:1', 'partner');
    await run(100);
    const link = links.get('b') as Link;
    await Promise.race([new PeerStore(link).put(PAGE), run(100)]);
    expect(links.holdsPages('b')).toBe(true);
    links.letGo('b', 'partner');
    expect(links.get('b')).toBe(link);
    links.letGo('b', 'holds');
    expect(links.get('b')).toBeUndefined();
  });

  test('follow a peer that is somewhere else now, and tell nothing of where it was', async () => {
    const { links, run, peer } = several(polite('b'));
    const told: string[] = [];
    links.onChange((name, { state }) => {
      told.push(`${name} ${state}`);
      // As a membership may that has heard of the new address: it must not go round and round.
      links.keep('b', 'b:2', 'partner');
    });
    links.keep('b', 'b:1', 'holds');
    await run(200);
    expect(links.get('b')?.address).toBe('b:2');
    expect(links.has('b', 'holds') && links.has('b', 'partner')).toBe(true);
    expect(peer.openEnds).toHaveLength(1);
    expect(told.at(-1)).toBe('b up');
    links.stop();
  });

  test('that are stopped stay so', async () => {
    const { links, run, peer, clock } = several(polite('b'));
    const told: string[] = [];
    links.keep('b', 'b:1', 'partner');
    await run(100);
    links.onChange((name) => told.push(name));
    links.stop();
    links.keep('b', 'b:1', 'holds');
    await run(1000);
    const { events } = clock;
    await run(60_000);
    expect(clock.events).toBe(events);
    expect(told).toEqual([]);
    expect(peer.openEnds).toHaveLength(0);
  });
});
