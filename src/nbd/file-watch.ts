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

  /**
   * `changed` is called after each look that found the open file's size, content or state changed, or that the file
   * cannot be looked at any more, as when its file system went away. What it throws makes it be called again.
   */
  constructor(descriptor: number, changed: () => void) {
    let before = stateOf(descriptor);
    this.#timer = setInterval(() => {
      const now = stateOf(descriptor);
      if (now === before) return;
      try {
        changed();
        before = now;
      } catch {
        // Nobody could catch it here. Who reads from the file is told what is wrong with it.
      }
    }, INTERVAL_MS);
    this.#timer.unref();
  }

  /** Before the descriptor is closed. */
  stop(): void {
    clearInterval(this.#timer);
  }
}

function stateOf(descriptor: number): string {
  try {
    const { size, mtimeNs, ctimeNs } = fstatSync(descriptor, { bigint: true });
    return `${size} ${mtimeNs} ${ctimeNs}`;
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  }
}
