/**
 * A swap area as the volume of an export: the three kinds.
 *
 *   swap   volatile; what the store refuses goes to the backing file, if there is one
 *   disk   with a backing file: FLUSH and FUA mean on the file
 *   ram    no backing file: the store takes it, or the export is full
 */

import type { Extent, SwapDevice } from '../frontswap/index.ts';
import type { Volume } from './volume.ts';
import type { ThreadCounters } from './volume-counters.ts';

export type ExportKind = 'swap' | 'disk' | 'ram';

/** Bytes of the file that one CACHE request reads, at most. */
const CACHED_BYTES_MAX = 32 * 2 ** 20;

export class AreaVolume implements Volume {
  readonly kind: ExportKind;
  readonly readOnly: boolean;
  readonly durable: boolean;
  readonly counters: ThreadCounters;
  readonly #swap: SwapDevice;
  /** One number, the same for all threads: the size in bytes. */
  readonly #size: Float64Array<SharedArrayBuffer>;
  /** Refused pages that are in the counters from before. */
  readonly #refusedBefore: number;

  constructor(
    kind: ExportKind,
    readOnly: boolean,
    swap: SwapDevice,
    size: SharedArrayBuffer,
    counters: ThreadCounters,
  ) {
    this.kind = kind;
    this.readOnly = readOnly;
    this.durable = kind === 'disk' && !readOnly;
    this.#swap = swap;
    this.#size = new Float64Array(size);
    this.counters = counters;
    this.#refusedBefore = counters.refused_pages;
  }

  get size(): number {
    return this.#size[0] as number;
  }

  set size(bytes: number) {
    this.#size[0] = bytes;
  }

  get zeroesFast(): boolean {
    return this.#swap.zeroesFast;
  }

  readNow(position: number, out: Uint8Array): number {
    const done = this.#swap.readNow(position, out);
    this.counters.read_bytes += done;
    if (done === out.length) this.counters.reads++;
    return done;
  }

  async read(position: number, out: Uint8Array): Promise<void> {
    await this.#swap.read(position, out);
    this.counters.reads++;
    this.counters.read_bytes += out.length;
  }

  writeNow(position: number, bytes: Uint8Array): number {
    const done = this.#swap.writeNow(position, bytes);
    this.counters.written_bytes += done;
    if (done === bytes.length) this.counters.writes++;
    return done;
  }

  async write(position: number, bytes: Uint8Array, through: boolean): Promise<boolean> {
    const written = await this.#swap.write(position, bytes, through || undefined);
    this.#countRefused();
    if (!written) return false;
    this.counters.writes++;
    this.counters.written_bytes += bytes.length;
    return true;
  }

  async zero(position: number, length: number, hole: boolean, through: boolean): Promise<boolean> {
    this.counters.zeroes++;
    const zeroed = await this.#swap.zero(position, length, hole, through || undefined);
    this.#countRefused();
    return zeroed;
  }

  trim(position: number, length: number): Promise<void> {
    this.counters.trims++;
    return this.#swap.trim(position, length);
  }

  cache(position: number, length: number): Promise<void> {
    return this.#swap.readAhead(position, Math.min(length, CACHED_BYTES_MAX));
  }

  async flush(): Promise<void> {
    this.counters.flushes++;
    if (this.durable) await this.#swap.flush();
  }

  async sync(): Promise<void> {
    if (this.durable) await this.#swap.sync();
  }

  allocation(position: number, length: number, extentsMax: number): readonly Extent[] {
    return this.#swap.allocation(position, length, extentsMax);
  }

  #countRefused(): void {
    this.counters.refused_pages = this.#refusedBefore + this.#swap.refusedPages;
  }
}
