/**
 * An export on a swap area: made, shared with other threads, resized, closed, removed.
 *
 * Each export is a client of the store of its own, so that it has its own counters, cap and weight, and leaves nothing
 * when it is removed. In a named store its pages outlive the process; what they belong to is kept beside them
 * (export-record.ts).
 */

import {
  type AreaOptions,
  Frontswap,
  type FrontswapArea,
  type SharedArea,
  type SharedSwap,
  SwapDevice,
  ZcacheFrontswapBackend,
} from '../frontswap/index.ts';
import {
  type Client,
  type ClientStatistics,
  type PageFetcher,
  type Store,
  TmemError,
} from '../zcache/index.ts';
import { AreaVolume, type ExportKind } from './area-volume.ts';
import {
  attachBackingFile,
  type BackingFile,
  openBackingFile,
  type SharedFile,
  slotsOf,
} from './backing-file.ts';
import { areaContent, cacheName, clientName } from './export-clients.ts';
import { AREA_TYPE, checkRecord } from './export-record.ts';
import { type ExportStatistics, exportStatistics } from './export-statistics.ts';
import { FileWatch } from './file-watch.ts';
import { type ImageCache, imageCache } from './image-cache.ts';
import type { NbdExport } from './volume.ts';
import { ThreadCounters } from './volume-counters.ts';

const PAGE_BYTES = 4096;

/** Largest export: 16 TiB, the most slots an area can have. */
export const SIZE_MAX = 2 ** 32 * PAGE_BYTES;

export interface AreaExportOptions {
  readonly name: string;
  readonly description?: string;
  readonly kind: ExportKind;
  /** Bytes; by default the size of the file. */
  readonly size?: number;
  /** Bytes that `resize` can grow it to, without a file; by default `size`. */
  readonly sizeMax?: number;
  /** The backing file, which has to be there. A disk needs one, ram has none. */
  readonly file?: string;
  readonly readOnly?: boolean;
  /** Every write also goes to the file at once; pages may then leave the store at any time. */
  readonly writethrough?: boolean;
  /** Keep pages that were read from the file in the store, as long as nothing else needs the room. */
  readonly cache?: boolean;
  /** Most memory of the store the export may take, in bytes. */
  readonly memoryMax?: number;
  /** Has pages of the export that are with peers. Without one, requests that need them fail. */
  readonly fetcher?: PageFetcher | undefined;
}

/** What another thread of this process needs to serve the export. Plain data. */
export interface SharedExport {
  readonly name: string;
  readonly description: string;
  readonly kind: ExportKind;
  readonly readOnly: boolean;
  readonly cache: boolean;
  readonly client: string;
  readonly area: SharedArea;
  readonly swap: SharedSwap;
  readonly size: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
  readonly file: SharedFile | null;
}

interface Parts {
  readonly name: string;
  readonly description: string;
  readonly volume: AreaVolume;
  readonly swap: SwapDevice;
  readonly client: Client;
  readonly size: SharedArrayBuffer;
  readonly sizeMax: number;
  readonly file: BackingFile | undefined;
  readonly clean: ImageCache | undefined;
  /** Of a read-only file, in the thread that opened it. */
  readonly watch?: FileWatch | undefined;
}

export class AreaExport implements NbdExport {
  readonly name: string;
  readonly description: string;
  readonly volume: AreaVolume;
  readonly swap: SwapDevice;
  readonly #parts: Parts;

  private constructor(parts: Parts) {
    this.#parts = parts;
    this.name = parts.name;
    this.description = parts.description;
    this.volume = parts.volume;
    this.swap = parts.swap;
  }

  /**
   * Opens an export; in a named store, with the pages it had. It is this thread's from now on; others of the process
   * may `attach` to it.
   *
   * @throws TmemError TMEM_ERR_SETTING naming each wrong option; TMEM_ERR_BACKING_FILE; TMEM_ERR_NAME_MISMATCH when
   *   the store has pages of it that belong to another kind or file; TMEM_ERR_EXPORT_IN_USE; errors of the store
   */
  static async open(store: Store, options: AreaExportOptions): Promise<AreaExport> {
    checkOptions(store, options);
    const { kind, readOnly = false, writethrough = false, cache = false } = options;
    const { description = '', memoryMax } = options;
    const file =
      options.file === undefined ? undefined : await openBackingFile(options.file, options.size, readOnly);
    const undo: (() => unknown)[] = [() => file?.close()];
    try {
      const bytes = options.size ?? file?.device.bytes ?? 0;
      const sizeMax = file?.device.bytes ?? Math.max(options.sizeMax ?? bytes, bytes);
      const isNew = !store.hasClient(clientName(options.name));
      const hadCache = store.hasClient(cacheName(options.name));
      const client = store.client(clientName(options.name));
      if (!client.claim()) {
        throw new TmemError(
          'TMEM_ERR_EXPORT_IN_USE',
          `export '${options.name}': it is served from this store already; end the other server`,
        );
      }
      undo.push(() => {
        client.unclaim();
        if (isNew) client.remove();
      });
      client.setCap(memoryMax ?? null);
      const backend = new ZcacheFrontswapBackend(store, client, options.fetcher);
      await backend.fetchMetadata();
      checkRecord(backend, options, file?.identity ?? null);
      const shim = newShim(store, backend);
      const area = initArea(shim, options.name, {
        slots: slotsOf(sizeMax),
        writethrough,
        exclusiveLoads: false,
      });
      const clean = file && cache ? imageCache(store, cacheName(options.name), file.identity) : undefined;
      if (!hadCache) undo.push(() => clean?.remove());
      clean?.empty();
      const size = new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT);
      const swap = new SwapDevice(area, file?.device, { clean, size });
      const counters = ThreadCounters.take(ThreadCounters.newMemory(store.settings.threads));
      const volume = new AreaVolume(kind, readOnly, swap, size, counters);
      volume.size = bytes;
      const watch =
        file && readOnly
          ? new FileWatch(file.device.descriptor, () => {
              file.device.findData();
              swap.deviceChanged();
            })
          : undefined;
      return new AreaExport({
        name: options.name,
        ...{ description, volume, swap, client, size, sizeMax, file, clean, watch },
      });
    } catch (error) {
      // As far as that goes: what counts is why it could not be opened.
      for (const step of undo.reverse()) await Promise.resolve().then(step).catch(ignored);
      throw error;
    }
  }

  /**
   * The export that another thread of this process shares; `store` and `fetcher` are this thread's.
   *
   * @throws TmemError TMEM_ERR_BACKING_FILE, TMEM_ERR_TOO_MANY_THREADS; errors of node:fs and of the store
   */
  static async attach(store: Store, shared: SharedExport, fetcher?: PageFetcher): Promise<AreaExport> {
    const { name, description, kind, readOnly, size, cache } = shared;
    const client = store.client(shared.client);
    const backend = new ZcacheFrontswapBackend(store, client, fetcher);
    const area = newShim(store, backend).attach(shared.area);
    const clean = shared.file && cache ? imageCache(store, cacheName(name), shared.file.identity) : undefined;
    const counters = ThreadCounters.take(shared.counters);
    let file: BackingFile | undefined;
    try {
      file = shared.file === null ? undefined : await attachBackingFile(shared.file, readOnly);
      const swap = new SwapDevice(area, file?.device, { shared: shared.swap, clean, size });
      const volume = new AreaVolume(kind, readOnly, swap, size, counters);
      return new AreaExport({
        name,
        ...{ description, volume, swap, client, size, sizeMax: volume.size, file, clean },
      });
    } catch (error) {
      counters.giveBack();
      await file?.close();
      throw error;
    }
  }

  share(): SharedExport {
    const { file, client, size, clean } = this.#parts;
    const { kind, readOnly } = this.volume;
    return {
      ...{ name: this.name, description: this.description, kind, readOnly, size },
      cache: clean !== undefined,
      client: client.name,
      area: this.swap.area.share(),
      swap: this.swap.share(),
      counters: this.volume.counters.memory,
      file:
        file === undefined
          ? null
          : {
              ...{ path: file.path, bytes: file.device.bytes, identity: file.identity },
              written: file.device.share(),
            },
    };
  }

  /**
   * Changes the size, for clients that connect from now on; those there are see it when they ask past the end. What
   * lies behind a smaller size is dropped; where there is a file, it stays there, with what the store had of it.
   *
   * @throws TmemError TMEM_ERR_SETTING beyond what it was opened for; errors of the file: then the size is as it was
   */
  async resize(bytes: number): Promise<void> {
    const { sizeMax } = this.#parts;
    if (!isSize(bytes) || bytes > sizeMax) {
      throw new TmemError(
        'TMEM_ERR_SETTING',
        `export '${this.name}': resize: got ${bytes} bytes, allowed are 1 to ${sizeMax}, as it was opened`,
      );
    }
    const { volume } = this;
    const before = volume.size;
    volume.size = bytes;
    if (bytes >= before || volume.readOnly) return;
    try {
      await this.swap.cut(bytes, before);
    } catch (error) {
      volume.size = before;
      throw error;
    }
  }

  /** `client`: the statistics of its client, for whoever has those of the whole store. */
  stats(client: ClientStatistics = this.#parts.client.stats()): ExportStatistics {
    return exportStatistics(this.name, this.volume, this.swap.area, client);
  }

  /** Bytes of the store that the export has, and the most it may have; 0: no limit. Costs no more than a few reads. */
  memory(): { used: number; limit: number } {
    const { frames, capFrames } = this.#parts.client.frames();
    return { used: frames * PAGE_BYTES, limit: capFrames * PAGE_BYTES };
  }

  /** Pages of it that are with peers. It takes some hundred microseconds. */
  get pagesAway(): number {
    return areaContent(this.#parts.client.stats().pools)?.remote_pages ?? 0;
  }

  /**
   * Leaves the export. A disk is flushed, and its pages leave the store: from now on the file may change without it.
   * Only after its connections have ended, and other threads have closed theirs.
   */
  async close(): Promise<void> {
    try {
      if (this.volume.durable) {
        await this.swap.flush();
        this.swap.area.invalidateArea();
      }
    } finally {
      await this.detach();
    }
  }

  /** Leaves the export in this thread; its pages stay in the store as they are. */
  async detach(): Promise<void> {
    try {
      await this.#leave();
    } finally {
      this.#parts.client.unclaim();
    }
  }

  /** Drops all pages and forgets the export; a file keeps what was flushed. */
  async remove(): Promise<void> {
    this.swap.area.invalidateArea();
    try {
      await this.#leave();
    } finally {
      this.#forget();
    }
  }

  async #leave(): Promise<void> {
    const { file, watch } = this.#parts;
    watch?.stop();
    try {
      await file?.close();
    } finally {
      this.volume.counters.giveBack();
    }
  }

  #forget(): void {
    const { client, clean } = this.#parts;
    try {
      clean?.remove();
      // Still claimed: else another owner could come in between.
      client.remove();
    } finally {
      client.unclaim();
    }
  }
}

function ignored(): void {}

function newShim(store: Store, backend: ZcacheFrontswapBackend): Frontswap {
  const shim = new Frontswap({ swizzleBits: store.settings.frontswap.swizzleBits });
  shim.register(backend);
  return shim;
}

function initArea(shim: Frontswap, name: string, options: AreaOptions): FrontswapArea {
  try {
    return shim.init(AREA_TYPE, options);
  } catch (error) {
    if (!TmemError.is(error)) throw error;
    throw new TmemError(error.code, `export '${name}': ${error.message}`, { cause: error });
  }
}

function checkOptions(store: Store, options: AreaExportOptions): void {
  const wrong = exportMistakes(options);
  if (options.file === undefined && store.settings.incompressible !== 'store') {
    wrong.push("store: without a file it must take every page; open it with incompressible 'store'");
  }
  if (wrong.length > 0)
    throw new TmemError('TMEM_ERR_SETTING', `export '${options.name}': ${wrong.join('; ')}`);
}

/** What is wrong with options, each as the option's name and a reason. */
export function exportMistakes(options: Omit<AreaExportOptions, 'name'>): string[] {
  const { kind, size, file, writethrough = false, cache = false, sizeMax = size } = options;
  const wrong: string[] = [];
  if (size !== undefined && !isSize(size))
    wrong.push(`size: got ${size}, allowed are 1 to ${SIZE_MAX} bytes`);
  if (sizeMax !== undefined && !isSize(sizeMax))
    wrong.push(`sizeMax: got ${sizeMax}, allowed are 1 to ${SIZE_MAX}`);
  if (kind === 'disk' && file === undefined) wrong.push('file: a disk needs one');
  if (kind === 'ram' && file !== undefined) wrong.push('file: ram has none; use swap or disk');
  if (writethrough && file === undefined) wrong.push('writethrough: needs a file');
  if (cache && file === undefined) wrong.push('cache: needs a file');
  if (file === undefined && size === undefined) wrong.push('size: is required without a file');
  return wrong;
}

function isSize(bytes: number): boolean {
  return Number.isSafeInteger(bytes) && bytes > 0 && bytes <= SIZE_MAX;
}
