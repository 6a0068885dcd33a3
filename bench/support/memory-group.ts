// A memory control group for processes of a benchmark or test: with a limit, below the one this process is in, so that
// it stays within any limit there is. v1, or v2 where the controller is there.

import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CgroupDirectory, cgroupDirectories } from '../../src/zcache/pressure/cgroup-path.ts';
import { parseTable, readKernelFile } from '../../src/zcache/pressure/kernel-file.ts';

const FILES = {
  1: { limit: 'memory.limit_in_bytes', usage: 'memory.usage_in_bytes', kills: 'memory.oom_control' },
  2: { limit: 'memory.max', usage: 'memory.current', kills: 'memory.events' },
} as const;
/** Swap would take what the limit is to press out. */
const NO_SWAP = { 1: ['memory.swappiness', '0'], 2: ['memory.swap.max', '0'] } as const;

/** Waits for processes that have just ended to leave the group. */
const REMOVE_TRIES = 100;
const REMOVE_PAUSE_MS = 20;

export class MemoryGroup {
  readonly #path: string;
  readonly #version: CgroupDirectory['version'];

  private constructor(path: string, version: CgroupDirectory['version']) {
    this.#path = path;
    this.#version = version;
  }

  /** A new group with a limit, or the reason why there can be none. */
  static create(limitBytes: number): MemoryGroup | string {
    const name = `tmem-${process.pid}-${randomBytes(4).toString('hex')}`;
    let reason = 'no control group with a memory controller is mounted';
    for (const { path: parent, version } of groupsToTry()) {
      const path = join(parent, name);
      try {
        mkdirSync(path);
      } catch (error) {
        reason = `${parent}: ${(error as Error).message}; it takes root`;
        continue;
      }
      try {
        writeFileSync(join(path, FILES[version].limit), String(limitBytes));
        // A kernel without swap has no such file.
        const [file, value] = NO_SWAP[version];
        try {
          writeFileSync(join(path, file), value);
        } catch {}
        return new MemoryGroup(path, version);
      } catch (error) {
        rmdirSync(path);
        reason = `${parent}: ${(error as Error).message}`;
      }
    }
    return reason;
  }

  /** Moves a process here: what it takes from now on counts. */
  add(pid: number): void {
    writeFileSync(join(this.#path, 'cgroup.procs'), String(pid));
  }

  get usageBytes(): number {
    return Number(this.#read(FILES[this.#version].usage));
  }

  /** Processes that the kernel killed because of the limit. */
  get kills(): number {
    return parseTable(this.#read(FILES[this.#version].kills)).get('oom_kill') ?? 0;
  }

  #read(file: string): string {
    return readFileSync(join(this.#path, file), 'utf8');
  }

  /** Its processes must have ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        return rmdirSync(this.#path);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EBUSY' || tries === REMOVE_TRIES) throw error;
        await sleep(REMOVE_PAUSE_MS);
      }
    }
  }
}

/** The own group, where it may have groups below with a limit of their own; in v2 the nearest one above that may. */
function groupsToTry(): CgroupDirectory[] {
  const read = (path: string) => readKernelFile(path) ?? '';
  const all = cgroupDirectories(read('/proc/self/cgroup'), read('/proc/self/mountinfo'));
  const v1 = all.filter(({ version }) => version === 1).slice(0, 1);
  const passesOn = ({ path }: CgroupDirectory) =>
    read(join(path, 'cgroup.subtree_control')).split(/\s/).includes('memory');
  return [...v1, ...all.filter((group) => group.version === 2 && passesOn(group)).slice(0, 1)];
}
