// How long single operations take with two threads on a full ephemeral store (zbud): puts and gets of whole pages,
// half and half. Each operation is timed by the wall clock, so whatever the machine does to a thread is in it. Two
// figures tell that apart: the same by the CPU clock of the thread, which stands still while others have the core,
// and the longest of operations of the same two threads that touch no store.

import { open } from '../../src/index.ts';
import type { Figures } from '../run.ts';
import { collectGarbage } from '../support/collect.ts';
import { median, rounded } from '../support/measure.ts';
import { PAGE_BYTES } from '../support/pages.ts';
import { Crew } from './crew.ts';
import type { MixedJob, MixedResult, MixedThread, Timed } from './mixed.ts';
import { CONTENT_PAGES, type Scene } from './scene.ts';

const ROUNDS = 5;
/** Of each thread in a round: about half a second. */
const OPERATIONS = 100_000;
const SOURCE_MIB = 128;
/** Holds a quarter of the pages there are handles for: exclusive gets alone would leave half of them. */
const MEMORY = '64 MiB';

export async function measurePauses(scene: Scene): Promise<Figures> {
  collectGarbage();
  using store = open({ memory: MEMORY, prefault: true });
  const thread = (seed: number): MixedThread => ({
    token: store.share(),
    kind: 'ephemeral',
    pam: 'zbud',
    pages: scene.pages.bytes,
    sourcePages: (SOURCE_MIB * 2 ** 20) / PAGE_BYTES,
    handles: CONTENT_PAGES,
    seed,
  });
  const crew = await Crew.start<MixedJob, MixedResult>(new URL('mixed.ts', import.meta.url), [
    thread(1),
    thread(2),
  ]);
  const put: Timed[] = [];
  const get: Timed[] = [];
  const machine: number[] = [];
  const both = (what: MixedJob['what']) =>
    crew.run([0, 1].map((): MixedJob => ({ what, operations: OPERATIONS })));
  try {
    await both('count');
    await both('time-nothing');
    for (let round = 0; round < ROUNDS; round++) {
      const before = store.stats().reclaim.evicted_raw_pages;
      const { results } = await both('time');
      if (store.stats().reclaim.evicted_raw_pages === before)
        throw new Error('pauses: the store is not full');
      put.push(worse(results.map((result) => result.put!)));
      get.push(worse(results.map((result) => result.get!)));
      const idle = await both('time-nothing');
      machine.push(Math.max(...idle.results.flatMap(({ put, get }) => [put!.longestUs, get!.longestUs])));
    }
  } finally {
    await crew.end();
  }
  const longestOf = (field: 'longestUs' | 'cpuLongestUs') =>
    put.map((timed, round) => Math.max(timed[field], get[round][field]));
  const ms = (us: number[]) => us.map((value) => (value / 1000).toFixed(2)).join(', ');
  scene.say(`longest operation of each round: ${ms(longestOf('longestUs'))} ms`);
  scene.say(`  in CPU time: ${ms(longestOf('cpuLongestUs'))} ms; without a store: ${ms(machine)} ms`);
  return {
    put_p999_us: rounded(median(put.map(({ p999Us }) => p999Us)), 1),
    get_p999_us: rounded(median(get.map(({ p999Us }) => p999Us)), 1),
    put_p999_cpu_us: rounded(median(put.map(({ cpuP999Us }) => cpuP999Us)), 1),
    get_p999_cpu_us: rounded(median(get.map(({ cpuP999Us }) => cpuP999Us)), 1),
    longest_pause_ms: rounded(median(longestOf('longestUs')) / 1000, 2),
    longest_pause_cpu_ms: rounded(Math.max(...longestOf('cpuLongestUs')) / 1000, 2),
    longest_pause_without_store_ms: rounded(median(machine) / 1000, 2),
  };
}

function worse(threads: readonly Timed[]): Timed {
  const most = (field: keyof Timed) => Math.max(...threads.map((thread) => thread[field]));
  return {
    p999Us: most('p999Us'),
    longestUs: most('longestUs'),
    cpuP999Us: most('cpuP999Us'),
    cpuLongestUs: most('cpuLongestUs'),
  };
}
