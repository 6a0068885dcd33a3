// Made-up trees of the kernel's files: a temporary root directory that holds /proc and mounted control groups.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';

export const MIB = 2 ** 20;
export const GIB = 2 ** 30;

export interface Tree {
  readonly root: string;
  /** Writes a file; undefined removes it, or the whole directory. */
  write(path: string, text: string | undefined): void;
}

/** A tree of files, gone when the test ends. */
export function makeTree(files: Readonly<Record<string, string>> = {}): Tree {
  const root = mkdtempSync(join(tmpdir(), 'tmem-pressure-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const write = (path: string, text: string | undefined): void => {
    const full = join(root, path);
    if (text === undefined) {
      rmSync(full, { recursive: true, force: true });
    } else {
      mkdirSync(dirname(full), { recursive: true });
      writeFileSync(full, text);
    }
  };
  for (const [path, text] of Object.entries(files)) write(path, text);
  return { root, write };
}

export function stallText(some10Percent: number, totalUs: number): string {
  const line = `avg10=${some10Percent.toFixed(2)} avg60=0.00 avg300=0.00 total=${totalUs}`;
  return `some ${line}\nfull ${line.replace(/=\d+$/, '=0')}\n`;
}

export function meminfoText(totalBytes: number, availableBytes: number): string {
  const row = (name: string, bytes: number): string => `${name}:${String(bytes / 1024).padStart(15)} kB\n`;
  const rows = [row('MemTotal', totalBytes), row('MemFree', 4096), row('MemAvailable', availableBytes)];
  return `${rows.join('')}HugePages_Total: 0\n`;
}

export const V2_MOUNT = '31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n';
export const V1_MOUNT =
  '31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n' +
  '34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n' +
  '35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n';

export interface Group {
  limit: number | 'max';
  used: number;
  inactiveFile?: number;
  activeFile?: number;
  high?: number;
  dirty?: number;
  ooms?: number;
}

/** Files of a v2 group below /sys/fs/cgroup. Its pages of shared memory are part of `used` and of `file`. */
export function v2Group(path: string, group: Group): Record<string, string> {
  const { limit, used, inactiveFile = 0, activeFile = 0, high = 'max', dirty = 0, ooms = 0 } = group;
  const directory = join('sys/fs/cgroup', path);
  return {
    [`${directory}/memory.max`]: `${limit}\n`,
    [`${directory}/memory.high`]: `${high}\n`,
    [`${directory}/memory.current`]: `${used}\n`,
    [`${directory}/memory.stat`]:
      `anon 1\nfile ${used}\nshmem ${used - inactiveFile - activeFile}\nfile_dirty ${dirty}\nfile_writeback 0\n` +
      `inactive_anon ${used}\ninactive_file ${inactiveFile}\nactive_file ${activeFile}\nslab_reclaimable 0\n`,
    [`${directory}/memory.events.local`]: `low 0\nhigh 7\nmax 9\noom ${ooms}\noom_kill 0\n`,
  };
}

/** Files of a v1 group below the mount of the memory controller. */
export function v1Group(path: string, group: Group, hierarchicalLimit = '9223372036854771712') {
  const { limit, used, inactiveFile = 0, activeFile = 0, dirty = 0, ooms = 0 } = group;
  const directory = join('sys/fs/cgroup/memory', path);
  return {
    [`${directory}/memory.limit_in_bytes`]: `${limit === 'max' ? '9223372036854771712' : limit}\n`,
    [`${directory}/memory.usage_in_bytes`]: `${used}\n`,
    [`${directory}/memory.stat`]:
      `cache ${used}\ninactive_file 5\nactive_file 5\nhierarchical_memory_limit ${hierarchicalLimit}\n` +
      `total_cache ${used}\ntotal_dirty ${dirty}\ntotal_inactive_file ${inactiveFile}\n` +
      `total_active_file ${activeFile}\n`,
    [`${directory}/memory.oom_control`]: `oom_kill_disable 0\nunder_oom 0\noom_kill ${ooms}\n`,
  };
}
