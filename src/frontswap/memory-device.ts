/**
 * A device in memory: pages in a Map. For tests and for trying things out; it lasts no longer than the process.
 */

import type { BackingDevice } from './backing-device.ts';

export class MemoryDevice implements BackingDevice {
  readonly #pages = new Map<number, Uint8Array>();

  async read(slot: number, out: Uint8Array): Promise<void> {
    const page = this.#pages.get(slot);
    if (page === undefined) out.fill(0);
    else out.set(page);
  }

  async write(slot: number, page: Uint8Array): Promise<void> {
    this.#pages.set(slot, page.slice());
  }

  async trim(slot: number): Promise<void> {
    this.#pages.delete(slot);
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {
    this.#pages.clear();
  }

  /** Slots that hold a page. */
  get size(): number {
    return this.#pages.size;
  }
}
