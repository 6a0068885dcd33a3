// What a guest is made of and started with: programs of this machine, and the Debian packages they come from.

import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Where Debian puts programs; a Python from elsewhere may come first in PATH. */
const FOLDERS = ['/usr/bin', '/usr/sbin', '/bin', '/sbin'];

const PACKAGES = {
  'apt-get': 'apt',
  busybox: 'busybox-static',
  'dpkg-deb': 'dpkg',
  e2fsck: 'e2fsprogs',
  gcc: 'gcc libc6-dev',
  'mkfs.ext4': 'e2fsprogs',
  'nbd-client': 'nbd-client',
  nbdkit: 'nbdkit',
  python3: 'python3',
  'qemu-system-x86_64': 'qemu-system-x86',
  setpriv: 'util-linux',
} as const;

export type Program = keyof typeof PACKAGES;

/** What every guest takes. */
export const GUEST_PROGRAMS: readonly Program[] = [
  ...(['apt-get', 'dpkg-deb', 'busybox', 'gcc', 'qemu-system-x86_64', 'setpriv'] as const),
];

function find(program: Program): string | undefined {
  return FOLDERS.map((folder) => join(folder, program)).find((path) => existsSync(path));
}

/** Debian packages that are not here, of those the programs come from. */
export function missingPackages(programs: readonly Program[]): string[] {
  const missing = programs.filter((program) => find(program) === undefined);
  return [...new Set(missing.flatMap((program) => PACKAGES[program].split(' ')))];
}

/** Path of a program. @throws Error that names its package */
export function pathOf(program: Program): string {
  const path = find(program);
  if (path === undefined) {
    throw new Error(`${program} is missing: apt-get install -y --no-install-recommends ${PACKAGES[program]}`);
  }
  return path;
}
