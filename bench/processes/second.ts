// The second thread or process of a named store: puts and gets whole pages. It attaches by the token of a thread of its
// own process, or opens the store by name.

import { attach, open, type StoreToken } from '../../src/index.ts';
import { type Mix, makeMix } from '../store/mix.ts';
import { answer } from '../support/helper.ts';
import { threadClockNs } from '../support/measure.ts';
import { PAGE_BYTES } from '../support/pages.ts';

export type SecondMessage =
  | { what: 'attach'; by: StoreToken | string; mix: Mix }
  /** That many operations. */
  | { what: 'count'; operations: number }
  /** Operations until the word is not 0. */
  | { what: 'beside'; stop: Int32Array };

export interface Worked {
  wallNs: number;
  cpuNs: number;
}

/** Operations between two looks at the word. */
const BESIDE_OPERATIONS = 1000;

let mix: ReturnType<typeof makeMix>;

function attached(by: StoreToken | string, about: Mix): void {
  const store = typeof by === 'string' ? open({ name: by, prefault: true }) : attach(by);
  mix = makeMix(store, about);
  const out = Buffer.alloc(PAGE_BYTES);
  // Every page is touched before anything is measured.
  for (let page = 0; page < about.handles; page++) {
    if (mix.pool.get(mix.oids[page >>> 6], page & 63, out) !== PAGE_BYTES)
      throw new Error(`page ${page} is missing`);
  }
}

function count(operations: number): Worked {
  const wall = process.hrtime.bigint();
  const cpu = threadClockNs();
  const { stored, found } = mix.countOnly(operations);
  const worked = { cpuNs: threadClockNs() - cpu, wallNs: Number(process.hrtime.bigint() - wall) };
  if (stored + found !== operations) throw new Error('a put was refused or a get missed');
  return worked;
}

answer((message: SecondMessage) => {
  if (message.what === 'attach') return attached(message.by, message.mix);
  if (message.what === 'count') return count(message.operations);
  while (Atomics.load(message.stop, 0) === 0) mix.countOnly(BESIDE_OPERATIONS);
  return undefined;
});
