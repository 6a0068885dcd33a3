// Memory pressure on a named store: a process that has filled it, and one that takes memory steadily, in a memory
// control group whose limit is below what both want. The store has to give way before the kernel kills.
//
// Everything is removed in the end: the processes, the store, the group.

import { setTimeout as sleep } from 'node:timers/promises';
import { Helper } from '../support/helper.ts';
import type { MemoryGroup } from '../support/memory-group.ts';
import { StoreName } from '../support/named.ts';
import { fileBytes } from '../support/resident.ts';
import type { Checked, HolderMessage } from './holder.ts';

const HOLDER = new URL('holder.ts', import.meta.url);
const HOG = new URL('hog.ts', import.meta.url);
const LOOK_MS = 20;
/** After the last was taken: what is given back then counts, too. */
const SETTLE_MS = 1000;

export interface PressurePlan {
  memoryBytes: number;
  persistentPages: number;
  /** What the other process takes, and how fast. */
  hogBytes: number;
  hogBytesASecond: number;
  /** Whether the store shrinks. */
  shrinks: boolean;
  pagesFile?: string | undefined;
}

export interface PressureOutcome {
  /** Blocks of the store's file before and after. */
  fullBytes: number;
  leftBytes: number;
  /** Use of the group, the store included: the most that was seen, and in the end. */
  mostBytes: number;
  endBytes: number;
  /** Processes that the kernel killed. */
  kills: number;
  /** Persistent pages that were stored, and those of them that are missing or different. */
  persistent: Checked;
}

export async function pressureScene(group: MemoryGroup, plan: PressurePlan): Promise<PressureOutcome> {
  using name = new StoreName('pressure');
  const holder = await Helper.start(HOLDER);
  const hog = await Helper.start(HOG);
  let looks: NodeJS.Timeout | undefined;
  try {
    for (const { pid } of [holder, hog]) group.add(pid);
    const { hogBytes, hogBytesASecond, ...rest } = plan;
    const fill: HolderMessage = { what: 'fill', name: name.name, pagesFile: undefined, ...rest };
    await holder.ask(fill);
    const { path } = name;
    const fullBytes = fileBytes(path);
    let mostBytes = 0;
    looks = setInterval(() => {
      mostBytes = Math.max(mostBytes, group.usageBytes);
    }, LOOK_MS);
    // Killed, it does not answer.
    await hog.ask({ bytes: hogBytes, bytesASecond: hogBytesASecond }).catch(() => {});
    await sleep(SETTLE_MS);
    const endBytes = group.usageBytes;
    const { kills } = group;
    const leftBytes = fileBytes(path);
    const persistent = await holder.ask<Checked>({ what: 'check' } satisfies HolderMessage);
    return { fullBytes, leftBytes, mostBytes, endBytes, kills, persistent };
  } finally {
    clearInterval(looks);
    await Promise.all([holder.kill(), hog.kill()]);
  }
}
