// Pages beside the checked ones, that nobody logs: they fill the store, so that pages are evicted and puts refused, and
// change the trees that the checked pages are in. Each says itself which page it is, in every byte.

import { type Client, Oid, type Pool, type Store } from '../../src/index.ts';
import { PAGE_BYTES, PageStamper } from '../threads/stamped-page.ts';
import { ARCHIVE, type BESIDE, CHECKED, COLD, HANDLES, HANDLES_A_POOL, INDEXES, PRESSURE } from './scenes.ts';

const IDS = 2 ** 20;
const NEIGHBOURS = 120;
const NEIGHBOUR_FIRST = 1000;
const NEIGHBOUR_STEP = 17;
const ARCHIVE_OBJECT_PAGES = 50;
const SHRINK_FRAMES_MAX = 24;
const GIVE_BACK_FRAMES_MAX = 64;
/** Where the numbers of these pages begin, above those of the handles that are checked. */
const NUMBER = { neighbour: 1_000_000, pressure: 2_000_000, archive: 3_000_000 };

export type BesideDraw = Exclude<keyof typeof BESIDE, 'destroy'>;

/** The oid of an object of a checked pool. */
export function oidOf(object: number): Oid {
  return Oid.fromNumbers(object, 7, object * 3);
}

/** The pages that are put once and have to be there for ever. */
export class Archive {
  readonly #pool: Pool;
  readonly #stamper = new PageStamper(true);
  readonly #out = new Uint8Array(PAGE_BYTES);

  constructor(store: Store) {
    this.#pool = store.client(ARCHIVE.client).pool(ARCHIVE.name, ARCHIVE.options);
  }

  #oid(page: number): Oid {
    return Oid.fromNumbers(Math.floor(page / ARCHIVE_OBJECT_PAGES), 11);
  }

  /** How many pages were stored. */
  fill(): number {
    let stored = 0;
    for (let page = 0; page < ARCHIVE.pages; page++) {
      const bytes = this.#stamper.make(page + 1, NUMBER.archive + page);
      if (this.#pool.put(this.#oid(page), page % ARCHIVE_OBJECT_PAGES, bytes) === 'stored') stored++;
    }
    return stored;
  }

  /** @throws when a page is not what it was */
  check(page: number): void {
    const length = this.#pool.getAndKeep(this.#oid(page), page % ARCHIVE_OBJECT_PAGES, this.#out);
    if (length === 0) throw new Error(`lost: persistent page ${page} of the archive`);
    this.#stamper.read(this.#out.subarray(0, length), NUMBER.archive + page);
  }
}

export class Beside {
  /** So far. */
  operations = 0;
  readonly #store: Store;
  readonly #kept: Pool;
  readonly #cold: Pool;
  readonly #pressure: Pool;
  readonly #archive: Archive | undefined;
  readonly #next: (below: number) => number;
  readonly #stamper = new PageStamper(true);
  /** Of the pool that demotes, which has pages of all kinds. */
  readonly #coldStamper = new PageStamper(false);
  readonly #out = new Uint8Array(PAGE_BYTES);

  constructor(store: Store, client: Client, hasArchive: boolean, next: (below: number) => number) {
    this.#store = store;
    this.#next = next;
    this.#kept = client.pool(CHECKED[0]!.name, CHECKED[0]!.options);
    this.#cold = client.pool(COLD.name, COLD.options);
    this.#pressure = store.client(PRESSURE.client).pool(PRESSURE.name, PRESSURE.options);
    if (hasArchive) this.#archive = new Archive(store);
  }

  step(draw: BesideDraw): void {
    this.operations++;
    const next = this.#next;
    switch (draw) {
      case 'pressure': {
        const page = next(PRESSURE.objects * PRESSURE.indexes);
        const oid = Oid.fromNumbers(Math.floor(page / PRESSURE.indexes), 13);
        this.#touch(this.#pressure, oid, page % PRESSURE.indexes, NUMBER.pressure + page, 5);
        break;
      }
      case 'neighbour': {
        const object = next(HANDLES.objects);
        const n = next(NEIGHBOURS);
        const number = NUMBER.neighbour + object * NEIGHBOURS + n;
        this.#touch(this.#kept, oidOf(object), NEIGHBOUR_FIRST + n * NEIGHBOUR_STEP, number, 3);
        break;
      }
      case 'archive':
        this.#archive?.check(next(ARCHIVE.pages));
        break;
      case 'cold':
        this.#lookInCold();
        break;
      case 'walk':
        this.#walk();
        break;
      case 'stats':
        this.#store.stats();
        break;
      case 'shrink':
        this.#store.shrink(1 + next(SHRINK_FRAMES_MAX));
        break;
      default:
        this.#store.giveBack(1 + next(GIVE_BACK_FRAMES_MAX));
    }
  }

  /** Puts a page, mostly (`puts` times of so many and two), or looks whether it is whole, or flushes it. */
  #touch(pool: Pool, oid: Oid, index: number, number: number, puts: number): void {
    const draw = this.#next(puts + 2);
    if (draw < puts) {
      pool.put(oid, index, this.#stamper.make(this.#next(IDS), number));
    } else if (draw === puts) {
      const length = pool.getAndKeep(oid, index, this.#out);
      if (length > 0) this.#stamper.read(this.#out.subarray(0, length), number);
    } else {
      pool.flushPage(oid, index);
    }
  }

  /** What fell out of the pool that demotes is whole, and of one of its handles. */
  #lookInCold(): void {
    const within = this.#next(HANDLES_A_POOL);
    const index = INDEXES[within % HANDLES.indexes]!;
    const length = this.#cold.get(oidOf(Math.floor(within / HANDLES.indexes)), index, this.#out);
    if (length === 0) return;
    const first = CHECKED.findIndex(({ demotes }) => demotes) * HANDLES_A_POOL;
    this.#coldStamper.read(this.#out.subarray(0, length), first + within);
  }

  /** A walk meets no handle twice, while others change the pool. */
  #walk(): void {
    const seen = new Set<string>();
    for (const { oid, index } of this.#kept.walk()) {
      const handle = `${oid} ${index}`;
      if (seen.has(handle)) throw new Error(`a walk of pool kept met ${handle} twice`);
      seen.add(handle);
    }
  }
}
