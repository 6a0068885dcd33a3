// Whether `memory` bounds what a store takes, as seen from outside: two processes replace what it holds several times,
// while the blocks of its file are watched. What the processes have grown by beside it is the price of attaching.

import { setTimeout as sleep } from 'node:timers/promises';
import { open } from '../../src/index.ts';
import type { BenchOptions, Figures } from '../run.ts';
import { PAGES_AN_OBJECT } from '../store/scene.ts';
import { Helper } from '../support/helper.ts';
import { rounded } from '../support/measure.ts';
import { StoreName } from '../support/named.ts';
import { loadPages, PAGE_BYTES } from '../support/pages.ts';
import { fileBytes, processMemory } from '../support/resident.ts';
import type { ChurnTask } from './churner.ts';

const PROCESSES = 2;
const MEMORY_BYTES = 256 * 2 ** 20;
/** Pages of each kind, before compression. */
const CONTENT_BYTES = 2 ** 30;
/** Of each process: the puts of both are some five times what the store holds. */
const OPERATIONS = 1_500_000;
const LOOK_MS = 100;
const FILE = new URL('churner.ts', import.meta.url);
const MIB = 2 ** 20;

export async function measureMemoryBound({ pages: pagesFile, say }: BenchOptions): Promise<Figures> {
  using name = new StoreName('bench');
  using _store = open({ name: name.name, memory: MEMORY_BYTES, shrinker: { enabled: false } });
  const { path } = name;
  const helpers = await Promise.all(Array.from({ length: PROCESSES }, () => Helper.start(FILE)));
  try {
    const ownBytes = () =>
      Math.max(...helpers.map(({ pid }) => processMemory(pid)).map((of) => of.pssBytes - of.shmemBytes));
    const before = ownBytes() + loadPages(pagesFile).bytes.length;
    const objects = CONTENT_BYTES / PAGE_BYTES / PAGES_AN_OBJECT;
    let running = helpers.length;
    const churned = helpers.map(async (helper, i) => {
      const task: ChurnTask = { name: name.name, objects, operations: OPERATIONS, seed: i + 1, pagesFile };
      const stored = await helper.ask<number>(task);
      running--;
      return stored;
    });
    let fileMost = 0;
    let ownMost = 0;
    while (running > 0) {
      await sleep(LOOK_MS);
      fileMost = Math.max(fileMost, fileBytes(path));
      ownMost = Math.max(ownMost, ownBytes());
    }
    const stored = (await Promise.all(churned)).reduce((sum, one) => sum + one, 0);
    const figures = {
      memory_bound_file_share: rounded(fileMost / MEMORY_BYTES, 4),
      memory_bound_process_mib: rounded((ownMost - before) / MIB, 1),
    };
    say(
      `${stored} pages put into ${MEMORY_BYTES / MIB} MiB by ${PROCESSES} processes: its file took at most ` +
        `${(fileMost / MIB).toFixed(1)} MiB, each process at most ${figures.memory_bound_process_mib} MiB beside it`,
    );
    return figures;
  } finally {
    await Promise.all(helpers.map((helper) => helper.kill()));
  }
}
