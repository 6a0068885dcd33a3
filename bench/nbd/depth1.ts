// One request at a time: operations a second, client and server on the same core. On two cores this measures how fast
// the machine wakes the other one, and the figures have two peaks.

import { availableParallelism } from 'node:os';
import type { Figures } from '../run.ts';
import { medianOf, rounds, type Scene, type Setup } from './scene.ts';
import type { ServerName } from './servers.ts';

const ROUNDS = 7;
const WARM_UP_MS = 1000;
const MEASURE_MS = 2000;

const SERVERS = ['tmem', 'nbdkit-memory'] as const;

export async function measureDepth1(scene: Scene): Promise<Figures> {
  // The first core often serves the machine's interrupts.
  const core = availableParallelism() - 1;
  const all = await rounds(SERVERS, ROUNDS, (name, verify) => measure(scene, name, { core }, verify));
  for (const name of SERVERS) {
    scene.say(`depth 1, ${name}: ${medianOf(all, (of) => of[name], 0)} a second`);
  }
  return { iops_d1_vs_nbdkit_memory: medianOf(all, (of) => of.tmem / of['nbdkit-memory']) };
}

async function measure(scene: Scene, name: ServerName, setup: Setup, verify: boolean): Promise<number> {
  await using server = await scene.start(name, setup);
  using load = scene.load(server, setup);
  await load.fill();
  const task = { clients: 1, depth: 1, verify };
  await load.load({ ...task, ms: WARM_UP_MS });
  return (await load.load({ ...task, ms: MEASURE_MS })).iops;
}
