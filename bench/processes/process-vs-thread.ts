// A second process on a named store against a second thread of the first process: the same puts and gets of real pages,
// half and half, in turns, while the first thread works beside them on the same pool. Warm: the whole store is mapped
// in both, and every page was read by both.

import { open } from '../../src/index.ts';
import type { BenchOptions, Figures } from '../run.ts';
import { keepable, makeOids } from '../store/scene.ts';
import { Helper } from '../support/helper.ts';
import { median, rounded } from '../support/measure.ts';
import { StoreName } from '../support/named.ts';
import { loadPages, PAGE_BYTES, withoutSameFilled } from '../support/pages.ts';
import type { SecondMessage, Worked } from './second.ts';

const ROUNDS = 15;
const WARM_UP_ROUNDS = 3;
/** About a third of a second. */
const OPERATIONS = 60_000;
const HANDLES = 65_536;
const SOURCE_MIB = 64;
/** Holds the pages of all handles at any ratio below 80 %. */
const MEMORY = '256 MiB';
const FILE = new URL('second.ts', import.meta.url);

export async function measureProcessVsThread({ pages: file, say }: BenchOptions): Promise<Figures> {
  const { pages } = keepable(withoutSameFilled(loadPages(file)));
  using name = new StoreName('bench');
  using store = open({ name: name.name, memory: MEMORY, prefault: true });
  const pool = store.client('bench').pool('pages', { kind: 'persistent', codec: 'lz4', pam: 'zv' });
  const oids = makeOids(HANDLES);
  for (let page = 0; page < HANDLES; page++) {
    const at = (page % pages.count) * PAGE_BYTES;
    const outcome = pool.put(oids[page >>> 6], page & 63, pages.bytes.subarray(at, at + PAGE_BYTES));
    if (outcome !== 'stored') throw new Error(`page ${page}: ${outcome}`);
  }
  const mix = { kind: 'persistent', pam: 'zv', pages: pages.bytes, handles: HANDLES } as const;
  const sourcePages = (SOURCE_MIB * 2 ** 20) / PAGE_BYTES;
  const first = await Helper.start(FILE, 'thread');
  const thread = await Helper.start(FILE, 'thread');
  const child = await Helper.start(FILE);
  const ask = <Result>(helper: Helper, message: SecondMessage) => helper.ask<Result>(message);
  const rounds = { thread: [] as Worked[], child: [] as Worked[] };
  try {
    for (const [seed, helper] of [first, thread, child].entries()) {
      const by = helper === child ? name.name : store.share();
      await ask(helper, { what: 'attach', by, mix: { ...mix, sourcePages, seed: seed + 1 } });
    }
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const beside = ask(first, { what: 'beside', stop });
    const job: SecondMessage = { what: 'count', operations: OPERATIONS };
    for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
      // Taking turns at being first.
      const sides = round % 2 === 0 ? (['thread', 'child'] as const) : (['child', 'thread'] as const);
      for (const side of sides) {
        const worked = await ask<Worked>(side === 'thread' ? thread : child, job);
        if (round >= WARM_UP_ROUNDS) rounds[side].push(worked);
      }
    }
    Atomics.store(stop, 0, 1);
    await beside;
  } finally {
    for (const helper of [first, thread, child]) await helper.kill();
  }
  const ns = (side: keyof typeof rounds, field: keyof Worked) =>
    median(rounds[side].map((worked) => worked[field])) / OPERATIONS;
  const ratio = (field: keyof Worked) =>
    rounded(median(rounds.thread.map((worked, i) => worked[field] / rounds.child[i]![field])));
  say(
    `an operation beside another thread: process ${ns('child', 'wallNs').toFixed(0)} ns ` +
      `(CPU ${ns('child', 'cpuNs').toFixed(0)}), thread ${ns('thread', 'wallNs').toFixed(0)} ` +
      `(CPU ${ns('thread', 'cpuNs').toFixed(0)})`,
  );
  return { process_vs_thread: ratio('wallNs'), process_vs_thread_cpu: ratio('cpuNs') };
}
