/**
 * A device in memory: pages in a Map. For tests and for trying things out; it lasts no longer than the process.
 */

import type { BackingDevice } from './backing-device.ts';

const SLOT_BYTES = 4096;

export class MemoryDevice implements BackingDevice {
  readonly bytes: number;
  readonly zeroesFast = true;
  readonly #pages = new Map<number, Uint8Array>();

  constructor(bytes = Number.MAX_SAFE_INTEGER) {
    this.bytes = bytes;
  }

  async read(position: number, out: Uint8Array): Promise<void> {
    this.#each(position, out.length, (slot, within, at, length) => {
      const page = this.#pages.get(slot);
      if (page === undefined) out.fill(0, at, at + length);
      else out.set(page.subarray(within, within + length), at);
    });
  }

  async write(position: number, bytes: Uint8Array): Promise<void> {
    this.#each(position, bytes.length, (slot, within, at, length) => {
      let page = this.#pages.get(slot);
      if (page === undefined) {
        page = new Uint8Array(SLOT_BYTES);
        this.#pages.set(slot, page);
      }
      page.set(bytes.subarray(at, at + length), within);
    });
  }

  async zero(position: number, length: number): Promise<void> {
    this.#each(position, length, (slot, within, _, part) => {
      if (part === SLOT_BYTES) this.#pages.delete(slot);
      else this.#pages.get(slot)?.fill(0, within, within + part);
    });
  }

  nextWritten(from: number, end: number): number {
    let next = -1;
    for (const slot of this.#pages.keys()) {
      if (slot >= from && slot < end && (next === -1 || slot < next)) next = slot;
    }
    return next;
  }

  nextUnwritten(from: number, end: number): number {
    let slot = from;
    while (slot < end && this.#pages.has(slot)) slot++;
    return slot;
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {
    this.#pages.clear();
  }

  /** Slots that hold a page. */
  get size(): number {
    return this.#pages.size;
  }

  #each(
    position: number,
    length: number,
    use: (slot: number, within: number, at: number, length: number) => void,
  ): void {
    for (let at = 0; at < length; ) {
      const within = (position + at) % SLOT_BYTES;
      const part = Math.min(SLOT_BYTES - within, length - at);
      use(Math.floor((position + at) / SLOT_BYTES), within, at, part);
      at += part;
    }
  }
}
