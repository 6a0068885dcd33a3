// 32 requests at a time from one client, and from each of two: operations a second, wall time.
//
// Client and servers have the machine's cores between them, as the system spreads them.

import type { Figures } from '../run.ts';
import { medianOf, rounds, type Scene } from './scene.ts';
import type { ServerName } from './servers.ts';

const DEPTH = 32;
const ROUNDS = 5;
/** The servers' caches and our JIT get used to it first. */
const WARM_UP_MS = 1000;
const MEASURE_MS = 3000;
const VERIFY_MS = 1000;

const SERVERS = ['tmem', 'nbdkit-memory', 'nbdkit-zstd'] as const;

interface Measured {
  one: number;
  two: number;
  /** Of the server for an operation of one client. */
  cpuUs: number;
}

export async function measureDepth32(scene: Scene): Promise<Figures> {
  const all = await rounds(SERVERS, ROUNDS, (name, verify) => measure(scene, name, verify));
  for (const name of SERVERS) {
    const [one, two] = [medianOf(all, (of) => of[name].one, 0), medianOf(all, (of) => of[name].two, 0)];
    const cpuUs = medianOf(all, (of) => of[name].cpuUs, 1);
    scene.say(`depth ${DEPTH}, ${name}: ${one} a second, two clients ${two}; its CPU time ${cpuUs} us each`);
  }
  return {
    iops_d32_vs_nbdkit_memory: medianOf(all, (of) => of.tmem.one / of['nbdkit-memory'].one),
    iops_d32_2clients_vs_nbdkit_memory: medianOf(all, (of) => of.tmem.two / of['nbdkit-memory'].two),
    iops_d32_vs_nbdkit_zstd: medianOf(all, (of) => of.tmem.one / of['nbdkit-zstd'].one, 2),
  };
}

async function measure(scene: Scene, name: ServerName, verify: boolean): Promise<Measured> {
  await using server = await scene.start(name);
  using load = scene.load(server);
  await load.fill();
  const task = { depth: DEPTH, ms: verify ? VERIFY_MS : MEASURE_MS, verify };
  await load.load({ ...task, clients: 2, ms: WARM_UP_MS });
  const cpuBefore = server.cpuUs;
  const one = await load.load({ ...task, clients: 1 });
  const cpuUs = (server.cpuUs - cpuBefore) / one.operations;
  const two = await load.load({ ...task, clients: 2 });
  if (verify) await load.check();
  return { one: one.iops, two: two.iops, cpuUs };
}
