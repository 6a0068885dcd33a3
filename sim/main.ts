// `npm run sim -- --seed N --nodes N --steps N [--json] [--trace]`: one scenario in the simulator, from its seed.
// `--seeds A..B` runs many and ends at the first that fails; `--scale` shows what a quiet cluster costs, from 10 nodes
// to 1000. The result goes to the standard output; the exit status is 1 when something that must never happen did.

import { parseArgs } from 'node:util';
import { runBatch } from './batch.ts';
import { cluster, clusterOf } from './ramster.ts';
import { runScale } from './scale.ts';
import { isGood, runScenario, type ScenarioResult } from './scenario.ts';
import { HAPPENED, NEVER } from './verdict.ts';

const SCALES = [10, 30, 100, 300, 1000];
/** A thread for each core of the smallest machine that this is for. */
const THREADS = 2;
const NODES_MOST = 4000;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string' },
    nodes: { type: 'string', default: '10' },
    steps: { type: 'string', default: '2000' },
    json: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
    scale: { type: 'boolean', default: false },
  },
});
const nodes = whole('nodes', values.nodes, NODES_MOST);
const steps = whole('steps', values.steps, Number.MAX_SAFE_INTEGER);

if (values.scale) await scale();
else if (values.seeds !== undefined) await batch(values.seeds);
else await single();

async function single(): Promise<void> {
  const seed = whole('seed', values.seed, Number.MAX_SAFE_INTEGER);
  const result = await runScenario({
    ...{ seed, nodes, steps, ...clusterOf(seed) },
    print: values.trace ? (line) => console.log(line) : undefined,
  });
  show(result);
  if (!isGood(result)) process.exitCode = 1;
}

/** Sums of all seeds; and the first one that failed. */
async function batch(seeds: string): Promise<void> {
  const [first, last] = seeds.split('..').map((seed) => whole('seeds', seed, Number.MAX_SAFE_INTEGER));
  const sums: Record<string, number> = { seeds: 0, max_detection_ms: 0 };
  const names = [...NEVER, ...HAPPENED, 'repaired', 'remotified', 'repatriated', 'swept', 'events'] as const;
  const failed = await runBatch(
    {
      ...{ first: first as number, last: last ?? (first as number), nodes, steps, threads: THREADS },
      done: (result) => {
        sums.seeds = (sums.seeds ?? 0) + 1;
        sums.max_detection_ms = Math.max(sums.max_detection_ms ?? 0, result.max_detection_ms);
        for (const name of names) sums[name] = (sums[name] ?? 0) + result[name];
      },
    },
    isGood,
  );
  show({ nodes, steps, ...sums });
  if (failed === undefined) return;
  process.exitCode = 1;
  console.error(
    `seed ${failed.seed} failed:`,
    'error' in failed ? failed.error : failed.findings.join('\n  '),
  );
  console.error(`again: npm run sim -- --seed ${failed.seed} --nodes ${nodes} --steps ${steps} --trace`);
}

async function scale(): Promise<void> {
  for (const count of SCALES) {
    const result = await runScale({ seed: 1, nodes: count, ...cluster() });
    show(result);
    if (result.unbounded_waits + result.errors > 0) process.exitCode = 1;
  }
}

function show(result: ScenarioResult | object): void {
  if (values.json) console.log(JSON.stringify(result));
  else for (const [name, value] of Object.entries(result)) console.log(name, JSON.stringify(value));
}

function whole(name: string, text: string, most: number): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 1 && number <= most) return number;
  console.error(`--${name}: got '${text}', allowed are whole numbers from 1 to ${most}`);
  process.exit(2);
}
