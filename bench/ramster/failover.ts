// SIGKILL of one of three holders while pages are got and sent: nothing may be lost, gets may be blocked for a second
// in all, and every page has to have two copies again.

import type { BenchOptions, Figures } from '../run.ts';
import { rounded } from '../support/measure.ts';
import { numbersBelow } from '../support/order.ts';
import { oid, Scene, until } from './scene.ts';

const PAGES = 8000;
/** Of load before the kill, and after it. */
const BEFORE_MS = 1000;
const AFTER_MS = 5000;
/** A get that takes longer than any without a failure is blocked. */
const BLOCKED_MS = 20;
const WHOLE_MOST_MS = 60_000;

export async function measureFailover({ pages, say }: BenchOptions): Promise<Figures> {
  const scene = await Scene.start({ secured: true, holders: 3, replicas: 2, pagesFile: pages });
  try {
    scene.fill(PAGES);
    await scene.send(PAGES, 64);
    const below = numbersBelow(7);
    const out = Buffer.alloc(4096);
    let lost = 0;
    let blockedMs = 0;
    let longestMs = 0;
    let gets = 0;
    const one = async (index: number): Promise<void> => {
      const start = performance.now();
      try {
        const length = await scene.ramster.get(scene.pool, oid, index, out);
        if (length !== 4096 || !out.equals(scene.page(index))) lost++;
      } catch {
        lost++;
      }
      const tookMs = performance.now() - start;
      longestMs = Math.max(longestMs, tookMs);
      if (tookMs > BLOCKED_MS) blockedMs += tookMs;
      gets++;
      await scene.ramster.send(scene.pool, oid, index);
    };
    const load = async (ms: number): Promise<void> => {
      const endMs = performance.now() + ms;
      while (performance.now() < endMs) await one(below(PAGES));
    };
    await load(BEFORE_MS);
    blockedMs = 0;
    longestMs = 0;
    scene.holders[0]!.tell({ kind: 'received' });
    void scene.holders[0]!.kill();
    const killedMs = performance.now();
    await load(AFTER_MS);
    let wholeMs = 0;
    await until(() => {
      const { replicas_short, replicas_repaired } = scene.ramster.statistics();
      const isWhole = replicas_repaired > 0 && replicas_short === 0;
      if (isWhole) wholeMs = performance.now() - killedMs;
      return isWhole;
    }, WHOLE_MOST_MS);
    for (let index = 0; index < PAGES; index++) await one(index);
    say(
      `failover: ${gets} gets, ${lost} pages lost, gets blocked ${blockedMs.toFixed(0)} ms in all (longest ` +
        `${longestMs.toFixed(0)}), all copies there again after ${(wholeMs / 1000).toFixed(1)} s`,
    );
    return {
      failover_pages_lost: lost,
      failover_blocked_ms: rounded(blockedMs, 0),
      failover_longest_get_ms: rounded(longestMs, 0),
      failover_whole_again_ms: rounded(wholeMs, 0),
    };
  } finally {
    await scene.end();
  }
}
