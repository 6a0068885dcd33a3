/**
 * The files behind the settings of TLS.
 */

import { readFileSync } from 'node:fs';
import type { TlsOptions } from '../nbd/index.ts';
import { checkTls } from '../nbd/tls.ts';
import { TmemError } from '../zcache/index.ts';
import type { ServeSettings } from './settings.ts';

/**
 * Reads certificate, key and authority, and sees that they can be used together.
 *
 * @throws TmemError TMEM_ERR_SETTING naming the files
 */
export function readTls(settings: NonNullable<ServeSettings['tls']>): TlsOptions {
  const { certificate, key, authority, required } = settings;
  const read = (name: string, path: string): Buffer => {
    try {
      return readFileSync(path);
    } catch (cause) {
      throw new TmemError('TMEM_ERR_SETTING', `tls.${name}: cannot be read: ${(cause as Error).message}`, {
        cause,
      });
    }
  };
  const files = {
    cert: read('certificate', certificate),
    key: read('key', key),
    ca: authority === undefined ? undefined : read('authority', authority),
  };
  try {
    checkTls(files);
  } catch (cause) {
    const paths = [certificate, key, authority].filter((path) => path !== undefined).join(', ');
    throw new TmemError('TMEM_ERR_SETTING', `tls: ${paths}: cannot be used: ${(cause as Error).message}`, {
      cause,
    });
  }
  return { ...files, required };
}
