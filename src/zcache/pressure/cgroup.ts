/**
 * A control group as a scope: its limit, what it uses, and how much of that the kernel can take back by itself.
 *
 * What can be taken back is counted as /proc/meminfo counts it for the machine: clean pages on the lists of inactive
 * and active files, of the active ones half, since the application runs from them. Stores are in tmpfs: those pages are
 * charged as cache ("shmem") but stand on the anonymous lists, so `cache` would be wrong and nothing is to be
 * subtracted from the lists of files. (Measured on v1: cache 9,175,040 - shmem 8,998,912 = inactive_file +
 * active_file.) Without swap the kernel cannot take them back, and swapping a cache out would be worse than dropping
 * pages.
 */

import { join } from 'node:path';
import type { CgroupDirectory } from './cgroup-path.ts';
import { parseCount, parseLimit, parseTable, readKernelFile } from './kernel-file.ts';
import type { ScopeReading } from './reading.ts';
import { readStall } from './stall.ts';

type Table = ReadonlyMap<string, number>;

/** The file that says whether a directory has the memory controller. */
const LIMIT_FILE = { 1: 'memory.limit_in_bytes', 2: 'memory.max' } as const;

/** Those of the directories, own group first, whose limit counts for the process. */
export function bindingDirectories(root: string, directories: readonly CgroupDirectory[]): CgroupDirectory[] {
  const binding: CgroupDirectory[] = [];
  for (const directory of directories) {
    const path = join(root, directory.path);
    const isAbove = binding.some(({ version }) => version === directory.version);
    // v1 before 5.11 could be told not to count a group's use in the groups above it.
    if (isAbove && directory.version === 1 && countAt(path, 'memory.use_hierarchy') === 0) break;
    if (readKernelFile(join(path, LIMIT_FILE[directory.version])) !== undefined) binding.push(directory);
  }
  return binding;
}

/** Undefined if the group has no limit, or its files are missing or make no sense. */
export function readCgroup(
  root: string,
  directory: CgroupDirectory,
  isTop: boolean,
): ScopeReading | undefined {
  const path = join(root, directory.path);
  return directory.version === 1 ? readV1(path, directory.group, isTop) : readV2(path, directory.group);
}

function readV2(path: string, group: string): ScopeReading | undefined {
  const max = limitAt(path, 'memory.max');
  // Above memory.high nobody is killed, but everybody is held up: for a cache that is the limit.
  const high = limitAt(path, 'memory.high') ?? Number.POSITIVE_INFINITY;
  if (max === undefined || Math.min(max, high) === Number.POSITIVE_INFINITY) return undefined;
  const stat = tableAt(path, 'memory.stat');
  const slab = Math.floor((stat.get('slab_reclaimable') ?? 0) / 2);
  const reclaimable = reclaimableBytes(stat, '', 'file_');
  // The local events are those of this limit; the others count the groups below, with limits of their own, too.
  const events =
    readKernelFile(join(path, 'memory.events.local')) ?? readKernelFile(join(path, 'memory.events'));
  const stall = readStall(join(path, 'memory.pressure'));
  return scope(group, Math.min(max, high), countAt(path, 'memory.current'), reclaimable, {
    slab,
    ooms: parseTable(events).get('oom'),
    stall,
  });
}

function readV1(path: string, group: string, isTop: boolean): ScopeReading | undefined {
  const own = limitAt(path, 'memory.limit_in_bytes');
  if (own === undefined || (own === Number.POSITIVE_INFINITY && !isTop)) return undefined;
  const stat = tableAt(path, 'memory.stat');
  // Groups above the mount cannot be seen, but the tightest of their limits can. What else counts against it cannot.
  const above = isTop ? hierarchicalLimit(stat) : Number.POSITIVE_INFINITY;
  const limit = Math.min(own, above);
  if (limit === Number.POSITIVE_INFINITY) return undefined;
  const reclaimable = reclaimableBytes(stat, 'total_', 'total_');
  return scope(group, limit, countAt(path, 'memory.usage_in_bytes'), reclaimable, {
    slab: 0,
    ooms: tableAt(path, 'memory.oom_control').get('oom_kill'),
    stall: undefined,
  });
}

/** The table leaves out numbers too long to be exact, which are what v1 writes for "no limit" (2^63 - 4096). */
function hierarchicalLimit(stat: Table): number {
  return stat.get('hierarchical_memory_limit') || Number.POSITIVE_INFINITY;
}

/** Bytes of files' cache that can be dropped at once. Dirty pages have to be written first. */
function reclaimableBytes(stat: Table, prefix: string, dirtyPrefix: string): number | undefined {
  const inactive = stat.get(`${prefix}inactive_file`);
  const active = stat.get(`${prefix}active_file`);
  if (inactive === undefined || active === undefined) return undefined;
  const unwritten = (stat.get(`${dirtyPrefix}dirty`) ?? 0) + (stat.get(`${dirtyPrefix}writeback`) ?? 0);
  return Math.max(0, inactive + Math.floor(active / 2) - unwritten);
}

interface Rest {
  readonly slab: number;
  readonly ooms: number | undefined;
  readonly stall: ScopeReading['stall'] | undefined;
}

function scope(
  group: string,
  limit: number,
  used: number | undefined,
  reclaimable: number | undefined,
  { slab, ooms, stall }: Rest,
): ScopeReading | undefined {
  // A limit of 0 is a group about to be removed. Without the lists of files all cache would look as if it were needed.
  if (limit === 0 || used === undefined || reclaimable === undefined) return undefined;
  const availableBytes = Math.min(limit, Math.max(0, limit - used + reclaimable + slab));
  return {
    name: `cgroup:${group}`,
    memory: { sizeBytes: limit, availableBytes },
    ...(stall && { stall }),
    ...(ooms !== undefined && { ooms }),
  };
}

function limitAt(path: string, file: string): number | undefined {
  return parseLimit(readKernelFile(join(path, file)));
}

function countAt(path: string, file: string): number | undefined {
  return parseCount(readKernelFile(join(path, file)));
}

function tableAt(path: string, file: string): Table {
  return parseTable(readKernelFile(join(path, file)));
}
