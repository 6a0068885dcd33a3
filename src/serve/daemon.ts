/**
 * The daemon: a store, exports on it, a server, and what looks after them. Started whole or not at all, changed while
 * it runs, and stopped in order.
 *
 *   start    store -> server -> exports -> write-back -> sockets -> metrics
 *   stop     sockets, requests under way end, write-back -> exports (disks to their files) -> metrics -> store
 *
 * It writes nowhere and knows no signals: who runs it does (src/cli/serve).
 */

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { isDeepStrictEqual } from 'node:util';
import { type Address, NbdServer, type NbdService, ThreadedNbdServer, WriteBack } from '../nbd/index.ts';
import { open, removeStore, type Store, TmemError, type TmemEventName } from '../zcache/index.ts';
import type { InheritedSockets } from './activation.ts';
import { readTls } from './certificates.ts';
import { type ExportChanges, ExportSet } from './export-set.ts';
import { type Health, HttpServer } from './http.ts';
import { metricsText } from './metrics.ts';
import type { ServeSettings } from './settings.ts';

const REFUSED: TmemEventName = 'tmem:nbd:refused';

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
  readonly server: NbdService;
  readonly exports: ExportSet;
}

/** Settings that are not exports or certificates, which can change while it runs. */
const FIXED = [
  ...(['store', 'listen', 'threads', 'http'] as const),
  ...(['handshakeTimeoutMs', 'connectionsMax'] as const),
];

export class Daemon {
  readonly #parts: Parts;
  #settings: ServeSettings;
  readonly #writeBack: WriteBack;
  readonly #http: HttpServer[] = [];
  #status: Health['status'] = 'ok';
  #refused = 0;
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
    try {
      const store = open(settings.store);
      undo.push(() => leave(store, settings));
      let daemon: Daemon | undefined;
      const server = await startServer(store, settings, (error) => {
        if (daemon !== undefined) daemon.#status = 'failed';
        events.failed(error);
      });
      undo.push(() => server.stop(0));
      const exports = new ExportSet(store, server);
      undo.push(() => exports.detach());
      await exports.add(settings.exports);
      daemon = new Daemon(settings, { store, server, exports }, events);
      undo.push(daemon.#closeHttp);
      await daemon.#listen(sockets);
      daemon.#writeBack.start();
      return daemon;
    } catch (error) {
      // The server lets go of the exports before they are left, and the store comes last.
      const [storeStep = () => {}, ...steps] = undo;
      for (const step of [...steps, storeStep]) await Promise.resolve().then(step).catch(ignored);
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

  get settings(): ServeSettings {
    return this.#settings;
  }

  /** Whether the store was made by this daemon, and not found with what is in it. */
  get isNewStore(): boolean {
    return this.#parts.store.isNew;
  }

  health(): Health {
    const { exports, server } = this.#parts;
    return { status: this.#status, exports: exports.size, connections: server.connections };
  }

  /** Prometheus text. */
  metrics(): string {
    const { store, exports, server } = this.#parts;
    const each = [...exports].map((exported) => exported.stats());
    return metricsText(store.stats(), each, { connections: server.connections, refused: this.#refused });
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
      const { server, exports } = this.#parts;
      const changes = await this.#withoutWriteBack(() => exports.become(settings.exports));
      if (tls !== undefined) server.replaceTls(tls);
      const { drainTimeoutMs } = settings;
      this.#settings = { ...before, exports: settings.exports, drainTimeoutMs };
      if (tls !== undefined) this.#settings = { ...this.#settings, tls: settings.tls };
      return {
        ...changes,
        certificates: tls !== undefined,
        settingsNeedRestart: fixedChanges(before, settings),
      };
    });
  }

  /**
   * Drains: takes no more connections and requests, lets those under way end within `drainTimeoutMs`, writes disks to
   * their files and closes everything. The errors of exports that could not be written. It stops once, however often it
   * is asked.
   */
  stop(): Promise<unknown[]> {
    if (this.#status === 'ok') this.#status = 'draining';
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  #stop(): Promise<unknown[]> {
    const { store, server, exports } = this.#parts;
    // At once: a file that is slow, or a reload that waits for one, is no reason to take another client.
    const drained = Promise.allSettled([server.stop(this.#settings.drainTimeoutMs), this.#writeBack.stop()]);
    return this.#oneByOne(async () => {
      for (const result of await drained) if (result.status === 'rejected') throw result.reason;
      const errors = await exports.close();
      await this.#closeHttp();
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
      const pages = new HttpServer({ metrics: () => this.metrics(), health: () => this.health() });
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

/** A server with its threads, of which one may die later; with none, this thread serves. */
async function startServer(
  store: Store,
  { tls: files, threads, handshakeTimeoutMs, connectionsMax }: ServeSettings,
  onFailed: (error: Error) => void,
): Promise<NbdService> {
  const options = {
    tls: files && readTls(files),
    ...(handshakeTimeoutMs === undefined ? {} : { handshakeTimeoutMs }),
    ...(connectionsMax === undefined ? {} : { connectionsMax }),
  };
  if (threads === 0) return new NbdServer(options);
  return await ThreadedNbdServer.start(store, { ...options, threads, onFailed });
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

/** Names of the settings that differ and cannot change while the daemon runs. */
function fixedChanges(before: ServeSettings, after: ServeSettings): string[] {
  const changed: string[] = FIXED.filter((name) => !isDeepStrictEqual(before[name], after[name]));
  // What is in the files, whether TLS is required, and who signs clients may change; not whether there is TLS at all.
  if ((before.tls === undefined) !== (after.tls === undefined)) changed.push('tls');
  return changed;
}
