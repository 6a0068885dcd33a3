/**
 * Open files of one thread, bounded: the least recently used one is closed to open another.
 *
 * The job may read many thousand files; a process may have some thousand open (often 1024).
 */

/** Open files of all threads together: a quarter is left of the usual limit of 1024 a process. */
const HANDLES_TOTAL_MAX = 768;

/** The share of one of `threads` threads. */
export function handlesShare(threads: number): number {
  return Math.max(1, Math.floor(HANDLES_TOTAL_MAX / threads));
}

export interface Closable {
  close(): Promise<void>;
}

export class Handles<Handle extends Closable> {
  readonly #open: (path: string) => Promise<Handle>;
  readonly #handlesMax: number;
  readonly #handles = new Map<string, Handle>();

  constructor(open: (path: string) => Promise<Handle>, handlesMax: number) {
    this.#open = open;
    this.#handlesMax = handlesMax;
  }

  /** The handle of `path`. Valid until the next call. */
  async of(path: string): Promise<Handle> {
    const known = this.#handles.get(path);
    if (known !== undefined) {
      this.#handles.delete(path);
      this.#handles.set(path, known);
      return known;
    }
    if (this.#handles.size >= this.#handlesMax) await this.#closeOldest();
    const opened = await this.#open(path);
    this.#handles.set(path, opened);
    return opened;
  }

  async close(): Promise<void> {
    while (this.#handles.size > 0) await this.#closeOldest();
  }

  async #closeOldest(): Promise<void> {
    for (const [path, handle] of this.#handles) {
      this.#handles.delete(path);
      await handle.close();
      return;
    }
  }
}
