/**
 * Where the daemon listens, as people write it, and where clients find it.
 *
 *   unix:/run/tmem/nbd.sock     tcp://127.0.0.1:10809     127.0.0.1:9105     tcp://[::1]:10809     :0 (any port)
 *
 * Without a host it is this machine's own, 127.0.0.1: who wants to be reached from elsewhere has to say so.
 */

import { isAbsolute } from 'node:path';
import type { Address } from '../nbd/index.ts';

export const ADDRESS_ALLOWED =
  "'unix:' and an absolute path, or a host and port such as 'tcp://127.0.0.1:10809'";

const LOOPBACK = '127.0.0.1';
const PORT_MAX = 65_535;

/** What the kernel has room for in the address of a unix socket, the zero at its end included. */
const UNIX_PATH_BYTES_MAX = 108;

const TCP = /^(?:tcp:\/\/)?(\[[0-9a-f:.%]{1,64}\]|[\w.-]{0,255}):(\d{1,5})$/i;

/** Undefined if the text is no address. */
export function parseAddress(text: string): Address | undefined {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    const fits = Buffer.byteLength(path) < UNIX_PATH_BYTES_MAX && !path.includes('\0');
    return isAbsolute(path) && fits ? { path } : undefined;
  }
  const match = TCP.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port > PORT_MAX) return undefined;
  const host = (match[1] as string).replace(/^\[|\]$/g, '');
  return { host: host === '' ? LOOPBACK : host, port };
}

/** The address as parseAddress reads it. */
export function addressText(address: Address): string {
  if ('path' in address) return `unix:${address.path}`;
  if ('descriptor' in address) return `descriptor ${address.descriptor}`;
  return `tcp://${hostText(address.host)}:${address.port}`;
}

/** What a client is given to connect to an export; undefined where only others know the address. */
export function exportUri(address: Address, exportName: string, secured: boolean): string | undefined {
  const scheme = secured ? 'nbds' : 'nbd';
  const name = encodeURIComponent(exportName);
  if ('descriptor' in address) return undefined;
  if ('path' in address) {
    const path = address.path.split('/').map(encodeURIComponent).join('/');
    return `${scheme}+unix:///${name}?socket=${path}`;
  }
  return `${scheme}://${hostText(address.host)}:${address.port}/${name}`;
}

/** Whether only this machine can reach it, as far as the address tells. */
export function isLocal(address: Address): boolean {
  return !('port' in address) || /^(127\..*|::1|localhost)$/.test(address.host ?? LOOPBACK);
}

function hostText(host = LOOPBACK): string {
  return host.includes(':') ? `[${host}]` : host;
}
