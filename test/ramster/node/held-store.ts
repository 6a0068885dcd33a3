// A remote store that a test holds in its hands: what it says of itself, what it answers, and when.
import { nodeNumber } from '../../../src/ramster/place.ts';
import {
  type HeldPage,
  RemoteError,
  type RemoteState,
  type RemoteStore,
  type TravellingPage,
} from '../../../src/ramster/remote-store/remote-store.ts';

/** What is done with a call; 'lost': the answer to it gets lost, 'fails': nothing was done. */
export type Answers = 'yes' | 'full' | 'lost' | 'fails' | 'never';

interface Kept {
  readonly pool: number;
  readonly kind: TravellingPage['kind'];
  bytes: Uint8Array;
}

const FREE_BYTES = 2 ** 30;

export class HeldStore implements RemoteStore {
  readonly name: string;
  readonly node: number;
  memory: number | undefined = 1;
  state: RemoteState = 'up';
  draining = false;
  freeBytes = FREE_BYTES;
  latencyMs = 1;
  /** How puts, gets, frees and lists are answered. */
  puts: Answers = 'yes';
  gets: Answers = 'yes';
  frees: Answers = 'yes';
  lists: Answers = 'yes';
  /** Runs before a call is answered: there a test changes what it likes. */
  before: (call: 'put' | 'get' | 'free' | 'list', id?: number) => void | Promise<void> = () => {};
  /** By page id. */
  readonly pages = new Map<number, Kept>();
  readonly calls: string[] = [];
  listMost = 1000;

  constructor(name: string) {
    this.name = name;
    this.node = nodeNumber(name);
  }

  get place(): { node: number; memory: number } {
    return { node: this.node, memory: this.memory as number };
  }

  /** Comes back empty. */
  lose(): void {
    this.pages.clear();
    this.memory = (this.memory ?? 0) + 1;
  }

  async put({ pool, kind, id, bytes }: TravellingPage): Promise<'stored' | 'full' | 'refused'> {
    this.calls.push(`put ${id}`);
    const copy = bytes.slice();
    await this.before('put', id);
    if (this.puts === 'full') return 'full';
    return this.#answer(this.puts, () => {
      this.pages.set(id, { pool, kind, bytes: copy });
      return 'stored';
    });
  }

  async get(_pool: number, id: number, free: boolean): Promise<Uint8Array | undefined> {
    this.calls.push(`get ${id}`);
    await this.before('get', id);
    return this.#answer(this.gets, () => {
      const kept = this.pages.get(id);
      if (free) this.pages.delete(id);
      return kept?.bytes.slice();
    });
  }

  async free(pages: readonly HeldPage[]): Promise<void> {
    this.calls.push(`free ${pages.map(({ id }) => id).join(' ')}`);
    await this.before('free');
    return this.#answer(this.frees, () => {
      for (const { id } of pages) this.pages.delete(id);
    });
  }

  async destroyPool(pool: number): Promise<void> {
    this.calls.push(`destroyPool ${pool}`);
    return this.#answer(this.frees, () => {
      for (const [id, kept] of this.pages) if (kept.pool === pool) this.pages.delete(id);
    });
  }

  async list(cursor: Uint8Array | undefined) {
    this.calls.push('list');
    const after = cursor === undefined ? 0 : Buffer.from(cursor).readDoubleLE(0);
    await this.before('list');
    return this.#answer(this.lists, () => {
      const ids = [...this.pages.keys()].filter((id) => id > after).sort((a, b) => a - b);
      const part = ids.slice(0, this.listMost);
      const next = Buffer.alloc(8);
      next.writeDoubleLE(part.at(-1) ?? 0);
      return {
        pages: part.map((id) => ({ pool: (this.pages.get(id) as Kept).pool, id })),
        next: part.length < ids.length ? new Uint8Array(next) : undefined,
      };
    });
  }

  #answer<Result>(how: Answers, act: () => Result): Promise<Result> {
    if (how === 'never') return new Promise(() => {});
    if (how === 'fails') return Promise.reject(new RemoteError(`${this.name}: not connected`));
    const result = act();
    if (how === 'lost') return Promise.reject(new RemoteError(`${this.name}: no answer`));
    return Promise.resolve(result);
  }
}
