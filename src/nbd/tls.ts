/**
 * TLS for connections that have begun without it: a client certificate if an authority is given, and version 1.3 only.
 * The protocol's document asks for 1.2 as well. It is refused on purpose: there a client's certificate goes over the
 * wire in the clear, and every current client speaks 1.3.
 */

import type { Socket } from 'node:net';
import {
  createSecureContext,
  createServer,
  type SecureContextOptions,
  type Server,
  type TLSSocket,
} from 'node:tls';

export interface TlsOptions {
  /** PEM: the server's certificate (with its chain) and key. */
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
  /** PEM: clients need a certificate signed by this authority. Without it any client is let in. */
  readonly ca?: string | Buffer | undefined;
  /** Clients without TLS are told nothing and served nothing. On by default. */
  readonly required?: boolean | undefined;
}

/** What becomes of an upgrade. */
export interface Upgrade {
  secured(socket: TLSSocket): void;
  refused(reason: string): void;
}

/** @throws the error of node:tls, if certificate or key cannot be used */
export function checkTls(tls: TlsOptions): void {
  createSecureContext(contextOf(tls));
}

export class TlsUpgrades {
  /** It listens nowhere: sockets are handed to it, and it does to them what it does to its own. */
  #server: Server;
  readonly #waiting = new Map<Socket, Upgrade>();

  /** @throws the error of node:tls, if certificate or key cannot be used */
  constructor(tls: TlsOptions) {
    this.#server = this.#newServer(tls);
  }

  /**
   * Certificates for upgrades from now on; those under way go on as they were begun. No session from before is resumed.
   *
   * @throws the error of node:tls, if certificate or key cannot be used; then the older ones stay
   */
  replace(tls: TlsOptions): void {
    // One server asks all its clients for a certificate, or none.
    this.#server = this.#newServer(tls);
  }

  /** Takes a socket whose client begins TLS now. It must have no listeners for data any more. */
  begin(socket: Socket, upgrade: Upgrade): void {
    this.#waiting.set(socket, upgrade);
    socket.on('error', ignored); // told by tlsClientError, too
    socket.on('close', () => {
      // What TLS has to say of it comes a little later.
      setImmediate(() => {
        const left = this.#waiting.get(socket);
        this.#waiting.delete(socket);
        left?.refused('closed before TLS was established');
      });
    });
    this.#server.emit('connection', socket);
  }

  #newServer(tls: TlsOptions): Server {
    const clients = tls.ca === undefined ? {} : { requestCert: true, rejectUnauthorized: true };
    const server = createServer({ ...contextOf(tls), ...clients });
    server.on('secureConnection', (socket) => this.#take(socket)?.secured(socket));
    server.on('tlsClientError', (error, socket) => {
      socket.destroy();
      // A certificate that is not trusted ends the connection without an error of its own.
      const untrusted = socket.authorizationError as unknown as string | null | undefined;
      this.#take(socket)?.refused(untrusted ? `client certificate: ${untrusted}` : error.message);
    });
    return server;
  }

  #take(secured: TLSSocket): Upgrade | undefined {
    // The socket underneath, which Node.js does not publish; without it the connection cannot be told from others.
    const socket = (secured as TLSSocket & { _parent?: Socket })._parent;
    const upgrade = socket && this.#waiting.get(socket);
    if (upgrade === undefined || socket === undefined) secured.destroy();
    else this.#waiting.delete(socket);
    return upgrade;
  }
}

function contextOf({ cert, key, ca }: TlsOptions): SecureContextOptions {
  return { cert, key, minVersion: 'TLSv1.3', ...(ca === undefined ? {} : { ca }) };
}

function ignored(): void {}
