/**
 * Tells systemd how the daemon is doing, if it was started by a unit of Type=notify.
 *
 * Node.js has no datagram sockets of the unix kind, which systemd listens on; its own program systemd-notify does. As
 * that is another process, the unit needs NotifyAccess=all. States are told one after the other: two programs at one
 * time could overtake each other.
 */

import { execFile } from 'node:child_process';

/** It waits until systemd has taken the message. */
const NOTIFY_MAX_MS = 5000;

/** As systemd reads them; the program's options for them are not in all its versions. */
export type State = 'READY=1' | 'RELOADING=1' | 'STOPPING=1';

export class SystemdNotifier {
  readonly #environment: Readonly<Record<string, string | undefined>>;
  readonly #failed: (message: string) => void;
  #last: Promise<void> = Promise.resolve();
  #stopping = false;

  /** `failed` hears why systemd could not be told. */
  constructor(environment: Readonly<Record<string, string | undefined>>, failed: (message: string) => void) {
    this.#environment = environment;
    this.#failed = failed;
  }

  /** Ends when systemd was told, or could not be. After STOPPING=1 nothing is told any more. */
  tell(state: State): Promise<void> {
    if ((this.#environment.NOTIFY_SOCKET ?? '') === '' || this.#stopping) return this.#last;
    this.#stopping = state === 'STOPPING=1';
    this.#last = this.#last.then(() => this.#send(state));
    return this.#last;
  }

  #send(state: State): Promise<void> {
    const { PATH, NOTIFY_SOCKET } = this.#environment;
    return new Promise((resolve) => {
      execFile(
        'systemd-notify',
        [state],
        { env: { PATH, NOTIFY_SOCKET }, timeout: NOTIFY_MAX_MS },
        (error) => {
          if (error !== null) this.#failed(`systemd-notify ${state}: ${error.message}`);
          resolve();
        },
      );
    });
  }
}
