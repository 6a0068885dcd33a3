/**
 * Tells systemd how the daemon is doing, if it was started by a unit of Type=notify.
 *
 * Node.js has no datagram sockets of the unix kind, which systemd listens on; its own program systemd-notify does. As
 * that is another process, the unit needs NotifyAccess=all.
 */

import { execFile } from 'node:child_process';

/** It waits until systemd has taken the message. */
const NOTIFY_MAX_MS = 5000;

export type State = '--ready' | '--reloading' | '--stopping';

/** Tells of a state; `failed` hears why that did not work. It is not waited for. */
export function notifySystemd(
  state: State,
  environment: Readonly<Record<string, string | undefined>>,
  failed: (message: string) => void,
): void {
  if ((environment.NOTIFY_SOCKET ?? '') === '') return;
  const env = { PATH: environment.PATH, NOTIFY_SOCKET: environment.NOTIFY_SOCKET };
  execFile('systemd-notify', [state], { env, timeout: NOTIFY_MAX_MS }, (error) => {
    if (error !== null) failed(`systemd-notify ${state}: ${error.message}`);
  });
}
