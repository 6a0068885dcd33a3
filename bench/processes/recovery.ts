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
import { median, rounded } from '../support/measure.ts';
import { numbersBelow } from '../support/order.ts';
import { PAGE_BYTES } from '../support/pages.ts';
import { type FullStore, handleOf, makeFullStore, poolOf } from './full-store.ts';
import type { VictimTask } from './victim.ts';

const KILLS = 120;
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

export async function measureRecovery({ pages, say }: BenchOptions): Promise<Figures> {
  using full = makeFullStore(pages);
  const { name, counts, store } = full;
  const below = numbersBelow(SEED);
  const survivorMs: number[] = [];
  const attachMs: number[] = [];
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
      const ms = isSurvived ? await survive(full, victim, below) : await attach(full, victim);
      if (recoveriesOf(store) > recoveries) (isSurvived ? survivorMs : attachMs).push(ms);
    }
  } finally {
    await next.kill();
  }
  const all = [...survivorMs, ...attachMs].sort((a, b) => a - b);
  if (all.length === 0) throw new Error('no victim was hit in the middle of an operation');
  const { persistent, ephemeral } = counts;
  say(
    `${KILLS} kills, ${all.length} recoveries of 1 GiB with ${persistent} persistent and ${ephemeral} ephemeral ` +
      `pages: open of the next one ${median(attachMs).toFixed(0)} ms, longest stop of a survivor ` +
      `${median(survivorMs).toFixed(0)} ms`,
  );
  return {
    recovery_ms_p99: rounded(all[Math.ceil(all.length * 0.99) - 1]!, 1),
    recovery_ms_median: rounded(median(all), 1),
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

/** Milliseconds that the next one's open takes. */
async function attach({ name }: FullStore, victim: Helper): Promise<number> {
  await victim.kill();
  const startMs = performance.now();
  const store = open({ name, shrinker: { enabled: false } });
  const ms = performance.now() - startMs;
  store.close();
  return ms;
}

/** Longest milliseconds between two operations of this thread, from the kill until all is recovered. */
async function survive({ store, counts }: FullStore, victim: Helper, below: Below): Promise<number> {
  const pool = poolOf(store, 'persistent');
  const out = Buffer.alloc(PAGE_BYTES);
  const recoveries = recoveriesOf(store);
  const beganMs = performance.now();
  let lastMs = beganMs;
  let longestMs = 0;
  const killed = victim.kill();
  while (recoveriesOf(store) === recoveries && lastMs - beganMs < FOUND_MS_MAX) {
    for (let i = 0; i < TURN_OPERATIONS; i++) {
      const page = below(counts.persistent);
      if (pool.getAndKeep(...handleOf(page), out) !== PAGE_BYTES) throw new Error(`page ${page} is lost`);
      const nowMs = performance.now();
      longestMs = Math.max(longestMs, nowMs - lastMs);
      lastMs = nowMs;
    }
    await turn();
  }
  // The recovery may have been in the last turn of the event loop.
  longestMs = Math.max(longestMs, performance.now() - lastMs);
  await killed;
  return longestMs;
}
