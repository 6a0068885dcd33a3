/**
 * Where nodes listen: 'host:port', '[::1]:port' or 'unix:/path'.
 */

import type { Socket } from 'node:net';
import { isAbsolute } from 'node:path';
import { TmemError } from '../../zcache/index.ts';

export type NodeAddress = { readonly path: string } | { readonly host: string; readonly port: number };

const PORT_MAX = 65_535;

/** What the kernel has room for in the address of a unix socket, the zero at its end included. */
const UNIX_PATH_BYTES_MAX = 108;

const HOST_AND_PORT = /^(?:\[([0-9a-f:.]{2,64}(?:%[\w.-]{1,32})?)\]|([\w.-]{1,255})):(\d{1,5})$/i;

/** @throws TmemError TMEM_ERR_SETTING */
export function parseNodeAddress(text: string): NodeAddress {
  const address = text.startsWith('unix:') ? unixAddress(text.slice('unix:'.length)) : tcpAddress(text);
  if (address !== undefined) return address;
  const allowed = "'host:port', '[::1]:port', or 'unix:' and an absolute path";
  throw new TmemError('TMEM_ERR_SETTING', `'${text}' is no address of a node: it must be ${allowed}`);
}

/** @throws TmemError TMEM_ERR_SETTING if it is anything but a unix socket */
export function parseUnixAddress(text: string): { readonly path: string } {
  const address = text.startsWith('unix:') ? unixAddress(text.slice('unix:'.length)) : undefined;
  if (address !== undefined) return address;
  throw new TmemError(
    'TMEM_ERR_SETTING',
    `'${text}' is no unix socket: it must be 'unix:' and an absolute path`,
  );
}

export function nodeAddressText(address: NodeAddress): string {
  if ('path' in address) return `unix:${address.path}`;
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}

/** Where the other side of a TCP connection is; undefined on unix sockets and after its end. */
export function remoteAddressText({ remoteAddress, remotePort }: Socket): string | undefined {
  if (remoteAddress === undefined || remotePort === undefined) return undefined;
  return nodeAddressText({ host: remoteAddress, port: remotePort });
}

function unixAddress(path: string): { readonly path: string } | undefined {
  const fits = Buffer.byteLength(path) < UNIX_PATH_BYTES_MAX && !path.includes('\0');
  return isAbsolute(path) && fits ? { path } : undefined;
}

function tcpAddress(text: string): NodeAddress | undefined {
  const match = HOST_AND_PORT.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  return host === undefined || port > PORT_MAX ? undefined : { host, port };
}
