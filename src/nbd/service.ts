/**
 * What serves exports, with one thread (server.ts) or several (threaded-server.ts): the same to whoever owns it.
 */

import type { AreaExport } from './area-export.ts';
import type { Address } from './listener.ts';
import type { TlsOptions } from './tls.ts';

export interface NbdService {
  /** Connections, those in their handshake included. */
  readonly connections: number;

  /**
   * Offers an export. It stays the caller's, who closes it after it was removed, or after `stop`.
   *
   * @throws TmemError TMEM_ERR_SETTING if there is one of this name, or its name or description is longer than 4096
   *   bytes or has a NUL; with several threads, what one of them met when it opened the export; then it is not offered
   */
  addExport(added: AreaExport): Promise<void>;

  /**
   * Offers an export no longer, and ends its connections at once. Ends itself when nothing of them is under way any
   * more: then, and not before, the export may be closed or removed, and its name used again. Nothing happens if there
   * is none of this name.
   */
  removeExport(name: string): Promise<void>;

  /**
   * Begins to take connections there; the address, with the port that was chosen if none was asked for.
   *
   * @throws the error of node:net, such as EADDRINUSE or EACCES
   */
  listen(address: Address): Promise<Address>;

  /**
   * Other certificates, another authority or none, and another `required`: for connections from now on, and for those
   * that have neither begun TLS nor chosen an export. A server without TLS stays without.
   *
   * @throws the error of node:tls, if certificate or key cannot be used; then the older ones stay
   */
  replaceTls(tls: TlsOptions): void;

  /**
   * Takes no more connections and requests, lets those under way end for at most `graceMs`, answers others with
   * ESHUTDOWN meanwhile, and closes all connections.
   */
  stop(graceMs?: number): Promise<void>;
}
