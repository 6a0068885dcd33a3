// A random mix of operations on few handles of one pool, every one of them logged, while pages that nobody checks
// keep the store full and the trees changing.

import type { Store } from '../../src/index.ts';
import { Oid, TmemError } from '../../src/index.ts';
import type { PoolOptions } from '../../src/zcache/options.ts';
import type { ClientPool } from '../../src/zcache/pool.ts';
import { type Handles, KIND, type OperationLog, RESULT } from './operation-log.ts';
import { PAGE_BYTES, PATCH_OFFSET, PageStamper } from './stamped-page.ts';

/** How often each operation is drawn, relative to the others. */
export interface Mix {
  readonly put?: number;
  readonly keep?: number;
  readonly free?: number;
  readonly flushPage?: number;
  readonly flushObject?: number;
  readonly flushPool?: number;
  readonly exchange?: number;
  /** With these two all pages are of the kind that can be patched. */
  readonly writeAt?: number;
  readonly readAt?: number;
  // Not logged:
  readonly shrink?: number;
  /** A page into the pool of the pressure. */
  readonly pressure?: number;
  /** A page of the same objects that nobody checks, so that their trees grow and shrink. */
  readonly neighbour?: number;
}

export interface PoolPlan extends Omit<PoolOptions, 'demoteTo'> {
  readonly client: string;
  /** The pool takes what falls out of the checked one. */
  readonly isDemotionTarget?: boolean;
}

export interface WorkloadPlan {
  readonly seed: number;
  readonly handles: Handles;
  readonly mix: Mix;
  /** The pool that is checked. */
  readonly pool: PoolPlan;
  readonly demoteTo?: PoolPlan;
  readonly pressure?: PoolPlan;
}

const UNLOGGED: ReadonlySet<keyof Mix> = new Set(['shrink', 'pressure', 'neighbour']);

/** Indexes of an object's handles: in the first node, in the next, far away. */
const INDEXES = [0, 5, 64, 70_000, 0xffff_ffff];
const NEIGHBOURS = 40;
const PRESSURE_OBJECTS = 200;
const PRESSURE_INDEXES = 20;
/** Ids a thread can give out: an id is sequence * THREADS + thread. */
const THREADS = 8;

export function openPool(store: Store, name: string, plan: PoolPlan, demoteTo?: ClientPool): ClientPool {
  const { client, isDemotionTarget, ...options } = plan;
  return store.client(client).pool(name, { ...options, demoteTo });
}

/** xorshift32 of a seed: the numbers below `below`. */
export function numbers(seed: number): (below: number) => number {
  let state = Math.imul(seed + 1, 0x9e3779b1) >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

export class Workload {
  readonly #store: Store;
  readonly #pool: ClientPool;
  readonly #cold: ClientPool | undefined;
  readonly #pressure: ClientPool | undefined;
  readonly #plan: WorkloadPlan;
  readonly #log: OperationLog;
  readonly #stamper: PageStamper;
  readonly #next: (below: number) => number;
  readonly #draws: (keyof Mix)[];
  readonly #oids: readonly Oid[];
  readonly #out = new Uint8Array(PAGE_BYTES);
  readonly #noise = new Uint8Array(PAGE_BYTES);
  readonly #thread: number;
  #sequence: number;

  /** `thread` is below 8; `firstSequence` keeps the ids of threads that follow each other in one number apart. */
  constructor(store: Store, plan: WorkloadPlan, log: OperationLog, thread: number, firstSequence: number) {
    const { handles, mix } = plan;
    this.#store = store;
    this.#plan = plan;
    this.#log = log;
    this.#thread = thread;
    this.#sequence = firstSequence;
    if (plan.demoteTo !== undefined) this.#cold = openPool(store, 'cold', plan.demoteTo);
    this.#pool = openPool(store, 'checked', plan.pool, this.#cold);
    if (plan.pressure !== undefined) this.#pressure = openPool(store, 'pressure', plan.pressure);
    this.#stamper = new PageStamper(mix.writeAt !== undefined);
    this.#next = numbers(plan.seed * 1000 + thread * 100 + (firstSequence % 97));
    this.#draws = Object.entries(mix).flatMap(([name, weight]) => Array(weight).fill(name));
    this.#oids = Array.from({ length: handles.objects }, (_, object) =>
      Oid.fromNumbers(object, 7, object * 3),
    );
    for (let i = 0; i < PAGE_BYTES; i++) this.#noise[i] = this.#next(i < 1500 ? 256 : 3);
  }

  /** One operation, checked or not. */
  step(): void {
    const next = this.#next;
    let draw = this.#draws[next(this.#draws.length)]!;
    if (this.#log.isFull && !UNLOGGED.has(draw)) draw = 'neighbour';
    if (draw === 'shrink') {
      this.#store.shrink(1 + next(8));
    } else if (draw === 'pressure') {
      this.#noise[next(PAGE_BYTES)] = next(256);
      this.#pressure!.put(Oid.fromNumbers(next(PRESSURE_OBJECTS)), next(PRESSURE_INDEXES), this.#noise);
    } else if (draw === 'neighbour') {
      const oid = this.#oids[next(this.#oids.length)]!;
      const index = 1000 + next(NEIGHBOURS) * 17;
      if (next(2) === 0) this.#pool.put(oid, index, this.#noise.subarray(0, 1 + next(PAGE_BYTES)));
      else this.#pool.flushPage(oid, index);
    } else {
      this.#logged(draw);
    }
  }

  /** Reads every handle, for the end of a history. */
  readAll(): void {
    const { objects, indexes } = this.#plan.handles;
    for (let handle = 0; handle < objects * indexes; handle++) this.#operate('keep', handle);
  }

  #logged(draw: keyof Mix): void {
    const { objects, indexes } = this.#plan.handles;
    this.#operate(draw, this.#next(objects * indexes));
  }

  #operate(draw: keyof Mix, handle: number): void {
    try {
      this.#perform(draw, handle);
    } catch (error) {
      if (!TmemError.is(error) || error.code !== 'TMEM_ERR_BUSY') throw error;
      this.#log.end(RESULT.unknown);
    }
  }

  #perform(draw: keyof Mix, handle: number): void {
    const { indexes } = this.#plan.handles;
    const log = this.#log;
    const pool = this.#pool;
    const object = Math.floor(handle / indexes);
    const oid = this.#oids[object]!;
    const index = INDEXES[handle % indexes]!;
    const id = this.#sequence++ * THREADS + this.#thread;
    switch (draw) {
      case 'put': {
        const page = this.#stamper.make(id, handle);
        log.begin(KIND.put, handle, id);
        log.end(pool.put(oid, index, page) === 'stored' ? RESULT.yes : RESULT.no);
        break;
      }
      case 'keep':
        log.begin(KIND.keep, handle);
        this.#saw(handle, pool.getAndKeep(oid, index, this.#out));
        break;
      case 'free':
        log.begin(KIND.free, handle);
        this.#saw(handle, pool.getAndFree(oid, index, this.#out));
        break;
      case 'flushPage':
        log.begin(KIND.flushPage, handle);
        log.end(pool.flushPage(oid, index) ? RESULT.yes : RESULT.no);
        break;
      case 'flushObject':
        log.begin(KIND.flushObject, object);
        log.end(pool.flushObject(oid) > 0 ? RESULT.yes : RESULT.no);
        break;
      case 'flushPool':
        log.begin(KIND.flushPool, 0);
        pool.flush();
        log.end(RESULT.yes);
        break;
      case 'exchange': {
        const page = this.#stamper.make(id, handle);
        log.begin(KIND.exchange, handle, id);
        const { length, outcome } = pool.exchange(oid, index, page, this.#out);
        this.#saw(handle, length, outcome === 'stored');
        break;
      }
      case 'writeAt': {
        const patch = this.#stamper.makePatch(id);
        log.begin(KIND.writeAt, handle, id);
        const outcome = pool.writeAt(oid, index, PATCH_OFFSET, patch);
        log.end(outcome === 'miss' ? RESULT.miss : outcome === 'stored' ? RESULT.yes : RESULT.no);
        break;
      }
      case 'readAt': {
        log.begin(KIND.readAt, handle);
        const bytes = pool.readAt(oid, index, PATCH_OFFSET, this.#out.subarray(0, 8));
        if (bytes >= 0 && bytes !== 8) throw new Error(`read at gave ${bytes} bytes of a longer page`);
        if (bytes < 0) log.end(RESULT.no);
        else log.end(RESULT.yes, 0, this.#stamper.readPatch(this.#out));
        break;
      }
      default:
        throw new Error(`no such operation: ${draw}`);
    }
  }

  /** Notes what a get or exchange saw; `yes` is the result of the part of an exchange that is a put. */
  #saw(handle: number, length: number, yes = length > 0): void {
    const result = yes ? RESULT.yes : RESULT.no;
    const seen = length === 0 ? undefined : this.#stamper.read(this.#out.subarray(0, length), handle);
    this.#log.end(result, seen?.id, seen?.patch);
  }

  /** What fell out of the checked pool is whole, and of one of its handles. */
  checkColdPages(): number {
    const { objects, indexes } = this.#plan.handles;
    let found = 0;
    for (let handle = 0; handle < objects * indexes; handle++) {
      const oid = this.#oids[Math.floor(handle / indexes)]!;
      const length = this.#cold!.get(oid, INDEXES[handle % indexes]!, this.#out);
      if (length === 0) continue;
      this.#stamper.read(this.#out.subarray(0, length), handle);
      found++;
    }
    return found;
  }
}
