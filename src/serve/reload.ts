/**
 * What other settings change while the daemon runs, and what waits for a restart.
 */

import { isDeepStrictEqual } from 'node:util';
import type { NodeCertificates } from '../ramster/transport/identity.ts';
import { readNodeCertificates } from './node-certificates.ts';
import type { ServeSettings } from './settings.ts';

/** Settings that are not exports or certificates, which can change while it runs. */
const FIXED = [
  ...(['listen', 'threads', 'http'] as const),
  ...(['handshakeTimeoutMs', 'connectionsMax'] as const),
];

/** Names of the settings that differ and cannot change while the daemon runs. */
export function fixedChanges(before: ServeSettings, after: ServeSettings): string[] {
  const changed: string[] = FIXED.filter((name) => !isDeepStrictEqual(before[name], after[name]));
  if (!isDeepStrictEqual(before.storeGiven, after.storeGiven)) changed.unshift('store');
  // What is in the files, whether TLS is required, and who signs clients may change; not whether there is TLS at all.
  if ((before.tls === undefined) !== (after.tls === undefined)) changed.push('tls');
  const fixedOf = ({ ramster }: ServeSettings) =>
    ramster && { ...ramster, drainTimeoutMs: 0, tls: ramster.tls !== undefined };
  if (!isDeepStrictEqual(fixedOf(before), fixedOf(after))) changed.push('ramster');
  return changed;
}

/** Those of the node as they are in the files now, if it goes on with any. */
export function newNodeCertificates(
  before: ServeSettings,
  after: ServeSettings,
): NodeCertificates | undefined {
  if (before.ramster?.tls === undefined || after.ramster?.tls === undefined) return undefined;
  return readNodeCertificates(before.ramster.name, after.ramster.tls);
}

/** The settings that a reload leads to: of the new ones, those that can change while the daemon runs. */
export function reloaded(before: ServeSettings, after: ServeSettings): ServeSettings {
  const { exports, drainTimeoutMs } = after;
  const tls = before.tls && after.tls ? after.tls : before.tls;
  const settings = { ...before, exports, drainTimeoutMs, tls };
  if (before.ramster === undefined || after.ramster === undefined) return settings;
  const nodeTls = before.ramster.tls && after.ramster.tls ? after.ramster.tls : before.ramster.tls;
  const ramster = { ...before.ramster, drainTimeoutMs: after.ramster.drainTimeoutMs, tls: nodeTls };
  return { ...settings, ramster };
}
