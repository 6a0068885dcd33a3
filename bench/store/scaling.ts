// Two threads on one store against one: puts and gets of whole pages, half and half, at random handles that hold
// pages, wall time. Beside it the same with liblz4 and two native threads, each on memory of its own: what the machine
// gives at best. A round in which those do not get both cores says nothing about the store and is done again.
//
// scaling_2_threads_cpu compares CPU time for an operation: what two threads cost each other in caches and spinning,
// without waits and without what the machine does meanwhile.

import { open } from '../../src/index.ts';
import type { Figures } from '../run.ts';
import { collectGarbage } from '../support/collect.ts';
import { LineProgram } from '../support/line-program.ts';
import { median, rounded } from '../support/measure.ts';
import { PAGE_BYTES } from '../support/pages.ts';
import { Crew } from './crew.ts';
import type { MixedJob, MixedResult, MixedThread } from './mixed.ts';
import { makeOids, type Scene } from './scene.ts';

const ROUNDS = 7;
const WARM_UP_ROUNDS = 2;
/** Rounds on a machine that is busy with something else, before the benchmark takes what it has. */
const ROUNDS_MAX = 12;
/** Native scaling below this: somebody else had a core. */
const QUIET = 1.9;
/** Of each thread in a round: about half a second. */
const OPERATIONS = 100_000;
const HANDLES = 65_536;
const SOURCE_MIB = 128;
/** Holds the pages of all handles at any ratio below 80 %. */
const MEMORY = '256 MiB';

export async function measureScaling(scene: Scene): Promise<Figures> {
  collectGarbage();
  using store = open({ memory: MEMORY, prefault: true });
  const pool = store.client('bench').pool('pages', { kind: 'persistent', codec: 'lz4', pam: 'zv' });
  const oids = makeOids(HANDLES);
  for (let page = 0; page < HANDLES; page++) {
    const bytes = scene.content.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    if (pool.put(oids[page >>> 6], page & 63, bytes) !== 'stored')
      throw new Error(`page ${page} was refused`);
  }
  const thread = (seed: number): MixedThread => ({
    token: store.share(),
    kind: 'persistent',
    pam: 'zv',
    pages: scene.pages.bytes,
    sourcePages: (SOURCE_MIB * 2 ** 20) / PAGE_BYTES,
    handles: HANDLES,
    seed,
  });
  const crew = await Crew.start<MixedJob, MixedResult>(new URL('mixed.ts', import.meta.url), [
    thread(1),
    thread(2),
  ]);
  const native = new NativeThreads(scene);
  const measured: Round[] = [];
  const run = async (threads: number): Promise<Times> => {
    const jobs = Array.from({ length: threads }, (): MixedJob => ({ what: 'count', operations: OPERATIONS }));
    const { wallNs, results } = await crew.run(jobs);
    const wrong = results.some(({ stored, found }) => stored + found !== OPERATIONS);
    if (wrong) throw new Error('scaling: a put was refused or a get missed');
    return { wallNs, cpuNs: results.reduce((sum, result) => sum + result.cpuNs, 0) };
  };
  try {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const [nativeOne, one] = [await native.run(1), await run(1)];
      const [nativeTwo, two] = [await native.run(2), await run(2)];
      if (round < WARM_UP_ROUNDS) continue;
      measured.push({
        wall: (2 * one.wallNs) / two.wallNs,
        native: (2 * nativeOne.wallNs) / nativeTwo.wallNs,
        cpu: (4 * one.cpuNs) / two.cpuNs,
        nativeCpu: (4 * nativeOne.cpuNs) / nativeTwo.cpuNs,
        operationsASecond: (2 * OPERATIONS * 1e9) / two.wallNs,
      });
      if (measured.filter(isQuiet).length === ROUNDS) break;
    }
  } finally {
    native.close();
    await crew.end();
  }
  const quiet = measured.filter(isQuiet);
  const rounds = quiet.length >= ROUNDS / 2 ? quiet : measured;
  scene.say(
    `scaling: ${quiet.length} of ${measured.length} rounds had both cores; figures of ${rounds.length}`,
  );
  const of = (field: keyof Round) => median(rounds.map((round) => round[field]));
  scene.say(
    `scaling: two threads do ${of('wall').toFixed(3)} times the work of one ` +
      `(${(of('operationsASecond') / 1000).toFixed(0)} k operations a second), native ${of('native').toFixed(3)}`,
  );
  return {
    scaling_2_threads: rounded(of('wall')),
    scaling_2_threads_native: rounded(of('native')),
    scaling_2_threads_cpu: rounded(of('cpu')),
    scaling_2_threads_cpu_native: rounded(of('nativeCpu')),
  };
}

/** Of one round's threads together. */
interface Times {
  wallNs: number;
  cpuNs: number;
}

interface Round {
  /** Work of two threads in the time of one's, by the clock on the wall. */
  wall: number;
  native: number;
  /** The same by CPU time for an operation. */
  cpu: number;
  nativeCpu: number;
  operationsASecond: number;
}

function isQuiet(round: Round): boolean {
  return round.native >= QUIET;
}

/** bench/native/scaling.c running. */
class NativeThreads {
  readonly #program: LineProgram;

  constructor(scene: Scene) {
    this.#program = new LineProgram([scene.scaling, scene.pagesFile, String(SOURCE_MIB), String(OPERATIONS)]);
  }

  /** Times of as many threads. */
  run(threads: number): Promise<Times> {
    return this.#program.ask(String(threads));
  }

  close(): void {
    this.#program.close();
  }
}
