/**
 * The two bitmaps of a swap area, one bit a slot each: accepted (the store has the page) and dirty (newer than the
 * device).
 *
 *   header | d a | d a | d a | ...                    | for each block of 4096 slots: accepted, dirty
 *            16 slots in a 32-bit word, the lowest first
 *
 * Both bits of a slot lie in one word, so that they change in one atomic step: a page may be dropped only if it is
 * clean at that very moment. `dirty` without `accepted` means nothing by itself, so it marks a page on its way out
 * (MOVING): not to be loaded, and stores are refused until it has gone.
 *
 * Looking for slots passes over blocks that have none, tens of nanoseconds each: an area of 1 TiB has 65,536. A block's
 * counts are never too low: they are raised before a slot changes and lowered after.
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

/** Counts of a block. */
const ACCEPTED_COUNT = 0;
const DIRTY_COUNT = 1;
const COUNTS = 2;

/** Header words: whether the area takes stores, and how many slots are accepted. */
const ALIVE = 0;
const PAGES = 1;
const HEADER_WORDS = 16; // a cache line: the count is written by every thread, the bits beside it should not suffer

/** A word whose slots are all dirty. */
const ALL_DIRTY = ~0;

const ACCEPTED_BITS = 0x5555_5555;
const DIRTY_BITS = ~ACCEPTED_BITS;

export class SlotMap {
  readonly memory: SharedArrayBuffer;
  readonly slots: number;
  readonly #words: Int32Array;
  /** Word of the first block's counts. */
  readonly #counts: number;

  /** Over shared memory of another thread's map, or over new memory: then all slots are empty. */
  constructor(slots: number, memory?: SharedArrayBuffer) {
    this.#counts = HEADER_WORDS + Math.ceil(slots / SLOTS_A_WORD);
    const words = this.#counts + Math.ceil(slots / SLOTS_A_BLOCK) * COUNTS;
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

  /** Makes all slots from `from` to before `end` dirty, whatever they are, sixteen at a time. */
  setDirty(from: number, end: number): void {
    let slot = from;
    for (; slot < end && slot % SLOTS_A_WORD !== 0; slot++) this.set(slot, DIRTY);
    for (; slot + SLOTS_A_WORD <= end; slot += SLOTS_A_WORD) this.#setWordDirty(slot);
    for (; slot < end; slot++) this.set(slot, DIRTY);
  }

  #setWordDirty(slot: number): void {
    const words = this.#words;
    const word = wordOf(slot);
    const counts = this.#countsOf(slot);
    // Bounded as in #swap.
    for (let seen = Atomics.load(words, word); seen !== ALL_DIRTY; ) {
      const accepted = SLOTS_A_WORD - ones(seen & ACCEPTED_BITS);
      const dirty = SLOTS_A_WORD - ones(seen & (seen >>> 1) & ACCEPTED_BITS);
      Atomics.add(words, counts + ACCEPTED_COUNT, accepted);
      Atomics.add(words, counts + DIRTY_COUNT, dirty);
      const found = Atomics.compareExchange(words, word, seen, ALL_DIRTY);
      if (found === seen) {
        Atomics.add(words, PAGES, accepted);
        return;
      }
      Atomics.sub(words, counts + ACCEPTED_COUNT, accepted);
      Atomics.sub(words, counts + DIRTY_COUNT, dirty);
      seen = found;
    }
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
    return this.#next(from, end, ACCEPTED_COUNT, ACCEPTED_BITS, isAccepted);
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
    return this.#next(from, end, ACCEPTED_COUNT, ACCEPTED_BITS, (state) => state === CLEAN);
  }

  nextDirty(from: number, end = this.slots): number {
    return this.#next(from, end, DIRTY_COUNT, DIRTY_BITS, (state) => state === DIRTY);
  }

  /** The state found; `to` was written if that was `from`, or if no `from` is asked for. */
  #swap(slot: number, from: SlotState | undefined, to: SlotState): SlotState {
    const word = wordOf(slot);
    const shift = shiftOf(slot);
    let raisedFor: SlotState | undefined;
    // Bounded by other threads' progress: each turn that fails means that a slot of this word was changed.
    for (let seen = Atomics.load(this.#words, word); ; ) {
      const state = ((seen >>> shift) & 3) as SlotState;
      if (raisedFor !== undefined && raisedFor !== state) {
        this.#count(slot, raisedFor, to, -1);
        raisedFor = undefined;
      }
      if (state === to || (from !== undefined && state !== from)) return state;
      if (raisedFor === undefined) this.#count(slot, state, to, 1);
      raisedFor = state;
      const found = Atomics.compareExchange(this.#words, word, seen, (seen & ~(3 << shift)) | (to << shift));
      if (found === seen) {
        const change = (to & 1) - (state & 1);
        if (change !== 0) Atomics.add(this.#words, PAGES, change);
        this.#count(slot, to, state, -1);
        return state;
      }
      seen = found;
    }
  }

  /** Adds to the counts of what a slot is (or was) in state `to` and not in state `from`. */
  #count(slot: number, from: SlotState, to: SlotState, change: 1 | -1): void {
    const counts = this.#countsOf(slot);
    if (isAccepted(to) && !isAccepted(from)) Atomics.add(this.#words, counts + ACCEPTED_COUNT, change);
    if (to === DIRTY && from !== DIRTY) Atomics.add(this.#words, counts + DIRTY_COUNT, change);
  }

  #countsOf(slot: number): number {
    return this.#counts + Math.floor(slot / SLOTS_A_BLOCK) * COUNTS;
  }

  /** The first slot from `from` on, before `end`, that matches, in blocks whose count says that there may be one. */
  #next(
    from: number,
    end: number,
    count: number,
    bits: number,
    matches: (state: SlotState) => boolean,
  ): number {
    const words = this.#words;
    const blocks = Math.ceil(end / SLOTS_A_BLOCK);
    for (let block = Math.floor(from / SLOTS_A_BLOCK); block < blocks; block++) {
      // A plain read, several times as fast: what was counted before this call began is seen, more need not be.
      if (words[this.#counts + block * COUNTS + count] === 0) continue;
      const first = block * SLOTS_A_BLOCK;
      const found = this.#nextIn(Math.max(from, first), Math.min(end, first + SLOTS_A_BLOCK), bits, matches);
      if (found !== -1) return found;
    }
    return -1;
  }

  #nextIn(from: number, end: number, bits: number, matches: (state: SlotState) => boolean): number {
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

function isAccepted(state: SlotState): boolean {
  return (state & 1) !== 0;
}

/** Bits that are set. */
function ones(word: number): number {
  let count = 0;
  for (let bits = word; bits !== 0; bits &= bits - 1) count++;
  return count;
}

function wordOf(slot: number): number {
  return HEADER_WORDS + Math.floor(slot / SLOTS_A_WORD);
}

function shiftOf(slot: number): number {
  return (slot % SLOTS_A_WORD) * 2;
}
