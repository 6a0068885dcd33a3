/**
 * A scenario: a cluster starts, works while things go wrong, is healed, comes to rest, and is read from end to end. The
 * promises are checked with every answer; what only shows from outside is looked at again and again.
 */

import { Faults } from './faults.ts';
import type { NodeFactory, Stores } from './machine.ts';
import type { NetworkOptions, Profile } from './network.ts';
import { oneOf, type Streams, streamsOf } from './random.ts';
import { type Happened, NEVER, type Never } from './verdict.ts';
import { Workload } from './workload.ts';
import { type Bounds, World } from './world.ts';

export interface ScenarioOptions {
  readonly seed: number;
  readonly nodes: number;
  /** Operations of front ends. */
  readonly steps: number;
  readonly factory: NodeFactory;
  readonly bounds: Bounds;
  /**
   * When nothing goes wrong any more: time in which everybody has found everybody again, and longest time until nothing
   * is left to be done.
   */
  readonly restMs: readonly [least: number, most: number];
  /** Is given a line for everything that happens. */
  readonly print?: ((line: string) => void) | undefined;
  readonly stores?: Stores | undefined;
  readonly tap?: NetworkOptions['tap'];
}

export interface ScenarioResult extends Record<Never | Happened, number> {
  readonly seed: number;
  readonly nodes: number;
  readonly steps: number;
  readonly max_detection_ms: number;
  /** Copies made anew, pages sent away, pages that came home because there was room, orphans that sweeps found. */
  readonly repaired: number;
  readonly remotified: number;
  readonly repatriated: number;
  readonly swept: number;
  /** Persistent pages that had fewer copies than they should at the end: the cluster was full. */
  readonly short_at_end: number;
  /** Time from the last fault's end until nothing was left to do. */
  readonly rest_ms: number;
  readonly virtual_ms: number;
  readonly events: number;
  /** Of everything that happened: the same options give the same. */
  readonly trace: string;
  /** The first findings in words. */
  readonly findings: readonly string[];
}

/** Room of a machine in pages: few, so that most are short of memory. */
const MEMORY_PAGES = [12, 56] as const;
/** Time for the nodes to find each other, before anything goes wrong. */
const BEGIN_MS = 2_000;
/** How often everything is looked at. */
const LOOK_MS = 500;
/** Share of the longest rest in which copies are made anew: a full cluster cannot do it. */
const WHOLE_SHARE = 0.3;
/** A workload that takes longer is stuck. */
const WORK_MOST_MS = 3_600_000;

const CALM: Profile = {
  ...{ delayMs: 0.2, jitterMs: 0.1, loss: 0, duplicates: 0, overtaking: 0 },
  ...{ stream: true, lostAtBlocks: 0.5 },
};
const PROFILES: readonly Profile[] = [
  CALM,
  { ...CALM, delayMs: 1, jitterMs: 2, loss: 0.005, lostAtBlocks: 0 },
  { ...CALM, delayMs: 8, jitterMs: 4, lostAtBlocks: 1 },
  { ...CALM, jitterMs: 1, loss: 0.01, duplicates: 0.01, overtaking: 0.03, stream: false },
  { ...CALM, jitterMs: 10, loss: 0.03, duplicates: 0.05, overtaking: 0.1, stream: false },
];

export async function runScenario(options: ScenarioOptions): Promise<ScenarioResult> {
  const { seed, nodes, steps } = options;
  const [restLeastMs, restMostMs] = options.restMs;
  const world = new World({ ...options, memoryPages: MEMORY_PAGES, profile: profileOf(streamsOf(seed)) });
  const { clock, verdict, audit } = world;
  const runFor = (ms: number, isDone?: () => boolean): Promise<void> => clock.run(clock.now() + ms, isDone);
  const look = (): void => {
    world.judge();
    clock.after(LOOK_MS, look);
  };

  for (const machine of world.machines) world.start(machine);
  look();
  await runFor(BEGIN_MS);
  const workload = new Workload(world, steps);
  const faults = new Faults(world);
  workload.begin();
  faults.begin();
  await runFor(WORK_MOST_MS, () => workload.isOver);

  world.trace.tell('all', () => 'is healed');
  faults.end();
  const healedMs = clock.now();
  const isWhole = (): boolean => world.machines.every((machine) => audit.short(machine) === 0);
  await runFor(restLeastMs);
  const isLong = (): boolean => clock.now() - healedMs > restMostMs * WHOLE_SHARE;
  await rest(
    world,
    restMostMs,
    () => audit.orphans().length === 0 && world.detection.open === 0 && (isWhole() || isLong()),
  );
  const restMs = clock.now() - healedMs;

  world.isCalm = true;
  world.trace.tell('all', () => 'is read');
  let isRead = false;
  const reading = Promise.all(world.machines.map((machine) => world.front(machine).readAll())).then(() => {
    isRead = true;
  });
  await runFor(2 * world.bounds.fetchMs, () => isRead);
  if (isRead) await reading;
  await rest(world, restMostMs, () => audit.orphans().length === 0);
  world.judge();
  for (const { holder, words } of audit.orphans()) verdict.found('orphans_left', holder.name, words);

  return {
    ...{ seed, nodes, steps, ...verdict.counts },
    max_detection_ms: Math.round(verdict.maxDetectionMs),
    repaired: world.counted('replicas_repaired'),
    remotified: world.counted('pers_pages_remoted') + world.counted('eph_pages_remoted'),
    repatriated: world.counted('pages_repatriated'),
    swept: world.counted('orphans_swept'),
    short_at_end: world.machines.reduce((sum, machine) => sum + audit.short(machine), 0),
    rest_ms: Math.round(restMs),
    virtual_ms: Math.round(clock.now()),
    events: clock.events,
    trace: world.trace.hash,
    findings: verdict.words,
  };
}

export function isGood(result: ScenarioResult): boolean {
  return NEVER.every((name) => result[name] === 0);
}

/** Lets the cluster run until it is at rest, or the time is over. */
async function rest({ clock }: World, mostMs: number, isAtRest: () => boolean): Promise<void> {
  const endMs = clock.now() + mostMs;
  while (clock.now() < endMs && !isAtRest()) await clock.run(Math.min(endMs, clock.now() + LOOK_MS));
}

function profileOf(streams: Streams): Profile {
  return oneOf(streams('profile'), PROFILES);
}
