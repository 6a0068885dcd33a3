/**
 * The NBD server of one thread: exports, the sockets it listens on, and their connections.
 *
 * What a connection may cost before its client chose an export is bounded by a number of connections and by time; after
 * that, by what connection.ts keeps.
 */

import { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { descriptors, publish, TmemError } from '../zcache/index.ts';
import { Connection } from './connection.ts';
import { type Address, Listener } from './listener.ts';
import type { Catalogue } from './negotiation.ts';
import { BufferPool } from './output.ts';
import { type TlsOptions, TlsUpgrades } from './tls.ts';
import type { NbdExport } from './volume.ts';

/** One read of a socket: what the largest usual request and its header need. */
const RECEIVE_BYTES = 256 * 1024;

/** A client that is alive needs some round trips. */
const HANDSHAKE_TIMEOUT_DEFAULT_MS = 10_000;

const CONNECTIONS_DEFAULT_MAX = 4096;

/** How often a stopping server looks whether its connections are quiet; two looks in a row count. */
const STOP_LOOK_MS = 20;

export interface NbdServerOptions {
  tls?: TlsOptions | undefined;
  /** Longest time from the connection of a client to its choice of an export. */
  handshakeTimeoutMs?: number;
  /** Above it, new connections are closed. */
  connectionsMax?: number;
  /** Name of the export that clients get who name none; without it, the only one there is. */
  defaultExport?: string;
}

interface Member {
  readonly connection: Connection;
  export: NbdExport | undefined;
}

export class NbdServer {
  readonly #options: NbdServerOptions;
  readonly #exports = new Map<string, NbdExport>();
  readonly #listeners: Listener[] = [];
  readonly #members = new Set<Member>();
  readonly #pool = new BufferPool();
  readonly #received = Buffer.allocUnsafeSlow(RECEIVE_BYTES);
  readonly #tls: TlsUpgrades | undefined;
  readonly #catalogue: Catalogue;
  readonly #system = descriptors();
  /** Connections that the handshake still goes on with, in TLS, too. */
  #greeting = 0;
  #stopping = false;

  /** @throws the error of node:tls, if certificate or key cannot be used */
  constructor(options: NbdServerOptions = {}) {
    this.#options = options;
    this.#tls = options.tls && new TlsUpgrades(options.tls);
    const required = options.tls?.required ?? true;
    const server = this;
    this.#catalogue = {
      find: (name) => server.#find(name),
      list: () => server.#exports.values(),
      tls: options.tls === undefined ? 'none' : required ? 'required' : 'offered',
      get stopping() {
        return server.#stopping;
      },
    };
  }

  /** Connections, those in their handshake included. */
  get connections(): number {
    return this.#members.size + this.#greeting;
  }

  /** @throws TmemError TMEM_ERR_SETTING if there is one of this name */
  addExport(added: NbdExport): void {
    if (this.#exports.has(added.name)) {
      throw new TmemError('TMEM_ERR_SETTING', `nbd: there is an export '${added.name}' already`);
    }
    this.#exports.set(added.name, added);
  }

  /** Ends the export's connections, at once, and offers it no longer. Its volume is the caller's. */
  removeExport(name: string): void {
    const removed = this.#exports.get(name);
    this.#exports.delete(name);
    for (const member of this.#members) {
      if (removed !== undefined && member.export === removed) member.connection.end('the export was removed');
    }
  }

  /** Begins to take connections there; the address, with the port that was chosen if none was asked for. */
  async listen(address: Address): Promise<Address> {
    const listener = new Listener((socket) => this.#accept(socket));
    const bound = await listener.listen(address);
    this.#listeners.push(listener);
    return bound;
  }

  /** Serves a socket that somebody else accepted. Nothing may have been read from it. */
  serve(socket: Socket): void {
    this.#begin(socket, false);
    socket.resume();
  }

  /** As `serve`, for the descriptor of a socket, which is this server's from now on. */
  serveDescriptor(descriptor: number): void {
    let connection: Connection | undefined;
    const receive = (length: number): boolean => {
      connection?.receive(this.#received.subarray(0, length));
      return true;
    };
    const onread = { buffer: this.#received, callback: receive };
    const plain = this.#tls === undefined;
    const socket = new Socket(plain ? { fd: descriptor, onread } : { fd: descriptor });
    connection = this.#begin(socket, plain);
    socket.resume();
  }

  /** New certificates, for connections from now on. */
  replaceTls(tls: TlsOptions): void {
    this.#tls?.replace(tls);
  }

  /**
   * Takes no more connections and requests, lets those under way end for at most `graceMs`, answers others with
   * ESHUTDOWN meanwhile, and closes all connections.
   */
  async stop(graceMs = 5000): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#listeners.splice(0).map((listener) => listener.close()));
    for (const { connection } of this.#members) connection.stop();
    let quietLooks = 0;
    for (let waited = 0; waited < graceMs && quietLooks < 2; waited += STOP_LOOK_MS) {
      await delay(STOP_LOOK_MS);
      const quiet = [...this.#members].every(({ connection }) => connection.quiet);
      quietLooks = quiet ? quietLooks + 1 : 0;
    }
    for (const { connection } of this.#members) connection.finish('the server is stopping');
    await delay(STOP_LOOK_MS);
    for (const { connection } of this.#members) connection.end('the server is stopping');
  }

  #find(name: string): NbdExport | undefined {
    const { defaultExport } = this.#options;
    const found = this.#exports.get(name === '' && defaultExport !== undefined ? defaultExport : name);
    if (found !== undefined || name !== '' || this.#exports.size !== 1) return found;
    return this.#exports.values().next().value;
  }

  /** A socket that was accepted and not read from. */
  #accept(socket: Socket): void {
    // Reads go into one buffer only on sockets that are made so: on a duplicate of this one.
    const descriptor = this.#tls === undefined ? descriptorOf(socket) : undefined;
    const copy = descriptor === undefined ? undefined : this.#system?.duplicate(descriptor);
    if (copy === undefined) {
      this.serve(socket);
    } else {
      socket.destroy();
      this.serveDescriptor(copy);
    }
  }

  /** `receives`: its input comes to `receive` by another way than events. */
  #begin(socket: Socket, receives: boolean): Connection | undefined {
    const peer = socket.remoteAddress ?? '';
    const { connectionsMax = CONNECTIONS_DEFAULT_MAX } = this.#options;
    if (this.connections >= connectionsMax || this.#stopping) {
      socket.destroy();
      publish('tmem:nbd:refused', () => ({ peer, reason: `${connectionsMax} connections are open` }));
      return undefined;
    }
    socket.setNoDelay(true);
    const { handshakeTimeoutMs = HANDSHAKE_TIMEOUT_DEFAULT_MS } = this.#options;
    const timer = setTimeout(() => {
      socket.destroy();
      publish('tmem:nbd:refused', () => ({ peer, reason: 'the handshake took too long' }));
    }, handshakeTimeoutMs);
    return this.#connect(socket, peer, receives, timer);
  }

  #connect(
    socket: Socket,
    peer: string,
    receives: boolean,
    timer: NodeJS.Timeout,
    secured?: { readonly noZeroes: boolean },
  ): Connection {
    const onData = (bytes: Buffer): void => member.connection.receive(bytes);
    const connection = new Connection(
      socket,
      this.#catalogue,
      this.#pool,
      {
        serving: (chosen) => {
          clearTimeout(timer);
          member.export = chosen;
          publish('tmem:nbd:serving', () => ({
            export: chosen.name,
            peer,
            secured: secured !== undefined,
          }));
        },
        startTls: (noZeroes) => {
          this.#members.delete(member);
          socket.off('data', onData);
          this.#greeting++;
          this.#secure(socket, peer, timer, noZeroes);
        },
        closed: (reason) => {
          clearTimeout(timer);
          this.#members.delete(member);
          publish('tmem:nbd:closed', () => ({ export: member.export?.name ?? null, peer, reason }));
        },
      },
      secured,
    );
    const member: Member = { connection, export: undefined };
    this.#members.add(member);
    if (!receives) socket.on('data', onData);
    return connection;
  }

  #secure(socket: Socket, peer: string, timer: NodeJS.Timeout, noZeroes: boolean): void {
    this.#tls?.begin(socket, {
      secured: (secured) => {
        this.#greeting--;
        this.#connect(secured, peer, false, timer, { noZeroes });
      },
      refused: (reason) => {
        this.#greeting--;
        clearTimeout(timer);
        publish('tmem:nbd:refused', () => ({ peer, reason }));
      },
    });
  }
}

/** Number of an accepted socket, which Node.js does not publish; undefined if it cannot be told. */
function descriptorOf(socket: Socket): number | undefined {
  const fd = (socket as Socket & { _handle?: { fd?: number } })._handle?.fd;
  return fd !== undefined && fd >= 0 ? fd : undefined;
}
