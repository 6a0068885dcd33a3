// What the processes of a run share beside the store: a clock, the logs of what each thread did, and counters. A file
// mapped under a WebAssembly memory, so that every word written is there however its writer ends.
//
//   control words | durations of recoveries, microseconds | for each lane: its lives, its records
//
// A lane is one thread at a time: who dies is followed by another in the same lane. A life is {first record, tick at
// which it was surely over (0 = not yet)}; its records follow those of the life before.

import { closeSync, ftruncateSync, openSync } from 'node:fs';
import { libc } from '../../src/arena/libc.ts';
import { RECORD_WORDS, tick } from '../threads/operation-log.ts';
import { AIMS } from './aims.ts';

/** The history checker knows so many threads. */
export const LANES = 8;
/** Operations a lane logs in a round; ids of pages are record * LANES + lane + a base, below 2^20 (stamped-page.ts). */
export const RECORDS = 65_536;
const LIVES = 2000;
const DURATIONS = 16_384;

const WORD = {
  clock: 0,
  stop: 1,
  recoveries: 2,
  durations: 3,
  longestUs: 4,
  busy: 5,
  workerKills: 6,
  unlogged: 7,
  notices: 8,
  longestNoticeUs: 9,
  /** One for each aim: how often a process ended itself there; what the longest such call had to offer. */
  aimed: 16,
  accesses: 16 + AIMS.length,
} as const;
const CONTROL_WORDS = 64;
const LIFE_WORDS = 2;
/** Number of lives, and a word that changes as long as the thread gets on; 0 before it does. */
const LANE_HEADER_WORDS = 2;
const LANE_WORDS = LANE_HEADER_WORDS + LIVES * LIFE_WORDS + RECORDS * RECORD_WORDS;
const WASM_PAGE_BYTES = 65_536;
const BYTES =
  Math.ceil(((CONTROL_WORDS + DURATIONS + LANES * LANE_WORDS) * 4) / WASM_PAGE_BYTES) * WASM_PAGE_BYTES;

export interface Life {
  readonly words: Int32Array;
  readonly over: number;
}

export class SharedArea {
  readonly memory: WebAssembly.Memory;
  /** Word 0 is a clock that gives each event of the round its own tick. */
  readonly clock: Int32Array;
  readonly #words: Int32Array;

  /** A view of an area that this process has mapped. */
  constructor(memory: WebAssembly.Memory) {
    this.memory = memory;
    this.#words = new Int32Array(memory.buffer);
    this.clock = this.#words.subarray(WORD.clock, 1);
  }

  /** Makes the file at `path`, with all its memory, or attaches to it. */
  static map(path: string, isNew: boolean): SharedArea {
    const pages = BYTES / WASM_PAGE_BYTES;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    const calls = libc();
    const descriptor = openSync(path, isNew ? 'wx+' : 'r+', 0o600);
    try {
      if (isNew) {
        ftruncateSync(descriptor, BYTES);
        if (calls.allocate(descriptor, 0, BYTES) !== 0) throw new Error(`no room for ${BYTES} bytes of logs`);
      }
      const buffer = memory.buffer as unknown as SharedArrayBuffer;
      if (!calls.map(calls.addressOf(buffer), BYTES, descriptor, 0, false))
        throw new Error('cannot map the logs');
    } finally {
      closeSync(descriptor);
    }
    return new SharedArea(memory);
  }

  /** Forgets the round; nobody may be writing. */
  clear(): void {
    const accesses = AIMS.map((_, aim) => this.accesses(aim));
    this.#words.fill(0);
    for (const [aim, count] of accesses.entries()) this.noteAccesses(aim, count);
  }

  get isStopped(): boolean {
    return Atomics.load(this.#words, WORD.stop) !== 0;
  }

  stop(): void {
    Atomics.store(this.#words, WORD.stop, 1);
  }

  get recoveries(): number {
    return Atomics.load(this.#words, WORD.recoveries);
  }

  /** A recovery by this thread is done; `durationUs` undefined when it was slowed down. */
  noteRecovery(durationUs: number | undefined): void {
    Atomics.add(this.#words, WORD.recoveries, 1);
    if (durationUs === undefined) return;
    const at = Atomics.add(this.#words, WORD.durations, 1);
    if (at < DURATIONS) this.#words[CONTROL_WORDS + at] = durationUs;
  }

  /** Durations of recoveries, in microseconds. */
  durationsUs(): number[] {
    const count = Math.min(Atomics.load(this.#words, WORD.durations), DURATIONS);
    return [...this.#words.subarray(CONTROL_WORDS, CONTROL_WORDS + count)];
  }

  get longestUs(): number {
    return Atomics.load(this.#words, WORD.longestUs);
  }

  noteOperation(durationUs: number): void {
    raise(this.#words, WORD.longestUs, durationUs);
  }

  /** Times somebody ran into what a dead thread held, and the longest until it was noticed. */
  get notices(): { count: number; longestUs: number } {
    return {
      count: Atomics.load(this.#words, WORD.notices),
      longestUs: Atomics.load(this.#words, WORD.longestNoticeUs),
    };
  }

  noteNotice(durationUs: number): void {
    Atomics.add(this.#words, WORD.notices, 1);
    raise(this.#words, WORD.longestNoticeUs, durationUs);
  }

  get busy(): number {
    return Atomics.load(this.#words, WORD.busy);
  }

  /** An operation did not end in the store's time. */
  noteBusy(): void {
    Atomics.add(this.#words, WORD.busy, 1);
  }

  get workerKills(): number {
    return Atomics.load(this.#words, WORD.workerKills);
  }

  noteWorkerKill(): void {
    Atomics.add(this.#words, WORD.workerKills, 1);
  }

  get unlogged(): number {
    return Atomics.load(this.#words, WORD.unlogged);
  }

  noteUnlogged(operations: number): void {
    Atomics.add(this.#words, WORD.unlogged, operations);
  }

  aimed(aim: number): number {
    return Atomics.load(this.#words, WORD.aimed + aim);
  }

  noteAimed(aim: number): void {
    Atomics.add(this.#words, WORD.aimed + aim, 1);
  }

  /** Most accesses seen in one call that an aim is at. */
  accesses(aim: number): number {
    return Atomics.load(this.#words, WORD.accesses + aim);
  }

  noteAccesses(aim: number, accesses: number): void {
    raise(this.#words, WORD.accesses + aim, accesses);
  }

  #lane(lane: number): number {
    return CONTROL_WORDS + DURATIONS + lane * LANE_WORDS;
  }

  #recordsOf(lane: number): Int32Array {
    const from = this.#lane(lane) + LANE_HEADER_WORDS + LIVES * LIFE_WORDS;
    return this.#words.subarray(from, from + RECORDS * RECORD_WORDS);
  }

  /** Records of a lane: the first so many. */
  recordCount(lane: number): number {
    const records = this.#recordsOf(lane);
    let from = 0;
    let end = RECORDS;
    while (from < end) {
      const middle = (from + end) >>> 1;
      if (records[middle * RECORD_WORDS] !== 0) from = middle + 1;
      else end = middle;
    }
    return from;
  }

  /** Begins a life; where its records go, and how many there were before. Undefined when there is no room for more. */
  beginLife(lane: number): { words: Int32Array; first: number } | undefined {
    const header = this.#lane(lane);
    const lives = this.#words[header]!;
    const first = this.recordCount(lane);
    if (lives === LIVES || first === RECORDS) return undefined;
    this.#words[header + LANE_HEADER_WORDS + lives * LIFE_WORDS] = first;
    Atomics.store(this.#words, header, lives + 1);
    return { words: this.#recordsOf(lane).subarray(first * RECORD_WORDS), first };
  }

  /** The thread in a lane gets on. */
  beat(lane: number): void {
    Atomics.add(this.#words, this.#lane(lane) + 1, 1);
  }

  /** How often; 0 = it did not begin yet. */
  beats(lane: number): number {
    return Atomics.load(this.#words, this.#lane(lane) + 1);
  }

  /** The thread in a lane is gone, and all it did is done. */
  endLife(lane: number): void {
    const header = this.#lane(lane);
    Atomics.store(this.#words, header + 1, 0);
    const lives = Atomics.load(this.#words, header);
    if (lives === 0) return;
    const over = header + LANE_HEADER_WORDS + (lives - 1) * LIFE_WORDS + 1;
    if (this.#words[over] === 0) this.#words[over] = tick(this.clock);
  }

  /** All lives of a lane; those that are not over are taken to be over now. */
  livesOf(lane: number): Life[] {
    const header = this.#lane(lane);
    const all = this.#recordsOf(lane);
    const word = (life: number, offset: number) =>
      this.#words[header + LANE_HEADER_WORDS + life * LIFE_WORDS + offset]!;
    const lives = this.#words[header]!;
    return Array.from({ length: lives }, (_, life) => {
      const end = life + 1 < lives ? word(life + 1, 0) : this.recordCount(lane);
      return {
        words: all.subarray(word(life, 0) * RECORD_WORDS, end * RECORD_WORDS),
        over: word(life, 1) || tick(this.clock),
      };
    });
  }
}

function raise(words: Int32Array, at: number, value: number): void {
  for (let seen = Atomics.load(words, at); value > seen; ) {
    const found = Atomics.compareExchange(words, at, seen, value);
    if (found === seen) return;
    seen = found;
  }
}
