// nbdcopy of the whole image: from a file into an empty export, and from the export to nowhere. Its own choice of
// connections and requests.

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Figures } from '../run.ts';
import { requireTools } from '../support/tools.ts';
import { IMAGE_MIB } from './load.ts';
import { medianOf, rounds, type Scene } from './scene.ts';
import { bound, type ServerName } from './servers.ts';

const ROUNDS = 5;
const SERVERS = ['tmem', 'nbdkit-memory', 'nbdkit-zstd'] as const;
/** On a tmpfs, so that no disk is measured. */
const IMAGE_PARENT = '/dev/shm';

const run = promisify(execFile);

interface Seconds {
  into: number;
  out: number;
}

export async function measureCopy(scene: Scene): Promise<Figures> {
  requireTools('nbdcopy');
  const directory = mkdtempSync(join(IMAGE_PARENT, 'tmem-bench-'));
  try {
    const image = join(directory, 'image');
    {
      using load = scene.load({ socket: '' });
      await load.image(image);
    }
    const all = await rounds(SERVERS, ROUNDS, (name, verify) => measure(scene, name, image, verify));
    for (const name of SERVERS) {
      const speed = (way: keyof Seconds) => (IMAGE_MIB / medianOf(all, (of) => of[name][way])).toFixed(0);
      scene.say(`nbdcopy, ${name}: ${speed('into')} MiB a second in, ${speed('out')} out`);
    }
    return {
      copy_in_vs_nbdkit_zstd: medianOf(all, (of) => of['nbdkit-zstd'].into / of.tmem.into),
      copy_out_vs_nbdkit_zstd: medianOf(all, (of) => of['nbdkit-zstd'].out / of.tmem.out),
    };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function measure(scene: Scene, name: ServerName, image: string, verify: boolean): Promise<Seconds> {
  await using server = await scene.start(name);
  const into = await secondsOf('nbdcopy', image, server.uri);
  if (verify) {
    using load = scene.load(server);
    await load.check();
  }
  return { into, out: await secondsOf('nbdcopy', server.uri, 'null:') };
}

async function secondsOf(...command: readonly string[]): Promise<number> {
  const [program, ...args] = bound(command);
  const start = process.hrtime.bigint();
  await run(program, args);
  return Number(process.hrtime.bigint() - start) / 1e9;
}
