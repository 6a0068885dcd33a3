/**
 * Where connections come from: a TCP port, a unix socket, or a socket that somebody else listens on already.
 *
 * A unix socket is for its owner only (mode 0600). One that a server left behind when it was killed is removed; one
 * that answers is not. Servers that find one at the same time do so one after the other, behind a lock on a file beside
 * it that is there no longer than that; without koffi there is no such lock.
 */

import { chmodSync, closeSync, constants, fstatSync, lstatSync, openSync, unlinkSync } from 'node:fs';
import { createConnection, createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { isMainThread } from 'node:worker_threads';
import { type Descriptors, descriptors } from '../zcache/index.ts';

export type Address =
  | { readonly path: string }
  | { readonly host?: string; readonly port: number }
  /** `bound`: where it is bound to, if it was listened on and that is no unix socket. */
  | { readonly descriptor: number; readonly bound?: { readonly host: string; readonly port: number } };

/** Connections that wait to be accepted. */
const BACKLOG = 1024;

/** Others hold the lock for as long as it takes to connect to a socket and to listen: some milliseconds. */
const LOCK_TRIES_MAX = 100;
const LOCK_TRY_MS = 20;

const OWNER_ONLY_MASK = 0o177;
const OWNER_ONLY_MODE = 0o600;

export class Listener {
  readonly #server: Server;

  /** `accepted` gets each socket before anything was read from it. */
  constructor(accepted: (socket: Socket) => void) {
    this.#server = createServer({ pauseOnConnect: true, noDelay: true }, accepted);
  }

  /** @throws the error of node:net, such as EADDRINUSE or EACCES */
  listen(address: Address): Promise<Address> {
    return listenOn(this.#server, address);
  }

  /** Takes no more connections; those there are go on. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      // Called back when the last connection has ended, which nobody here waits for.
      this.#server.close();
      resolve();
    });
  }
}

/**
 * Makes a server of any protocol listen; the address, with the port that was chosen if none was asked for.
 *
 * @throws the error of node:net, such as EADDRINUSE or EACCES
 */
export async function listenOn(server: Server, address: Address): Promise<Address> {
  if ('descriptor' in address) {
    await listening(server, { fd: address.descriptor } as ListenOptions);
    const bound = server.address();
    if (typeof bound !== 'object' || bound === null) return address;
    return { ...address, bound: { host: bound.address, port: bound.port } };
  }
  if ('path' in address) {
    if (await isStale(address.path)) await listeningInstead(server, address.path);
    else await listeningOwnerOnly(server, address.path);
    return address;
  }
  const { host = '127.0.0.1', port } = address;
  await listening(server, { host, port });
  const bound = server.address();
  return { host, port: typeof bound === 'object' && bound !== null ? bound.port : port };
}

function listening(server: Server, where: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...where, backlog: BACKLOG }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function listeningOwnerOnly(server: Server, path: string): Promise<void> {
  // The file is made within the call: with this mask nobody else can connect before its mode is set.
  const mask = isMainThread ? process.umask(OWNER_ONLY_MASK) : undefined;
  let bound: Promise<void>;
  try {
    bound = listening(server, { path });
  } finally {
    if (mask !== undefined) process.umask(mask);
  }
  await bound;
  chmodSync(path, OWNER_ONLY_MODE);
}

/** Listens in the place of a socket that nobody listens on. */
async function listeningInstead(server: Server, path: string): Promise<void> {
  const system = descriptors();
  const unlock = system && (await lockedBeside(path, system));
  try {
    // Another server may have been faster.
    if (await isStale(path)) unlinkSync(path);
    await listeningOwnerOnly(server, path);
  } finally {
    unlock?.();
  }
}

/** Whether there is a socket that nobody listens on. */
async function isStale(path: string): Promise<boolean> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return false;
  return await new Promise<boolean>((resolve) => {
    const socket = createConnection(path, () => {
      socket.destroy();
      resolve(false);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
}

/** Waits for the lock beside a socket; what gives it back. */
async function lockedBeside(path: string, system: Descriptors): Promise<() => void> {
  const lock = `${path}.lock`;
  for (let tries = 0; tries < LOCK_TRIES_MAX; tries++) {
    const descriptor = openSync(lock, constants.O_CREAT | constants.O_RDWR | constants.O_NOFOLLOW, 0o600);
    // Who had it before has removed the file: then this one locks out nobody.
    if (
      system.lock(descriptor) &&
      lstatSync(lock, { throwIfNoEntry: false })?.ino === fstatSync(descriptor).ino
    ) {
      return () => {
        unlinkSync(lock);
        closeSync(descriptor);
      };
    }
    closeSync(descriptor);
    await delay(LOCK_TRY_MS);
  }
  throw Object.assign(new Error(`listen EADDRINUSE: others are about to listen there: ${path}`), {
    code: 'EADDRINUSE',
  });
}
