// Recovering after a process was killed (SIGKILL) in the middle of operations, in a store of 1 GiB that is full of
// pages. What is timed, in turns:
//
//   a survivor that goes on working: the longest time between two of its operations, until all is recovered
//   the next one to attach, when nobody else does anything: its open
//
// Victims that were hit between two operations leave nothing to recover and do not count.

import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { open, type Store } from '../../src/index.ts';
import { arenasOf } from '../../src/zcache/store.ts';
import type { BenchOptions, Figures } from '../run.ts';
import { Helper } from '../support/helper.ts';
import { median, rounded, threadClockNs } from '../support/measure.ts';
import { numbersBelow } from '../support/order.ts';
import { PAGE_BYTES } from '../support/pages.ts';
import { type FullStore, handleOf, makeFullStore, poolOf } from './full-store.ts';
import type { VictimTask } from './victim.ts';

const KILLS = 100;
/** A victim works for 20 to 60 ms before it is hit: some thousand operations. */
const WORK_MS_MIN = 20;
const WORK_MS_RANGE = 40;
/** Longest that a survivor needs to find out: the caretaker looks every second. */
const FOUND_MS_MAX = 1500;
/** Operations of the survivor between two turns of its event loop. */
const TURN_OPERATIONS = 16;
const SEED = 20_260_101;
const FILE = new URL('victim.ts', import.meta.url);

type Below = ReturnType<typeof numbersBelow>;

/** How long somebody could not go on. */
interface Stop {
  ms: number;
  cpuMs: number;
}

export async function measureRecovery({ pages, say }: BenchOptions): Promise<Figures> {
  using full = makeFullStore(pages);
  const { name, counts, store } = full;
  const below = numbersBelow(SEED);
  const survivors: Stop[] = [];
  const attachers: Stop[] = [];
  let next = await Helper.start(FILE);
  try {
    for (let kill = 1; kill <= KILLS; kill++) {
      const victim = next;
      // Started now, so that it does not take the processor during a recovery.
      next = await Helper.start(FILE);
      await victim.ask<void>({ name, counts, seed: kill } satisfies VictimTask);
      await sleep(WORK_MS_MIN + below(WORK_MS_RANGE));
      const recoveries = recoveriesOf(store);
      const isSurvived = kill % 2 === 0;
      const stop = isSurvived ? await survive(full, victim, below) : await attach(full, victim);
      if (recoveriesOf(store) > recoveries) (isSurvived ? survivors : attachers).push(stop);
    }
  } finally {
    await next.kill();
  }
  const all = [...survivors, ...attachers];
  if (all.length === 0) throw new Error('no victim was hit in the middle of an operation');
  const medianMs = (stops: readonly Stop[]) => median(stops.map(({ ms }) => ms));
  const p99 = (field: keyof Stop) => {
    const sorted = all.map((stop) => stop[field]).sort((a, b) => a - b);
    return sorted[Math.ceil(sorted.length * 0.99) - 1]!;
  };
  const { persistent, ephemeral } = counts;
  say(
    `${KILLS} kills, ${all.length} recoveries of 1 GiB with ${persistent} persistent and ${ephemeral} ephemeral ` +
      `pages: open of the next one ${medianMs(attachers).toFixed(0)} ms, longest stop of a survivor ` +
      `${medianMs(survivors).toFixed(0)} ms`,
  );
  return {
    recovery_ms_p99: rounded(p99('ms'), 1),
    recovery_ms_p99_cpu: rounded(p99('cpuMs'), 1),
    recovery_ms_median: rounded(medianMs(all), 1),
    recovery_kills: KILLS,
    recovery_recoveries: all.length,
    recovery_pages: persistent + ephemeral,
  };
}

/** Read where it stands: asking the store for its statistics would be an operation, which may recover. */
function recoveriesOf(store: Store): number {
  const [arena] = arenasOf(store).all;
  return arena!.word(arena!.layout.H_RECOVERIES);
}

/** The next one's open. */
async function attach({ name }: FullStore, victim: Helper): Promise<Stop> {
  await victim.kill();
  const watch = new Stopwatch();
  const store = open({ name, shrinker: { enabled: false } });
  watch.look();
  store.close();
  return watch.longest;
}

/** The longest time between two operations of this thread, from the kill until all is recovered. */
async function survive({ store, counts }: FullStore, victim: Helper, below: Below): Promise<Stop> {
  const pool = poolOf(store, 'persistent');
  const out = Buffer.alloc(PAGE_BYTES);
  const recoveries = recoveriesOf(store);
  const endMs = performance.now() + FOUND_MS_MAX;
  const watch = new Stopwatch();
  const killed = victim.kill();
  while (recoveriesOf(store) === recoveries && performance.now() < endMs) {
    for (let i = 0; i < TURN_OPERATIONS; i++) {
      const page = below(counts.persistent);
      if (pool.getAndKeep(...handleOf(page), out) !== PAGE_BYTES) throw new Error(`page ${page} is lost`);
      watch.look();
    }
    await turn();
  }
  // The recovery may have been in the last turn of the event loop.
  watch.look();
  await killed;
  return watch.longest;
}

/** The longest time between two looks, by the clock on the wall and by that of the thread's processor time. */
class Stopwatch {
  readonly longest: Stop = { ms: 0, cpuMs: 0 };
  #lastMs = performance.now();
  #lastCpuNs = threadClockNs();

  look(): void {
    const nowMs = performance.now();
    const nowCpuNs = threadClockNs();
    this.longest.ms = Math.max(this.longest.ms, nowMs - this.#lastMs);
    this.longest.cpuMs = Math.max(this.longest.cpuMs, (nowCpuNs - this.#lastCpuNs) / 1e6);
    this.#lastMs = nowMs;
    this.#lastCpuNs = nowCpuNs;
  }
}
