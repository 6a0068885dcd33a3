/**
 * Reading from the device of an area, with what was read kept elsewhere if there is such a place: clean pages, which
 * may vanish, and which are the device's content as long as they are there.
 *
 * Rule it keeps: a page that was read before or while somebody changed the device is not kept after. Whoever changes
 * the device holds the region, drops the clean pages and raises the region's version, before and after; whoever read
 * keeps a page only while it holds the region itself, and only if the version is what it was before the read.
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { SLOT_BYTES } from './area.ts';
import type { BackingDevice } from './backing-device.ts';
import { REGION_SLOTS, type RegionLocks } from './region-locks.ts';

/** Where clean pages are kept: any may be gone at any time. */
export interface CleanPages {
  /** Copies a slot's page to `out` (4096 bytes); false if it is not there. */
  get(slot: number, out: Uint8Array): boolean;
  put(slot: number, page: Uint8Array): void;
  drop(slot: number): void;
  /** Drops all pages. */
  empty(): void;
}

/** Versions are shared by regions far from each other. */
const VERSIONS = 4096;

export class DeviceReads {
  readonly #device: BackingDevice;
  readonly #locks: RegionLocks;
  readonly #clean: CleanPages | undefined;
  readonly #versions: Int32Array<SharedArrayBuffer>;
  readonly #page = new Uint8Array(SLOT_BYTES);

  constructor(
    device: BackingDevice,
    locks: RegionLocks,
    clean: CleanPages | undefined,
    versions: SharedArrayBuffer = new SharedArrayBuffer(VERSIONS * Int32Array.BYTES_PER_ELEMENT),
  ) {
    this.#device = device;
    this.#locks = locks;
    this.#clean = clean;
    this.#versions = new Int32Array(versions);
  }

  /** For the DeviceReads of another thread on the same device. */
  get memory(): SharedArrayBuffer {
    return this.#versions.buffer;
  }

  /** Reads part of one slot if that needs no device. */
  now(slot: number, within: number, part: Uint8Array): boolean {
    if (this.#clean === undefined) return false;
    if (part.length === SLOT_BYTES) return this.#clean.get(slot, part);
    if (!this.#clean.get(slot, this.#page)) return false;
    part.set(this.#page.subarray(within, within + part.length));
    return true;
  }

  async read(position: number, out: Uint8Array): Promise<void> {
    if (this.#clean === undefined) {
      await this.#device.read(position, out);
      return;
    }
    const first = Math.floor(position / SLOT_BYTES);
    const end = Math.ceil((position + out.length) / SLOT_BYTES);
    const isWhole = out.length === (end - first) * SLOT_BYTES;
    const pages = isWhole ? out : new Uint8Array((end - first) * SLOT_BYTES);
    const versions = Array.from({ length: regionOf(end - 1) - regionOf(first) + 1 }, (_, i) =>
      this.#version(regionOf(first) + i),
    );
    await this.#device.read(first * SLOT_BYTES, pages);
    for (const [i, version] of versions.entries()) {
      this.#keep(regionOf(first) + i, version, first, end, pages);
    }
    const from = position - first * SLOT_BYTES;
    if (!isWhole) out.set(pages.subarray(from, from + out.length));
  }

  /**
   * Reads slots from `first` to before `end` ahead of their use: those the device has, that are not kept yet and not
   * `elsewhere`. It holds one region of them at a time.
   */
  async ahead(first: number, end: number, elsewhere: (slot: number) => boolean): Promise<void> {
    const pages = new Uint8Array(Math.min(REGION_SLOTS, end - first) * SLOT_BYTES);
    const isNear = (slot: number): boolean => elsewhere(slot) || this.now(slot, 0, this.#page);
    for (let at = this.#device.nextWritten(first, end); at !== -1; at = this.#device.nextWritten(at, end)) {
      const to = Math.min(end, (regionOf(at) + 1) * REGION_SLOTS);
      while (at < to) {
        const from = at;
        while (at < to && !isNear(at)) at++;
        if (at > from) await this.read(from * SLOT_BYTES, pages.subarray(0, (at - from) * SLOT_BYTES));
        else at++;
      }
      await nextTurn();
    }
  }

  /** The device is about to change in these slots, of a region that is held, or has changed there. */
  changing(first: number, end: number): void {
    if (this.#clean === undefined) return;
    Atomics.add(this.#versions, regionOf(first) % VERSIONS, 1);
    for (let slot = first; slot < end; slot++) this.#clean.drop(slot);
  }

  /** The device has changed, nobody knows where. */
  changed(): void {
    for (let i = 0; i < VERSIONS; i++) Atomics.add(this.#versions, i, 1);
    this.#clean?.empty();
  }

  /** Keeps those of the pages that lie in a region, unless it changes or has changed. */
  #keep(region: number, version: number, first: number, end: number, pages: Uint8Array): void {
    if (!this.#locks.tryAcquire(region)) return;
    try {
      if (this.#version(region) !== version) return;
      const to = Math.min(end, (region + 1) * REGION_SLOTS);
      for (let slot = Math.max(first, region * REGION_SLOTS); slot < to; slot++) {
        const at = (slot - first) * SLOT_BYTES;
        this.#clean?.put(slot, pages.subarray(at, at + SLOT_BYTES));
      }
    } finally {
      this.#locks.release(region);
    }
  }

  #version(region: number): number {
    return Atomics.load(this.#versions, region % VERSIONS);
  }
}

function regionOf(slot: number): number {
  return Math.floor(slot / REGION_SLOTS);
}
