/**
 * The daemon: a store, exports on it, a server, and what looks after them. Started whole or not at all, changed while
 * it runs, and stopped in order.
 *
 *   start    store -> node of the cluster -> server -> exports -> write-back -> sockets -> metrics
 *   stop     sockets, requests under way end, write-back -> exports (disks to their files) -> node: drains -> metrics
 *            -> node -> store
 *
 * It writes nowhere and knows no signals: who runs it does (src/cli/serve).
 */

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { clientName, keptExports } from '../nbd/export-clients.ts';
import {
  type Address,
  type KeptExport,
  NbdServer,
  type NbdService,
  ThreadedNbdServer,
  WriteBack,
} from '../nbd/index.ts';
import type { Drained } from '../ramster/index.ts';
import {
  open,
  type PageFetcher,
  removeStore,
  type Store,
  TmemError,
  type TmemEventName,
} from '../zcache/index.ts';
import type { InheritedSockets } from './activation.ts';
import { readTls } from './certificates.ts';
import { type ExportChanges, ExportSet } from './export-set.ts';
import { type Health, HttpServer } from './http.ts';
import { metricsText } from './metrics.ts';
import type { ClusterNode } from './node.ts';
import { type PeersPage, peersHealth, peersPage } from './peers.ts';
import type { ServeRamster } from './ramster-settings.ts';
import { fixedChanges, newNodeCertificates, reloaded } from './reload.ts';
import type { ServeSettings } from './settings.ts';

const REFUSED: TmemEventName = 'tmem:nbd:refused';

/** Longest time to look through all records before peers are told of. */
const COUNT_MAX_MS = 1000;

/** What a reload changed, and what it could not. */
export interface Reloaded extends ExportChanges {
  readonly certificates: boolean;
  /** Settings that were changed and take effect when the daemon starts again. */
  readonly settingsNeedRestart: readonly string[];
}

/** Told while the daemon runs. */
export interface DaemonEvents {
  /**
   * Cold pages of an export could not be written to its file; they stay in the store. Told when that begins, and when
   * the reason changes.
   */
  writeBackFailed(exportName: string, error: unknown): void;
  /** Then they could be written again. */
  writeBackWorks(exportName: string): void;
  /**
   * A thread died, and may have left locks behind that nobody gives back: the process has to end now, without stopping
   * the daemon. A named store keeps what was acknowledged.
   */
  failed(error: Error): void;
}

interface Parts {
  readonly store: Store;
  readonly node: ClusterNode | undefined;
  readonly server: NbdService;
  readonly exports: ExportSet;
}

export class Daemon {
  readonly #parts: Parts;
  #settings: ServeSettings;
  readonly #writeBack: WriteBack;
  readonly #http: HttpServer[] = [];
  #status: Health['status'] = 'ok';
  #refused = 0;
  #drained: Drained | undefined;
  #changing: Promise<unknown> = Promise.resolve();
  #stopped: Promise<unknown[]> | undefined;
  readonly #addresses: Address[] = [];
  readonly #httpAddresses: Address[] = [];

  private constructor(settings: ServeSettings, parts: Parts, events: DaemonEvents) {
    this.#settings = settings;
    this.#parts = parts;
    this.#writeBack = new WriteBack(
      parts.store,
      () => parts.exports,
      ({ name }, error) => events.writeBackFailed(name, error),
      ({ name }) => events.writeBackWorks(name),
    );
    subscribe(REFUSED, this.#countRefused);
  }

  /**
   * Starts everything. When a step fails, those before it are undone: no socket, no lock, and no store that was made
   * for this is left.
   *
   * @throws TmemError of settings, store and exports; the error of node:net that names the address
   */
  static async start(
    settings: ServeSettings,
    sockets: InheritedSockets,
    events: DaemonEvents,
  ): Promise<Daemon> {
    const undo: (() => unknown)[] = [];
    /** What the rest stands on: undone last. */
    const grounds: (() => unknown)[] = [];
    try {
      const store = openStore(settings);
      grounds.unshift(() => leave(store, settings));
      let exports: ExportSet | undefined;
      const isServed = (client: string) => exports?.hasClient(client) ?? false;
      const { ramster } = settings;
      const node = ramster && (await openNode(store, ramster, isServed));
      grounds.unshift(() => node?.close());
      const fetcher = node?.ramster.fetcher;
      let daemon: Daemon | undefined;
      const server = await startServer(store, settings, fetcher, (error) => {
        if (daemon !== undefined) daemon.#status = 'failed';
        events.failed(error);
      });
      undo.push(() => server.stop(0));
      const served = new ExportSet(store, server, fetcher);
      exports = served;
      undo.push(() => served.detach());
      await served.add(settings.exports);
      daemon = new Daemon(settings, { store, node, server, exports: served }, events);
      undo.push(daemon.#closeHttp);
      await daemon.#listen(sockets);
      daemon.#writeBack.start();
      return daemon;
    } catch (error) {
      // The server lets go of the exports before they are left, and the store comes last.
      for (const step of [...undo, ...grounds]) await Promise.resolve().then(step).catch(ignored);
      throw error;
    }
  }

  /** Where clients connect, with the ports that were chosen. */
  get addresses(): readonly Address[] {
    return this.#addresses;
  }

  get httpAddresses(): readonly Address[] {
    return this.#httpAddresses;
  }

  /** Where other nodes connect, with the ports that were chosen. */
  get nodeAddresses(): readonly string[] {
    return this.#parts.node?.ramster.addresses ?? [];
  }

  /** After a stop: what the node has left behind in the cluster; undefined if it is none. */
  get drained(): Drained | undefined {
    return this.#drained;
  }

  get settings(): ServeSettings {
    return this.#settings;
  }

  /** Whether the store was made by this daemon, and not found with what is in it. */
  get isNewStore(): boolean {
    return this.#parts.store.isNew;
  }

  /** Exports that the store has pages of, and that this daemon does not serve. */
  notServed(): KeptExport[] {
    const { store, exports } = this.#parts;
    if (store.name === undefined || store.isNew) return [];
    return keptExports(
      store.stats(),
      [...exports].map(({ name }) => name),
    );
  }

  health(): Health {
    const { exports, server, node } = this.#parts;
    const peers = node && peersHealth(node);
    return { status: this.#status, exports: exports.size, connections: server.connections, peers };
  }

  /** The cluster as this node sees it; undefined if it is none. */
  async peers(): Promise<PeersPage | undefined> {
    const { node } = this.#parts;
    const { ramster } = this.#settings;
    if (node === undefined || ramster === undefined) return undefined;
    await node.ramster.count(COUNT_MAX_MS);
    return peersPage(node, ramster);
  }

  /** Prometheus text. */
  metrics(): string {
    const { store, exports, server, node } = this.#parts;
    const stats = store.stats();
    const clients = new Map(stats.clients.map((client) => [client.name, client]));
    const each = [...exports].map((exported) => exported.stats(clients.get(clientName(exported.name))));
    const figures = { connections: server.connections, refused: this.#refused };
    return metricsText(stats, each, figures, node?.ramster);
  }

  /**
   * Makes the daemon serve what other settings say, as far as that can change while it runs: exports that come, go or
   * change their size, and certificates. What can fail comes first, and then nothing has changed.
   *
   * @throws TmemError as start; TMEM_ERR_CLOSED when the daemon is stopping
   */
  reload(settings: ServeSettings): Promise<Reloaded> {
    return this.#oneByOne(async () => {
      if (this.#status !== 'ok') throw new TmemError('TMEM_ERR_CLOSED', 'the daemon is stopping');
      const before = this.#settings;
      const isSecured = before.tls !== undefined && settings.tls !== undefined;
      const tls = isSecured && settings.tls !== undefined ? readTls(settings.tls) : undefined;
      const nodeTls = newNodeCertificates(before, settings);
      const { server, exports, node } = this.#parts;
      const changes = await this.#withoutWriteBack(() => exports.become(settings.exports));
      if (tls !== undefined) server.replaceTls(tls);
      if (nodeTls !== undefined) node?.ramster.setCertificates(nodeTls);
      this.#settings = reloaded(before, settings);
      return {
        ...changes,
        certificates: tls !== undefined || nodeTls !== undefined,
        settingsNeedRestart: fixedChanges(before, settings),
      };
    });
  }

  /**
   * Drains: takes no more connections and requests, lets those under way end within `drainTimeoutMs`, writes disks to
   * their files, leaves the cluster in order and closes everything. The errors of exports that could not be written. It
   * stops once, however often it is asked.
   */
  stop(): Promise<unknown[]> {
    if (this.#status === 'ok') this.#status = 'draining';
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  #stop(): Promise<unknown[]> {
    const { store, server, exports, node } = this.#parts;
    // At once: a file that is slow, or a reload that waits for one, is no reason to take another client.
    const drained = Promise.allSettled([server.stop(this.#settings.drainTimeoutMs), this.#writeBack.stop()]);
    return this.#oneByOne(async () => {
      for (const result of await drained) if (result.status === 'rejected') throw result.reason;
      const errors = await exports.close(node !== undefined && store.name === undefined);
      this.#drained = await node?.drain(this.#settings.ramster?.drainTimeoutMs ?? 0);
      await this.#closeHttp();
      await node?.close();
      store.close();
      return errors;
    });
  }

  /** While exports go, nobody may work on them. */
  async #withoutWriteBack<Result>(change: () => Promise<Result>): Promise<Result> {
    await this.#writeBack.stop();
    try {
      return await change();
    } finally {
      if (this.#status === 'ok') this.#writeBack.start();
    }
  }

  /** Changes wait for those before them. */
  #oneByOne<Result>(change: () => Promise<Result>): Promise<Result> {
    const result = this.#changing.then(change);
    this.#changing = result.catch(() => {});
    return result;
  }

  async #listen(sockets: InheritedSockets): Promise<void> {
    const { listen, http } = this.#settings;
    const { server } = this.#parts;
    for (const address of [...sockets.nbd, ...listen]) this.#addresses.push(await server.listen(address));
    const places = http === undefined ? sockets.http : [...sockets.http, http];
    for (const address of places) {
      const pages = new HttpServer({
        metrics: () => this.metrics(),
        health: () => this.health(),
        peers: () => this.peers(),
      });
      this.#httpAddresses.push(await pages.listen(address));
      this.#http.push(pages);
    }
  }

  readonly #closeHttp = async (): Promise<void> => {
    unsubscribe(REFUSED, this.#countRefused);
    await Promise.all(this.#http.splice(0).map((pages) => pages.close()));
  };

  readonly #countRefused = (): void => {
    this.#refused++;
  };
}

/** Makes a store, or finds the one of its name: that was made with settings of its own. */
function openStore({ store, storeGiven }: ServeSettings): Store {
  try {
    return open(store);
  } catch (error) {
    if (!TmemError.is(error) || error.code !== 'TMEM_ERR_NAME_MISMATCH') throw error;
    return open(storeGiven);
  }
}

/** Loaded when it is needed: all commands start some 50 ms earlier without it. */
async function openNode(
  store: Store,
  settings: ServeRamster,
  sendsFrom: (client: string) => boolean,
): Promise<ClusterNode> {
  const { ClusterNode } = await import('./node.ts');
  return await ClusterNode.open(store, settings, sendsFrom);
}

/** A server with its threads, of which one may die later; with none, this thread serves. */
async function startServer(
  store: Store,
  { tls: files, threads, handshakeTimeoutMs, connectionsMax }: ServeSettings,
  fetcher: PageFetcher | undefined,
  onFailed: (error: Error) => void,
): Promise<NbdService> {
  const options = {
    tls: files && readTls(files),
    ...(handshakeTimeoutMs === undefined ? {} : { handshakeTimeoutMs }),
    ...(connectionsMax === undefined ? {} : { connectionsMax }),
  };
  if (threads === 0) return new NbdServer(options);
  return await ThreadedNbdServer.start(store, { ...options, threads, fetcher, onFailed });
}

function ignored(): void {}

/** Leaves a store; one that was made in vain is removed. */
function leave(store: Store, { store: { name, directory } }: ServeSettings): void {
  store.close();
  if (name === undefined || !store.isNew) return;
  try {
    removeStore(name, { directory });
  } catch (error) {
    // Somebody else has found it meanwhile.
    if (!TmemError.is(error)) throw error;
  }
}
