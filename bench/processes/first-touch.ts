// What a second process pays for reading, for the first time, all pages of a store of 1 GiB that others filled: the
// kernel maps each frame when it is first touched. Beside it the same once more.

import type { BenchOptions, Figures } from '../run.ts';
import { Helper } from '../support/helper.ts';
import { median, rounded } from '../support/measure.ts';
import { makeFullStore } from './full-store.ts';

/** Fresh processes. */
const ROUNDS = 5;
const FILE = new URL('toucher.ts', import.meta.url);

export interface Touched {
  firstMs: number;
  warmMs: number;
  found: number;
}

export async function measureFirstTouch({ pages, say }: BenchOptions): Promise<Figures> {
  using full = makeFullStore(pages);
  const { name, counts } = full;
  const rounds: Touched[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const helper = await Helper.start(FILE);
    rounds.push(await helper.ask<Touched>({ name, counts }));
    await helper.kill();
  }
  const of = (field: keyof Touched) => median(rounds.map((round) => round[field]));
  say(
    `a process reads the ${of('found')} pages of 1 GiB: first ${of('firstMs').toFixed(0)} ms, ` +
      `then ${of('warmMs').toFixed(0)}`,
  );
  return { first_touch_ms: rounded(of('firstMs'), 0), warm_touch_ms: rounded(of('warmMs'), 0) };
}
