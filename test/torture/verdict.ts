// What a round proves: for each handle, whether what the threads saw of it can have happened, one operation after the
// other, with those that were cut short by a kill anywhere after they began, or not at all.

import { contradiction, type Operation } from '../threads/history.ts';
import { effectOf, KIND, RECORD_WORDS, RESULT } from '../threads/operation-log.ts';
import { CHECKED, HANDLES, HANDLES_A_POOL } from './scenes.ts';
import { LANES, type SharedArea } from './shared-area.ts';

/** Bits of a record's kind; what is above is the generation of a fleeting pool. */
export const KIND_BITS = 8;

/** 'generation handle': what its page was when the round began (history.ts has the form of a value). */
export type Known = ReadonlyMap<string, number>;

export function keyOf(generation: number, handle: number): string {
  return `${generation} ${handle}`;
}

export interface Verdict {
  /** Operations that ended. */
  readonly operations: number;
  readonly cutShort: number;
  /** Contradictions, in words: a page that came back, or is not what was put last. */
  readonly stale: readonly string[];
  /** A persistent page that is not there. */
  readonly lost: readonly string[];
}

class Histories {
  operations = 0;
  cutShort = 0;
  readonly #byKey = new Map<string, Operation[]>();
  /** Fleeting pools whose destruction was cut short: their pages may vanish from then on, as it is finished. */
  readonly ending = new Set<number>();

  constructor(known: Known) {
    for (const [key, value] of known) {
      this.#byKey.set(key, [{ thread: 0, start: -2, end: -1, effect: { kind: 'set', value } }]);
    }
  }

  add(record: Int32Array, thread: number, over: number): void {
    const cutShort = record[1] === 0;
    if (cutShort) this.cutShort++;
    else this.operations++;
    const kind = record[2]! & ((1 << KIND_BITS) - 1);
    const generation = record[2]! >>> KIND_BITS;
    const optional = cutShort || record[5] === RESULT.unknown;
    if (kind === KIND.destroyPool && optional) this.ending.add(generation);
    const plain = record.slice();
    plain[2] = kind;
    const effect = effectOf(plain, cutShort);
    if (effect === undefined) return;
    const operation: Operation = { thread, start: record[0]!, end: record[1] || over, effect, optional };
    const first = record[3]!;
    const count = countOf(kind);
    for (let i = 0; i < count; i++) {
      const key = keyOf(generation, first + i);
      const operations = this.#byKey.get(key);
      if (operations === undefined) this.#byKey.set(key, [operation]);
      else operations.push(operation);
    }
  }

  entries(): Iterable<[string, Operation[]]> {
    return this.#byKey;
  }
}

function countOf(kind: number): number {
  if (kind === KIND.flushPool || kind === KIND.destroyPool) return HANDLES_A_POOL;
  return kind === KIND.flushObject ? HANDLES.indexes : 1;
}

export function judge(area: SharedArea, known: Known): Verdict {
  const histories = new Histories(known);
  for (let lane = 0; lane < LANES; lane++) {
    for (const { words, over } of area.livesOf(lane)) {
      for (let at = 0; at < words.length; at += RECORD_WORDS) {
        histories.add(words.subarray(at, at + RECORD_WORDS), lane, over);
      }
    }
  }
  const stale: string[] = [];
  const lost: string[] = [];
  for (const [key, operations] of histories.entries()) {
    const [generation, handle] = key.split(' ').map(Number) as [number, number];
    const pool = CHECKED[Math.floor(handle / HANDLES_A_POOL)]!;
    const ephemeral = pool.options.kind === 'ephemeral' || histories.ending.has(generation);
    const found = contradiction(operations, { ephemeral });
    if (found === undefined) continue;
    const text = `pool ${pool.name} (${generation}), handle ${handle}: ${found}`;
    if (!ephemeral && /^cannot have happened: .* (see|take) (value )?nothing;/.test(found)) lost.push(text);
    else stale.push(text);
  }
  return { operations: histories.operations, cutShort: histories.cutShort, stale, lost };
}
