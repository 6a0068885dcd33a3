// Programs of the machine that a benchmark runs, and the Debian packages they come from.

import { existsSync } from 'node:fs';
import { join } from 'node:path';

const PACKAGES = {
  nbdcopy: 'libnbd-bin',
  nbdkit: 'nbdkit',
  setpriv: 'util-linux',
  taskset: 'util-linux',
} as const;

export type Tool = keyof typeof PACKAGES;

/** @throws Error that names the packages of those that are not in PATH */
export function requireTools(...tools: readonly Tool[]): void {
  const folders = (process.env.PATH ?? '').split(':');
  const missing = tools.filter((tool) => !folders.some((folder) => existsSync(join(folder, tool))));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((tool) => PACKAGES[tool]))].join(' ');
  throw new Error(`missing: ${missing.join(', ')} (apt-get install -y ${packages})`);
}
