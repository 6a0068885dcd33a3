// TLS in the threads of a server.
import { once } from 'node:events';
import fs from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { expect, test } from 'vitest';
import type { TlsOptions } from '../../src/nbd/index.ts';
import { OPT, REP } from '../../src/nbd/protocol.ts';
import { ByteStream, Client, connectTo, Handshake } from './client.ts';
import { Rounds } from './rounds.ts';
import { closeAll, eventsOf, newThreads, soon } from './threads-bench.ts';

const MiB = 2 ** 20;

const pem = (name: string): Buffer =>
  fs.readFileSync(join(import.meta.dirname, 'certificates', `${name}.pem`));

const mutual: TlsOptions = { cert: pem('server-cert'), key: pem('server-key'), ca: pem('ca-cert') };

/** A handshake on TLS, as the server of this name. */
async function securedHandshake(socket: Socket, identity: string): Promise<Handshake> {
  const plain = await Handshake.start(socket);
  expect((await plain.ask(OPT.STARTTLS)).map(({ type }) => type)).toEqual([REP.ACK]);
  plain.stream.detach();
  const certificate = { cert: pem(`${identity}-cert`), key: pem(`${identity}-key`) };
  const secured = connectTls({ socket, ca: pem('ca-cert'), servername: 'localhost', ...certificate });
  const hand = new Handshake(new ByteStream(secured));
  await Promise.race([once(secured, 'secureConnect'), once(secured, 'close')]);
  return hand;
}

test('TLS begins in the threads: with a certificate a client is served, a stranger is refused', async () => {
  const refused = eventsOf<{ reason: string }>('tmem:nbd:refused');
  const { path, server } = await newThreads({}, { tls: mutual });
  const clients: Client[] = [];
  for (const mode of ['simple', 'structured', 'extended', 'structured'] as const) {
    const hand = await securedHandshake(await connectTo(path), 'client');
    clients.push(await Client.go(hand, 'one', mode));
  }
  expect(server.connectionsByThread).toEqual([2, 2]);
  const work = new Rounds(clients, MiB, { rounds: 10, width: 20, seed: 5 });
  await work.run();
  const stranger = await securedHandshake(await connectTo(path), 'stranger');
  expect(await stranger.stream.closed()).toBe(true);
  await soon(() =>
    expect(refused.map(({ reason }) => reason)).toEqual([expect.stringMatching(/certificate/)]),
  );
  await closeAll(clients);
  await soon(() => expect(server.connections).toBe(0));
});

test('new certificates are for connections from now on, and wrong ones change nothing', async () => {
  const { path, server } = await newThreads({}, { tls: mutual });
  expect(() => server.replaceTls({ ...mutual, key: pem('client-key') })).toThrow();
  for (let i = 0; i < 2; i++) {
    const hand = await securedHandshake(await connectTo(path), 'client');
    await (await Client.go(hand, 'one', 'simple')).close();
  }
  // Now clients are asked for certificates of another authority, which nobody here has.
  server.replaceTls({ ...mutual, ca: pem('stranger-cert') });
  for (let i = 0; i < 2; i++) {
    const hand = await securedHandshake(await connectTo(path), 'client');
    expect(await hand.stream.closed()).toBe(true);
  }
});
