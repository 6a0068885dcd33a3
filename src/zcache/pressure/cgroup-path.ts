/**
 * Where the process's control groups are: which directories hold the limits that bind it, its own first.
 *
 * /proc/self/cgroup names the group within its hierarchy, /proc/self/mountinfo says where the hierarchy is mounted, and
 * which part of it. In a container that part is often the container's own group alone; then what lies above cannot be
 * seen, and the path in the first file means nothing or leads out of the mount: the mount's root is taken.
 */

import { posix } from 'node:path';

/** Groups are nested a handful deep; systemd and container managers reach ten. */
const DEPTH_MAX = 32;

export type CgroupVersion = 1 | 2;

export interface CgroupDirectory {
  readonly version: CgroupVersion;
  /** Seen from the mount: '/' is its root. */
  readonly group: string;
  /** Absolute, without the root given to the sources. */
  readonly path: string;
}

interface CgroupMount {
  readonly version: CgroupVersion;
  /** The group that is mounted. */
  readonly root: string;
  readonly point: string;
}

/**
 * Directories of the process's group and those above it, in v1's hierarchy of the memory controller and in v2's. On a
 * machine with both mounted only one of them has the files of the controller.
 */
export function cgroupDirectories(cgroupText: string, mountinfoText: string): CgroupDirectory[] {
  const mounts = cgroupMounts(mountinfoText);
  return ([1, 2] as const).flatMap((version) => {
    const own = ownGroup(cgroupText, version);
    return own === undefined ? [] : chain(own, version, mounts);
  });
}

/** Lines are 'number:controllers:path'; v2's is '0::path'. */
function ownGroup(cgroupText: string, version: CgroupVersion): string | undefined {
  for (const [, id, controllers, path] of cgroupText.matchAll(/^(\d+):([^:\n]*):(\/.*)$/gm)) {
    const isWanted =
      version === 2 ? id === '0' && controllers === '' : controllers?.split(',').includes('memory');
    if (isWanted) return path;
  }
  return undefined;
}

/** 'id parent dev root point options [optional…] - type source options', with blanks written in octal. */
function cgroupMounts(mountinfoText: string): CgroupMount[] {
  const found: CgroupMount[] = [];
  for (const line of mountinfoText.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root, point] = before.split(' ');
    const [type, , options = ''] = after.split(' ');
    if (root === undefined || point === undefined) continue;
    const mount = { root: unescapeOctal(root), point: unescapeOctal(point) };
    if (type === 'cgroup2') found.push({ version: 2, ...mount });
    else if (type === 'cgroup' && options.split(',').includes('memory')) found.push({ version: 1, ...mount });
  }
  return found;
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/** The group as seen from the mount, or undefined if it lies outside. */
function withinMount(own: string, root: string): string | undefined {
  if (own.split('/').includes('..')) return undefined;
  if (root === '/') return own;
  if (own === root) return '/';
  return own.startsWith(`${root}/`) ? own.slice(root.length) : undefined;
}

function chain(own: string, version: CgroupVersion, mounts: readonly CgroupMount[]): CgroupDirectory[] {
  const candidates = mounts.filter((mount) => mount.version === version);
  // The mount that shows most of what lies above the group; of equals the last, which covers those before it.
  const best = candidates
    .map((mount) => ({ mount, group: withinMount(own, mount.root) }))
    .filter(({ group }) => group !== undefined)
    .reduce<{ mount: CgroupMount; group: string | undefined } | undefined>(
      (most, next) => (most === undefined || next.mount.root.length <= most.mount.root.length ? next : most),
      undefined,
    );
  const mount = best?.mount ?? candidates.at(-1);
  if (mount === undefined) return [];
  const directories: CgroupDirectory[] = [];
  let group = posix.join('/', best?.group ?? '/');
  for (let depth = 0; depth < DEPTH_MAX; depth++) {
    directories.push({ version, group, path: posix.join(mount.point, group) });
    if (group === '/') break;
    group = posix.dirname(group);
  }
  return directories;
}
