/**
 * The frames of an arena that were not used for the longest time, of some kinds and clients, oldest first.
 *
 * The frame table is read as it is, without a lock, so what comes of it is a proposal: who uses it looks again. A batch
 * takes one pass over the table (8 bytes a frame) and some over what was found there. Each begins where the last one
 * ended, in the order of use, so that frames of which nothing was wanted hide nothing behind them; only then it begins
 * with the oldest again.
 */

import type { Arena } from '../arena/index.ts';

/** Frames chosen in one go. */
const BATCH = 1024;
/** Frames of about the same age that may be sorted; more are told apart first. */
const SORTED_MAX = 3 * BATCH;
const BUCKET_BITS = 10;
const BUCKETS = 2 ** BUCKET_BITS;
/** Of an age. */
const BITS = 32;
const KIND_MASK = 15;
const CLIENT_SHIFT = 16;
/** Of arena/pam/raw.ts: the use stamp of a raw page is in its cell. */
const RAW_CELL_STAMP = 20;
/** Stamps further behind the clock than this are ahead of it: used since the clock was read. */
const AGE_MAX = 0x7fff_ffff;

interface Chosen {
  readonly frame: number;
  readonly stamp: number;
}

/** Frames and, at the same places, their ages: frames handed out since they were used. */
interface Candidates {
  readonly frames: Uint32Array;
  readonly ages: Uint32Array;
}

export class ColdFrames {
  readonly #arena: Arena;
  /** By kind: 1 = wanted. */
  readonly #isWanted = new Uint8Array(KIND_MASK + 1);
  readonly #isRaw = new Uint8Array(KIND_MASK + 1);
  /** By client id: 1 = its frames may be chosen. */
  #isAllowed: Uint8Array = new Uint8Array(0);
  #batch: readonly Chosen[] = [];
  #next = 0;
  /** Undefined: begin with the oldest. */
  #last: Chosen | undefined;

  /** @param kinds - kinds of frames that may be chosen */
  constructor(arena: Arena, kinds: readonly number[]) {
    this.#arena = arena;
    for (const kind of kinds) this.#isWanted[kind] = 1;
    for (const kind of [arena.layout.KIND_RAW_EPH, arena.layout.KIND_RAW_PERS]) this.#isRaw[kind] = 1;
  }

  /** The next frame of the batch; undefined: it is used up. Frames that were used or changed hands since are passed. */
  next(): number | undefined {
    while (this.#next < this.#batch.length) {
      this.#last = this.#batch[this.#next++] as Chosen;
      if (this.#stampOf(this.#last.frame) === this.#last.stamp) return this.#last.frame;
    }
    return undefined;
  }

  /** Chooses the next batch of frames of these clients (by id); false when there are none behind the last one. */
  refill(isAllowed: Uint8Array): boolean {
    this.#isAllowed = isAllowed;
    const clock = this.#arena.word(this.#arena.layout.H_CLOCK);
    const found = this.#candidates(clock);
    this.#batch = oldest(found).map(({ frame, age }) => ({ frame, stamp: (clock - age) >>> 0 }));
    this.#next = 0;
    return this.#batch.length > 0;
  }

  /** Begins with the oldest again. */
  rewind(): void {
    this.#last = undefined;
  }

  /** Those behind the last one. All of the table is passed: everything it needs is at hand. */
  #candidates(clock: number): Candidates {
    const { words, layout } = this.#arena;
    const isChosen = this.#choice();
    const table = words[layout.H_FRAME_TABLE >>> 2] >>> 2;
    const end = words[layout.H_LAST_FRAME >>> 2];
    const frames = new Uint32Array(end);
    const ages = new Uint32Array(end);
    const last = this.#last;
    const lastAge = last === undefined ? AGE_MAX + 1 : ageAt(clock, last.stamp);
    const lastFrame = last === undefined ? 0 : last.frame;
    let count = 0;
    for (let frame = words[layout.H_FIRST_FRAME >>> 2]; frame < end; frame++) {
      const stamp = stampAt(words, table + 2 * frame, isChosen);
      if (stamp < 0) continue;
      const age = ageAt(clock, stamp);
      if (age > lastAge || (age === lastAge && frame <= lastFrame)) continue;
      frames[count] = frame;
      ages[count++] = age;
    }
    return { frames: frames.subarray(0, count), ages: ages.subarray(0, count) };
  }

  /** Use stamp of a frame that may be chosen; -1 of any other. */
  #stampOf(frame: number): number {
    const { words, layout } = this.#arena;
    return stampAt(words, (words[layout.H_FRAME_TABLE >>> 2] >>> 2) + 2 * frame, this.#choice());
  }

  #choice(): Choice {
    return { isWanted: this.#isWanted, isRaw: this.#isRaw, isAllowed: this.#isAllowed };
  }
}

interface Choice {
  readonly isWanted: Uint8Array;
  readonly isRaw: Uint8Array;
  readonly isAllowed: Uint8Array;
}

/** `at`: place of the table's entry among the words. */
function stampAt(words: Uint32Array, at: number, { isWanted, isRaw, isAllowed }: Choice): number {
  const entry = words[at];
  const kind = entry & KIND_MASK;
  if (isWanted[kind] === 0 || isAllowed[entry >>> CLIENT_SHIFT] !== 1) return -1;
  const second = words[at + 1];
  if (isRaw[kind] === 0) return second;
  // No cell: the frame is being freed. One that was overwritten may lie anywhere.
  const stampOfCell = (second + RAW_CELL_STAMP) >>> 2;
  return second === 0 || stampOfCell >= words.length ? -1 : words[stampOfCell];
}

function ageAt(clock: number, stamp: number): number {
  const age = (clock - stamp) >>> 0;
  return age > AGE_MAX ? 0 : age;
}

/** The BATCH oldest, in order of age and then of frame. */
function oldest({ frames, ages }: Candidates): { frame: number; age: number }[] {
  const least = leastAge(ages);
  const chosen: { frame: number; age: number }[] = [];
  let ofLeastAge = 0;
  for (let i = 0; i < ages.length; i++) {
    const age = ages[i];
    if (age < least || (age === least && ofLeastAge++ >= BATCH)) continue;
    chosen.push({ frame: frames[i], age });
  }
  return chosen.sort((a, b) => b.age - a.age || a.frame - b.frame).slice(0, BATCH);
}

/** An age that at least BATCH frames have (or all, if there are fewer), and not many more are above it. */
function leastAge(ages: Uint32Array): number {
  if (ages.length <= SORTED_MAX) return 0;
  let low = AGE_MAX;
  let high = 0;
  for (let i = 0; i < ages.length; i++) {
    if (ages[i] < low) low = ages[i];
    if (ages[i] > high) high = ages[i];
  }
  const counts = new Uint32Array(BUCKETS);
  // Each round looks into one of a thousand parts of the last one's range, so four are enough.
  for (let wanted = BATCH; ; ) {
    const shift = Math.max(0, BITS - Math.clz32(high - low) - BUCKET_BITS);
    counts.fill(0);
    for (let i = 0; i < ages.length; i++) {
      if (ages[i] >= low && ages[i] <= high) counts[(ages[i] - low) >>> shift]++;
    }
    let bucket = BUCKETS - 1;
    for (; bucket > 0 && counts[bucket] < wanted; bucket--) wanted -= counts[bucket];
    low += bucket << shift;
    if (shift === 0 || counts[bucket] <= SORTED_MAX) return low;
    high = Math.min(high, low + (1 << shift) - 1);
  }
}
