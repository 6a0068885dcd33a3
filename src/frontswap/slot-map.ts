/**
 * The two bitmaps of a swap area, one bit a slot each: accepted (the store has the page) and dirty (newer than the
 * device).
 *
 *   header | d a | d a | d a | ... | dirty slots of each block of 4096
 *            16 slots in a 32-bit word, the lowest first
 *
 * Both bits of a slot lie in one word, so that they change in one atomic step: a page may be dropped only if it is
 * clean at that very moment. `dirty` without `accepted` means nothing by itself, so it marks a page on its way out
 * (MOVING): not to be loaded, and stores are refused until it has gone.
 *
 * Looking for dirty slots passes over whole blocks, so that an area of 1 TiB without any is looked through in tens of
 * microseconds. A block's count is never too low: it is raised before a slot becomes dirty and lowered after it was.
 *
 * The memory is shared: several threads of a process use one area. It is allocated whole, 2 bits a slot (16 MiB for
 * an area of 256 GiB), but the operating system gives a page of it only when a slot in it is first used.
 */

export const EMPTY = 0;
export const CLEAN = 1;
export const MOVING = 2;
export const DIRTY = 3;
export type SlotState = typeof EMPTY | typeof CLEAN | typeof MOVING | typeof DIRTY;

const SLOTS_A_WORD = 16;
const SLOTS_A_BLOCK = 4096;

/** Header words: whether the area takes stores, and how many slots are accepted. */
const ALIVE = 0;
const PAGES = 1;
const HEADER_WORDS = 16; // a cache line: the count is written by every thread, the bits beside it should not suffer

const ACCEPTED_BITS = 0x5555_5555;
const DIRTY_BITS = ~ACCEPTED_BITS;

export class SlotMap {
  readonly memory: SharedArrayBuffer;
  readonly slots: number;
  readonly #words: Int32Array;
  /** Word of the first block's count. */
  readonly #counts: number;

  /** Over shared memory of another thread's map, or over new memory: then all slots are empty. */
  constructor(slots: number, memory?: SharedArrayBuffer) {
    this.#counts = HEADER_WORDS + Math.ceil(slots / SLOTS_A_WORD);
    const words = this.#counts + Math.ceil(slots / SLOTS_A_BLOCK);
    this.slots = slots;
    this.memory = memory ?? new SharedArrayBuffer(words * Int32Array.BYTES_PER_ELEMENT);
    this.#words = new Int32Array(this.memory);
  }

  /** Whether the area takes stores: from its init until it is invalidated. */
  get alive(): boolean {
    return Atomics.load(this.#words, ALIVE) !== 0;
  }

  set alive(on: boolean) {
    Atomics.store(this.#words, ALIVE, on ? 1 : 0);
  }

  /** Accepted slots. */
  get pages(): number {
    return Atomics.load(this.#words, PAGES) >>> 0;
  }

  get(slot: number): SlotState {
    return ((Atomics.load(this.#words, wordOf(slot)) >>> shiftOf(slot)) & 3) as SlotState;
  }

  /** Changes a slot if it is `from`; false if it is not (any more). */
  change(slot: number, from: SlotState, to: SlotState): boolean {
    return this.#swap(slot, from, to) === from;
  }

  /** Changes a slot whatever it is, and returns what it was. */
  set(slot: number, to: SlotState): SlotState {
    return this.#swap(slot, undefined, to);
  }

  /** Empties all slots. Only while nobody uses them. */
  clear(): void {
    // Reading what was never used takes no memory, writing it would.
    for (let word = HEADER_WORDS; word < this.#words.length; word++) {
      if (this.#words[word] !== 0) this.#words[word] = 0;
    }
    Atomics.store(this.#words, PAGES, 0);
  }

  /** The first slot from `from` on, before `end`, that is accepted; -1 if none is. */
  nextAccepted(from: number, end = this.slots): number {
    return this.#next(from, end, ACCEPTED_BITS, (state) => state === CLEAN || state === DIRTY);
  }

  /** The first slot from `from` on, before `end`, that is not accepted; `end` if all are. */
  nextUnaccepted(from: number, end = this.slots): number {
    let slot = from;
    while (slot < end) {
      const word = Atomics.load(this.#words, wordOf(slot));
      if ((word & ACCEPTED_BITS) === ACCEPTED_BITS) slot += SLOTS_A_WORD - (slot % SLOTS_A_WORD);
      else if (((word >>> shiftOf(slot)) & 1) === 0) return slot;
      else slot++;
    }
    return end;
  }

  nextClean(from: number, end = this.slots): number {
    return this.#next(from, end, ACCEPTED_BITS, (state) => state === CLEAN);
  }

  nextDirty(from: number, end = this.slots): number {
    for (let at = from; at < end; ) {
      const blockEnd = (Math.floor(at / SLOTS_A_BLOCK) + 1) * SLOTS_A_BLOCK;
      if (Atomics.load(this.#words, this.#countOf(at)) !== 0) {
        const found = this.#next(at, Math.min(end, blockEnd), DIRTY_BITS, (state) => state === DIRTY);
        if (found !== -1) return found;
      }
      at = blockEnd;
    }
    return -1;
  }

  /** The state found; `to` was written if that was `from`, or if no `from` is asked for. */
  #swap(slot: number, from: SlotState | undefined, to: SlotState): SlotState {
    const word = wordOf(slot);
    const shift = shiftOf(slot);
    let counted = false;
    // Bounded by other threads' progress: each turn that fails means that a slot of this word was changed.
    for (let seen = Atomics.load(this.#words, word); ; ) {
      const state = ((seen >>> shift) & 3) as SlotState;
      if (state === to || (from !== undefined && state !== from)) {
        if (counted) this.#count(slot, -1);
        return state;
      }
      if (to === DIRTY && !counted) {
        this.#count(slot, 1);
        counted = true;
      }
      const found = Atomics.compareExchange(this.#words, word, seen, (seen & ~(3 << shift)) | (to << shift));
      if (found === seen) {
        const change = (to & 1) - (state & 1);
        if (change !== 0) Atomics.add(this.#words, PAGES, change);
        if (state === DIRTY) this.#count(slot, -1);
        return state;
      }
      seen = found;
    }
  }

  #count(slot: number, dirty: number): void {
    Atomics.add(this.#words, this.#countOf(slot), dirty);
  }

  #countOf(slot: number): number {
    return this.#counts + Math.floor(slot / SLOTS_A_BLOCK);
  }

  #next(from: number, end: number, bits: number, matches: (state: SlotState) => boolean): number {
    let slot = from;
    while (slot < end) {
      const word = Atomics.load(this.#words, wordOf(slot));
      if ((word & bits) === 0) {
        slot += SLOTS_A_WORD - (slot % SLOTS_A_WORD);
      } else if (matches(((word >>> shiftOf(slot)) & 3) as SlotState)) {
        return slot;
      } else {
        slot++;
      }
    }
    return -1;
  }
}

function wordOf(slot: number): number {
  return HEADER_WORDS + Math.floor(slot / SLOTS_A_WORD);
}

function shiftOf(slot: number): number {
  return (slot % SLOTS_A_WORD) * 2;
}
