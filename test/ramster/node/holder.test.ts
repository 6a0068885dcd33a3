// The holder's side: nobody is believed, what fits is answered, and leases end.
import { describe, expect, test } from 'vitest';
import { VirtualClock } from '../../../sim/clock.ts';
import { ForeignStore } from '../../../sim/foreign-store.ts';
import { PAGE_BYTES, SimMemory } from '../../../sim/memory.ts';
import { streamsOf } from '../../../sim/random.ts';
import { Holder } from '../../../src/ramster/holder/holder.ts';
import { memoryNumber } from '../../../src/ramster/place.ts';
import { nodeSettings } from '../../../src/ramster/settings.ts';
import { encodeFrame, type Frame } from '../../../src/ramster/wire/frame.ts';
import {
  decodeHelloReply,
  decodeListReply,
  decodePingReply,
  decodeRefusal,
  encodeDestroyPool,
  encodeFree,
  encodeGet,
  encodeHello,
  encodeList,
  encodePing,
  encodePingReply,
  encodePut,
  type Hello,
} from '../../../src/ramster/wire/messages.ts';
import { OwnerEnd } from './owner-end.ts';

const SUSPECT_MS = 1500;
const LEASE_MS = 20_000;
const HELLO_MS = 5000;

function made(pages = 100) {
  const clock = new VirtualClock();
  const memory = new SimMemory(streamsOf(4)('holder'), pages * PAGE_BYTES);
  const limits = { lentMostBytes: pages * PAGE_BYTES, ownerMostBytes: (pages * PAGE_BYTES) / 2 };
  const foreign = new ForeignStore(memory, limits);
  const told: string[] = [];
  const state = { draining: false };
  const holder = new Holder({
    self: {
      cluster: 'test',
      name: 'holder',
      memory: new Uint8Array(16),
      instance: new Uint8Array(8).fill(1),
    },
    ...{ clock, foreign },
    settings: nodeSettings({ leaseMs: LEASE_MS }),
    status: () => ({ freeBytes: foreign.freeBytes(), draining: state.draining }),
    refused: (peer, reason) => told.push(`refused ${peer}: ${reason}`),
    leaseEnded: ({ name }) => told.push(`lease of ${name}`),
    isDraining: () => state.draining,
    looked: () => {},
  });
  holder.start();
  const connect = (peerName?: string): OwnerEnd => {
    const end = new OwnerEnd(peerName);
    holder.accept(end);
    return end;
  };
  /** An owner that was let in. */
  const owner = (name: string, changes: Partial<Hello> = {}): OwnerEnd => {
    const end = connect();
    expect(end.say(encodeHello(1, hello(name, changes)))?.status).toBe('ok');
    return end;
  };
  const run = (ms: number): Promise<void> => clock.run(clock.now() + ms);
  return { clock, memory, foreign, limits, holder, told, state, connect, owner, run };
}

function hello(name: string, changes: Partial<Hello> = {}): Hello {
  return {
    ...{ protocols: [1, 1], cluster: 'test', name },
    ...{ memory: new Uint8Array(16).fill(2), instance: new Uint8Array(8).fill(3) },
    ...changes,
  };
}

const PAGE = Uint8Array.of(1, 2, 3);
const put = (
  id: number,
  pool = 1,
  kind: 'persistent' | 'ephemeral' = 'persistent',
  bytes = PAGE,
): Uint8Array[] => encodePut(id, { pool, kind, id, bytes });
const ping = encodePing(9, { freeBytes: 0, draining: false });

describe('a session', () => {
  test('begins with a hello that fits, and is told what the owner needs', () => {
    const { owner, foreign } = made();
    const reply = decodeHelloReply((owner('a').replies[0] as Frame).body);
    expect(reply).toMatchObject({ protocol: 1, name: 'holder', memory: foreign.memory, leaseMs: LEASE_MS });
    expect(reply.status.freeBytes).toBe(foreign.freeBytes());
  });

  test.each([
    ['anything but a hello', put(1)],
    ['a ping', ping],
    ['an answer', encodePingReply(1, { freeBytes: 0, draining: false })],
    ['no frame', [new Uint8Array(20)]],
    ['a hello that is none', encodeFrame({ type: 'hello', isReply: false, status: 'ok', request: 1 }, PAGE)],
  ])('that begins with %s is closed, and nothing is kept', (_, first) => {
    const { connect, foreign } = made();
    const end = connect();
    expect(end.say(first)).toBeUndefined();
    expect(end.closed).toBeDefined();
    expect(foreign.owners()).toEqual([]);
  });

  test.each([
    ['another cluster', { cluster: 'other' }, undefined, 'cluster'],
    ['a later version only', { protocols: [2, 3] as const }, undefined, 'version'],
    ['a name that is not in its certificate', {}, 'b', 'name'],
    ["the holder's own name", { name: 'holder' }, undefined, 'duplicate'],
  ])('of an owner with %s is refused with a reason', (_, changes, certificate, code) => {
    const { connect, told } = made();
    const end = connect(certificate);
    const reply = end.say(encodeHello(1, hello('a', changes)));
    expect(reply?.status).toBe('refused');
    expect(decodeRefusal((reply as Frame).body).code).toBe(code);
    expect(end.closed).toBeDefined();
    expect(told).toHaveLength(1);
    expect(end.say(put(1))).toBeUndefined();
  });

  test('speaks the highest version that both know', () => {
    const { owner } = made();
    const reply = owner('a', { protocols: [1, 7] }).replies[0] as Frame;
    expect(decodeHelloReply(reply.body).protocol).toBe(1);
  });

  test('in which something makes no sense is closed with a reason; the others go on', () => {
    const wrong: Uint8Array[][] = [
      [new Uint8Array(16)],
      encodePingReply(1, { freeBytes: 0, draining: false }),
      encodeHello(2, hello('a')),
      encodeFrame({ type: 'put', isReply: false, status: 'ok', request: 1 }, new Uint8Array(16)),
      encodeFrame({ type: 'free', isReply: false, status: 'ok', request: 1 }, new Uint8Array(5)),
      encodeFrame({ type: 'get', isReply: false, status: 'ok', request: 1 }, new Uint8Array(17)),
      encodeFrame({ type: 'list', isReply: false, status: 'ok', request: 1 }, new Uint8Array(33)),
    ];
    const { owner } = made();
    const other = owner('b');
    for (const frame of wrong) {
      const end = owner('a');
      expect(end.say(put(1))?.status).toBe('ok');
      end.say(frame);
      expect(end.closed).toBeDefined();
    }
    expect(other.say(ping)?.status).toBe('ok');
  });

  test('keeps pages, gives them, frees them and lists them; of its own owner only', () => {
    const { owner, foreign } = made();
    const a = owner('a');
    const b = owner('b');
    for (const id of [1, 2, 3]) expect(a.say(put(id))?.status).toBe('ok');
    expect(b.say(put(2, 1, 'persistent', Uint8Array.of(9)))?.status).toBe('ok');
    expect(Uint8Array.from(a.say(encodeGet(1, { pool: 1, id: 2, free: false }))?.body ?? [])).toEqual(PAGE);
    expect(b.say(encodeGet(1, { pool: 1, id: 3, free: true }))?.status).toBe('miss');
    b.say(encodeFree(1, { pages: [1, 2, 3].map((id) => ({ pool: 1, id })) }));
    b.say(encodeDestroyPool(1, { pool: 1 }));
    const list = (end: OwnerEnd): number[] =>
      decodeListReply((end.say(encodeList(1, {})) as Frame).body).pages.map(({ id }) => id);
    expect(list(a)).toEqual([1, 2, 3]);
    expect(list(b)).toEqual([]);
    expect(a.say(encodeFree(1, { pages: [{ pool: 1, id: 1 }] }))?.status).toBe('ok');
    expect(a.say(encodeFree(1, { pages: [{ pool: 1, id: 1 }] }))?.status).toBe('ok');
    expect(a.say(encodeGet(1, { pool: 1, id: 2, free: true }))?.status).toBe('ok');
    expect(list(a)).toEqual([3]);
    expect(a.say(encodeDestroyPool(1, { pool: 1 }))?.status).toBe('ok');
    expect(foreign.owners()).toEqual([]);
  });

  test('refuses the other kind, what is above the cap, and all when the node leaves', () => {
    const { owner, state, limits } = made();
    const a = owner('a');
    limits.ownerMostBytes = 2 * PAGE_BYTES;
    expect(a.say(put(1))?.status).toBe('ok');
    expect(a.say(put(2, 1, 'ephemeral'))?.status).toBe('kind');
    expect(a.say(put(3))?.status).toBe('ok');
    expect(a.say(put(4))?.status).toBe('full');
    expect(owner('b').say(put(1))?.status).toBe('ok');
    state.draining = true;
    expect(a.say(put(1))?.status).toBe('draining');
    expect(a.say(encodeGet(1, { pool: 1, id: 1, free: false }))?.status).toBe('ok');
    expect(decodePingReply((a.say(ping) as Frame).body).draining).toBe(true);
  });

  test('puts pages without counting all that is free each time', () => {
    const { owner, foreign } = made();
    const a = owner('a');
    foreign.freeBytes = () => {
      throw new Error('counted');
    };
    expect(a.say(put(1))?.status).toBe('ok');
  });

  test("in which the node's store fails is told 'busy', and goes on", () => {
    const { owner, foreign } = made();
    const a = owner('a');
    const fail = (): never => {
      throw new Error('the store is busy');
    };
    const names = ['put', 'get', 'free', 'list', 'destroyPool', 'freeBytes'] as const;
    const before = Object.fromEntries(names.map((name) => [name, foreign[name]]));
    Object.assign(foreign, Object.fromEntries(names.map((name) => [name, fail])));
    const all = [
      put(1),
      encodeGet(1, { pool: 1, id: 1, free: false }),
      encodeFree(1, { pages: [{ pool: 1, id: 1 }] }),
      encodeList(1, {}),
      encodeDestroyPool(1, { pool: 1 }),
      ping,
    ];
    for (const request of all) expect(a.say(request)?.status).toBe('busy');
    Object.assign(foreign, before);
    expect(a.say(put(1))?.status).toBe('ok');
  });
});

describe('two nodes of one name', () => {
  const twin = { instance: new Uint8Array(8).fill(9) };

  test('are told apart: the second is refused while the first is heard of', async () => {
    const { owner, connect, run, told } = made();
    const first = owner('a');
    await run(SUSPECT_MS - 100);
    first.say(ping);
    await run(SUSPECT_MS - 100);
    const second = connect();
    const reply = second.say(encodeHello(1, hello('a', twin)));
    expect(decodeRefusal((reply as Frame).body)).toMatchObject({ code: 'duplicate' });
    expect(first.closed).toBeUndefined();
    expect(told[0]).toContain('a at test:1');
  });

  test('are one after the other when the first is silent: it started again', async () => {
    const { owner, run } = made();
    const first = owner('a');
    await run(SUSPECT_MS);
    const second = owner('a', twin);
    expect(first.closed).toContain('same node');
    expect(second.say(put(1))?.status).toBe('ok');
  });

  test('are one after the other at once when the first has closed its connection', () => {
    const { owner } = made();
    owner('a').close('it ended');
    expect(owner('a', twin).say(put(1))?.status).toBe('ok');
  });

  test('and the same start again is the same node: the newer connection is the one that counts', () => {
    const { owner } = made();
    const first = owner('a');
    const second = owner('a');
    expect(first.closed).toContain('same node');
    const third = owner('a');
    expect([second.closed === undefined, third.say(put(1))?.status]).toEqual([false, 'ok']);
  });
});

describe('connections', () => {
  test('without a hello, and those that are silent for long, are closed', async () => {
    const { connect, owner, run } = made();
    const stranger = connect();
    const silent = owner('a');
    const lively = owner('b');
    for (let i = 0; i < 4; i++) {
      await run(2000);
      lively.say(ping);
    }
    expect(stranger.closed).toContain('silent');
    await run(1);
    expect([silent.closed !== undefined, lively.closed !== undefined]).toEqual([true, false]);
    expect(HELLO_MS).toBeLessThan(8000);
  });

  test('are bounded', () => {
    const { connect, told } = made();
    const ends = Array.from({ length: 4097 }, () => connect());
    expect(ends.filter(({ closed }) => closed !== undefined)).toHaveLength(1);
    expect(told).toHaveLength(1);
    ends[0]?.close('gone');
    expect(connect().closed).toBeUndefined();
  });

  test('end with the node, which leaves no timer and takes no more', async () => {
    const { clock, connect, owner, holder, run } = made();
    const all = [connect(), owner('a')];
    holder.stop();
    for (const end of all) expect(end.closed).toBe('this node stops');
    expect(connect().closed).toBe('this node stops');
    const { events } = clock;
    await run(100_000);
    expect(clock.events).toBe(events);
  });
});

describe('a lease', () => {
  const own = { name: 'a', memory: memoryNumber(new Uint8Array(16).fill(2)) };

  test('runs from the last word, and ends with all pages of the owner', async () => {
    const { owner, foreign, told, run } = made();
    const a = owner('a');
    a.say(put(1));
    await run(LEASE_MS - 5000);
    expect(a.closed).toBeDefined();
    const again = owner('a');
    await run(LEASE_MS - 1000);
    expect(foreign.counts(own).persistentPages).toBe(1);
    expect(again.closed).toBeDefined();
    await run(1000 + 2 * SUSPECT_MS);
    expect(foreign.owners()).toEqual([]);
    expect(told).toEqual(['lease of a']);
  });

  test('is a whole one after a restart of the holder', async () => {
    const first = made();
    first.owner('a').say(put(1));
    first.holder.stop();
    const clock = new VirtualClock();
    await clock.run(1e6);
    const ended: string[] = [];
    const holder = new Holder({
      self: { cluster: 'test', name: 'holder', memory: new Uint8Array(16), instance: new Uint8Array(8) },
      ...{ clock, foreign: first.foreign, settings: nodeSettings({ leaseMs: LEASE_MS }) },
      status: () => ({ freeBytes: 0, draining: false }),
      refused: () => {},
      leaseEnded: ({ name }) => ended.push(name),
      isDraining: () => false,
      looked: () => {},
    });
    holder.start();
    await clock.run(clock.now() + LEASE_MS - 100);
    expect(first.foreign.counts(own).persistentPages).toBe(1);
    await clock.run(clock.now() + 100 + 2 * SUSPECT_MS);
    expect(ended).toEqual(['a']);
    holder.stop();
  });

  test('that could not be ended, because the store was busy, is ended later', async () => {
    const { owner, foreign, told, run } = made();
    owner('a').say(put(1));
    const { destroyOwner } = foreign;
    foreign.destroyOwner = () => {
      throw new Error('the store is busy');
    };
    await run(LEASE_MS + 2 * SUSPECT_MS);
    expect(told).toEqual([]);
    foreign.destroyOwner = destroyOwner;
    await run(LEASE_MS + 2 * SUSPECT_MS);
    expect(told).toEqual(['lease of a']);
    expect(foreign.owners()).toEqual([]);
  });

  test('is not kept for those who have no pages: nobody is told of its end, and nothing piles up', async () => {
    const { owner, told, run } = made();
    for (let i = 0; i < 50; i++) owner('a', { memory: new Uint8Array(16).fill(i) }).close('gone');
    await run(LEASE_MS + 2 * SUSPECT_MS);
    expect(told).toEqual([]);
  });

  test('of an owner that came back empty is another one than that of its old memory', async () => {
    const { owner, foreign, run } = made();
    const old = owner('a');
    old.say(put(1));
    old.close('it ended');
    const now = owner('a', { memory: new Uint8Array(16).fill(8) });
    now.say(put(1));
    for (let i = 0; i < 12; i++) {
      now.say(ping);
      await run(2000);
    }
    expect(foreign.owners()).toHaveLength(1);
    expect(foreign.counts(own).persistentPages).toBe(0);
  });
});
