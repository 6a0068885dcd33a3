// The server under test, from an NBD URI:
//   nbd://host:port/export                 nbd+unix:///export?socket=path
//   nbds://host:port/export?tls-…          nbds+unix:///export?socket=path&tls-…
// Parameters for TLS, as libnbd and nbdkit know them: tls-certificates (a directory with ca-cert.pem, and with
// client-cert.pem and client-key.pem if the server asks for them), tls-hostname, tls-verify-peer=0.
import { existsSync, readFileSync } from 'node:fs';
import type { NetConnectOpts } from 'node:net';
import { join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';

export interface Target {
  readonly uri: string;
  readonly address: NetConnectOpts;
  readonly exportName: string;
  /** Whether every connection goes over to TLS before anything else. */
  readonly secure: boolean;
  /** How TLS is spoken, also where only the checks about TLS use it. */
  readonly tls: ConnectionOptions;
}

/** The URI, or a file that it names, is not usable; the message is for people. */
export class TargetError extends Error {}

const PORT = 10809;
const SCHEMES = ['nbd:', 'nbds:', 'nbd+unix:', 'nbds+unix:'];
const PARAMETERS = ['socket', 'tls-certificates', 'tls-hostname', 'tls-verify-peer'];

export function parseTarget(uri: string): Target {
  if (!URL.canParse(uri)) throw new TargetError(`'${uri}' is no URI such as nbd://localhost:10809/export`);
  const url = new URL(uri);
  if (!SCHEMES.includes(url.protocol)) {
    throw new TargetError(`'${uri}' must begin with nbd://, nbds://, nbd+unix:// or nbds+unix://`);
  }
  const unknown = [...url.searchParams.keys()].find((name) => !PARAMETERS.includes(name));
  if (unknown !== undefined) {
    throw new TargetError(`'${unknown}' is no parameter of the URI; there are ${PARAMETERS.join(', ')}`);
  }
  return {
    uri,
    address: addressOf(url),
    exportName: exportNameOf(url),
    secure: url.protocol.startsWith('nbds'),
    tls: tlsOf(url),
  };
}

function addressOf(url: URL): NetConnectOpts {
  const path = url.searchParams.get('socket');
  if (url.protocol.endsWith('+unix:')) {
    if (path === null || path === '') throw new TargetError('the URI must name its socket: ?socket=/path');
    return { path };
  }
  if (path !== null) throw new TargetError('only nbd+unix:// and nbds+unix:// have a socket');
  if (url.hostname === '') throw new TargetError('the URI must name a host');
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? PORT : Number(url.port),
  };
}

function exportNameOf({ pathname }: URL): string {
  try {
    return decodeURIComponent(pathname.replace(/^\//, ''));
  } catch {
    throw new TargetError(`'${pathname}' is no percent-encoded UTF-8`);
  }
}

function tlsOf(url: URL): ConnectionOptions {
  const directory = url.searchParams.get('tls-certificates');
  const verify = url.searchParams.get('tls-verify-peer');
  if (verify !== null && verify !== '0' && verify !== '1') {
    throw new TargetError('tls-verify-peer must be 0 or 1');
  }
  const hostname = url.searchParams.get('tls-hostname') ?? (url.hostname || 'localhost');
  return {
    servername: /^[\d.]+$|:/.test(hostname) ? '' : hostname,
    rejectUnauthorized: verify !== '0',
    ca: directory === null ? undefined : pem(directory, 'ca-cert.pem'),
    cert: directory === null ? undefined : pem(directory, 'client-cert.pem'),
    key: directory === null ? undefined : pem(directory, 'client-key.pem'),
  };
}

function pem(directory: string, name: string): Buffer | undefined {
  const path = join(directory, name);
  if (existsSync(path)) return readFileSync(path);
  if (name === 'ca-cert.pem') throw new TargetError(`there is no ${path}`);
  return undefined;
}
