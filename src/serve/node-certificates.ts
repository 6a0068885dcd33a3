/**
 * The files behind the settings of a node's TLS.
 */

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type NodeCertificates, nodeNameOf, tlsContextOf } from '../ramster/transport/identity.ts';
import { TmemError } from '../zcache/index.ts';
import type { ServeRamster } from './ramster-settings.ts';

/**
 * Reads certificate, key and authority of a node, and sees that they can be used together and are this node's.
 *
 * @throws TmemError TMEM_ERR_SETTING naming the files
 */
export function readNodeCertificates(
  name: string,
  { certificate, key, authority }: NonNullable<ServeRamster['tls']>,
): NodeCertificates {
  const files = {
    cert: readNodeFile('ramster.tls.certificate', certificate),
    key: readNodeFile('ramster.tls.key', key),
    ca: readNodeFile('ramster.tls.authority', authority),
  };
  try {
    tlsContextOf(files);
  } catch (cause) {
    const paths = [certificate, key, authority].join(', ');
    throw new TmemError('TMEM_ERR_SETTING', `ramster.tls: ${paths}: ${(cause as Error).message}`, { cause });
  }
  const named = nodeNameOf(new X509Certificate(files.cert));
  if (named === name) return files;
  throw new TmemError(
    'TMEM_ERR_SETTING',
    `ramster.tls.certificate: ${certificate} is that of node '${named}', and this one is called '${name}'`,
  );
}

/** @throws TmemError TMEM_ERR_SETTING naming the setting and the file */
export function readNodeFile(setting: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    const message = `${setting}: cannot be read: ${(cause as Error).message}`;
    throw new TmemError('TMEM_ERR_SETTING', message, { cause });
  }
}
