/**
 * Where connections come from: a TCP port, a unix socket, or a socket that somebody else listens on already.
 *
 * A unix socket is for its owner only (mode 0600). One that a server left behind when it was killed is removed; one
 * that answers is not.
 */

import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { createConnection, createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import { isMainThread } from 'node:worker_threads';

export type Address =
  | { readonly path: string }
  | { readonly host?: string; readonly port: number }
  /** `bound`: where it is bound to, if it was listened on and that is no unix socket. */
  | { readonly descriptor: number; readonly bound?: { readonly host: string; readonly port: number } };

/** Connections that wait to be accepted. */
const BACKLOG = 1024;

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
    await removeStale(address.path);
    await listeningOwnerOnly(server, address.path);
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

/** Removes a socket that nobody listens on. */
async function removeStale(path: string): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return;
  const answered = await new Promise<boolean>((resolve) => {
    const socket = createConnection(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  });
  if (!answered) unlinkSync(path);
}
