// What a full store of 1 GiB gives back when the memory runs short: in a memory control group that this makes, another
// process takes more than the store leaves. Beside it the same with a store that does not shrink: there the kernel
// has to kill.

import type { BenchOptions, Figures } from '../run.ts';
import { MemoryGroup } from '../support/memory-group.ts';
import { type PressureOutcome, type PressurePlan, pressureScene } from './pressure-scene.ts';

const MIB = 2 ** 20;
/** The store, and what both processes take while they start. */
const LIMIT_BYTES = 1280 * MIB;
const PLAN = {
  memoryBytes: 1024 * MIB,
  persistentPages: 32_768,
  hogBytes: 768 * MIB,
  hogBytesASecond: 256 * MIB,
};

export async function measurePressure({ pages: pagesFile, say }: BenchOptions): Promise<Figures> {
  const outcomes: PressureOutcome[] = [];
  for (const shrinks of [true, false]) {
    const group = MemoryGroup.create(LIMIT_BYTES);
    if (typeof group === 'string') {
      say(`returned_bytes cannot be measured here: ${group}`);
      process.exitCode = 1;
      return {};
    }
    await using _removed = group;
    outcomes.push(await pressureScene(group, { ...PLAN, shrinks, pagesFile } satisfies PressurePlan));
  }
  const [outcome, control] = outcomes as [PressureOutcome, PressureOutcome];
  const mib = (bytes: number) => `${(bytes / MIB).toFixed(0)} MiB`;
  say(
    `a group of ${mib(LIMIT_BYTES)}: the store shrank from ${mib(outcome.fullBytes)} to ${mib(outcome.leftBytes)} ` +
      `while ${mib(PLAN.hogBytes)} were taken; at most ${mib(outcome.mostBytes)} in use, ${mib(outcome.endBytes)} in ` +
      `the end; ${outcome.kills} killed (${control.kills} when the store does not shrink); ` +
      `${outcome.persistent.lost} of ${outcome.persistent.stored} persistent pages lost`,
  );
  return {
    returned_bytes: outcome.fullBytes - outcome.leftBytes,
    returned_below_limit_bytes: LIMIT_BYTES - outcome.endBytes,
    returned_kills: outcome.kills,
    returned_kills_without_shrinker: control.kills,
    returned_persistent_pages: outcome.persistent.stored,
    returned_persistent_lost: outcome.persistent.lost,
  };
}
