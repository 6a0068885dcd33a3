// Membership by NATS on a real server and a real clock.
import fs from 'node:fs';
import { join } from 'node:path';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { expect, type TestContext, test } from 'vitest';
import { membershipConformance } from '../../../src/ramster/membership/conformance.ts';
import type { NatsMembershipOptions } from '../../../src/ramster/membership/nats-settings.ts';
import { NatsMembership } from '../../../src/ramster/nats.ts';
import { NatsServer } from './nats-server.ts';

/** Short enough for a test, and long for a process that gets little of a processor. */
const TIMES = { heartbeatMs: 200, suspectMs: 1000, downMs: 2000 };
const SLACK_MS = 40_000;
const TEST_MS = 180_000;
const addressOf = (name: string): string => `${name}.example:7000`;
const sleep = (timeMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, timeMs));

/** The running test, for the bench. */
let running: TestContext;

const cases = membershipConformance(
  async () => {
    const server = new NatsServer(running);
    await server.start();
    const connections = new Map<string, NatsConnection>();
    const memberships: NatsMembership[] = [];
    const options = { reconnectTimeWait: 100, maxReconnectAttempts: -1 };
    return {
      async join(name) {
        const membership = new NatsMembership({
          name,
          address: addressOf(name),
          ...TIMES,
          ...(await wayOf(name)),
        });
        memberships.push(membership);
        return membership;
      },
      addressOf,
      kill: async (name) => connections.get(name)?.close(),
      pass: sleep,
      slackMs: SLACK_MS,
      engine: { stop: () => server.stop(), start: () => server.start() },
      close: async () => {
        for (const membership of memberships) await membership.stop();
        for (const connection of connections.values()) await connection.close();
      },
    };

    /** One makes its connection itself; the others get it, so that they can be cut off. */
    async function wayOf(name: string): Promise<Partial<NatsMembershipOptions>> {
      const servers = server.url;
      if (name === 'a') return { connect: { servers, reconnectTimeWait: 100 } };
      const connection = await connect({ servers, ...options });
      connections.set(name, connection);
      return { connection };
    }
  },
  { hasEngine: true },
);

test.for(cases)('$name', { timeout: TEST_MS }, async ({ run }, context) => {
  running = context;
  await run();
});

/** Polls until it is so. */
async function until(what: string, condition: () => boolean): Promise<void> {
  for (let waitedMs = 0; !condition(); waitedMs += 20) {
    if (waitedMs > SLACK_MS) throw new Error(`not within ${SLACK_MS} ms: ${what}`);
    await sleep(20);
  }
}

async function start(context: TestContext, name: string, connectOptions: NatsMembershipOptions['connect']) {
  const options = { name, address: addressOf(name), ...TIMES, connect: connectOptions };
  const membership = new NatsMembership(options);
  context.onTestFinished(() => membership.stop());
  let names: string[] = [];
  await membership.start(
    () => ({ freeBytes: 1, draining: false }),
    (members) => {
      names = members.filter(({ state }) => state === 'up').map((member) => member.name);
    },
  );
  return { membership, names: () => names };
}

test('a node that starts before NATS tells so, and is there when NATS is', async (context) => {
  const server = new NatsServer(context);
  await server.start();
  await server.stop();
  const a = await start(context, 'a', { servers: server.url });
  const b = await start(context, 'b', { servers: server.url });
  expect(a.membership.problem).toMatch(/cannot be reached/);
  await server.start();
  await until('both are there', () => a.names().includes('b') && b.names().includes('a'));
  await until('no problem is left', () => a.membership.problem === undefined);
});

test('TLS and credentials are those of the connection; a wrong password is told, and tried again', async (context) => {
  const folder = join(import.meta.dirname, '../../nbd/certificates');
  const pem = (name: string): string => join(folder, `${name}.pem`);
  const server = new NatsServer(
    context,
    ...['--user', 'node', '--pass', 'right', '--tls', '--tlsverify'],
    ...['--tlscert', pem('server-cert'), '--tlskey', pem('server-key'), '--tlscacert', pem('ca-cert')],
  );
  await server.start();
  const tls = {
    ca: fs.readFileSync(pem('ca-cert'), 'utf8'),
    cert: fs.readFileSync(pem('client-cert'), 'utf8'),
    key: fs.readFileSync(pem('client-key'), 'utf8'),
  };
  const servers = `localhost:${server.port}`;
  const right = { servers, tls, user: 'node', pass: 'right' };
  const a = await start(context, 'a', right);
  const b = await start(context, 'b', right);
  const wrong = await start(context, 'c', { ...right, pass: 'wrong' });
  const stranger = await start(context, 'd', { servers, user: 'node', pass: 'right' });
  await until('both are there', () => a.names().includes('b') && b.names().includes('a'));
  expect(wrong.membership.problem).toMatch(/Authorization/i);
  expect(stranger.membership.problem).toMatch(/cannot be reached/);
  expect(a.names()).toEqual(['b']);
});

test('a server that stands still makes nobody down, and is a problem until it goes on', async (context) => {
  const server = new NatsServer(context);
  await server.start();
  const a = await start(context, 'a', { servers: server.url });
  const b = await start(context, 'b', { servers: server.url });
  await until('both are there', () => a.names().includes('b') && b.names().includes('a'));
  server.freeze();
  await until('the problem is told', () => a.membership.problem !== undefined);
  await sleep(2 * TIMES.downMs);
  expect(a.names()).toEqual(['b']);
  server.thaw();
  await until('the problem is over', () => a.membership.problem === undefined);
  await until('both are there again', () => a.names().includes('b') && b.names().includes('a'));
});
