/**
 * Notices when the file of a read-only export is changed by somebody else. Nobody is kept from that: a read-only file
 * is not locked, and locks bind only those who ask.
 *
 * What a client reads may be older than the file by one interval.
 */

import { fstatSync } from 'node:fs';

const INTERVAL_MS = 1000;

export class FileWatch {
  readonly #timer: NodeJS.Timeout;

  /** `changed` is called after each look that found the open file's size, content or state changed. */
  constructor(descriptor: number, changed: () => void) {
    let before = stateOf(descriptor);
    this.#timer = setInterval(() => {
      const now = stateOf(descriptor);
      if (now === before) return;
      before = now;
      changed();
    }, INTERVAL_MS);
    this.#timer.unref();
  }

  /** Before the descriptor is closed. */
  stop(): void {
    clearInterval(this.#timer);
  }
}

function stateOf(descriptor: number): string {
  const { size, mtimeNs, ctimeNs } = fstatSync(descriptor, { bigint: true });
  return `${size} ${mtimeNs} ${ctimeNs}`;
}
