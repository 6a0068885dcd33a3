// What nodes say of themselves over NATS: two of one name, and messages that lie.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodePresence } from '../../../src/ramster/membership/presence.ts';
import { pack } from '../../../src/ramster/wire/message-pack.ts';
import { Cluster, HEARTBEAT_MS, presenceOf, SUSPECT_MS } from './nats-cluster.ts';

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
    // In between the beats of the watcher.
    await cluster.clock.pass(HEARTBEAT_MS / 2);
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
      { version: 1, ...good, more: new Date(0) },
      [good],
      'text',
    ];
    for (const value of broken) cluster.say(pack(value));
    cluster.say(pack({ version: 1, ...good, more: 'x'.repeat(2000) }));
    await cluster.clock.pass(200);
    expect(a.view()).toEqual([]);
    cluster.say(pack({ version: 1, ...good, more: 'of a later version' }));
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
