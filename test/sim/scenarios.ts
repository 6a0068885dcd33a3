// Small scenarios, with a bug planted or without.
import { clusterOf } from '../../sim/ramster.ts';
import { runScenario, type ScenarioOptions, type ScenarioResult } from '../../sim/scenario.ts';
import type { Never } from '../../sim/verdict.ts';

const SMALL = { nodes: 6, steps: 800 };
/** Seeds tried until a planted bug shows. */
const TRIES = 6;

export function small(seed: number, options: Partial<ScenarioOptions> = {}): Promise<ScenarioResult> {
  return runScenario({ ...SMALL, seed, ...clusterOf(seed), ...options });
}

/** What is found with a bug planted, in the first seed that shows anything. */
export async function whatIsFound(options: Partial<ScenarioOptions>): Promise<Never[]> {
  for (let seed = 1; seed <= TRIES; seed++) {
    const { findings } = await small(seed, options);
    if (findings.length > 0) return findings.map((words) => words.split(' ')[0] as Never);
  }
  return [];
}
