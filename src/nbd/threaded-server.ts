/**
 * The NBD server of several threads: this one accepts, others serve.
 *
 *   listener -> accepted socket -> number of a duplicate -> the thread with the fewest connections
 *                                                             `- NbdServer: TLS, handshake, requests
 *
 * Each thread has its own view of the store and of every export; what they have in common is shared memory (see
 * AreaExport.share). It needs the calls of `descriptors` to hand sockets over; where there are none, NbdServer does the
 * same with one thread.
 *
 * A thread that dies may leave regions of its exports locked for ever. Then the server takes no more connections and
 * says so at once (`onFailed`): its owner ends the process, without closing the exports, which might wait for those
 * locks.
 */

import type { Socket } from 'node:net';
import {
  type Descriptors,
  descriptors,
  FetchServer,
  type PageFetcher,
  type Store,
  TmemError,
} from '../zcache/index.ts';
import { descriptorOf, refuse } from './accepted.ts';
import type { AreaExport } from './area-export.ts';
import { type Address, Listener } from './listener.ts';
import { CONNECTIONS_DEFAULT_MAX, GRACE_DEFAULT_MS, type NbdServerOptions, nameTaken } from './server.ts';
import type { NbdService } from './service.ts';
import { ServingThread } from './serving-thread.ts';
import type { Task } from './thread-messages.ts';
import { checkTls, type TlsOptions } from './tls.ts';

/** Far more than help: connections are spread over them, and each takes a slot of the store and 20 MiB. */
export const THREADS_MAX = 64;

export interface ThreadedNbdServerOptions extends NbdServerOptions {
  /** Threads that serve, 1 to 64. The store needs a slot for each, beside that of this thread. */
  readonly threads: number;
  /** Has pages of the exports that are with peers; the threads ask it through this one. */
  readonly fetcher?: PageFetcher | undefined;
  /** A serving thread died, TMEM_ERR_THREAD_DIED: the process has to end. Called once. */
  readonly onFailed: (error: TmemError) => void;
}

/** An export that is offered, or is on the way to or from that. */
interface Offered {
  readonly added: Promise<void>;
  removed: Promise<void> | undefined;
}

export class ThreadedNbdServer implements NbdService {
  readonly #threads: readonly ServingThread[];
  readonly #system: Descriptors;
  readonly #connectionsMax: number;
  readonly #fetches: FetchServer | undefined;
  readonly #onFailed: (error: TmemError) => void;
  readonly #hasTls: boolean;
  readonly #exports = new Map<string, Offered>();
  readonly #listeners: Listener[] = [];
  /** Until then `start` tells what went wrong. */
  #running = false;
  #stopped: Promise<void> | undefined;
  #failure: TmemError | undefined;

  private constructor(store: Store, system: Descriptors, options: ThreadedNbdServerOptions) {
    const { threads, onFailed, fetcher, connectionsMax = CONNECTIONS_DEFAULT_MAX, ...others } = options;
    this.#system = system;
    this.#connectionsMax = connectionsMax;
    this.#onFailed = onFailed;
    this.#hasTls = others.tls !== undefined;
    // Connections are counted here, for all threads.
    const serverOptions = { ...others, connectionsMax: Number.POSITIVE_INFINITY };
    this.#fetches = fetcher && new FetchServer(store, fetcher);
    this.#threads = Array.from({ length: threads }, () => {
      const data = { store: store.share(), options: serverOptions, fetches: this.#fetches?.newPort() };
      return new ServingThread(data, (error) => this.#fail(error));
    });
  }

  /**
   * Starts the threads, and attaches them to the store.
   *
   * @throws TmemError TMEM_ERR_SETTING for an impossible number of threads; TMEM_ERR_NO_KOFFI where sockets cannot be
   *   handed over (NbdServer works there); TMEM_ERR_TOO_MANY_THREADS; other errors of `attach`; the error of node:tls,
   *   if certificate or key cannot be used
   */
  static async start(store: Store, options: ThreadedNbdServerOptions): Promise<ThreadedNbdServer> {
    const { threads, tls } = options;
    if (!Number.isInteger(threads) || threads < 1 || threads > THREADS_MAX) {
      throw new TmemError(
        'TMEM_ERR_SETTING',
        `nbd: threads: got ${threads}, allowed are 1 to ${THREADS_MAX}`,
      );
    }
    const system = descriptors();
    if (system === undefined) {
      throw new TmemError(
        'TMEM_ERR_NO_KOFFI',
        'nbd: sockets cannot be handed to other threads without koffi; install it, or serve with one thread',
      );
    }
    if (tls !== undefined) checkTls(tls);
    const server = new ThreadedNbdServer(store, system, options);
    try {
      await all(server.#threads.map(({ started }) => started));
      if (server.#failure !== undefined) throw server.#failure;
    } catch (error) {
      await Promise.allSettled(server.#threads.map((thread) => thread.stop(0)));
      server.#fetches?.close();
      throw error;
    }
    server.#running = true;
    return server;
  }

  get connections(): number {
    return this.#threads.reduce((sum, { connections }) => sum + connections, 0);
  }

  /** How the connections are spread over the threads. */
  get connectionsByThread(): readonly number[] {
    return this.#threads.map(({ connections }) => connections);
  }

  async addExport(added: AreaExport): Promise<void> {
    const { name } = added;
    if (this.#stopped !== undefined) throw new TmemError('TMEM_ERR_CLOSED', 'nbd: the server was stopped');
    if (this.#exports.has(name)) throw nameTaken(name);
    const offered = this.#performAll({ kind: 'add', shared: added.share() });
    this.#exports.set(name, { added: offered, removed: undefined });
    try {
      await offered;
    } catch (error) {
      // Some threads may have it. Who removes it meanwhile waits for the same.
      await this.removeExport(name).catch(ignored);
      throw error;
    }
  }

  async removeExport(name: string): Promise<void> {
    const offered = this.#exports.get(name);
    if (offered === undefined) return;
    offered.removed ??= this.#remove(name, offered.added);
    await offered.removed;
  }

  async listen(address: Address): Promise<Address> {
    const listener = new Listener((socket) => this.#accept(socket));
    const bound = await listener.listen(address);
    this.#listeners.push(listener);
    return bound;
  }

  replaceTls(tls: TlsOptions): void {
    if (!this.#hasTls) return;
    checkTls(tls);
    for (const thread of this.#threads) thread.replaceTls(tls);
  }

  /**
   * Ends when all threads have left the store and the exports, and ended.
   *
   * @throws what the first of them could not do
   */
  stop(graceMs: number = GRACE_DEFAULT_MS): Promise<void> {
    this.#stopped ??= this.#stop(graceMs);
    return this.#stopped;
  }

  async #stop(graceMs: number): Promise<void> {
    await this.#closeListeners();
    try {
      await all(this.#threads.map((thread) => thread.stop(graceMs)));
    } finally {
      this.#fetches?.close();
    }
    this.#exports.clear();
  }

  async #remove(name: string, added: Promise<void>): Promise<void> {
    await added.catch(ignored);
    await this.#performAll({ kind: 'remove', name });
    this.#exports.delete(name);
  }

  /** Ends when all threads have done it, or could not. */
  #performAll(task: Task): Promise<void> {
    return all(this.#threads.map((thread) => thread.perform(task)));
  }

  async #closeListeners(): Promise<void> {
    await Promise.all(this.#listeners.splice(0).map((listener) => listener.close()));
  }

  #accept(socket: Socket): void {
    const peer = socket.remoteAddress ?? '';
    if (this.#stopped !== undefined || this.#failure !== undefined) {
      refuse(socket, peer, 'the server is stopping');
      return;
    }
    if (this.connections >= this.#connectionsMax) {
      refuse(socket, peer, `${this.#connectionsMax} connections are open`);
      return;
    }
    const descriptor = descriptorOf(socket, this.#system);
    if (descriptor === undefined) {
      refuse(socket, peer, 'the process has no more descriptors');
      return;
    }
    socket.destroy();
    this.#threads.reduce(fewer).serve(descriptor);
  }

  #fail(error: TmemError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    void this.#closeListeners();
    if (this.#running) this.#onFailed(error);
  }
}

function fewer(one: ServingThread, other: ServingThread): ServingThread {
  return other.connections < one.connections ? other : one;
}

/** Ends when all have ended; throws what the first of those threw that did. */
async function all(works: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(works)).find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}

function ignored(): void {}
