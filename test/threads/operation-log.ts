// What a thread did, written as it goes to shared memory: it can be read after the thread was killed.
//
//   a record of 8 u32: 0 start tick | 1 end tick, 0 = did not end | 2 kind | 3 handle, or object | 4 what was put
//                      5 result | 6 id seen | 7 patch seen

import { contradiction, type Effect, type HistoryRules, type Operation, PATCHES } from './history.ts';

export const RECORD_WORDS = 8;

export const KIND = {
  put: 1,
  keep: 2,
  free: 3,
  flushPage: 4,
  flushObject: 5,
  flushPool: 6,
  exchange: 7,
  writeAt: 8,
  readAt: 9,
  destroyPool: 10,
} as const;

export const RESULT = {
  /** Stored, found, or how many. */
  yes: 1,
  /** Refused, missed, nothing there. */
  no: 2,
  /** write at: a miss. */
  miss: 3,
  /** Threw TMEM_ERR_BUSY: may have happened. */
  unknown: 4,
} as const;

export interface Entry {
  readonly kind: number;
  /** Handle; the object of flushObject. */
  readonly subject: number;
  readonly given: number;
}

export class OperationLog {
  readonly #words: Int32Array;
  readonly #clock: Int32Array;
  readonly #records: number;
  #at = 0;

  /** A log in shared memory made by `share`; `clock` is one word that all threads share. */
  constructor(words: Int32Array, clock: Int32Array) {
    this.#words = words;
    this.#clock = clock;
    this.#records = words.length / RECORD_WORDS;
  }

  static memoryFor(records: number): Int32Array {
    return new Int32Array(new SharedArrayBuffer(records * RECORD_WORDS * 4));
  }

  get isFull(): boolean {
    return this.#at >= this.#records;
  }

  #set(word: number, value: number): void {
    this.#words[this.#at * RECORD_WORDS + word] = value;
  }

  begin(kind: number, subject: number, given = 0): void {
    this.#set(2, kind);
    this.#set(3, subject);
    this.#set(4, given);
    Atomics.store(this.#words, this.#at * RECORD_WORDS, Atomics.add(this.#clock, 0, 1) + 1);
  }

  end(result: number, id = 0, patch = 0): void {
    this.#set(5, result);
    this.#set(6, id);
    this.#set(7, patch);
    Atomics.store(this.#words, this.#at * RECORD_WORDS + 1, Atomics.add(this.#clock, 0, 1) + 1);
    this.#at++;
  }
}

export function tick(clock: Int32Array): number {
  return Atomics.add(clock, 0, 1) + 1;
}

export interface ThreadLog {
  readonly words: Int32Array;
  /** No two threads that ran at one time have the same. */
  readonly thread: number;
  /** For a thread that is over: when whatever it had left undone was cleaned up. */
  readonly over: number;
}

/** How handles are numbered: handle = object * indexes + i. */
export interface Handles {
  readonly objects: number;
  readonly indexes: number;
}

/** The operations of all threads, for each handle. */
export function operationsByHandle(logs: readonly ThreadLog[], handles: Handles): Operation[][] {
  const all = handles.objects * handles.indexes;
  const found: Operation[][] = Array.from({ length: all }, () => []);
  for (const { words, thread, over } of logs) {
    for (let at = 0; at < words.length && words[at] !== 0; at += RECORD_WORDS) {
      const record = words.subarray(at, at + RECORD_WORDS);
      const optional = record[1] === 0 || record[5] === RESULT.unknown;
      const effect = effectOf(record, record[1] === 0);
      if (effect === undefined) continue;
      const operation = { thread, start: record[0]!, end: record[1] || over, effect, optional };
      const [first, count] = subjectsOf(record, handles);
      for (let i = 0; i < count; i++) found[first + i]!.push(operation);
    }
  }
  return found;
}

function subjectsOf(record: Int32Array, handles: Handles): [first: number, count: number] {
  if (record[2] === KIND.flushPool) return [0, handles.objects * handles.indexes];
  if (record[2] === KIND.flushObject) return [record[3]! * handles.indexes, handles.indexes];
  return [record[3]!, 1];
}

/** What an operation did to, or saw of, one handle; undefined when it tells nothing. */
export function effectOf(record: Int32Array, cutShort: boolean): Effect | undefined {
  const [, , kind, , given, result, id, patch] = record as unknown as number[];
  const value = given! * PATCHES;
  const seen = id! * PATCHES + patch!;
  const unknown = cutShort || result === RESULT.unknown;
  switch (kind) {
    case KIND.put:
      if (unknown) return { kind: 'set-or-empty', value };
      return { kind: 'set', value: result === RESULT.yes ? value : 0 };
    case KIND.keep:
      return unknown ? undefined : { kind: 'see', value: seen };
    case KIND.free:
      return unknown ? { kind: 'set', value: 0 } : { kind: 'take', value: seen };
    case KIND.flushPage:
      if (unknown) return { kind: 'set', value: 0 };
      return result === RESULT.yes ? { kind: 'remove-some' } : { kind: 'see', value: 0 };
    case KIND.flushObject:
      return !unknown && result === RESULT.no ? { kind: 'see', value: 0 } : { kind: 'set', value: 0 };
    case KIND.flushPool:
    case KIND.destroyPool:
      return { kind: 'set', value: 0 };
    case KIND.exchange:
      if (unknown) return { kind: 'set-or-empty', value };
      return { kind: 'swap', old: seen, value: result === RESULT.yes ? value : 0 };
    case KIND.writeAt:
      if (unknown) return { kind: 'patch-if-any', patch: given! };
      if (result === RESULT.miss) return { kind: 'see', value: 0 };
      return result === RESULT.yes ? { kind: 'patch', patch: given! } : undefined;
    case KIND.readAt:
      if (unknown) return undefined;
      return result === RESULT.no ? { kind: 'see', value: 0 } : { kind: 'see-patch', patch: patch! };
    default:
      throw new Error(`a record of kind ${kind}`);
  }
}

/** The first handle whose history cannot have happened, in words. */
export function firstContradiction(
  logs: readonly ThreadLog[],
  handles: Handles,
  rules: HistoryRules,
): string | undefined {
  for (const [handle, operations] of operationsByHandle(logs, handles).entries()) {
    const found = contradiction(operations, rules);
    if (found !== undefined) return `handle ${handle}: ${found}`;
  }
  return undefined;
}

/** Operations that ended, by kind and result: to see that a test did what it was meant to. */
export function tally(logs: readonly ThreadLog[]): Record<string, number> {
  const kinds = Object.entries(KIND);
  const results = Object.entries(RESULT);
  const counts: Record<string, number> = {};
  for (const { words } of logs) {
    for (let at = 0; at < words.length && words[at] !== 0; at += RECORD_WORDS) {
      const kind = kinds.find(([, value]) => value === words[at + 2])?.[0];
      const result =
        words[at + 1] === 0 ? 'cut short' : results.find(([, value]) => value === words[at + 5])?.[0];
      counts[`${kind} ${result}`] = (counts[`${kind} ${result}`] ?? 0) + 1;
    }
  }
  return counts;
}
