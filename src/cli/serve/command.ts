/**
 * `tmem serve`: runs the daemon until it is told to end, and logs what happens.
 *
 *   SIGTERM, SIGINT   drain and end (command-line.ts; a second one ends at once)
 *   SIGHUP            read the settings again
 */

import type { Drained } from '../../ramster/index.ts';
import { isLocal as isLocalNode } from '../../ramster/options.ts';
import {
  addressText,
  Daemon,
  exportUri,
  exposure,
  inheritedSockets,
  type Reloaded,
  readSettings,
  type ServeRamster,
  type ServeSettings,
} from '../../serve/index.ts';
import { formatByteSize } from '../../zcache/byte-size.ts';
import { EXIT_FAILED } from '../command-line.ts';
import { logEvents, messageOf } from './events.ts';
import type { Log } from './log.ts';
import { SystemdNotifier } from './notify.ts';

/** Exports whose addresses are logged at the start: for a person to paste, not for a thousand. */
const EXPORTS_LISTED_MAX = 20;

export interface ServeOptions {
  readonly config?: string | undefined;
  readonly check: boolean;
  /** By the names of TEXT_SETTINGS. */
  readonly flags: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/** What the command is given by the process it runs in. */
export interface ServeWorld {
  readonly log: Log;
  readonly print: (text: string) => void;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
  /** Ends the process as it is. */
  readonly exit: (status: number) => void;
  /** Calls back at each SIGHUP; the function that is returned ends that. */
  readonly onHangUp: (hungUp: () => void) => () => void;
}

/**
 * @returns the exit status
 * @throws TmemError, or the error of a call of the system, when the daemon cannot start
 */
export async function serve(options: ServeOptions, world: ServeWorld, signal: AbortSignal): Promise<number> {
  const { log, environment, pid } = world;
  const sockets = inheritedSockets(environment, pid);
  const read = (): ServeSettings =>
    readSettings({
      ...{ file: options.config, environment, flags: options.flags },
      inheritsSockets: sockets.nbd.length > 0,
    });
  const settings = read();
  if (options.check) {
    world.print(`the settings are sound: exports: ${settings.exports.length}\n`);
    return 0;
  }
  const systemd = new SystemdNotifier(environment, (message) => log.line('warning', message));
  const stopLog = logEvents(log);
  let daemon: Daemon | undefined;
  /** Somebody wants the settings read; before the daemon has started, that is remembered. */
  let wanted = false;
  let reloading = false;
  const reload = async (): Promise<void> => {
    if (daemon === undefined || reloading) return;
    reloading = true;
    while (wanted && !signal.aborted) {
      wanted = false;
      await systemd.tell('RELOADING=1');
      try {
        logReload(await daemon.reload(read()), log);
      } catch (error) {
        log.line('error', `nothing was changed: ${messageOf(error)}`);
      }
      await systemd.tell('READY=1');
    }
    reloading = false;
  };
  const offHangUp = world.onHangUp(() => {
    wanted = true;
    void reload();
  });
  try {
    daemon = await Daemon.start(settings, sockets, {
      writeBackFailed: (name, error) =>
        log.line('error', `${name}: cold pages stay in the store: ${messageOf(error)}`),
      writeBackWorks: (name) => log.line('notice', `${name}: cold pages go to the file again`),
      failed: (error) => {
        log.line('error', messageOf(error));
        world.exit(EXIT_FAILED);
      },
    });
    logStart(daemon, log);
    void systemd.tell('READY=1');
    void reload();
    await aborted(signal);
    const { drainTimeoutMs, ramster } = daemon.settings;
    log.line('notice', `stopping: requests under way get ${drainTimeoutMs} ms`);
    if (ramster !== undefined)
      log.line(
        'notice',
        `leaving the cluster: pages have ${ramster.drainTimeoutMs} ms to come home and to move`,
      );
    void systemd.tell('STOPPING=1');
    const errors = await daemon.stop();
    for (const error of errors)
      log.line('error', `an export was not written to its file: ${messageOf(error)}`);
    if (daemon.drained !== undefined) logDrained(daemon.drained, daemon.settings.ramster, log);
    log.line('notice', 'stopped');
    return errors.length === 0 ? 0 : EXIT_FAILED;
  } finally {
    offHangUp();
    stopLog();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

function logStart(daemon: Daemon, log: Log): void {
  const { addresses, httpAddresses, settings, isNewStore } = daemon;
  const { name, memory } = settings.store;
  const size = typeof memory === 'number' ? formatByteSize(memory) : (memory ?? 'as it was made');
  const state = name === undefined ? 'ends with this process' : isNewStore ? 'new' : 'found';
  log.line('notice', `store ${name === undefined ? 'without a name' : `'${name}'`}: ${size}, ${state}`);
  const secured = settings.tls !== undefined;
  for (const { name: exportName } of settings.exports.slice(0, EXPORTS_LISTED_MAX)) {
    const uris = addresses.map((address) => exportUri(address, exportName, secured) ?? addressText(address));
    log.line('notice', `serving ${exportName === '' ? 'the default export' : exportName}: ${uris.join(' ')}`);
  }
  for (const address of addresses) {
    const warning = exposure(address, settings.tls);
    if (warning !== undefined) log.line('warning', warning);
  }
  const more = settings.exports.length - EXPORTS_LISTED_MAX;
  if (more > 0) log.line('notice', `serving ${more} more exports`);
  const kept = daemon.notServed();
  const names = kept.slice(0, EXPORTS_LISTED_MAX).map((each) => `${each.name} (${each.pages} pages)`);
  if (kept.length > names.length) names.push(`${kept.length - names.length} more`);
  if (names.length > 0) log.line('warning', `in the store, and not served: ${names.join(', ')}`);
  for (const address of httpAddresses)
    log.line('notice', `metrics and health: ${addressText(address).replace(/^tcp:/, 'http:')}`);
  if (settings.ramster !== undefined) logNode(settings.ramster, daemon.nodeAddresses, log);
}

function logNode(settings: ServeRamster, addresses: readonly string[], log: Log): void {
  const { name, cluster, peers, nats, tls } = settings;
  const where = addresses.length === 0 ? 'lends nothing' : `other nodes connect to ${addresses.join(', ')}`;
  const others = nats === undefined ? `${peers.length} peers` : 'peers are found by NATS';
  log.line('notice', `node ${name} of cluster ${cluster}: ${where}; ${others}`);
  const open = tls === undefined ? addresses.filter((address) => !isLocalNode(address)) : [];
  if (open.length > 0) {
    const may = 'may read, change and drop pages of all nodes; see ramster.tls';
    log.line('warning', `${open.join(', ')}: whoever reaches it ${may}`);
  }
}

function logDrained({ away, foreign }: Drained, settings: ServeRamster | undefined, log: Log): void {
  if (away + foreign === 0) return;
  log.line(
    'warning',
    `node ${settings?.name}: ${away} of its pages stay with peers, ${foreign} pages of others were not moved`,
  );
}

function logReload(changes: Reloaded, log: Log): void {
  const { added, removed, resized, needRestart, failed, certificates, settingsNeedRestart } = changes;
  const parts = [
    ...added.map((name) => `${name} added`),
    ...removed.map((name) => `${name} removed`),
    ...resized.map((name) => `${name} resized`),
    ...(certificates ? ['certificates read again'] : []),
  ];
  for (const { name, error } of failed) log.line('error', `${name}: ${messageOf(error)}`);
  const waiting = [...settingsNeedRestart, ...needRestart.map((name) => `export ${name}`)];
  if (waiting.length > 0)
    log.line('warning', `changed, but only a restart brings it about: ${waiting.join(', ')}`);
  log.line('notice', `reloaded: ${parts.length === 0 ? 'nothing has changed' : parts.join(', ')}`);
}
