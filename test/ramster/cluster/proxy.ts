// A bad line, as a process: passes connections on, slowly, in pieces, with pauses, and cuts them at any byte. It never
// changes, drops or reorders a byte of what gets through.

import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { between, streamsOf } from '../../../sim/random.ts';
import type { Random } from '../../../src/ramster/clock.ts';
import { serveCommands } from './commands.ts';

export interface Route {
  /** Where this listens. */
  readonly port: number;
  readonly to: { readonly host: string; readonly port: number };
}

/** Bytes that a direction passes on before it cuts the connection: from not even a hello to some hundred pages. */
const CUT_BYTES_MAX = 300_000;
const DELAY_MAX_MS = 3;
/** One piece in so many waits for longer. */
const PAUSE_ODDS = 150;
const PAUSE_MAX_MS = 700;
const PIECE_BYTES_MAX = 20_000;

let isCalm = false;
let cuts = 0;

/** One direction of a connection, until it ends. */
async function pass(from: Socket, to: Socket, random: Random): Promise<void> {
  let left = between(random, 0, CUT_BYTES_MAX);
  for await (const chunk of from as AsyncIterable<Buffer>) {
    for (let at = 0; at < chunk.length; ) {
      const end = isCalm ? chunk.length : Math.min(chunk.length, at + between(random, 1, PIECE_BYTES_MAX));
      let piece = chunk.subarray(at, end);
      at = end;
      if (!isCalm) {
        await sleep(random() * DELAY_MAX_MS);
        if (random() * PAUSE_ODDS < 1) await sleep(random() * PAUSE_MAX_MS);
        const isLast = piece.length >= left;
        if (isLast) piece = piece.subarray(0, left);
        left -= piece.length;
        if (isLast) {
          cuts++;
          to.end(piece);
          return;
        }
      }
      if (!to.write(piece)) await Promise.race([once(to, 'drain'), once(to, 'close')]);
    }
  }
}

function join(client: Socket, { to }: Route, random: Random): void {
  const server = connect(to);
  const end = (): void => {
    client.destroy();
    server.destroy();
  };
  for (const socket of [client, server]) {
    socket.setNoDelay(true);
    socket.on('error', end);
    socket.on('close', end);
  }
  for (const [from, target] of [
    [client, server],
    [server, client],
  ] as const) {
    pass(from, target, random)
      .catch(() => {})
      .finally(() => from.destroy());
  }
}

const commands = {
  async open(address: string, routes: readonly Route[], seed: number): Promise<void> {
    const streams = streamsOf(seed);
    for (const route of routes) {
      let connections = 0;
      const server = createServer((client) => join(client, route, streams(`${route.port} ${++connections}`)));
      server.listen(route.port, address);
      await once(server, 'listening');
    }
  },
  /** How often it has cut a connection. */
  cuts: (): number => cuts,
  /** Passes everything on at once from now on. */
  calm(): void {
    isCalm = true;
  },
};

export type ProxyCommands = typeof commands;

serveCommands(commands);
