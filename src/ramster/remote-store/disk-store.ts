/**
 * The node's own disk as a remote store: where the second copy of a page may lie, so that one peer is enough. What
 * lies in the file is in slot-file.ts. Its pages survive the process, as those in a named store do, and not the
 * machine.
 *
 * Which page has which slot is decided at once, in the order of the calls; the reads and writes of one slot then run
 * one after the other. So calls about a page take effect in the order in which they were made, however slow the disk
 * is.
 */

import { statfs } from 'node:fs/promises';
import * as v from 'valibot';
import type { PoolKind } from '../../zcache/index.ts';
import { byteSize, validate, whole } from '../../zcache/validation.ts';
import type { Clock, Timer } from '../clock.ts';
import type { Owner } from '../local/foreign-pages.ts';
import type { PageId } from '../page-id.ts';
import { memoryNumber } from '../place.ts';
import { Calls } from './calls.ts';
import { checkCursor, checkFreed, checkPlace, checkPool, checkTravelling } from './page-checks.ts';
import {
  type HeldPage,
  RemoteError,
  type RemoteState,
  type RemoteStore,
  type TravellingPage,
} from './remote-store.ts';
import { SLOT_BYTES, SlotFile } from './slot-file.ts';
import { SlotIndex } from './slot-index.ts';

/** Pages of one list. */
const LIST_MOST = 1000;
/** Where a list goes on: u32 slot. */
const CURSOR_BYTES = 4;
/** Slots cleared at a time when a pool is destroyed. */
const CLEAR_AT_A_TIME = 64;

const MIB = 1024 * 1024;
/** The index takes 22 bytes a slot: 1.4 GiB for the largest file. */
const FILE_BYTES_MAX = 256 * 1024 * MIB;

const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

const settingsSchema = v.object({
  path: v.pipe(v.string('a path'), v.minLength(1, 'a path')),
  /** Largest size of the file. */
  fileBytesMax: byteSize(MIB, FILE_BYTES_MAX),
  /** Longest wait for the disk. */
  deadlineMs: v.optional(whole(1, 600_000, 'milliseconds'), 5000),
  /** How often room is looked at, and a disk that failed is tried again. */
  checkIntervalMs: v.optional(whole(10, 60_000, 'milliseconds'), 1000),
});

export interface DiskStoreOptions extends v.InferInput<typeof settingsSchema> {
  /** Whose pages: this node. */
  readonly owner: Owner;
  readonly clock: Clock;
}

export class DiskStore implements RemoteStore {
  readonly name = 'disk';
  readonly node = 0;
  readonly memory: number;
  readonly draining = false;
  readonly #file: SlotFile;
  readonly #index: SlotIndex;
  /** Slots that may be written to; an older file may be longer. */
  readonly #slotsMax: number;
  readonly #kinds = new Map<number, PoolKind>();
  readonly #freeSlots: number[] = [];
  /** Slots that should be free, and the file may say otherwise. */
  #uncleared: number[] = [];
  /** Slots from here on were never used. */
  #end = 0;
  /** What a slot's next read or write waits for. */
  readonly #busy = new Map<number, Promise<unknown>>();
  readonly #calls: Calls;
  readonly #clock: Clock;
  readonly #checkIntervalMs: number;
  #state: RemoteState = 'up';
  #problem: string | undefined;
  #diskFreeBytes = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;
  #checking: Promise<void> = Promise.resolve();
  #closed = false;

  private constructor(
    file: SlotFile,
    slotsMax: number,
    index: SlotIndex,
    options: Required<DiskStoreOptions>,
  ) {
    this.#file = file;
    this.#slotsMax = slotsMax;
    this.#index = index;
    this.memory = memoryNumber(file.memory);
    this.#clock = options.clock;
    this.#checkIntervalMs = options.checkIntervalMs;
    this.#calls = new Calls(this.name, options.clock, options.deadlineMs, () => {
      if (this.#state === 'up') this.#state = 'suspect';
    });
  }

  /**
   * Opens the file, or begins one, and finds the pages in it: it is read once.
   *
   * @throws TmemError TMEM_ERR_SETTING, TMEM_ERR_BACKING_FILE, TMEM_ERR_NO_KOFFI; the errors of node:fs
   */
  static async open({ owner, clock, ...given }: DiskStoreOptions): Promise<DiskStore> {
    const settings = validate(settingsSchema, given, 'DiskStore', 'TMEM_ERR_SETTING');
    const file = await SlotFile.open(settings.path, owner);
    try {
      const slotsMax = Math.floor((settings.fileBytesMax - SLOT_BYTES) / SLOT_BYTES);
      const index = new SlotIndex(Math.max(slotsMax, await file.slots()));
      const store = new DiskStore(file, slotsMax, index, { ...settings, owner, clock });
      await store.#load();
      await store.#lookAtRoom();
      store.#checkLater();
      return store;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /**
   * Ends when what was begun is done; the file stays.
   *
   * @throws RemoteError when the disk does not get there in time: then the file stays open, and locked
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#state = 'down';
    this.#problem = 'it was closed';
    this.#timer?.cancel();
    await this.#calls.run('close', 'several', async () => {
      while (this.#busy.size > 0) await Promise.all(this.#busy.values());
      await this.#checking;
      await this.#file.close();
    });
  }

  get state(): RemoteState {
    return this.#state;
  }

  /** What is wrong with it, in words; undefined: nothing. */
  get problem(): string | undefined {
    return this.#problem;
  }

  get latencyMs(): number {
    return this.#calls.latencyMs;
  }

  get freeBytes(): number {
    const growthBytes = Math.max(0, this.#slotsMax - this.#end) * SLOT_BYTES;
    return this.#freeSlots.length * SLOT_BYTES + Math.min(growthBytes, this.#diskFreeBytes);
  }

  async put(page: TravellingPage): Promise<'stored' | 'full' | 'refused'> {
    checkTravelling(page);
    return this.#run('put', 'round trip', () => this.#put(page));
  }

  async #put(page: TravellingPage): Promise<'stored' | 'full' | 'refused'> {
    const { pool, id, kind } = page;
    if ((this.#kinds.get(pool) ?? kind) !== kind) return 'refused';
    const there = this.#index.find(pool, id);
    // The same bytes, then; but they may be on their way only.
    if (there !== undefined) {
      await this.#busy.get(there);
      return this.#index.find(pool, id) === there ? 'stored' : this.#put(page);
    }
    const slot = this.#takeSlot();
    if (slot === undefined) return 'full';
    this.#kinds.set(pool, kind);
    this.#index.enter(slot, page, page.bytes.length);
    try {
      await this.#next(slot, () => this.#file.write(slot, page));
      return 'stored';
    } catch (error) {
      // The slot is not used again before it was cleared: nobody knows what is in it.
      this.#release(slot).catch(() => {});
      if (FULL.has((error as NodeJS.ErrnoException).code ?? '')) return 'full';
      throw error;
    }
  }

  async get(pool: number, id: PageId, free: boolean): Promise<Uint8Array | undefined> {
    checkPlace(pool, id);
    return this.#run('get', 'round trip', async () => {
      const slot = this.#index.find(pool, id);
      if (slot === undefined) return undefined;
      const length = this.#index.lengthOf(slot);
      const reading = this.#next(slot, () => this.#file.read(slot, { pool, id }, length));
      const freeing = free ? this.#release(slot) : undefined;
      freeing?.catch(() => {});
      const bytes = await reading;
      // A damaged copy is no copy; unless the slot was freed meanwhile, it is of no use.
      if (bytes === undefined && this.#index.find(pool, id) === slot) await this.#release(slot);
      // The bytes are there: better handed over than lost, even if the slot could not be cleared.
      else if (bytes === undefined) await freeing;
      return bytes;
    });
  }

  async free(pages: readonly HeldPage[]): Promise<void> {
    checkFreed(pages);
    await this.#run('free', 'round trip', async () => {
      await all(pages, ({ pool, id }) => {
        const slot = this.#index.find(pool, id);
        return slot === undefined ? undefined : this.#release(slot);
      });
    });
  }

  async destroyPool(pool: number): Promise<void> {
    checkPool(pool);
    await this.#run('destroyPool', 'several', async () => {
      this.#kinds.delete(pool);
      const slots: number[] = [];
      for (let slot = 0; slot < this.#end; slot++) {
        if (this.#index.lengthOf(slot) > 0 && this.#index.pageIn(slot).pool === pool) slots.push(slot);
      }
      for (let at = 0; at < slots.length; at += CLEAR_AT_A_TIME) {
        await all(slots.slice(at, at + CLEAR_AT_A_TIME), (slot) => this.#release(slot));
      }
    });
  }

  async list(
    cursor: Uint8Array | undefined,
  ): Promise<{ readonly pages: readonly HeldPage[]; readonly next: Uint8Array | undefined }> {
    if (cursor !== undefined) checkCursor(cursor, CURSOR_BYTES);
    return this.#run('list', 'several', async () => {
      const pages: HeldPage[] = [];
      let slot = cursor === undefined ? 0 : Buffer.from(cursor).readUInt32LE();
      for (; slot < this.#end && pages.length < LIST_MOST; slot++) {
        if (this.#index.lengthOf(slot) > 0) pages.push(this.#index.pageIn(slot));
      }
      if (slot >= this.#end) return { pages, next: undefined };
      const next = Buffer.alloc(CURSOR_BYTES);
      next.writeUInt32LE(slot);
      return { pages, next };
    });
  }

  async #load(): Promise<void> {
    for await (const found of this.#file.pages()) {
      for (; this.#end < found.slot; this.#end++) {
        if (this.#end < this.#slotsMax) this.#freeSlots.push(this.#end);
      }
      this.#end++;
      // Twice there when it was freed and put again before a kill: the same bytes.
      if (this.#index.find(found.pool, found.id) !== undefined) {
        await this.#clear(found.slot);
        continue;
      }
      this.#index.enter(found.slot, found, found.length);
      this.#kinds.set(found.pool, found.kind);
    }
  }

  #takeSlot(): number | undefined {
    return this.#freeSlots.pop() ?? (this.#end < this.#slotsMax ? this.#end++ : undefined);
  }

  /** The page is gone at once; its slot is used again when that is in the file. */
  async #release(slot: number): Promise<void> {
    this.#index.remove(slot);
    await this.#clear(slot);
  }

  async #clear(slot: number): Promise<void> {
    try {
      await this.#next(slot, () => this.#file.clear(slot));
    } catch (error) {
      this.#uncleared.push(slot);
      throw error;
    }
    if (slot < this.#slotsMax) this.#freeSlots.push(slot);
  }

  /** Runs `work` when all that was begun with the slot before is done. */
  #next<T>(slot: number, work: () => Promise<T>): Promise<T> {
    const before = this.#busy.get(slot) ?? Promise.resolve();
    const result = before.then(work);
    const settled = result.then(
      () => {},
      () => {},
    );
    this.#busy.set(slot, settled);
    void settled.then(() => {
      if (this.#busy.get(slot) === settled) this.#busy.delete(slot);
    });
    return result;
  }

  async #run<T>(what: string, length: 'round trip' | 'several', work: () => Promise<T>): Promise<T> {
    if (this.#state === 'down') throw new RemoteError(`disk: ${what}: it is down: ${this.#problem}`);
    try {
      return await this.#calls.run(what, length, work);
    } catch (cause) {
      if (cause instanceof RemoteError) throw cause;
      this.#failed(cause as Error);
      throw new RemoteError(`disk: ${what}: ${this.#problem}`, { cause });
    }
  }

  #failed(error: Error): void {
    if (this.#closed) return;
    this.#state = 'down';
    this.#problem = error.message;
  }

  #checkLater(): void {
    if (this.#closed) return;
    this.#timer = this.#clock.after(this.#checkIntervalMs, () => {
      this.#checking = this.#check().finally(() => this.#checkLater());
    });
  }

  async #check(): Promise<void> {
    try {
      await this.#calls.run('check', 'several', async () => {
        if (this.#state !== 'up') await this.#file.probe();
        const uncleared = this.#uncleared;
        this.#uncleared = [];
        await all(uncleared, (slot) => this.#clear(slot));
        await this.#lookAtRoom();
      });
      if (this.#closed) return;
      this.#state = 'up';
      this.#problem = undefined;
    } catch (error) {
      this.#failed(error as Error);
    }
  }

  async #lookAtRoom(): Promise<void> {
    const { bavail, bsize } = await statfs(this.#file.path);
    this.#diskFreeBytes = bavail * bsize;
  }
}

/** Waits for all, also when one fails: then throws what failed first. */
async function all<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<void> | undefined,
): Promise<void> {
  const outcomes = await Promise.allSettled(items.map(work));
  const failure = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
}
