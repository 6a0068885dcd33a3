/**
 * Who may come to an address of the daemon, where that is more than its operator may have meant.
 */

import type { Address } from '../nbd/index.ts';
import { addressText, isLocal } from './addresses.ts';
import type { ServeSettings } from './settings.ts';

const MAY = 'may read and write all exports';

/** What to warn of; undefined where only this machine or known clients get in. */
export function exposure(address: Address, tls: ServeSettings['tls']): string | undefined {
  const where = addressText(address);
  if (isLocal(address)) return undefined;
  if (tls === undefined) return `${where}: whoever reaches it ${MAY}; see tls`;
  if (tls.required === false) return `${where}: whoever reaches it ${MAY} without TLS; see tls.required`;
  if (tls.authority !== undefined) return undefined;
  return `${where}: whoever reaches it ${MAY} without a certificate; see tls.authority`;
}
