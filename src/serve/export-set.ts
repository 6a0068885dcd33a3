/**
 * The exports of a daemon: opened and offered all or none, and changed while they are served.
 *
 * Exports are told by name. While they are served, one may come, go, or change its size; everything else of it takes
 * effect when the daemon starts again. One that goes leaves nothing in the store: a disk is written to its file first,
 * the pages of the others are dropped.
 */

import { statSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { clientName, storeNeeds } from '../nbd/export-clients.ts';
import { AreaExport, type AreaExportOptions, type NbdService } from '../nbd/index.ts';
import { type PageFetcher, type Store, TmemError } from '../zcache/index.ts';

/** What became of the exports in a reload. */
export interface ExportChanges {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly resized: readonly string[];
  /** Those of which something else was to change, which takes a new start. */
  readonly needRestart: readonly string[];
  /** Those whose file failed; one that was to go is served no longer, and its pages stay in the store. */
  readonly failed: readonly { readonly name: string; readonly error: unknown }[];
}

interface Member {
  readonly exported: AreaExport;
  /** As it was opened. */
  readonly options: AreaExportOptions;
}

export class ExportSet {
  readonly #store: Store;
  readonly #server: NbdService;
  readonly #fetcher: PageFetcher | undefined;
  readonly #members = new Map<string, Member>();
  readonly #clients = new Set<string>();

  /** @param fetcher - has pages of exports that are with peers */
  constructor(store: Store, server: NbdService, fetcher?: PageFetcher) {
    this.#store = store;
    this.#server = server;
    this.#fetcher = fetcher;
  }

  /** Those that are served. */
  *[Symbol.iterator](): IterableIterator<AreaExport> {
    for (const { exported } of this.#members.values()) yield exported;
  }

  /** Whether a client of the store is that of an export that is served; its cache is another one. */
  hasClient(client: string): boolean {
    return this.#clients.has(client);
  }

  get size(): number {
    return this.#members.size;
  }

  /**
   * Opens and offers exports; none of them, if one cannot be.
   *
   * @throws TmemError TMEM_ERR_SETTING when the store is none for them; what AreaExport.open and NbdService.addExport
   *   throw
   */
  async add(all: readonly AreaExportOptions[]): Promise<void> {
    this.#checkStore(all);
    const opened: Member[] = [];
    try {
      for (const options of all) {
        const exported = await AreaExport.open(this.#store, { ...options, fetcher: this.#fetcher });
        opened.push({ exported, options });
      }
      for (const { exported } of opened) await this.#server.addExport(exported);
    } catch (error) {
      for (const { exported } of opened.reverse()) {
        // A server that cannot even do this has failed, and its owner was told.
        await this.#server.removeExport(exported.name).catch(() => {});
        // What clients wrote in between stays where it is.
        await exported.detach();
      }
      throw error;
    }
    for (const member of opened) {
      this.#members.set(member.exported.name, member);
      this.#clients.add(clientName(member.exported.name));
    }
  }

  /**
   * Makes the exports those of `wanted`: what can fail comes first, and then nothing has changed.
   *
   * @throws TmemError as add; TMEM_ERR_SETTING for a size beyond what an export was opened for
   */
  async become(wanted: readonly AreaExportOptions[]): Promise<ExportChanges> {
    const names = new Set(wanted.map(({ name }) => name));
    const isNew = ({ name }: AreaExportOptions) => !this.#members.has(name);
    const kept = wanted.filter((options) => !isNew(options));
    const sizes = kept.flatMap((options) => this.#newSize(options) ?? []);
    const needRestart = kept.filter((options) => this.#otherChanges(options)).map(({ name }) => name);
    const added = wanted.filter(isNew);
    await this.add(added);
    const removed = [...this.#members.keys()].filter((name) => !names.has(name));
    const failed: { name: string; error: unknown }[] = [];
    const attempt = async (name: string, change: () => Promise<void>): Promise<string[]> => {
      try {
        await change();
        return [name];
      } catch (error) {
        failed.push({ name, error });
        return [];
      }
    };
    const gone: string[] = [];
    for (const name of removed) gone.push(...(await attempt(name, () => this.#remove(name))));
    const resized: string[] = [];
    for (const { name, bytes } of sizes)
      resized.push(...(await attempt(name, () => this.#resize(name, bytes))));
    return {
      added: added.map(({ name }) => name),
      removed: gone,
      resized,
      needRestart,
      failed,
    };
  }

  /**
   * Leaves all exports, disks written to their files; the errors of those that failed.
   *
   * @param dropsRest - what is in no file goes now: the store ends, and peers shall not keep copies of it
   */
  async close(dropsRest: boolean): Promise<unknown[]> {
    const results = await Promise.allSettled(
      [...this].map((exported) =>
        dropsRest && !exported.volume.durable ? exported.remove() : exported.close(),
      ),
    );
    this.#members.clear();
    return results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  }

  /** Leaves all exports as they are. */
  async detach(): Promise<void> {
    for (const exported of this) await exported.detach();
    this.#members.clear();
  }

  /** The store was made with settings of its own, which may be too little for what is to come. */
  #checkStore(added: readonly AreaExportOptions[]): void {
    const { name, settings } = this.#store;
    const { clients, incompressible } = settings;
    const needed = storeNeeds([
      ...[...this.#members.values()].map(({ options }) => options),
      ...added,
    ]).clients;
    const which = name === undefined ? 'the store' : `store '${name}'`;
    const advice = name === undefined ? 'start the daemon again' : 'use another store';
    if (needed > clients) {
      throw new TmemError(
        'TMEM_ERR_SETTING',
        `exports: they need ${needed} clients of the store (with cache two each), and ${which} was made with ` +
          `${clients}; serve fewer, or ${advice}`,
      );
    }
    const homeless = added.find(({ file }) => file === undefined);
    if (homeless === undefined || incompressible === 'store') return;
    throw new TmemError(
      'TMEM_ERR_SETTING',
      `export '${homeless.name}': has no file, so the store has to take every page, and ${which} was made with ` +
        `incompressible '${incompressible}'; give the export a file, or ${advice}`,
    );
  }

  /** How large an export can be until it is opened anew. */
  #sizeMost(name: string): number {
    const { exported, options } = this.#members.get(name) as Member;
    return exported.swap.device?.bytes ?? Math.max(options.sizeMax ?? 0, options.size ?? 0);
  }

  /** The size an export should get, if it should get one. Without one it is as large as it was opened for. */
  #newSize({ name, size }: AreaExportOptions): { name: string; bytes: number } | undefined {
    const most = this.#sizeMost(name);
    const bytes = size ?? most;
    if (bytes === this.#members.get(name)?.exported.volume.size) return undefined;
    if (bytes <= most) return { name, bytes };
    throw new TmemError(
      'TMEM_ERR_SETTING',
      `export '${name}': size: got ${size}, allowed while it is served is at most ${most}, as it was opened`,
    );
  }

  /** Whether more than the size is to change, or the size beyond what can be done now. */
  #otherChanges(wanted: AreaExportOptions): boolean {
    const { options } = this.#members.get(wanted.name) as Member;
    if (!isDeepStrictEqual({ ...wanted, size: 0 }, { ...options, size: 0 })) return true;
    if (wanted.size !== undefined || wanted.file === undefined) return false;
    const fileBytes = statSync(wanted.file, { throwIfNoEntry: false })?.size ?? 0;
    return fileBytes > this.#sizeMost(wanted.name);
  }

  async #resize(name: string, bytes: number): Promise<void> {
    const { exported } = this.#members.get(name) as Member;
    await exported.resize(bytes);
  }

  async #remove(name: string): Promise<void> {
    const { exported } = this.#members.get(name) as Member;
    await this.#server.removeExport(name);
    this.#members.delete(name);
    this.#clients.delete(clientName(name));
    try {
      if (exported.volume.durable) await exported.swap.flush();
    } catch (error) {
      await exported.detach();
      throw error;
    }
    await exported.remove();
  }
}
