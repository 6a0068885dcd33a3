/**
 * The exports of a daemon: opened and offered all or none, and changed while they are served.
 *
 * Exports are told by name. While they are served, one may come, go, or change its size; everything else of it takes
 * effect when the daemon starts again. One that goes leaves nothing in the store: a disk is written to its file first,
 * the pages of the others are dropped.
 */

import { isDeepStrictEqual } from 'node:util';
import { AreaExport, type AreaExportOptions, type NbdService } from '../nbd/index.ts';
import { type Store, TmemError } from '../zcache/index.ts';

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
  /** As it was opened, but for the size. */
  options: AreaExportOptions;
}

export class ExportSet {
  readonly #store: Store;
  readonly #server: NbdService;
  readonly #members = new Map<string, Member>();

  constructor(store: Store, server: NbdService) {
    this.#store = store;
    this.#server = server;
  }

  /** Those that are served. */
  *[Symbol.iterator](): IterableIterator<AreaExport> {
    for (const { exported } of this.#members.values()) yield exported;
  }

  get size(): number {
    return this.#members.size;
  }

  /**
   * Opens and offers exports; none of them, if one cannot be.
   *
   * @throws TmemError what AreaExport.open and NbdService.addExport throw
   */
  async add(all: readonly AreaExportOptions[]): Promise<void> {
    const opened: Member[] = [];
    try {
      for (const options of all)
        opened.push({ exported: await AreaExport.open(this.#store, options), options });
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
    for (const member of opened) this.#members.set(member.exported.name, member);
  }

  /**
   * Makes the exports those of `wanted`: what can fail comes first, and then nothing has changed.
   *
   * @throws TmemError as add; TMEM_ERR_SETTING for a size beyond what an export was opened for
   */
  async become(wanted: readonly AreaExportOptions[]): Promise<ExportChanges> {
    const names = new Set(wanted.map(({ name }) => name));
    const isNew = ({ name }: AreaExportOptions) => !this.#members.has(name);
    const changed = wanted.filter(
      (options) => !isNew(options) && !isDeepStrictEqual(options, this.#members.get(options.name)?.options),
    );
    const sizes = changed.flatMap((options) => this.#newSize(options) ?? []);
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
      needRestart: changed.filter((options) => this.#otherChanges(options)).map(({ name }) => name),
      failed,
    };
  }

  /** Leaves all exports, disks written to their files; the errors of those that failed. */
  async close(): Promise<unknown[]> {
    const results = await Promise.allSettled([...this].map((exported) => exported.close()));
    this.#members.clear();
    return results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  }

  /** Leaves all exports as they are. */
  async detach(): Promise<void> {
    for (const exported of this) await exported.detach();
    this.#members.clear();
  }

  /** The size an export should get, if it should get one. */
  #newSize({ name, size }: AreaExportOptions): { name: string; bytes: number } | undefined {
    const { exported, options } = this.#members.get(name) as Member;
    if (size === undefined || size === exported.volume.size) return undefined;
    const most = exported.swap.device?.bytes ?? Math.max(options.sizeMax ?? 0, options.size ?? 0);
    if (size <= most) return { name, bytes: size };
    throw new TmemError(
      'TMEM_ERR_SETTING',
      `export '${name}': size: got ${size}, allowed while it is served is at most ${most}, as it was opened`,
    );
  }

  /** Whether more than the size is to change. */
  #otherChanges(wanted: AreaExportOptions): boolean {
    const { options } = this.#members.get(wanted.name) as Member;
    return !isDeepStrictEqual({ ...wanted, size: 0 }, { ...options, size: 0 });
  }

  async #resize(name: string, bytes: number): Promise<void> {
    const { exported } = this.#members.get(name) as Member;
    await exported.resize(bytes);
  }

  async #remove(name: string): Promise<void> {
    const { exported } = this.#members.get(name) as Member;
    await this.#server.removeExport(name);
    this.#members.delete(name);
    try {
      if (exported.volume.durable) await exported.swap.flush();
    } catch (error) {
      await exported.detach();
      throw error;
    }
    await exported.remove();
  }
}
