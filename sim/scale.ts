/**
 * What a cluster costs that does nothing: control frames and bytes of a node in a second, by the number of nodes; and
 * how long it takes until those who watch a node find it dead.
 */

import type { NodeFactory } from './machine.ts';
import type { Bounds } from './world.ts';
import { World } from './world.ts';

export interface ScaleOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly factory: NodeFactory;
  readonly bounds: Bounds;
}

export interface ScaleResult {
  readonly nodes: number;
  /** Sent by a node on average, and by the one that sends most. */
  readonly frames_per_second: number;
  readonly frames_per_second_max: number;
  readonly bytes_per_second: number;
  /** From the end of a node until all who watch it know. */
  readonly detection_ms: number;
  readonly watchers: number;
  readonly unbounded_waits: number;
  readonly errors: number;
  readonly events: number;
}

const BEGIN_MS = 5_000;
const MEASURED_MS = 20_000;
/** So much memory that nobody is short of it. */
const MEMORY_PAGES = 256;
const PROFILE = {
  ...{ delayMs: 0.2, jitterMs: 0.1, loss: 0, duplicates: 0, overtaking: 0 },
  ...{ stream: true, lostAtBlocks: 1 },
};

export async function runScale(options: ScaleOptions): Promise<ScaleResult> {
  const world = new World({ ...options, profile: PROFILE, memoryPages: [MEMORY_PAGES, MEMORY_PAGES] });
  const { clock, network, machines, verdict } = world;
  for (const machine of machines) world.start(machine);
  await clock.run(BEGIN_MS);
  const before = machines.map(({ host }) => ({ ...network.trafficOf(host) }));
  await clock.run(BEGIN_MS + MEASURED_MS);
  const seconds = MEASURED_MS / 1000;
  const sent = machines.map(({ host }, i) => {
    const { frames, bytes } = network.trafficOf(host);
    return {
      frames: (frames - (before[i]?.frames ?? 0)) / seconds,
      bytes: (bytes - (before[i]?.bytes ?? 0)) / seconds,
    };
  });
  const [victim] = machines;
  if (victim !== undefined) world.kill(victim, { silently: true, losing: false });
  const watchers = world.detection.open;
  await clock.run(clock.now() + options.bounds.detectionMs + MEASURED_MS, () => world.detection.open === 0);
  world.judge();
  return {
    nodes: options.nodes,
    frames_per_second: mean(sent.map(({ frames }) => frames)),
    frames_per_second_max: Math.round(Math.max(...sent.map(({ frames }) => frames))),
    bytes_per_second: mean(sent.map(({ bytes }) => bytes)),
    detection_ms: Math.round(verdict.maxDetectionMs),
    watchers,
    unbounded_waits: verdict.counts.unbounded_waits,
    errors: verdict.counts.errors,
    events: clock.events,
  };
}

function mean(values: readonly number[]): number {
  return Math.round((values.reduce((sum, value) => sum + value, 0) / values.length) * 10) / 10;
}
