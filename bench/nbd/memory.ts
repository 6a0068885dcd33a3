// What a server takes that holds the image: everything its process has in memory, by the kernel's count, shared memory
// once. For two sizes, because what Node takes before there is any page does not grow with the image.

import type { Figures } from '../run.ts';
import { rounded } from '../support/measure.ts';
import { MIB } from './load.ts';
import type { Scene } from './scene.ts';
import type { ServerName } from './servers.ts';

const SMALL_MIB = 1024;
const LARGE_MIB = 4096;

export async function measureMemory(scene: Scene): Promise<Figures> {
  const small = await compare(scene, SMALL_MIB);
  const large = await compare(scene, LARGE_MIB);
  return {
    memory_vs_nbdkit_zstd: large.ratio,
    memory_1gib_vs_nbdkit_zstd: small.ratio,
    resident_empty_mib: small.emptyMib,
  };
}

async function compare(scene: Scene, imageMib: number): Promise<{ ratio: number; emptyMib: number }> {
  const ours = await measure(scene, 'tmem', imageMib);
  const theirs = await measure(scene, 'nbdkit-zstd', imageMib);
  const mib = (bytes: number) => rounded(bytes / MIB, 0);
  scene.say(
    `memory: ${mib(ours.full)} MiB with an image of ${imageMib} MiB, ${mib(ours.empty)} without; ` +
      `nbdkit with zstd ${mib(theirs.full)} and ${mib(theirs.empty)}`,
  );
  return { ratio: rounded(theirs.full / ours.full), emptyMib: mib(ours.empty) };
}

/** Resident bytes with and without the image. */
async function measure(
  scene: Scene,
  name: ServerName,
  imageMib: number,
): Promise<{ empty: number; full: number }> {
  await using server = await scene.start(name, { imageMib });
  const empty = server.residentBytes;
  using load = scene.load(server, { imageMib });
  await load.fill();
  await load.check();
  return { empty, full: server.residentBytes };
}
