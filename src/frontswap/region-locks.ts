/**
 * Locks on the slots of a swap area, for all threads that serve it.
 *
 *   slot -> region of 64 slots -> one of 4096 words:   0 free | 1 held | 2 held, and somebody waits
 *
 * Whoever changes a slot, in the store or on the device, holds its region: then a page that is merged, written back or
 * dropped cannot be overtaken by another one. Who only reads takes no lock. A holder keeps one region at a time, so
 * there is no deadlock; regions that share a word only wait for each other.
 *
 * Within a thread those who wait are served first come first served, and nobody passes them. A thread that ends while
 * it holds a region leaves it held: a process that loses a serving thread has to be started again.
 */

/** 256 KiB: the largest request that block devices usually send needs one or two. */
export const REGION_SLOTS = 64;

/** Two threads at random places meet in a region once in thousands of requests. */
const WORDS = 4096;

const FREE = 0;
const HELD = 1;
const AWAITED = 2;

export class RegionLocks {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array<SharedArrayBuffer>;
  /** The last of this thread's waiters for each word that has some. */
  readonly #waiting = new Map<number, Promise<void>>();

  /** Over the memory of another thread's locks, or over new memory: then all are free. */
  constructor(memory?: SharedArrayBuffer) {
    this.memory = memory ?? new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT);
    this.#words = new Int32Array(this.memory);
  }

  /** Takes a region if it is free and nobody waits for it. */
  tryAcquire(region: number): boolean {
    const word = region % WORDS;
    if (this.#waiting.size > 0 && this.#waiting.has(word)) return false;
    return Atomics.compareExchange(this.#words, word, FREE, HELD) === FREE;
  }

  /** Takes a region as soon as it is this caller's turn. */
  async acquire(region: number): Promise<void> {
    const word = region % WORDS;
    const before = this.#waiting.get(word);
    const taken = before === undefined ? this.#take(word) : before.then(() => this.#take(word));
    this.#waiting.set(word, taken);
    await taken;
    if (this.#waiting.get(word) === taken) this.#waiting.delete(word);
  }

  release(region: number): void {
    const word = region % WORDS;
    if (Atomics.exchange(this.#words, word, FREE) === AWAITED) Atomics.notify(this.#words, word, 1);
  }

  /** Ends when whoever holds a region now has released it. */
  async drain(): Promise<void> {
    for (let word = 0; word < WORDS; word++) {
      if (!this.tryAcquire(word)) await this.acquire(word);
      this.release(word);
    }
  }

  async #take(word: number): Promise<void> {
    // It is left as awaited also when nobody else waits: that costs the release one needless wake.
    while (Atomics.exchange(this.#words, word, AWAITED) !== FREE) {
      const { async: isAsync, value } = Atomics.waitAsync(this.#words, word, AWAITED);
      if (isAsync) await value;
    }
  }
}
