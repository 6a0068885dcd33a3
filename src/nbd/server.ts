/**
 * The NBD server of one thread: exports, the sockets it listens on, and their connections.
 *
 * What a connection may cost before its client chose an export is bounded by a number of connections and by time; after
 * that, by what connection.ts keeps.
 */

import { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { descriptors, publish, TmemError } from '../zcache/index.ts';
import { descriptorOf, refuse } from './accepted.ts';
import { Connection } from './connection.ts';
import { type Address, Listener } from './listener.ts';
import type { Catalogue } from './negotiation.ts';
import { BufferPool } from './output.ts';
import { STRING_BYTES_MAX } from './protocol.ts';
import type { NbdService } from './service.ts';
import { type TlsOptions, TlsUpgrades } from './tls.ts';
import type { NbdExport } from './volume.ts';

/** One read of a socket: what the largest usual request and its header need. */
const RECEIVE_BYTES = 256 * 1024;

/** A client that is alive needs some round trips. */
const HANDSHAKE_TIMEOUT_DEFAULT_MS = 10_000;

/**
 * When a silent TCP client is asked by the system whether it is there. One that is not is noticed ten seconds later, so
 * a shorter time would end idle connections for a short break of the network.
 */
const KEEPALIVE_MS = 5 * 60_000;

export const CONNECTIONS_DEFAULT_MAX = 4096;

/** What requests under way get when the server stops. */
export const GRACE_DEFAULT_MS = 5000;

/** How often a server that ends connections looks whether they are quiet. */
const LOOK_MS = 20;

const STOPPING = 'the server is stopping';

/** Looks in a row that have to find connections quiet, when clients may still send. */
const QUIET_LOOKS = 2;

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

/** A client from its arrival to its end, in TLS or not. */
interface Visit {
  readonly peer: string;
  /** How long it may take to choose an export. */
  readonly timer: NodeJS.Timeout;
  readonly ended: () => void;
}

export class NbdServer implements NbdService {
  readonly #options: NbdServerOptions;
  readonly #exports = new Map<string, NbdExport>();
  readonly #listeners: Listener[] = [];
  readonly #members = new Set<Member>();
  readonly #pool = new BufferPool();
  readonly #received = Buffer.allocUnsafeSlow(RECEIVE_BYTES);
  readonly #tls: TlsUpgrades | undefined;
  #tlsRequired: boolean;
  readonly #catalogue: Catalogue;
  readonly #system = descriptors();
  /** Connections that are on their way into TLS. */
  readonly #securing = new Set<Socket>();
  #stopping = false;

  /** @throws the error of node:tls, if certificate or key cannot be used */
  constructor(options: NbdServerOptions = {}) {
    this.#options = options;
    this.#tls = options.tls && new TlsUpgrades(options.tls);
    this.#tlsRequired = isRequired(options.tls);
    const server = this;
    this.#catalogue = {
      find: (name) => server.#find(name),
      list: () => server.#exports.values(),
      get tls() {
        if (options.tls === undefined) return 'none';
        return server.#tlsRequired ? 'required' : 'offered';
      },
      get stopping() {
        return server.#stopping;
      },
    };
  }

  get connections(): number {
    return this.#members.size + this.#securing.size;
  }

  /** @throws TmemError TMEM_ERR_SETTING if there is one of this name, or a text that the protocol has no room for */
  async addExport(added: NbdExport): Promise<void> {
    checkText('name', added.name);
    checkText('description', added.description);
    if (this.#exports.has(added.name)) throw nameTaken(added.name);
    this.#exports.set(added.name, added);
  }

  /** Its volume is the caller's. */
  async removeExport(name: string): Promise<void> {
    const removed = this.#exports.get(name);
    if (removed === undefined) return;
    this.#exports.delete(name);
    const ended = [...this.#members].filter((member) => member.export === removed);
    for (const { connection } of ended) connection.end('the export was removed');
    // What its volume does for them takes as long as its device does.
    while (ended.some((member) => this.#members.has(member))) await delay(LOOK_MS);
  }

  async listen(address: Address): Promise<Address> {
    const listener = new Listener((socket) => this.#accept(socket));
    const bound = await listener.listen(address);
    this.#listeners.push(listener);
    return bound;
  }

  /** Serves a socket that somebody else accepted. Nothing may have been read from it. */
  serve(socket: Socket): void {
    this.#begin(socket, false, nothing);
    socket.resume();
  }

  /**
   * As `serve`, for the descriptor of a socket, which is this server's from now on. `ended` is called when it counts
   * no longer among the connections.
   */
  serveDescriptor(descriptor: number, ended: () => void = nothing): void {
    let connection: Connection | undefined;
    const receive = (length: number): boolean => {
      connection?.receive(this.#received.subarray(0, length));
      return true;
    };
    const onread = { buffer: this.#received, callback: receive };
    const plain = this.#tls === undefined;
    const socket = new Socket(plain ? { fd: descriptor, onread } : { fd: descriptor });
    connection = this.#begin(socket, plain, ended);
    socket.resume();
  }

  replaceTls(tls: TlsOptions): void {
    this.#tls?.replace(tls);
    this.#tlsRequired = isRequired(tls);
  }

  async stop(graceMs: number = GRACE_DEFAULT_MS): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#listeners.splice(0).map((listener) => listener.close()));
    for (const socket of this.#securing) socket.destroy();
    for (const { connection } of this.#members) connection.stop();
    let quietLooks = 0;
    for (let waited = 0; waited < graceMs && quietLooks < QUIET_LOOKS; waited += LOOK_MS) {
      await delay(LOOK_MS);
      const quiet = [...this.#members].every(({ connection }) => connection.quiet);
      quietLooks = quiet ? quietLooks + 1 : 0;
    }
    for (const { connection } of this.#members) connection.finish(STOPPING);
    await delay(LOOK_MS);
    for (const { connection } of this.#members) connection.end(STOPPING);
    while (this.connections > 0) await delay(LOOK_MS);
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
    const descriptor = this.#tls === undefined ? descriptorOf(socket, this.#system) : undefined;
    if (descriptor === undefined) {
      this.serve(socket);
    } else {
      socket.destroy();
      this.serveDescriptor(descriptor);
    }
  }

  /** `receives`: its input comes to `receive` by another way than events. */
  #begin(socket: Socket, receives: boolean, ended: () => void): Connection | undefined {
    const peer = socket.remoteAddress ?? '';
    const { connectionsMax = CONNECTIONS_DEFAULT_MAX } = this.#options;
    if (this.connections >= connectionsMax || this.#stopping) {
      refuse(socket, peer, this.#stopping ? STOPPING : `${connectionsMax} connections are open`);
      ended();
      return undefined;
    }
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEPALIVE_MS);
    const { handshakeTimeoutMs = HANDSHAKE_TIMEOUT_DEFAULT_MS } = this.#options;
    const timer = setTimeout(() => {
      // Of one on its way into TLS that is told, with its end.
      if (this.#securing.has(socket)) socket.destroy();
      else refuse(socket, peer, 'the handshake took too long');
    }, handshakeTimeoutMs);
    return this.#connect(socket, { peer, timer, ended }, receives);
  }

  #connect(
    socket: Socket,
    visit: Visit,
    receives: boolean,
    secured?: { readonly noZeroes: boolean },
  ): Connection {
    const { peer, timer } = visit;
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
          this.#secure(socket, visit, noZeroes);
        },
        closed: (reason) => {
          clearTimeout(timer);
          this.#members.delete(member);
          publish('tmem:nbd:closed', () => ({ export: member.export?.name ?? null, peer, reason }));
          visit.ended();
        },
      },
      secured,
    );
    const member: Member = { connection, export: undefined };
    this.#members.add(member);
    if (!receives) socket.on('data', onData);
    return connection;
  }

  #secure(socket: Socket, visit: Visit, noZeroes: boolean): void {
    this.#securing.add(socket);
    this.#tls?.begin(socket, {
      secured: (secured) => {
        this.#securing.delete(socket);
        this.#connect(secured, visit, false, { noZeroes });
      },
      refused: (reason) => {
        this.#securing.delete(socket);
        clearTimeout(visit.timer);
        publish('tmem:nbd:refused', () => ({ peer: visit.peer, reason }));
        visit.ended();
      },
    });
  }
}

export function nameTaken(name: string): TmemError {
  return new TmemError('TMEM_ERR_SETTING', `nbd: there is an export '${name}' already`);
}

function checkText(field: string, text: string): void {
  const bytes = Buffer.byteLength(text);
  if (bytes <= STRING_BYTES_MAX && !text.includes('\0')) return;
  const what = bytes > STRING_BYTES_MAX ? `${bytes} bytes` : 'a NUL';
  throw new TmemError(
    'TMEM_ERR_SETTING',
    `nbd: ${field} of an export: has ${what}, allowed are up to ${STRING_BYTES_MAX} bytes of UTF-8 without NUL`,
  );
}

function isRequired(tls: TlsOptions | undefined): boolean {
  return tls?.required ?? true;
}

function nothing(): void {}
