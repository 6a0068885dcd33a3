// One thread of a torture run: draws operations, logs those on the checked pools before and after, and throws when a
// page it sees is torn, belongs elsewhere, or should be there and is not.

import { type Client, type Oid, type Pool, type Store, TmemError } from '../../src/index.ts';
import type { ClientPool } from '../../src/zcache/pool.ts';
import { KIND, type OperationLog, RESULT } from '../threads/operation-log.ts';
import { PAGE_BYTES, PATCH_OFFSET, PageStamper } from '../threads/stamped-page.ts';
import { type Mix, numbers } from '../threads/workload.ts';
import { Beside, oidOf } from './beside.ts';
import {
  BESIDE,
  CHECKED,
  type CheckedPool,
  CLIENT,
  COLD,
  HANDLES,
  HANDLES_A_POOL,
  INDEXES,
} from './scenes.ts';
import { LANES } from './shared-area.ts';

const THOUSAND = 1000;
/** Bits of a record's kind; what is above names the pool (generationOf). */
const KIND_BITS = 8;

type Draw = keyof typeof BESIDE | 'checked';

export interface PlayerPlan {
  readonly seed: number;
  readonly lane: number;
  /** Id of the page that record 0 of the lane puts, without the lane. */
  readonly baseId: number;
  /** Records of the lane before this life. */
  readonly firstRecord: number;
  /** The archive is filled. */
  readonly hasArchive: boolean;
}

/** Which of the pools that had this name one after the other; 0 for those that stay. */
export function generationOf(plan: CheckedPool, pool: Pool): number {
  if (!plan.isFleeting) return 0;
  // An id below 16 (the table has no more), and the generation of its entry.
  return ((pool.id >>> 16) << 4) | (pool.id & 0xf);
}

/** Opens a checked pool, or creates it. */
export function openChecked(client: Client, plan: CheckedPool): ClientPool {
  const demoteTo = plan.demotes ? client.pool(COLD.name, COLD.options) : undefined;
  return client.pool(plan.name, { ...plan.options, demoteTo });
}

class Checked {
  readonly plan: CheckedPool;
  readonly number: number;
  readonly stamper: PageStamper;
  readonly draws: readonly (keyof Mix)[];
  pool: ClientPool;
  generation: number;

  constructor(number: number, client: Client) {
    const plan = CHECKED[number]!;
    this.plan = plan;
    this.number = number;
    this.stamper = new PageStamper(plan.mix.writeAt !== undefined);
    this.draws = Object.entries(plan.mix).flatMap(([name, weight]) => Array(weight).fill(name));
    this.pool = openChecked(client, plan);
    this.generation = generationOf(plan, this.pool);
  }

  reopen(client: Client): void {
    this.pool = openChecked(client, this.plan);
    this.generation = generationOf(this.plan, this.pool);
  }
}

export class Player {
  /** Operations that did not get a lock in time. */
  busy = 0;
  readonly #client: Client;
  readonly #checked: readonly Checked[];
  readonly #beside: Beside;
  readonly #log: OperationLog;
  readonly #plan: PlayerPlan;
  readonly #next: (below: number) => number;
  readonly #draws: Draw[] = Array(THOUSAND).fill('checked');
  readonly #oids = Array.from({ length: HANDLES.objects }, (_, object) => oidOf(object));
  readonly #out = new Uint8Array(PAGE_BYTES);
  #record: number;
  #isLogging = false;

  constructor(store: Store, plan: PlayerPlan, log: OperationLog) {
    this.#plan = plan;
    this.#log = log;
    this.#record = plan.firstRecord;
    this.#client = store.client(CLIENT.name, { cap: CLIENT.cap });
    this.#checked = CHECKED.map((_, number) => new Checked(number, this.#client));
    this.#next = numbers(plan.seed);
    this.#beside = new Beside(store, this.#client, plan.hasArchive, this.#next);
    let at = 0;
    for (const [name, count] of Object.entries(BESIDE)) {
      this.#draws.fill(name as Draw, at, at + count);
      at += count;
    }
  }

  /** Operations without a log so far. */
  get unlogged(): number {
    return this.#beside.operations;
  }

  /** One operation. */
  step(): void {
    const draw = this.#draws[this.#next(THOUSAND)]!;
    const isLogged = draw === 'checked' || draw === 'destroy';
    if (isLogged && this.#log.isFull) return;
    try {
      if (draw === 'checked') this.#logged();
      else if (draw === 'destroy') this.#destroy();
      else this.#beside.step(draw);
    } catch (error) {
      if (!TmemError.is(error)) throw error;
      if (error.code === 'TMEM_ERR_BUSY') this.busy++;
      // Without a frame a pool is not created, and it may be destroyed while it is opened: another time.
      else if (error.code !== 'TMEM_ERR_NO_MEMORY' && error.code !== 'TMEM_ERR_POOL_GONE') throw error;
      if (this.#isLogging) this.#end(RESULT.unknown);
    }
  }

  #begin(kind: number, checked: Checked, subject: number, given = 0): void {
    this.#log.begin(kind | (checked.generation << KIND_BITS), subject, given);
    this.#isLogging = true;
  }

  #end(result: number, id = 0, patch = 0): void {
    this.#log.end(result, id, patch);
    this.#isLogging = false;
    this.#record++;
  }

  // ---- logged -------------------------------------------------------------------------------------------------------

  #logged(): void {
    const checked = this.#checked[this.#next(this.#checked.length)]!;
    const draw = checked.draws[this.#next(checked.draws.length)]!;
    const within = this.#next(HANDLES_A_POOL);
    const gone = this.#operate(checked, draw, within);
    if (gone) checked.reopen(this.#client);
  }

  /** Whether the pool turned out to be gone. */
  #operate(checked: Checked, draw: keyof Mix, within: number): boolean {
    const { pool, stamper } = checked;
    const handle = checked.number * HANDLES_A_POOL + within;
    const object = Math.floor(within / HANDLES.indexes);
    const oid = this.#oids[object]!;
    const index = INDEXES[within % HANDLES.indexes]!;
    const id = this.#plan.baseId + this.#record * LANES + this.#plan.lane;
    switch (draw) {
      case 'put': {
        const page = stamper.make(id, handle);
        this.#begin(KIND.put, checked, handle, id);
        const outcome = pool.put(oid, index, page);
        this.#end(outcome === 'stored' ? RESULT.yes : RESULT.no);
        return outcome === 'pool-gone';
      }
      case 'keep':
        this.#begin(KIND.keep, checked, handle);
        this.#saw(checked, handle, pool.getAndKeep(oid, index, this.#out));
        return false;
      case 'free':
        this.#begin(KIND.free, checked, handle);
        this.#saw(checked, handle, pool.getAndFree(oid, index, this.#out));
        return false;
      case 'flushPage':
        this.#begin(KIND.flushPage, checked, handle);
        this.#end(pool.flushPage(oid, index) ? RESULT.yes : RESULT.no);
        return false;
      case 'flushObject':
        this.#begin(KIND.flushObject, checked, handle - (within % HANDLES.indexes));
        this.#flushObject(pool, oid);
        return false;
      case 'flushPool':
        this.#begin(KIND.flushPool, checked, checked.number * HANDLES_A_POOL);
        pool.flush();
        this.#end(RESULT.yes);
        return false;
      case 'exchange': {
        const page = stamper.make(id, handle);
        this.#begin(KIND.exchange, checked, handle, id);
        const { length, outcome } = pool.exchange(oid, index, page, this.#out);
        this.#saw(checked, handle, length, outcome === 'stored');
        return outcome === 'pool-gone';
      }
      case 'writeAt': {
        const patch = stamper.makePatch(id);
        this.#begin(KIND.writeAt, checked, handle, id);
        const outcome = pool.writeAt(oid, index, PATCH_OFFSET, patch);
        this.#end(outcome === 'miss' ? RESULT.miss : outcome === 'stored' ? RESULT.yes : RESULT.no);
        return outcome === 'pool-gone';
      }
      default: {
        this.#begin(KIND.readAt, checked, handle);
        const bytes = pool.readAt(oid, index, PATCH_OFFSET, this.#out.subarray(0, 8));
        if (bytes >= 0 && bytes !== 8) throw new Error(`torn: read at gave ${bytes} bytes of a longer page`);
        if (bytes < 0) this.#end(RESULT.no);
        else this.#end(RESULT.yes, 0, stamper.readPatch(this.#out));
        return false;
      }
    }
  }

  /** The object has pages that nobody checks, too: how many there were says nothing of those that are. */
  #flushObject(pool: ClientPool, oid: Oid): void {
    pool.flushObject(oid);
    this.#end(RESULT.yes);
  }

  /** Notes what a get or exchange saw; `yes` is the result of the part of an exchange that is a put. */
  #saw({ stamper }: Checked, handle: number, length: number, yes = length > 0): void {
    const seen = length === 0 ? undefined : stamper.read(this.#out.subarray(0, length), handle);
    this.#end(yes ? RESULT.yes : RESULT.no, seen?.id, seen?.patch);
  }

  #destroy(): void {
    const checked = this.#checked.find(({ plan }) => plan.isFleeting)!;
    this.#begin(KIND.destroyPool, checked, checked.number * HANDLES_A_POOL);
    checked.pool.destroy();
    this.#end(RESULT.yes);
    checked.reopen(this.#client);
  }
}
