// The simulated network: what it does to frames and connections.
import { describe, expect, test } from 'vitest';
import { VirtualClock } from '../../sim/clock.ts';
import { addressOf, type Profile, SimNetwork } from '../../sim/network.ts';
import { SimProcess } from '../../sim/process.ts';
import { streamsOf } from '../../sim/random.ts';
import { Trace } from '../../sim/trace.ts';
import type { Channel } from '../../src/ramster/transport/transport.ts';

const CALM: Profile = {
  ...{ delayMs: 1, jitterMs: 0, loss: 0, duplicates: 0, overtaking: 0 },
  ...{ stream: true, lostAtBlocks: 0 },
};

/** Two machines, of which the second one listens. */
function twoMachines(profile: Partial<Profile> = {}) {
  const clock = new VirtualClock();
  const trace = new Trace();
  const network = new SimNetwork({ clock, trace, streams: streamsOf(1), profile: { ...CALM, ...profile } });
  const [one, two] = [0, 1].map(
    (host) => new SimProcess({ ...{ name: `n${host}`, host, clock, trace }, clockZeroMs: 0, clockSpeed: 1 }),
  ) as [SimProcess, SimProcess];
  const arrived: number[] = [];
  const ended: string[] = [];
  const accepted: Channel[] = [];
  network.listen(two, addressOf(1), (channel) => {
    accepted.push(channel);
    channel.listen({
      frame: (frame) => arrived.push(frame[0] as number),
      closed: (reason) => ended.push(`far: ${reason}`),
    });
  });
  /** Connects while time passes. */
  const connect = async (address = addressOf(1)): Promise<Channel | string> => {
    const result = network
      .transport(one)
      .connect(address, 100)
      .catch((error: Error) => error.message);
    await clock.run(clock.now() + 200);
    const channel = await result;
    if (typeof channel !== 'string') {
      channel.listen({ frame: () => {}, closed: (reason) => ended.push(`near: ${reason}`) });
    }
    return channel;
  };
  const pass = (ms: number): Promise<void> => clock.run(clock.now() + ms);
  return { clock, network, one, two, arrived, ended, accepted, connect, pass };
}

const numbers = Array.from({ length: 50 }, (_, i) => i);
const sendAll = (channel: Channel): void => {
  for (const i of numbers) channel.send(new Uint8Array([i]), new Uint8Array(3));
};

describe('frames', () => {
  test('of a stream arrive once and in order, also when some are sent again', async () => {
    const { connect, arrived, pass } = twoMachines({ loss: 0.2, jitterMs: 5 });
    sendAll((await connect()) as Channel);
    await pass(60_000);
    expect(arrived).toEqual(numbers);
  });

  test('of other connections are lost, doubled and overtaken', async () => {
    const { connect, arrived, pass } = twoMachines({
      stream: false,
      loss: 0.2,
      duplicates: 0.2,
      overtaking: 0.3,
    });
    sendAll((await connect()) as Channel);
    await pass(60_000);
    const distinct = new Set(arrived);
    expect(distinct.size).toBeLessThan(numbers.length);
    expect(arrived.length).toBeGreaterThan(distinct.size);
    expect(arrived).not.toEqual([...arrived].sort((a, b) => a - b));
  });

  test('are overwritten when they were delivered', async () => {
    const { connect, accepted, pass } = twoMachines();
    const near = (await connect()) as Channel;
    let kept: Uint8Array | undefined;
    accepted[0]?.listen({
      frame: (frame) => {
        kept = frame;
      },
      closed: () => {},
    });
    near.send(new Uint8Array([1, 2, 3]));
    await pass(10);
    expect([...(kept ?? [])]).toEqual([0xdd, 0xdd, 0xdd]);
  });

  test('wait while the other end is paused, and count as pending beyond a window', async () => {
    const { connect, accepted, arrived, pass } = twoMachines();
    const near = (await connect()) as Channel;
    accepted[0]?.pause();
    for (let i = 0; i < 5; i++) near.send(new Uint8Array(16_384).fill(i));
    await pass(10);
    expect(arrived).toEqual([]);
    expect(near.pendingBytes).toBe(16_384);
    accepted[0]?.resume();
    await pass(10);
    expect(arrived).toEqual([0, 1, 2, 3, 4]);
    expect(near.pendingBytes).toBe(0);
  });

  test('wait at a blocked way until it is free again, or are lost there', async () => {
    for (const lostAtBlocks of [0, 1]) {
      const { connect, network, arrived, pass } = twoMachines({ lostAtBlocks });
      const near = (await connect()) as Channel;
      network.block(0, 1);
      sendAll(near);
      await pass(100);
      expect(arrived).toEqual([]);
      network.heal();
      await pass(100);
      expect(arrived).toEqual(lostAtBlocks === 0 ? numbers : []);
    }
  });

  test('for a stopped process wait until it proceeds', async () => {
    const { connect, two, arrived, pass } = twoMachines();
    const near = (await connect()) as Channel;
    two.stop();
    sendAll(near);
    await pass(100);
    expect(arrived).toEqual([]);
    two.proceed();
    await pass(1);
    expect(arrived).toEqual(numbers);
  });
});

describe('connections', () => {
  test('are refused where nobody listens, and get no answer from a machine without power', async () => {
    const { connect, network, two } = twoMachines();
    network.ended(two, false);
    expect(await connect()).toContain('refused');
    network.ended(two, true);
    expect(await connect()).toContain('no connection within 100 ms');
  });

  test.each([
    [0, 1],
    [1, 0],
  ])('are not made when the way from %i to %i is blocked', async (from, to) => {
    const { connect, network } = twoMachines();
    network.block(from, to);
    expect(await connect()).toContain('no connection within 100 ms');
  });

  test('that are closed end once at both ends', async () => {
    const { connect, ended, pass, arrived } = twoMachines();
    const near = (await connect()) as Channel;
    near.close('enough');
    near.close('again');
    near.send(new Uint8Array(1));
    await pass(100);
    expect(ended).toEqual(['near: enough', 'far: closed by the peer']);
    expect(arrived).toEqual([]);
  });

  test('to a process that was killed break at once, or when somebody is there to say so', async () => {
    for (const silently of [false, true]) {
      const { connect, network, two, ended, pass } = twoMachines();
      const near = (await connect()) as Channel;
      two.end();
      network.ended(two, silently);
      await pass(100);
      expect(ended).toEqual(silently ? [] : ['near: closed by the peer']);
      if (!silently) continue;
      near.send(new Uint8Array(1));
      await pass(100);
      expect(ended).toEqual([]);
      network.listen(two, addressOf(1), () => {});
      near.send(new Uint8Array(1));
      await pass(100);
      expect(ended).toEqual(['near: reset by the peer']);
    }
  });
});
