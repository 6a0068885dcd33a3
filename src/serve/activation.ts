/**
 * Sockets that somebody else listens on for the daemon, as systemd hands them over: descriptors 3 and up, their number
 * in LISTEN_FDS, meant for the process LISTEN_PID, with names in LISTEN_FDNAMES. Those named 'http' are for metrics,
 * all others for clients.
 */

import type { Address } from '../nbd/index.ts';

const FIRST_DESCRIPTOR = 3;
/** More is no list of sockets that somebody configured. */
const DESCRIPTORS_MAX = 64;

export interface InheritedSockets {
  readonly nbd: readonly Address[];
  readonly http: readonly Address[];
}

export function inheritedSockets(
  environment: Readonly<Record<string, string | undefined>>,
  pid: number,
): InheritedSockets {
  const { LISTEN_FDS = '', LISTEN_PID, LISTEN_FDNAMES = '' } = environment;
  const isMeant = LISTEN_PID === String(pid) && /^\d{1,3}$/.test(LISTEN_FDS);
  const count = isMeant ? Math.min(Number(LISTEN_FDS), DESCRIPTORS_MAX) : 0;
  const names = LISTEN_FDNAMES.split(':');
  const sockets = Array.from({ length: count }, (_, i) => ({
    address: { descriptor: FIRST_DESCRIPTOR + i },
    isHttp: names[i] === 'http',
  }));
  const addresses = (isHttp: boolean) =>
    sockets.filter((socket) => socket.isHttp === isHttp).map(({ address }) => address);
  return { nbd: addresses(false), http: addresses(true) };
}
